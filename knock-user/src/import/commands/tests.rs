//! Commands that are understood, and commands that are not.

use super::*;

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
        format!("{families} {} [{}]{prefix}", rule.place, ports.join(","))
    };
    let rules: Vec<_> = change.rules.iter().map(rule).collect();
    let verb = if change.verb == Verb::Add { "+" } else { "-" };
    let lasts = change.lasts.map_or_else(String::new, |time| format!(" for {}", time.as_secs()));
    let notes = if change.notes.is_empty() { "" } else { " noted" };
    Ok(format!("{verb}{}{lasts}{notes}", rules.join(" +")))
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
            "+4 chain INPUT [22/tcp] noted",
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
        ("nft add rule filter ssh2 ip saddr %IP% meta l4proto tcp iifname eth0 accept", "+4 chain ssh2 [] noted"),
        ("/usr/sbin/nft add element inet filter knocked { %IP% timeout 1m }", "+4 set knocked [] for 60"),
        ("nft add element ip6 filter knocked '{%IP%}'", "+6 set knocked []"),
        ("nft delete element inet filter knocked { %IP% }", "-4 set knocked []"),
        ("ufw allow from %IP% to any port 22", "+46 the firewall [22/tcp,22/udp]"),
        (
            "/usr/sbin/ufw insert 1 allow in on eth0 proto tcp from %IP% to any port ssh,8000:8010 comment 'knock'",
            "+46 the firewall [22/tcp,8000-8010/tcp] noted",
        ),
        ("ufw --force delete allow from %IP% to any port 22 proto tcp", "-46 the firewall [22/tcp]"),
        ("ufw allow from %IP%", "+46 the firewall []"),
        ("/usr/local/sbin/knock_add -i -c INPUT -p tcp -d 443 -f %IP%", "+4 chain INPUT [443/tcp]"),
        ("knock_helper_ipt.sh --delete --srcaddr=%IP% --dstport=ssh -v -mfoo", "-4 chain INPUT [22/tcp]"),
    ]);
}

#[test]
fn what_is_not_understood_has_a_reason() {
    for (line, reason) in [
        ("/usr/local/bin/open-door %IP%", "/usr/local/bin/open-door is no command of a firewall that is known here"),
        ("iptables -I INPUT -p tcp --dport 22 -j ACCEPT", "it is for every source, not just %IP%"),
        (
            "iptables -I INPUT -s 192.0.2.0/24 -p tcp --dport 22 -j ACCEPT",
            "it is about the source 192.0.2.0/24, not just %IP%",
        ),
        ("iptables -I INPUT -s %IP% -j DROP", "its target is DROP, not ACCEPT"),
        ("iptables -I INPUT -s %IP% -p tcp --dport 22", "its target is not ACCEPT"),
        ("iptables -t nat -A PREROUTING -s %IP% -j ACCEPT", "table nat does more than let in"),
        ("iptables -A FORWARD -s %IP% -p tcp --dport 22 -j ACCEPT", "chain FORWARD is not about this host's own ports"),
        ("iptables -D INPUT 3", "it names a rule by its number"),
        ("iptables -I INPUT ! -s %IP% -j ACCEPT", "it negates something"),
        ("iptables -I INPUT -s %IP% -d 192.0.2.1 -p tcp --dport 22 -j ACCEPT", "-d has no counterpart"),
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
        ("iptables -I S -s %IP% -j ACCEPT; logger opened", "logger is no command of a firewall that is known here"),
        ("iptables -I S -s %IP% -m comment --comment `date` -j ACCEPT", "the shell works something out of its `"),
        ("nft delete rule inet filter input handle 7", "it names a rule by its handle"),
        ("nft add rule inet filter input tcp dport 22 accept", "it is for every source, not just %IP%"),
        ("nft add rule inet filter input ip saddr %IP% drop", "drop has no counterpart"),
        ("nft add element inet filter s { %IP%, 192.0.2.1 }", "its elements are not just %IP%"),
        ("nft flush ruleset", "flush has no counterpart"),
        ("ufw allow 22/tcp", "22/tcp has no counterpart"),
        ("ufw allow from any to any port 22", "it is about the source any, not just %IP%"),
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
