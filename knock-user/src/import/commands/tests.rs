//! Commands that are understood, and commands that are not.

use super::*;
use crate::config::PortNames;

fn names() -> PortNames {
    PortNames::parse("ssh 22/tcp\nhttps 443/tcp\n")
}

/// A change in one line.
fn said(line: &str) -> Result<String, String> {
    let change = understand(line, &names())?;
    let rule = |rule: &Rule| {
        let families = match rule.families {
            Families::V4 => "4",
            Families::V6 => "6",
            Families::Both => "46",
        };
        let ports: Vec<_> = rule.ports.iter().map(ToString::to_string).collect();
        let prefix = rule.prefix.map_or_else(String::new, |bits| format!("/{bits}"));
        let only = rule.interface.as_ref().map_or_else(String::new, |name| format!(" on {name}"))
            + &rule.destination.map_or_else(String::new, |address| format!(" to {address}"))
            + if rule.as_sent { " as sent" } else { "" };
        format!("{families} {} [{}]{prefix}{only}", rule.place, ports.join(","))
    };
    let rules: Vec<_> = change.rules.iter().map(rule).collect();
    let verb = if change.verb == Verb::Add { "+" } else { "-" };
    let lasts = change.lasts.map_or_else(String::new, |time| format!(" for {}", time.as_secs()));
    let notes = if change.notes.is_empty() { "" } else { " noted" };
    let finders: Vec<_> = change.finders.iter().map(|finder| format!("{:?}", finder.by)).collect();
    let runs = |text: &str, mark: &str| if text.is_empty() { String::new() } else { format!(" {mark} {text}") };
    let others = runs(&change.rest, "&") + &runs(&change.after, "&&");
    Ok(format!("{verb}{}{}{lasts}{notes}{others}", rules.join(" +"), finders.join(" ")))
}

#[track_caller]
fn assert_all(cases: &[(&str, &str)]) {
    for (line, meant) in cases {
        assert_eq!(said(line).as_deref(), Ok(*meant), "{line}");
    }
}

#[test]
fn iptables_is_understood() {
    assert_all(&[
        ("/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", "+4 chain INPUT [22/tcp]"),
        ("/sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", "-4 chain INPUT [22/tcp]"),
        ("iptables -I INPUT 3 -s %IP%/32 -p tcp --dport ssh -j ACCEPT", "+4 chain INPUT [22/tcp]"),
        ("ip6tables -I INPUT -p tcp -s %IP%/64 --dport 22 -j ACCEPT", "+6 chain INPUT [22/tcp]/64"),
        (
            "iptables --insert INPUT --source=%IP% --protocol=udp --destination-port=53 --jump=ACCEPT",
            "+4 chain INPUT [53/udp]",
        ),
        (
            "iptables -w 5 -t filter -IINPUT -s%IP% -ptcp -mmultiport --dports 22,6000:6010 -jACCEPT",
            "+4 chain INPUT [22/tcp,6000-6010/tcp]",
        ),
        ("sudo -n iptables -w -A ssh2 -s %IP% -j ACCEPT", "+4 chain ssh2 []"),
        (
            "iptables -I INPUT -s %IP% -p tcp --syn -m state --state NEW --dport 22 -m comment --comment \"for knockd\" -j ACCEPT",
            "+4 chain INPUT [22/tcp]",
        ),
        (
            "iptables -I INPUT -i eth1 -s %IP% -p tcp -m conntrack --ctstate NEW,ESTABLISHED --dport 22 -j ACCEPT",
            "+4 chain INPUT [22/tcp] on eth1",
        ),
        // knockd's own manual has it without a protocol.
        ("/sbin/iptables -A INPUT -s %IP% --dport 22 -j ACCEPT", "+4 chain INPUT [22/tcp] noted"),
        ("/usr/sbin/iptables -A INPUT -s %IP% -p tcp --syn -j ACCEPT", "+4 chain INPUT []"),
    ]);
}

