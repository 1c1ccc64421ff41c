//! Rules at random, of nftables and of both kinds of iptables: whatever is said of them, a real connection meets the same.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Host, SSH_PORT, nft, sandbox};

use super::truth::{is_true, knocked};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::packet_filter::random";
        what_is_said_of_rules_of_nftables_at_random_is_so,
        what_is_said_of_rules_of_iptables_at_random_is_so,
    ]
}

/// So many filters are tried.
const FILTERS: u64 = 24;
/// Another server, to which ports are redirected.
const OTHER_PORT: u16 = 5000;

fn what_is_said_of_rules_of_nftables_at_random_is_so() -> Result<()> {
    is_so(|rng| {
        nft(Host::Server, "flush ruleset\n")?;
        let rules = nftables(rng);
        nft(Host::Server, &rules).context(rules.clone())?;
        Ok(rules)
    })
}

fn what_is_said_of_rules_of_iptables_at_random_is_so() -> Result<()> {
    is_so(|rng| {
        let rules = iptables(rng);
        // The rules of the one before are gone with those that are restored.
        for (kind, text) in
            if rng.bool() { [("legacy", NOTHING), ("nft", &rules)] } else { [("nft", NOTHING), ("legacy", &rules)] }
        {
            let file = Path::new(sandbox::DIR).join("random.rules");
            fs::write(&file, text)?;
            let mut command = Command::new(format!("iptables-{kind}-restore"));
            command.stdin(Stdio::from(fs::File::open(&file)?));
            Host::Server.run(&mut command)?.success().with_context(|| rules.clone())?;
        }
        Ok(rules)
    })
}

/// Makes filters by `load`, which says what it has made.
fn is_so(load: impl Fn(&mut Rng) -> Result<String>) -> Result<()> {
    let first = env::var("KNOCK_SEED").map_or(Ok(1), |text| text.parse::<u64>().context("KNOCK_SEED"))?;
    let _world = knocked()?;
    let _other = Echo::tcp(Host::Server, OTHER_PORT)?;
    let to = (Family::V4.address(Host::Server), SSH_PORT).into();
    let (mut passes, mut ends) = (0, 0);
    for seed in first..first + FILTERS {
        let rules = load(&mut Rng::with_seed(seed)).with_context(|| format!("KNOCK_SEED={seed}"))?;
        let text = is_true(Host::Client, to).with_context(|| format!("KNOCK_SEED={seed}\n{rules}"))?;
        passes += u64::from(text.contains("packet filter: passes\n"));
        ends += u64::from(text.contains(": passes the gate; then "));
    }
    println!("of {FILTERS} filters, {passes} let it pass and {ends} do not; of the others it cannot be told");
    ensure!(passes > 0 && ends > 0 && (passes + ends) * 2 > FILTERS, "{passes} and {ends} of {FILTERS}");
    Ok(())
}

fn one<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    rng.choice(of).copied().unwrap_or_default()
}

/// Tests that hold and tests that do not, of a SYN of the client to the protected port: of its ports, flags and protocol.
const NFT_PORTS: [&str; 20] = [
    "tcp dport 2222",
    "tcp dport != 2222",
    "tcp dport { 22, 2222 }",
    "tcp dport 2000-3000",
    "tcp dport > 2222",
    "tcp dport != { 22, 80 }",
    "udp dport 2222",
    "meta l4proto { tcp, udp } th dport 2222",
    "tcp sport >= 1024",
    "tcp sport < 1024",
    "meta l4proto tcp ct original proto-dst 2222",
    "meta l4proto { tcp, udp }",
    "meta l4proto != tcp",
    "ip protocol udp",
    "ip protocol tcp",
    "tcp flags syn",
    "tcp flags & (syn | ack) == syn",
    "tcp flags & (fin | syn | rst | ack) != syn",
    "meta mark 0x1",
    "",
];

/// The same of its addresses, its interface, and of what connection tracking says.
const NFT_PLACES: [&str; 26] = [
    "ip saddr 192.0.2.2",
    "ip saddr 192.0.2.0/24",
    "ip saddr != 192.0.2.0/24",
    "ip saddr { 192.0.2.2, 198.51.100.2 }",
    "ip saddr 198.51.100.0-198.51.100.9",
    "ip saddr @friends",
    "ip saddr != @friends",
    "ip daddr 192.0.2.1",
    "ip daddr != 192.0.2.1",
    "iifname \"eth0\"",
    "iifname \"eth*\"",
    "iifname \"eth+\"",
    "iifname != \"eth0\"",
    "iifname { \"lo\", \"eth1\" }",
    "iif \"lo\"",
    "meta nfproto ipv4",
    "ct state new",
    "ct state established,related",
    "ct state != new",
    "ct state { new, untracked }",
    "ct status dnat",
    "ct status snat",
    "ct original ip daddr 192.0.2.1",
    "ct direction original",
    "fib daddr type local",
    "fib daddr type != local",
];

