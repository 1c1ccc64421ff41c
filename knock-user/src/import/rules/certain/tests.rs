//! What is certain of rules, and what is not.

use super::*;
use crate::syntax::PortNames;

/// Why it is not certain that a network is let in to ports by way of eth0, beside what each program lists.
fn doubt_of(listings: &[(Listing, &str)], ports: &str, source: &str) -> Option<String> {
    let names = PortNames::default();
    let rules: Vec<_> = listings.iter().map(|(listing, text)| Rules::part(text, &names, *listing).unwrap()).collect();
    let read = listings.iter().zip(&rules).map(|((listing, _), rules)| (*listing, rules)).collect();
    let ports: Vec<_> = ports.split(' ').map(|port| PortRange::parse(port, &names).unwrap()).collect();
    let filters = Filters { read, unread: Vec::new() };
    let gate = Gate { ports: &PortRange::joined(&ports), interfaces: &["eth0".to_owned()] };
    Certain::new(&filters, gate).doubt(source.parse().unwrap())
}

fn nft(lines: &str) -> String {
    format!("table inet t {{\nchain c {{\ntype filter hook input priority 0; policy drop;\n{lines}\n}}\n}}\n")
}

/// Behind such a rule of nftables, to 22/tcp and 53/udp.
fn doubt_behind(line: &str) -> Option<String> {
    let text = nft(&format!("{line}\nip saddr 192.0.2.0/24 accept\nip6 saddr 2001:db8::/32 accept"));
    doubt_of(&[(Listing::Nft, &text)], "22/tcp 53/udp", "192.0.2.0/25")
}

#[test]
fn what_may_drop_is_a_doubt() {
    for line in [
        "tcp dport 22 counter name \"icmp\" drop",
        "oifname \"esp\" drop",
        "oifname != \"ah\" drop",
        "meta l4proto 6-17 drop",
        "meta l4proto @protocols drop",
        "meta l4proto udp ct original proto-dst 53 drop",
        "ct original proto-dst 53 drop",
        "ip saddr 192.0.2.9 drop",
        "ip saddr != 198.51.100.0/24 drop",
        "iifname != \"eth1\" drop",
        "iifname \"bond0\" drop",
        "ip protocol udp drop",
        "meta nfproto ipv4 drop",
        "tcp flags syn / fin,syn,rst,ack drop",
        "tcp flags syn drop",
        "tcp flags != 0x0 / fin,syn drop",
        "fib daddr type local drop",
        "xt target \"TARPIT\"",
        "ct original ip daddr 198.51.100.1 drop",
        "ct original proto-dst 53 meta l4proto udp drop",
        "ct reply ip saddr 198.51.100.1 drop",
        "iifname vmap { * : accept, \"eth0\" : drop }",
        "ip saddr 192.0.2.0/24 ip saddr != 192.0.2.128/25 drop",
        "ip saddr != 198.51.100.0/24 ip saddr vmap { 192.0.2.0/24 : drop }",
        "meta l4proto . th dport { tcp . 22, udp . 53 } drop",
        "ip protocol . th dport vmap { tcp . 22 : drop, udp . 53 : accept }",
        "meta protocol vmap { ip : drop, ip6 : accept }",
        "meta protocol != ip6 drop",
        "meta protocol { ip, ip6 } drop",
        "ether type != ip6 drop",
    ] {
        assert!(doubt_behind(line).is_some_and(|why| why.contains("may drop it")), "{line}");
    }
}

#[test]
fn what_cannot_drop_is_none() {
    for line in [
        "",
        "tcp dport 23 drop",
        "ip saddr 192.0.2.128/25 drop",
        "ip6 saddr != 2001:db8::/32 drop",
        "ip6 nexthdr tcp drop",
        "meta nfproto ipv6 drop",
        "meta nfproto != ipv4 drop",
        "iifname \"eth1\" drop",
        "iifname != { \"eth0\", \"eth1\" } drop",
        "tcp flags != syn / fin,syn,rst,ack ct state new drop",
        "tcp flags 0x0 / fin,syn,rst,psh,ack,urg drop",
        "tcp flags fin,syn / fin,syn drop",
        "tcp flags fin,psh,urg / fin,psh,ack,urg drop",
        "ct state invalid drop",
        "meta protocol ip6 drop",
        "ct status dnat accept",
        "meta l4proto icmp drop",
        "tcp dport 22 counter packets 0 bytes 0 xt target \"LOG\"",
    ] {
        assert_eq!(doubt_behind(line), None, "{line}");
    }
}