#[test]
fn several_commands_are_one_change() {
    assert_all(&[
        ("/sbin/iptables -C SSH2 -s %IP% -j ACCEPT || /sbin/iptables -I SSH2 -s %IP% -j ACCEPT", "+4 chain SSH2 []"),
        (
            "iptables -C INPUT -s %IP% -p tcp --dport 22 -j ACCEPT 2>/dev/null || iptables -I INPUT 1 -s %IP% -p tcp -m tcp --dport ssh -j ACCEPT",
            "+4 chain INPUT [22/tcp]",
        ),
        ("iptables -C S -s %IP% -j ACCEPT && iptables -D S -s %IP% -j ACCEPT", "-4 chain S []"),
        ("iptables -D S -s %IP% -j ACCEPT || true", "-4 chain S []"),
        ("iptables -D S -s %IP% -j ACCEPT; iptables -I S -s %IP% -j ACCEPT", "+4 chain S []"),
        (
            "iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT && iptables -I INPUT -s %IP% -p tcp --dport 443 -j ACCEPT;",
            "+4 chain INPUT [22/tcp] +4 chain INPUT [443/tcp]",
        ),
    ]);
}

#[test]
fn nft_ufw_and_knock_add_are_understood() {
    assert_all(&[
        ("nft add rule inet filter input ip saddr %IP% tcp dport 22 accept", "+4 chain input [22/tcp]"),
        (
            "nft 'insert rule ip6 filter input position 3 ip6 saddr %IP%/64 tcp dport { ssh, 443 } ct state new counter accept comment \"k\"'",
            "+6 chain input [22/tcp,443/tcp]/64",
        ),
        ("nft add rule filter ssh2 ip saddr %IP% meta l4proto tcp iifname eth0 accept", "+4 chain ssh2 [] on eth0"),
        ("/usr/sbin/nft add element inet filter knocked { %IP% timeout 1m }", "+4 set knocked [] for 60"),
        ("nft add element ip6 filter knocked '{%IP%}'", "+6 set knocked []"),
        ("nft delete element inet filter knocked { %IP% }", "-4 set knocked []"),
        ("ufw allow from %IP% to any port 22", "+46 the firewall [22/tcp,22/udp]"),
        (
            "/usr/sbin/ufw insert 1 allow in on eth0 proto tcp from %IP% to any port ssh,8000:8010 comment 'knock'",
            "+46 the firewall [22/tcp,8000-8010/tcp] on eth0",
        ),
        ("ufw --force delete allow from %IP% to any port 22 proto tcp", "-46 the firewall [22/tcp]"),
        ("ufw allow from %IP%", "+46 the firewall []"),
        ("/usr/local/sbin/knock_add -i -c INPUT -p tcp -d 443 -f %IP%", "+4 chain INPUT [443/tcp]"),
        ("knock_helper_ipt.sh --delete --srcaddr=%IP% --dstport=ssh -v -mfoo", "-4 chain INPUT [22/tcp]"),
    ]);
}

#[test]
fn firewalld_and_ipset_are_understood() {
    assert_all(&[
        (
            "firewall-cmd --add-rich-rule='rule family=\"ipv4\" source address=\"%IP%\" port port=\"2222\" protocol=\"tcp\" accept'",
            "+4 the firewall [2222/tcp]",
        ),
        (
            "firewall-cmd -q --zone dmz --timeout=5m --add-rich-rule 'rule family=ipv6 source address=%IP%/64 service name=https log prefix=x level=info accept'",
            "+6 zone dmz [443/tcp]/64 for 300",
        ),
        (
            "firewall-cmd --permanent --zone=knocked --remove-source=%IP% && firewall-cmd --reload",
            "-46 zone knocked [] noted",
        ),
        (
            "firewall-cmd --direct --add-rule ipv4 filter INPUT 0 -s %IP% -p tcp --dport 22 -j ACCEPT",
            "+4 chain INPUT [22/tcp]",
        ),
        (
            "firewall-cmd --direct --passthrough ipv6 -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT",
            "-6 chain INPUT [22/tcp]",
        ),
        ("firewall-cmd --ipset=knocked --add-entry=%IP%", "+46 set knocked []"),
        ("ipset -exist add knocked %IP% timeout 90", "+4 set knocked [] for 90"),
        ("/sbin/ipset del knocked %IP%", "-4 set knocked []"),
    ]);
}