/// A filter of nftables. Chains are jumped to by those before them.
fn nftables(rng: &mut Rng) -> String {
    let mut text = "table inet chance {\n\
        set friends { type ipv4_addr; flags interval; elements = { 192.0.2.0/28, 203.0.113.5-203.0.113.9 }; }\n\
        map ports { type inet_service : verdict; flags interval; elements = { 22 : drop, 2000-2999 : goto c2 }; }\n"
        .to_owned();
    for chain in 1..=3 {
        let rules: String = (0..rng.u8(1..4)).map(|_| nft_rule(rng, chain)).collect();
        let _ = write!(text, "chain c{chain} {{\n{rules}}}\n");
    }
    for (name, kind, priority) in
        [("first", "input", 0), ("second", "input", 10), ("raw", "prerouting", -300), ("back", "output", 0)]
    {
        let policy = if rng.u8(..4) == 0 { "drop" } else { "accept" };
        let deepest = if kind == "prerouting" { 9 } else { 0 };
        // A few of the answers, else hardly any would come through.
        let most = if kind == "output" { 3 } else { 6 };
        let rules: String = (0..rng.u8(1..most)).map(|_| nft_rule(rng, deepest)).collect();
        let _ =
            write!(text, "chain {name} {{\ntype filter hook {kind} priority {priority}; policy {policy};\n{rules}}}\n");
    }
    let _ = writeln!(text, "chain nat {{\ntype nat hook prerouting priority -100; policy accept;");
    for _ in 0..rng.u8(..3) {
        let (test, target) = (
            one(rng, &NFT_PLACES),
            one(
                rng,
                &[
                    "redirect to :5000",
                    "redirect to :2222",
                    "dnat ip to 192.0.2.1:5000",
                    "dnat ip to 192.0.2.1:2222",
                    "dnat ip to 198.51.100.1",
                    "accept",
                ],
            ),
        );
        let _ = writeln!(text, "meta l4proto tcp {test} {target}");
    }
    text + "}\n}\n"
}

/// A rule of the chain with this number; 0 for a base chain, and 9 for one from which nothing is jumped to.
fn nft_rule(rng: &mut Rng, chain: u8) -> String {
    let tests = match rng.u8(..3) {
        0 => format!("{} ", one(rng, &NFT_PORTS)),
        1 => format!("{} ", one(rng, &NFT_PLACES)),
        _ => format!("{} {} ", one(rng, &NFT_PORTS), one(rng, &NFT_PLACES)),
    };
    let next = if chain < 3 { format!("c{}", rng.u8(chain + 1..4)) } else { String::new() };
    match (rng.u8(..16), chain) {
        (0, 0..3) => format!("tcp dport vmap {{ 22 : drop, 2222 : jump {next}, 3000-4000 : accept }}\n"),
        (1, 0..2) => "tcp dport vmap @ports\n".to_owned(),
        (2, 0..3) => format!("ip saddr vmap {{ 192.0.2.0/25 : goto {next}, 198.51.100.2 : drop }}\n"),
        (3, _) => format!("{tests}limit rate 1/hour accept\n"),
        (4, _) => format!("{tests}counter log prefix \"random\" continue\n"),
        (5 | 6, 0..3) => format!("{tests}jump {next}\n"),
        (7, 0..3) => format!("{tests}goto {next}\n"),
        (8, 1..4) => format!("{tests}return\n"),
        (9, 0..4) => format!("{tests}reject\n"),
        (10..=12, _) => format!("{tests}drop\n"),
        _ => format!("{tests}accept\n"),
    }
}

/// No rules at all.
const NOTHING: &str = "\
*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";