#[test]
fn who_is_let_in_by_rules_that_may_not_fit_is_not_let_in_for_certain() {
    for (line, source) in [
        ("ip saddr 192.0.2.0/24 tcp dport 22 tcp dport 23 accept", "192.0.2.0/24"),
        ("ip saddr 192.0.2.0/24 iifname \"eth1\" iifname \"eth0\" accept", "192.0.2.0/24"),
        ("meta l4proto tcp meta l4proto udp accept", "192.0.2.0/24"),
        ("ip saddr 192.0.2.0/25 accept", "192.0.2.0/24"),
        ("ip protocol tcp accept", "2001:db8::/32"),
        ("ip6 nexthdr tcp accept", "192.0.2.0/24"),
        ("ip saddr != @some accept", "2001:db8::/32"),
        ("ip saddr != 198.51.100.0/24 accept", "2001:db8::/32"),
        ("tcp flags ack / fin,syn,rst,ack accept", "192.0.2.0/24"),
    ] {
        assert!(doubt_of(&[(Listing::Nft, &nft(line))], "22/tcp", source).is_some(), "{line}");
    }
    // One rule for each of two ports that stand beside each other.
    let lines = "tcp dport 80 accept\ntcp dport { 81, 82-83 } accept\ntcp dport 84 accept";
    assert_eq!(doubt_of(&[(Listing::Nft, &nft(lines))], "80/tcp 81/tcp 82-84/tcp", "192.0.2.0/24"), None);
    assert!(doubt_of(&[(Listing::Nft, &nft(lines))], "80/tcp 81-85/tcp", "192.0.2.0/24").is_some());
}

#[test]
fn an_address_that_dnat_sends_to_may_be_one_of_this_host() {
    let forward = |chain: &str, input: &str| {
        format!(
            "*nat\n:PREROUTING ACCEPT [0:0]\n:{chain} - [0:0]\n-A PREROUTING -j {chain}\n\
             -A {chain} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 198.51.100.9:80\nCOMMIT\n\
             *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\n\
             -A DOCKER-USER -s 192.0.2.0/25 -j ACCEPT\n-A DOCKER-USER -s 192.0.2.128/25 -j RETURN\n{input}COMMIT\n"
        )
    };
    let doubt = |chain: &str, input: &str, source: &str| {
        doubt_of(&[(Listing::Iptables, &forward(chain, input))], "8080/tcp", source)
    };
    assert_eq!(doubt("DOCKER", "", "192.0.2.0/25"), None);
    // Docker's users hand it back, and no rule of Docker's lets it in.
    assert!(doubt("DOCKER", "", "192.0.2.128/25").is_some_and(|said| said.contains("chain FORWARD")));
    let accepts = |rule: &str| {
        format!(
            "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A FORWARD -o docker0 -j MINE\n:MINE - [0:0]\n:DOCKER - [0:0]\n-A FORWARD -o docker0 -j DOCKER\n\
             -A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n{rule}\n-A DOCKER ! -i docker0 -o docker0 -j DROP\n"
        )
    };
    let rule = "-A DOCKER -d 198.51.100.9/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT";
    assert_eq!(doubt("DOCKER", &accepts(rule), "192.0.2.128/25"), None);
    // All that go out to any bridge but another one are dropped, and these are among them.
    let input = format!("-A FORWARD ! -o docker1 -j DROP\n{}", accepts(rule));
    assert!(doubt("DOCKER", &input, "192.0.2.128/25").is_some_and(|said| said.contains("! -o docker1")));
    // For another address, another port, or another bridge.
    for (from, to) in [("198.51.100.9/32", "198.51.100.8/32"), ("80", "81"), ("! -i docker0", "-i docker0")] {
        let input = accepts(&rule.replace(from, to));
        assert!(doubt("DOCKER", &input, "192.0.2.128/25").is_some(), "{to}");
    }
    let why = "if 198.51.100.9 is an address of this host";
    assert!(doubt("MINE", "", "192.0.2.0/25").is_some_and(|said| said.contains(why)));
    let input = "-A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 80 -j ACCEPT\n";
    assert_eq!(doubt("MINE", input, "192.0.2.0/25"), None);
    // Docker does not let in what others publish.
    assert!(doubt("MINE", input, "192.0.2.128/25").is_some_and(|said| said.contains("chain FORWARD")));
}