#[test]
fn what_else_a_line_runs_goes_on() {
    const ADD: &str = "iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
    const DELETE: &str = "iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
    for (line, meant) in [
        (format!("{ADD}; logger opened"), "+4 chain INPUT [22/tcp] & logger opened"),
        (format!("logger '%IP% | in' && {ADD} >>/var/log/k 2>&1"), "+4 chain INPUT [22/tcp] & logger '%IP% | in'"),
        (format!("a \"$X\" & {ADD}; b | c && d"), "+4 chain INPUT [22/tcp] & a \"$X\" & b | c && d"),
        (format!("{ADD} || logger failed"), "+4 chain INPUT [22/tcp] noted"),
        (format!("iptables -L -n | grep -q %IP% || {ADD}"), "+4 chain INPUT [22/tcp]"),
        (format!("sh -c \"{ADD}\""), "+4 chain INPUT [22/tcp]"),
        (format!("{ADD}; a; sleep 1m; {DELETE}; b"), "+4 chain INPUT [22/tcp] for 60 & a && b"),
        (format!("{ADD} && (sleep 30; {DELETE}) &"), "+4 chain INPUT [22/tcp] for 30"),
        (format!("{ADD}; echo \"{DELETE}\" | at now + 2 hours"), "+4 chain INPUT [22/tcp] for 7200"),
        (format!("{ADD}; sleep 5; a"), "+4 chain INPUT [22/tcp] & sleep 5; a"),
        (format!("test -e x && {DELETE}"), "-4 chain INPUT [22/tcp] noted & test -e x"),
        (
            format!("{ADD}; iptables -C OUTPUT -d %IP% -j ACCEPT || iptables -A OUTPUT -d %IP% -j ACCEPT"),
            "+4 chain INPUT [22/tcp] noted",
        ),
    ] {
        assert_eq!(said(&line).as_deref(), Ok(meant), "{line}");
    }
}

#[test]
fn deletions_that_find_their_rule_are_known() {
    for (line, meant) in [
        ("iptables -D INPUT 3", "-Number"),
        ("ufw --force delete 2", "-Number"),
        ("nft delete rule inet filter input handle 7", "-Number"),
        (
            "nft delete rule inet filter input handle $(nft -a list chain inet filter input | grep %IP% | awk '{print $NF}')",
            "-Search",
        ),
        ("iptables -D INPUT `iptables -L INPUT -n --line-numbers | grep %IP% | cut -d' ' -f1`; a", "-Search & a"),
        ("nft -a list chain ip f i | awk '/%IP%/ {print $NF}' | xargs -n1 nft delete rule ip f i handle", "-Search"),
        ("iptables-save | grep -v %IP% | iptables-restore", "-Search"),
    ] {
        assert_eq!(said(line).as_deref(), Ok(meant), "{line}");
    }
    for (line, number) in [
        ("for i in 1 2; do iptables -w -D INPUT 1; done", true),
        ("x && /usr/sbin/ufw --force delete 3", true),
        ("nft delete rule inet filter input handle 12", true),
        ("iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", false),
        ("ufw delete allow 22", false),
        ("nft add rule inet filter input handle 7 accept", false),
    ] {
        assert_eq!(deletes_by_number(line), number, "{line}");
    }
}