const IPTABLES_TESTS: [&str; 30] = [
    "-p tcp -m tcp --dport 2222",
    "-p tcp -m tcp ! --dport 2222",
    "-p tcp -m tcp --dport 2000:3000",
    "-p tcp -m multiport --dports 22,2222,8000:8010",
    "-p tcp -m multiport ! --dports 22,80",
    "-p tcp -m tcp --sport 1024:65535",
    "-p udp -m udp --dport 2222",
    "! -p udp",
    "-p tcp -m tcp --syn",
    "-p tcp -m tcp --tcp-flags SYN,ACK SYN",
    "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN",
    "-s 192.0.2.2",
    "-s 192.0.2.0/255.255.255.0",
    "! -s 192.0.2.0/24",
    "-s 198.51.100.2",
    "-d 192.0.2.1",
    "! -d 192.0.2.1",
    "-i eth0",
    "-i eth+",
    "! -i eth0",
    "-m conntrack --ctstate NEW",
    "-m conntrack --ctstate RELATED,ESTABLISHED",
    "-m conntrack ! --ctstate NEW,INVALID",
    "-m conntrack --ctstate DNAT",
    "-p tcp -m conntrack --ctorigdstport 2222 --ctdir ORIGINAL",
    "-m conntrack --ctorigdst 192.0.2.1",
    "-m addrtype --dst-type LOCAL",
    "-m addrtype ! --dst-type LOCAL",
    "-m iprange --src-range 192.0.2.1-192.0.2.9",
    "-m comment --comment \"which -j DROP is none\"",
];

/// Tests of the answer.
const IPTABLES_BACK: [&str; 14] = [
    "-p tcp -m tcp --sport 2222",
    "-p tcp -m tcp ! --sport 2222",
    "-p tcp -m tcp --dport 2222",
    "-p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK",
    "-s 192.0.2.1",
    "-d 192.0.2.2",
    "! -d 192.0.2.2",
    "-o eth0",
    "! -o eth0",
    "-o lo",
    "-m conntrack --ctstate NEW",
    "-m conntrack ! --ctstate RELATED,ESTABLISHED",
    "-m conntrack --ctorigsrc 192.0.2.2 --ctdir ORIGINAL",
    "-p tcp -m conntrack --ctorigdstport 2222 --ctdir REPLY",
];

/// A filter of iptables.
fn iptables(rng: &mut Rng) -> String {
    let mut text = "*raw\n:PREROUTING ACCEPT [0:0]\n".to_owned();
    for _ in 0..rng.u8(..2) {
        // Before connection tracking there is nothing to say of it.
        let (test, target) = (one(rng, &IPTABLES_TESTS[..20]), one(rng, &["ACCEPT", "DROP"]));
        let _ = writeln!(text, "-A PREROUTING {test} -j {target}");
    }
    text += "COMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n";
    for _ in 0..rng.u8(..3) {
        let test = one(rng, &["-s 192.0.2.2", "-i eth1", "-m addrtype --dst-type LOCAL", "! -d 192.0.2.1"]);
        let target = one(rng, &["REDIRECT --to-ports 5000", "DNAT --to-destination 192.0.2.1:5000", "ACCEPT"]);
        let _ = writeln!(text, "-A PREROUTING -p tcp {test} -j {target}");
    }
    let policy = if rng.bool() { "DROP" } else { "ACCEPT" };
    let _ = write!(
        text,
        "COMMIT\n*filter\n:INPUT {policy} [0:0]\n:OUTPUT ACCEPT [0:0]\n:C1 - [0:0]\n:C2 - [0:0]\n:C3 - [0:0]\n"
    );
    for _ in 0..rng.u8(..3) {
        let test = one(rng, &IPTABLES_BACK);
        let _ = writeln!(text, "-A OUTPUT {test} -j {}", one(rng, &["ACCEPT", "DROP"]));
    }
    for chain in 0..4 {
        let name = if chain == 0 { "INPUT".to_owned() } else { format!("C{chain}") };
        for _ in 0..rng.u8(1..6) {
            let test = one(rng, &IPTABLES_TESTS);
            let next = if chain < 3 { rng.u8(chain + 1..4) } else { 0 };
            let target = match (rng.u8(..12), chain) {
                (0 | 1, 0..3) => format!("-j C{next}"),
                (2, 0..3) => format!("-g C{next}"),
                (3, _) => "-j RETURN".to_owned(),
                (4, _) => "-m limit --limit 1/hour -j ACCEPT".to_owned(),
                (5, _) => "-j LOG --log-prefix \"random \"".to_owned(),
                (6, _) => "-j REJECT --reject-with icmp-port-unreachable".to_owned(),
                (7 | 8, _) => "-j DROP".to_owned(),
                _ => "-j ACCEPT".to_owned(),
            };
            let _ = writeln!(text, "-A {name} {test} {target}");
        }
    }
    text + "COMMIT\n"
}