#[test]
fn docker_in_the_words_of_nftables_is_understood_as_well() {
    let text = |out: &str, more: &str| {
        format!(
            "table ip nat {{\nchain PREROUTING {{\ntype nat hook prerouting priority dstnat; policy accept;\n\
             counter packets 0 bytes 0 jump DOCKER\n}}\nchain DOCKER {{\n\
             iifname != \"docker0\" tcp dport 8080 counter packets 0 bytes 0 dnat to 198.51.100.9:80\n}}\n}}\n\
             table ip filter {{\nchain INPUT {{\ntype filter hook input priority filter; policy drop;\n}}\n\
             chain FORWARD {{\ntype filter hook forward priority filter; policy drop;\njump DOCKER-USER\n\
             oifname \"docker0\" ct state established,related accept\n{more}oifname \"docker0\" jump DOCKER\n}}\n\
             chain DOCKER-USER {{\nip saddr 192.0.2.0/25 return\n}}\nchain DOCKER {{\n\
             ip daddr 198.51.100.9 iifname != \"docker0\" oifname {out} tcp dport 80 accept\n\
             iifname != \"docker0\" oifname \"docker0\" drop\n}}\n}}\n"
        )
    };
    let doubt = |out: &str, more: &str| doubt_of(&[(Listing::Nft, &text(out, more))], "8080/tcp", "192.0.2.0/25");
    assert_eq!(doubt("\"docker0\"", ""), None);
    assert_eq!(doubt("\"docker0\"", "oifname \"docker1\" drop\n"), None, "what goes elsewhere is dropped");
    for out in ["\"docker1\"", "!= \"docker0\"", "{ \"docker0\", \"docker1\" }", "@bridges"] {
        assert!(doubt(out, "").is_some(), "{out}");
    }
    for more in ["oifname \"docker0\" drop\n", "oifname \"docker*\" drop\n", "oifname != \"docker1\" drop\n"] {
        assert!(doubt("\"docker0\"", more).is_some(), "{more}");
    }
}

#[test]
fn what_dockers_users_accept_says_nothing_of_its_bridges() {
    let text = |rule: &str| {
        format!(
            "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -j DOCKER\n\
             -A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 198.51.100.9:80\nCOMMIT\n\
             *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n:DOCKER - [0:0]\n\
             -A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -j DOCKER\n{rule}-A DOCKER-USER -s 192.0.2.0/25 -j RETURN\n\
             -A DOCKER -d 198.51.100.9/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n"
        )
    };
    let doubt = |rule: &str| doubt_of(&[(Listing::Iptables, &text(rule))], "8080/tcp", "192.0.2.0/25");
    assert_eq!(doubt(""), None);
    assert_eq!(doubt("-A DOCKER-USER -s 203.0.113.0/24 -d 198.51.100.9/32 -o docker1 -j ACCEPT\n"), None);
    assert!(doubt("-A DOCKER -s 203.0.113.0/24 -d 198.51.100.9/32 -o docker1 -j ACCEPT\n").is_some());
}

#[test]
fn dnat_to_an_address_of_the_other_family_is_for_others() {
    let nat = "table inet n {\nchain p {\ntype nat hook prerouting priority dstnat; policy accept;\n\
        tcp dport 22 dnat ip to 198.51.100.9:22\n}\n}\n";
    let text = format!("{nat}{}", nft("ip6 saddr 2001:db8::/48 accept"));
    assert_eq!(doubt_of(&[(Listing::Nft, &text)], "22/tcp", "2001:db8::/48"), None);
    let text = format!("{nat}{}", nft("ip6 saddr 2001:db8:9::/48 accept"));
    assert!(doubt_of(&[(Listing::Nft, &text)], "22/tcp", "2001:db8::/48").is_some());
}

