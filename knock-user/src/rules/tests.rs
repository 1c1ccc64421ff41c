//! What a config is compiled to.

use std::net::IpAddr;

use knock_common::abi::rules::{Action, Role};
use knock_common::packet::flags::TcpFlags;

use super::*;

const LAB: &str = include_str!("../../../tests/src/lab/lab.toml");

fn config(text: &str) -> Config {
    Config::parse(text, "test.toml").unwrap_or_else(|error| panic!("{error}")).0
}

fn compile(text: &str) -> RuleSet {
    RuleSet::compile(&config(text)).unwrap()
}

fn role(rules: &RuleSet, number: u16, transport: Transport) -> Role {
    let roles = rules.ports.iter().find(|(port, _)| *port == number).map(|(_, roles)| *roles).unwrap_or_default();
    roles.of(transport).role()
}

fn bits(prefixes: &[Prefix]) -> Vec<u32> {
    prefixes.iter().map(Prefix::bits).collect()
}

/// A config of doors on one service, each given by name and further keys.
fn doors(doors: &[(&str, &str)]) -> String {
    let mut text = "[options]\ninterfaces = [\"eth0\"]\n[services.s]\nports = [\"2222/tcp\"]\n".to_owned();
    for (name, keys) in doors {
        text += &format!("[doors.{name}]\nservice = \"s\"\n{keys}\n");
    }
    text
}

#[test]
fn the_lab_becomes_its_tables() {
    let rules = compile(LAB);
    assert_eq!(role(&rules, 2222, Transport::Tcp), Role::Protected(0));
    assert_eq!(role(&rules, 2222, Transport::Udp), Role::Unrelated);
    assert_eq!(rules.ports.len(), 6);
    assert_eq!(rules.knocks.len(), 5);

    let Role::Knock(first) = role(&rules, 7000, Transport::Tcp) else { panic!("7000/tcp is a knock port") };
    let knock = &rules.knocks[first as usize];
    assert_eq!((knock.starts[0], knock.starts[1]), (1, 0));
    assert_eq!((knock.steps[0], knock.steps[1]), (0b001, 0));
    let Role::Knock(second) = role(&rules, 8000, Transport::Udp) else { panic!("8000/udp is a knock port") };
    assert_eq!(rules.knocks[second as usize].steps[0], 0b010);
    assert_eq!(rules.knocks[second as usize].starts, [0; 8]);
    assert_eq!(role(&rules, 8000, Transport::Tcp), Role::Unrelated);

    let [open, close] = &rules.doors[..] else { panic!("two doors") };
    assert_eq!(open.name.as_str(), "opencloseSSH");
    assert_eq!((open.tag, open.steps, open.action, open.service), (open.name.tag(), 3, Action::Open as u8, 0));
    assert_eq!((open.prefix_v4.bits(), open.prefix_v6.bits(), open.target), (128, 128, Addr::ANY));
    assert_eq!((open.seq_ticks, open.cmd_timeout), (Ticks::span(2_000_000_000), 4_000_000_000));
    assert!(open.flags.accepts(TcpFlags(TcpFlags::SYN)));
    assert!(!open.flags.accepts(TcpFlags(TcpFlags::SYN | TcpFlags::ACK)));
    assert_eq!((close.steps, close.action, close.cmd_timeout), (2, Action::Close as u8, 0));
    assert_ne!(open.slot, close.slot);

    assert_eq!(rules.services[0].tag, config(LAB).service_tag("ssh2").unwrap());
    assert_eq!(bits(&rules.services[0].prefixes_v4), [128, 0, 0, 0]);
    assert_eq!(bits(&rules.services[0].prefixes_v6), [128, 0, 0, 0]);
}

#[test]
fn a_port_may_be_several_steps_of_several_doors() {
    let rules =
        compile(&doors(&[("a", "sequence = [7, 8, 7]"), ("b", "sequence = [7, 9]"), ("c", "sequence = [5, 7]")]));
    let Role::Knock(index) = role(&rules, 7, Transport::Tcp) else { panic!("7/tcp is a knock port") };
    let knock = &rules.knocks[index as usize];
    assert_eq!(knock.steps[..3], [0b101, 0b01, 0b10]);
    assert_eq!(knock.starts[..3], [1, 2, 0]);
}

#[test]
fn tcp_and_udp_of_one_number_are_two_ports() {
    let text = doors(&[("a", "sequence = [\"2222/udp\", \"7\"]")]);
    let rules = compile(&text);
    assert_eq!(role(&rules, 2222, Transport::Tcp), Role::Protected(0));
    assert!(matches!(role(&rules, 2222, Transport::Udp), Role::Knock(_)));
}