#[test]
fn what_is_not_understood_has_a_reason() {
    for (line, reason) in [
        ("/usr/local/bin/open-door %IP%", "/usr/local/bin/open-door is no command of a firewall that is known here"),
        ("iptables -I INPUT -p tcp --dport 22 -j ACCEPT", "it lets everybody in, not just %IP%"),
        (
            "iptables -I INPUT -s 192.0.2.0/24 -p tcp --dport 22 -j ACCEPT",
            "it is about the source 192.0.2.0/24, not just %IP%",
        ),
        ("iptables -I INPUT -s %IP% -j DROP", "its target is DROP, not ACCEPT"),
        ("iptables -I INPUT -s %IP% -p tcp --dport 22", "its target is not ACCEPT"),
        ("iptables -t nat -A PREROUTING -s %IP% -j ACCEPT", "table nat does more than let in"),
        ("iptables -I INPUT ! -s %IP% -j ACCEPT", "it negates something"),
        (
            "iptables -I INPUT -s %IP% -d 192.0.2.0/24 -j ACCEPT",
            "its destination 192.0.2.0/24 is not one address of this host",
        ),
        ("iptables -A OUTPUT -s %IP% -p tcp --dport 22 -j ACCEPT", "chain OUTPUT is not about this host's own ports"),
        ("iptables -I INPUT -s %IP% -m limit --limit 3/min -j ACCEPT", "match limit has no counterpart"),
        ("iptables -I INPUT -s %IP% -p icmp -j ACCEPT", "protocol icmp has no ports to protect"),
        (
            "iptables -I INPUT -s %IP% -p tcp --dport nonsense -j ACCEPT",
            "\"nonsense\" is neither a port number nor a tcp service in /etc/services",
        ),
        ("iptables -I INPUT -s", "-s takes a value"),
        ("iptables -F", "-F has no counterpart"),
        ("iptables", "it changes no rule"),
        ("iptables -C S -s %IP% -j ACCEPT", "it only looks whether a rule is there"),
        (
            "iptables -C S -s %IP% -j ACCEPT || iptables -I T -s %IP% -j ACCEPT",
            "it looks for one rule and changes another",
        ),
        (
            "iptables -I S -s %IP% -j ACCEPT || iptables -I T -s %IP% -j ACCEPT",
            "it has another command for when one fails",
        ),
        ("iptables -I S -s %IP% -j ACCEPT; iptables -D T -s %IP% -j ACCEPT", "it adds rules and deletes others"),
        ("[ -e /run/x ] && iptables -I S -s %IP% -j ACCEPT", "[ decides whether it opens"),
        ("iptables -I S -s %IP% -j ACCEPT; iptables -D S -s %IP% -j ACCEPT", "it adds a rule and deletes it at once"),
        ("for x in 1; do iptables -I S -s %IP% -j ACCEPT; done", "it is a program of the shell's own: for"),
        ("iptables -I S -s %IP% -j ACCEPT | x", "a pipe, or something like it"),
        ("iptables -I S -s %IP% -m comment --comment `date` -j ACCEPT", "the shell works something out of its `"),
        ("nft add rule inet filter input tcp dport 22 accept", "it lets everybody in, not just %IP%"),
        ("nft add rule inet filter input ip saddr %IP% drop", "drop has no counterpart"),
        ("nft add element inet filter s { %IP%, 192.0.2.1 }", "its elements are not just %IP%"),
        ("nft flush ruleset", "flush has no counterpart"),
        ("ufw allow 22/tcp", "it lets everybody in, not just %IP%"),
        ("ufw allow OpenSSH", "it lets everybody in, not just %IP%"),
        ("firewall-cmd --zone=public --add-port=22/tcp", "it lets everybody in, not just %IP%"),
        (
            "firewall-cmd --add-rich-rule 'rule source address=%IP% port port=22 protocol=tcp drop'",
            "drop has no counterpart",
        ),
        ("ipset flush knocked", "flush has no counterpart"),
        ("ufw allow from any to any port 22", "it lets everybody in, not just %IP%"),
        ("ufw deny from %IP%", "deny does not let in"),
        ("ufw allow from %IP% port 22", "it is about the port of the source"),
        ("ufw allow from %IP% to any app OpenSSH", "app has no counterpart"),
        ("knock_add -i -t -d 22 -f %IP%", "it only tries, and changes nothing"),
        ("knock_add -i -f %IP%", "it names no port"),
        ("", "an empty command"),
    ] {
        assert_eq!(said(line), Err(reason.to_owned()), "{line}");
    }
}

#[test]
fn two_spellings_of_a_rule_are_one_rule() {
    let rules = |line: &str| understand(line, &names()).unwrap().rules;
    assert_eq!(
        rules("iptables -I INPUT 1 -s %IP% -p tcp --dport 22 -j ACCEPT"),
        rules("/sbin/iptables -D INPUT -p 6 -s %IP%/32 -m tcp --dport ssh -j ACCEPT")
    );
}