#[test]
fn chains_that_lead_into_each_other_again_and_again_come_to_an_end() {
    let chain = |n: usize| format!(":C{n} - [0:0]\n{}", format!("-A C{n} -j C{}\n", n + 1).repeat(8));
    let chains: String = (0..12).map(chain).collect();
    let text = |last| format!("*filter\n:INPUT DROP [0:0]\n{chains}:C12 - [0:0]\n-A INPUT -j C0\n{last}COMMIT\n");
    let doubt = |last| doubt_of(&[(Listing::Iptables, &text(last))], "22/tcp", "192.0.2.0/24");
    assert_eq!(doubt("-A C12 -s 192.0.2.0/24 -j ACCEPT\n"), None);
    assert!(doubt("-A C12 -s 192.0.2.0/24 -j C0\n").is_some());
}

#[test]
fn what_is_not_tracked_has_no_state() {
    let doubt = |early: &str, line: &str| {
        let raw = format!(
            "table inet r {{\nchain p {{\ntype filter hook prerouting priority raw; policy accept;\n{early}\n}}\n}}\n"
        );
        doubt_of(&[(Listing::Nft, &format!("{raw}{}", nft(line)))], "22/tcp", "192.0.2.0/24")
    };
    let by_state = "ct state new ip saddr 192.0.2.0/24 accept";
    let by_port = "meta l4proto tcp ct original proto-dst 22 ip saddr 192.0.2.0/24 accept";
    for line in [by_state, by_port] {
        assert_eq!(doubt("", line), None, "{line}");
        for early in ["tcp dport 22 notrack", "tcp dport 22 notrack accept"] {
            assert!(doubt(early, line).is_some(), "{early}: {line}");
        }
    }
}

#[test]
fn what_is_forwarded_is_not_for_an_address_of_this_host() {
    let text = "*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
        -A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 198.51.100.9:80\nCOMMIT\n\
        *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n\
        -A FORWARD -s 192.0.2.0/25 -j ACCEPT\n\
        -A FORWARD -s 192.0.2.128/25 -m addrtype --dst-type LOCAL -j ACCEPT\nCOMMIT\n";
    let doubt = |source| doubt_of(&[(Listing::Iptables, text)], "8080/tcp", source);
    assert_eq!(doubt("192.0.2.0/25"), None);
    assert!(doubt("192.0.2.128/25").is_some());
}

#[test]
fn what_sees_packets_behind_dnat_sees_the_ports_that_they_have_there() {
    let text = |drops: &str, input: &str| {
        format!(
            "*nat\n:PREROUTING ACCEPT [0:0]\n\
             -A PREROUTING -p tcp -m tcp --dport 8022 -j REDIRECT --to-ports 22\nCOMMIT\n\
             *mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n-A {drops} -j DROP\nCOMMIT\n\
             *filter\n:INPUT DROP [0:0]\n{input}-A INPUT -s 192.0.2.0/24 -j ACCEPT\nCOMMIT\n"
        )
    };
    let doubt = |drops, port| doubt_of(&[(Listing::Iptables, &text(drops, ""))], port, "192.0.2.0/24");
    assert!(doubt("INPUT -p tcp -m tcp --dport 22", "8022/tcp").is_some());
    assert!(doubt("INPUT -p tcp -m tcp --dport 22", "22/tcp").is_some());
    assert_eq!(doubt("INPUT -p tcp -m tcp --dport 8022", "8022/tcp"), None);
    // This chain stands before DNAT.
    assert_eq!(doubt("PREROUTING -p tcp -m tcp --dport 22", "8022/tcp"), None);
    assert!(doubt("PREROUTING -p tcp -m tcp --dport 8022", "8022/tcp").is_some());
    let late = |priority: &str| {
        let nat = "table inet n {\nchain p {\ntype nat hook prerouting priority dstnat; policy accept;\n\
            tcp dport 8022 redirect to :22\n}\n}\n";
        let own = format!(
            "table inet f {{\nchain p {{\ntype filter hook prerouting priority {priority}; policy accept;\n\
            tcp dport 22 drop\n}}\n}}\n"
        );
        let text = format!("{nat}{own}{}", nft("ip saddr 192.0.2.0/24 accept"));
        doubt_of(&[(Listing::Nft, &text)], "8022/tcp", "192.0.2.0/24")
    };
    for priority in ["filter", "0", "dstnat + 10", "mangle + 60", "-90"] {
        assert!(late(priority).is_some(), "{priority}");
    }
    for priority in ["raw", "mangle", "-150", "dstnat - 5"] {
        assert_eq!(late(priority), None, "{priority}");
    }
}