#[test]
fn port_ranges_are_protected_to_both_ends() {
    let rules = compile("[options]\ninterfaces = [\"e\"]\n[services.x]\nports = [\"65530-65535/udp\"]\n");
    assert_eq!(rules.ports.len(), 6);
    assert_eq!(role(&rules, 65530, Transport::Udp), Role::Protected(0));
    assert_eq!(role(&rules, 65535, Transport::Udp), Role::Protected(0));
    assert_eq!(role(&rules, 65529, Transport::Udp), Role::Unrelated);
}

#[test]
fn prefixes_have_the_whole_address_first() {
    let rules = compile(&doors(&[
        ("a", "sequence = [1, 5]\ngrant_prefix_v6 = 56\ngrant_prefix_v4 = 24"),
        ("b", "sequence = [2, 4]\ngrant_prefix_v6 = 64"),
        ("c", "sequence = [3, 9]\ngrant_prefix_v6 = 64"),
    ]));
    assert_eq!(bits(&rules.services[0].prefixes_v4), [128, 120, 0, 0]);
    assert_eq!(bits(&rules.services[0].prefixes_v6), [128, 64, 56, 0]);
    assert_eq!((rules.doors[0].prefix_v4.bits(), rules.doors[0].prefix_v6.bits()), (120, 56));
}

#[test]
fn trusted_networks_are_counted_over_the_mapped_form() {
    let text = "[options]\ninterfaces = [\"e\"]\ntrusted = [\"192.0.2.0/24\", \"2001:db8::/32\", \"198.51.100.7\", \"0.0.0.0/0\"]\n[services]\n";
    let addr = |text: &str| Addr::from(text.parse::<IpAddr>().unwrap());
    let wanted =
        [(120, addr("192.0.2.0")), (32, addr("2001:db8::")), (128, addr("198.51.100.7")), (96, addr("0.0.0.0"))];
    assert_eq!(compile(text).trusted, wanted);
}

#[test]
fn a_target_is_kept_for_both_families() {
    let rules = compile(&doors(&[
        ("a", "sequence = [1, 5]\ntarget = \"192.0.2.1\""),
        ("b", "sequence = [2, 4]\ntarget = \"2001:db8::1\""),
    ]));
    assert_eq!(rules.doors[0].target, Addr::from_v4([192, 0, 2, 1]));
    assert_eq!(IpAddr::from(rules.doors[1].target), "2001:db8::1".parse::<IpAddr>().unwrap());
}

#[test]
fn the_check_depends_on_the_whole_definition() {
    let check = |name: &str, keys: &str| compile(&doors(&[(name, keys)])).doors[0].check;
    let base = check("a", "sequence = [1, 5]");
    assert_eq!(check("a", "sequence = [1, 5]\nseq_timeout = 10"), base);
    assert!(base <= 0xfff);
    for (name, keys) in [
        ("b", "sequence = [1, 5]"),
        ("a", "sequence = [1, 6]"),
        ("a", "sequence = [5, 1]"),
        ("a", "sequence = [1, \"5/udp\"]"),
        ("a", "sequence = [1, 5, 5]"),
        ("a", "sequence = [1, 5]\nseq_timeout = 11"),
        ("a", "sequence = [1, 5]\ncmd_timeout = 11"),
        ("a", "sequence = [1, 5]\naction = \"close\""),
        ("a", "sequence = [1, 5]\ntcpflags = [\"syn\", \"!urg\"]"),
        ("a", "sequence = [1, 5]\ntarget = \"192.0.2.1\""),
        ("a", "sequence = [1, 5]\ngrant_prefix_v4 = 24"),
        ("a", "sequence = [1, 5]\ngrant_prefix_v6 = 64"),
    ] {
        assert_ne!(check(name, keys), base, "{name} {keys}");
    }
    let second = compile(&doors(&[("z", "sequence = [7, 8]"), ("a", "sequence = [1, 5]")])).doors[1].check;
    assert_ne!(second, base, "the index counts");
}

#[test]
fn all_that_a_config_may_hold_fits() {
    let long: Vec<_> = (0..64_u16)
        .map(|door| {
            let sequence: Vec<String> = (0..32).map(|step| (10_000 + door * 32 + step).to_string()).collect();
            (format!("d{door}"), format!("sequence = [{}]", sequence.join(", ")))
        })
        .collect();
    let long: Vec<_> = long.iter().map(|(name, keys)| (name.as_str(), keys.as_str())).collect();
    let rules = compile(&doors(&long));
    assert_eq!((rules.doors.len(), rules.knocks.len()), (64, 2048));
    assert_eq!(rules.knocks[2047].steps[63], 1 << 31);
}

#[test]
fn the_examples_compile() {
    compile(LAB);
    for text in [include_str!("../../../examples/knock.toml"), include_str!("../../../examples/article.toml")] {
        compile(&text.replace("\"CHOOSE-YOUR-OWN\"", "\"29111/tcp\", \"13007/udp\", \"31113/tcp\""));
    }
}