#[test]
fn the_port_before_dnat_is_not_the_one_behind_it() {
    let text = |line: &str| {
        format!(
            "*nat\n:PREROUTING ACCEPT [0:0]\n\
             -A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080\nCOMMIT\n\
             *filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp {line} -j DROP\n-A INPUT -s 192.0.2.0/24 -j ACCEPT\nCOMMIT\n"
        )
    };
    let doubt = |line| doubt_of(&[(Listing::Iptables, &text(line))], "80/tcp", "192.0.2.0/24");
    assert!(doubt("-m tcp --dport 8080 -m conntrack --ctorigdstport 80").is_some());
    assert!(doubt("-m conntrack --ctorigdstport 80 -m tcp --dport 8080").is_some());
    assert_eq!(doubt("-m conntrack --ctorigdstport 8080"), None);
    let nat = "table inet n {\nchain p {\ntype nat hook prerouting priority dstnat; policy accept;\n\
        tcp dport 80 dnat ip to 198.51.100.9:8080\n}\n}\n";
    let forward = |line: &str| {
        let text = format!(
            "{nat}{}table inet f {{\nchain f {{\ntype filter hook forward priority 0; policy accept;\n{line}\n}}\n}}\n",
            nft("ip saddr 192.0.2.0/24 accept")
        );
        doubt_of(&[(Listing::Nft, &text)], "80/tcp", "192.0.2.0/24")
    };
    assert_eq!(forward(""), None);
    assert!(forward("ip daddr 198.51.100.9 drop").is_some());
    assert!(forward("ct original ip daddr 198.51.100.1 drop").is_some());
}

#[test]
fn what_people_write_is_not_taken_for_what_nft_lists() {
    let read = |text: &str| Rules::part(text, &PortNames::default(), Listing::Nft).map(drop);
    assert_eq!(read(&nft("ip saddr 192.0.2.0/24 accept")), Ok(()));
    for text in [
        "table inet t {\nchain c { type filter hook input priority 0; policy drop; }\n}\n",
        "table inet t { chain c { type filter hook input priority 0; policy drop; }; }\n",
        "include \"/etc/nftables.d/*.nft\"\n",
        "define lan = 192.0.2.0/24\n",
        "add rule inet t c drop\n",
    ] {
        assert!(read(text).is_err_and(|why| why.contains("`nft list ruleset`")), "{text}");
    }
    let text = nft("ct state vmap {\nnew : drop,\nestablished : accept\n}\nip saddr 192.0.2.0/24 accept");
    assert!(doubt_of(&[(Listing::Nft, &text)], "22/tcp", "192.0.2.0/24").is_some());
}

#[test]
fn a_listing_of_a_program_that_does_not_say_its_family_counts_for_both() {
    let text = "# Generated by xtables-save v1.8.2 on Mon\n*filter\n:INPUT ACCEPT [0:0]\n\
        -A INPUT -p tcp -m tcp --dport 22 -j DROP\nCOMMIT\n# Completed on Mon\n";
    assert!(doubt_of(&[(Listing::Iptables, text)], "22/tcp", "192.0.2.0/24").is_some());
    assert!(doubt_of(&[(Listing::Ip6tables, text)], "22/tcp", "2001:db8::/32").is_some());
}

#[test]
fn what_was_not_looked_at_for_want_of_steps_is_a_doubt() {
    let text = nft(&"ip saddr 192.0.2.0/24 ct mark 7 accept\n".repeat(4000)).replace("policy drop", "policy accept");
    let rules = Rules::part(&text, &PortNames::default(), Listing::Nft).unwrap();
    let filters = Filters { read: vec![(Listing::Nft, &rules)], unread: Vec::new() };
    let ports = [PortRange::parse("22/tcp", &PortNames::default()).unwrap()];
    let interfaces = ["eth0".to_owned()];
    let certain = Certain::new(&filters, Gate { ports: &ports, interfaces: &interfaces });
    let doubts: Vec<_> = (0..600).map(|_| certain.doubt("192.0.2.0/24".parse().unwrap())).collect();
    assert!(doubts[..450].iter().all(Option::is_none), "{:?}", doubts[0]);
    let why = "2000000 steps through the rules were not enough";
    assert!(
        doubts[550..].iter().all(|doubt| doubt.as_ref().is_some_and(|said| said.contains(why))),
        "{:?}",
        doubts[599]
    );
}
