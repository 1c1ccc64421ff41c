//! Every error and every warning, by what the user sees: a small config and what is said of it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use knock_common::packet::Transport;
use knock_common::rules::Action;

use super::*;

mod hooks;
mod log;
mod onetime;

const OPTIONS: &str = "[options]\ninterfaces = [\"eth0\"]\n";
const SERVICE: &str = "[services.s]\nports = [\"22/tcp\"]\n";

/// What is said of a config: its findings, one line each, without remedies.
fn said(text: &str, host: &Host) -> Vec<String> {
    let findings = match parse(text, "k.toml", Path::new("k.toml"), host) {
        Ok((_, warnings)) => {
            assert!(warnings.iter().all(|finding| !finding.is_error()), "{warnings:?}");
            warnings
        }
        Err(ConfigError::Refused(findings)) => {
            assert!(findings.iter().any(Diagnostic::is_error), "{findings:?}");
            findings
        }
        Err(error) => panic!("{error}"),
    };
    for finding in &findings {
        assert!(finding.help.as_deref().is_some_and(|help| !help.is_empty()), "no remedy: {finding}");
    }
    findings.iter().map(|finding| finding.to_string().lines().next().unwrap_or_default().to_owned()).collect()
}

fn assert_said(text: &str, expected: &[&str]) {
    assert_eq!(said(text, &Host::default()), expected, "of\n{text}");
}

/// The lines of `[options]` after the two that every config has.
fn with_option(line: &str) -> String {
    format!("{OPTIONS}{line}\n{SERVICE}[doors.d]\nservice = \"s\"\nsequence = [7, 9, 8]\n")
}

/// A door on line 5 whose keys begin on line 7.
fn with_door(keys: &str) -> String {
    format!("{OPTIONS}{SERVICE}[doors.d]\nservice = \"s\"\n{keys}\n")
}

#[test]
fn a_good_config_raises_nothing() {
    assert_said(&with_option(""), &[]);
    for line in [
        "trusted = []",
        "log = \"/var/log/knock.log\"",
        "mode = \"auto\"",
        "stealth = false",
        "verify_checksums = false",
        "on_exit = \"detach\"",
        "deny = \"drop\"",
        "max_grants = 1",
        "max_attempts = 16777216",
        "attempt_rate = 4294967295",
    ] {
        assert_said(&with_option(line), &[]);
    }
}

#[test]
fn errors_in_options_are_named() {
    for (line, message) in [
        ("colour = 1", "3:1: error: options.colour: unknown key"),
        ("log = 1", "3:7: error: options.log: must be a string, not a number"),
        ("log_denied = 1", "3:14: error: options.log_denied: must be true or false, not a number"),
        ("mode = \"skb\"", "3:8: error: options.mode: \"skb\" is not known here"),
        ("on_exit = []", "3:11: error: options.on_exit: must be a string, not a list"),
        ("deny = \"answer\"", "3:8: error: options.deny: \"answer\" is not known here"),
        ("max_grants = 0", "3:14: error: options.max_grants: must be from 1 to 16777216"),
        ("max_grants = 99999999999999999999", "3:14: error: options.max_grants: must be from 1 to 16777216"),
        ("max_attempts = -1", "3:16: error: options.max_attempts: must be from 1 to 16777216"),
        ("attempt_rate = 1.5", "3:16: error: options.attempt_rate: must be a number, not a number with a point"),
        ("trusted = \"192.0.2.0/24\"", "3:11: error: options.trusted: must be a list, not a string"),
        ("trusted = [1979-05-27]", "3:12: error: options.trusted[0]: must be a string, not a date"),
        ("trusted = [\"192.0.2.0/33\"]", "3:12: error: options.trusted[0]: \"192.0.2.0/33\" is no network"),
        (
            "trusted = [\"192.0.2.7/24\"]",
            "3:12: error: options.trusted[0]: 192.0.2.7/24 has bits set behind its prefix",
        ),
        (
            "trusted = [\"::/0\"]",
            "3:12: error: options.trusted[0]: ::/0 holds all IPv4 addresses as well (::ffff:0:0/96)",
        ),
    ] {
        assert_said(&with_option(line), &[&format!("k.toml:{message}")]);
    }
}

#[test]
fn too_many_trusted_networks_are_an_error() {
    let networks: Vec<String> = (0..1025).map(|n| format!("\"10.{}.{}.0/24\"", n / 256, n % 256)).collect();
    assert_said(
        &with_option(&format!("trusted = [{}]", networks.join(", "))),
        &["k.toml:3:11: error: options.trusted: 1025 networks, more than 1024"],
    );
}

#[test]
fn errors_in_interfaces_are_named() {
    for (value, message) in [
        ("[]", "2:14: error: options.interfaces: no interface"),
        ("\"eth0\"", "2:14: error: options.interfaces: must be a list, not a string"),
        ("[true]", "2:15: error: options.interfaces[0]: must be a string, not true or false"),
        ("[\"\"]", "2:15: error: options.interfaces[0]: an interface has a name"),
        (
            "[\"a/b\"]",
            "2:15: error: options.interfaces[0]: \"a/b\" can be no interface: a slash, colon, blank or control character",
        ),
        (
            "[\"a\\u0000\"]",
            "2:15: error: options.interfaces[0]: \"a\\0\" can be no interface: a slash, colon, blank or control character",
        ),
        (
            "[\"sixteen-octets-x\"]",
            "2:15: error: options.interfaces[0]: \"sixteen-octets-x\" can be no interface: longer than 15 octets",
        ),
        ("[\"eth[0\"]", "2:15: error: options.interfaces[0]: \"eth[0\" is no pattern: invalid range pattern"),
    ] {
        let text =
            format!("[options]\ninterfaces = {value}\n{SERVICE}[doors.d]\nservice = \"s\"\nsequence = [7, 9, 8]\n");
        assert_said(&text, &[&format!("k.toml:{message}")]);
    }
    assert_said("", &["k.toml:1:1: error: options.interfaces: is missing"]);
    assert_said("[options]\n", &["k.toml:1:1: error: options.interfaces: is missing"]);
    assert_said("options = 1\n", &["k.toml:1:11: error: options: must be a section, not a number"]);
}

#[test]
fn errors_of_syntax_are_named_and_come_alone() {
    for (text, messages) in [
        ("a b\n", &["1:3: error: key with no value, expected `=`"][..]),
        ("a = \"x\n", &["1:7: error: invalid basic string, expected `\"`"]),
        ("a = 1\na = 2\n", &["2:1: error: duplicate key"]),
        (
            "[options\ninterfaces = ]\n",
            &["1:9: error: unclosed table, expected `]`", "2:14: error: missing array opening, expected `[`"],
        ),
    ] {
        let said = said(text, &Host::default());
        let heads: Vec<&str> = said.iter().map(|line| line.trim_start_matches("k.toml:")).collect();
        assert_eq!(heads, messages, "of\n{text}");
    }
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() {
    let text = format!("{}[door.x]\n", with_door("Sequnce = 1\nsequence = [7, 9, 8]"));
    let Err(error) = parse(&text, "k.toml", Path::new("k.toml"), &Host::default()) else { panic!("refused") };
    let expected = "k.toml:7:1: error: doors.d.Sequnce: unknown key\n  help: did you mean sequence?\n\
                    k.toml:9:2: error: door: unknown key\n  help: did you mean doors?";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn errors_in_services_are_named() {
    for (section, messages) in [
        ("[services.s]\n", &["3:1: error: services.s.ports: is missing"][..]),
        ("[services.s]\nports = []\n", &["4:9: error: services.s.ports: no port"]),
        ("[services.s]\nports = [0]\n", &["4:10: error: services.s.ports[0]: port 0 cannot be protected"]),
        ("[services.s]\nports = [65536]\n", &["4:10: error: services.s.ports[0]: port 65536 does not exist"]),
        (
            "[services.s]\nports = [\"20-10/tcp\"]\n",
            &["4:10: error: services.s.ports[0]: the range ends before it begins"],
        ),
        ("[services.s]\nports = [\"1/sctp\"]\n", &["4:10: error: services.s.ports[0]: unknown protocol \"sctp\""]),
        (
            "[services.s]\nports = [1]\nkeepalive = \"yes\"\n",
            &["5:13: error: services.s.keepalive: must be true or false, not a string"],
        ),
        ("[services.s]\nports = [1]\nport = 2\n", &["5:1: error: services.s.port: unknown key"]),
        ("[services.\"\"]\nports = [1]\n", &["3:11: error: services.: an empty name"]),
        (
            "[services.\"a b\"]\nports = [1]\n",
            &["3:11: error: services.a b: a name with a blank, a colon or a control character"],
        ),
        (
            "[services.\"a:b\"]\nports = [1]\n",
            &["3:11: error: services.a:b: a name with a blank, a colon or a control character"],
        ),
        (
            "[services.\"a\\u0007\"]\nports = [1]\n",
            &["3:11: error: services.a\\u{7}: a name with a blank, a colon or a control character"],
        ),
        (
            "[services.a23456789012345678901234567890123]\nports = [1]\n",
            &["3:11: error: services.a23456789012345678901234567890123: a name of 33 octets, more than 32"],
        ),
        (
            "[services.a]\nports = [\"10-20\"]\n[services.b]\nports = [\"20/udp\", \"15-30/tcp\"]\n",
            &["6:20: error: services.b.ports[1]: port 15/tcp is in service a as well"],
        ),
        ("[services]\ns = 1\n", &["4:5: error: services.s: must be a section, not a number"]),
    ] {
        let messages: Vec<String> = messages.iter().map(|message| format!("k.toml:{message}")).collect();
        assert_eq!(said(&format!("{OPTIONS}{section}"), &Host::default()), messages, "of\n{section}");
    }
}

#[test]
fn errors_in_doors_are_named() {
    let sequence = "sequence = [7, 9, 8]\n";
    for (keys, message) in [
        ("", "5:1: error: doors.d.sequence: is missing"),
        ("sequence = []", "7:12: error: doors.d.sequence: an empty sequence"),
        ("sequence = \"7,8,9\"", "7:12: error: doors.d.sequence: must be a list, not a string"),
        ("sequence = [7, 0]", "7:16: error: doors.d.sequence[1]: port 0 cannot be knocked"),
        ("sequence = [7, 65536]", "7:16: error: doors.d.sequence[1]: port 65536 does not exist"),
        ("sequence = [7, -1]", "7:16: error: doors.d.sequence[1]: port -1 does not exist"),
        ("sequence = [7, \"70000/udp\"]", "7:16: error: doors.d.sequence[1]: port 70000 does not exist"),
        ("sequence = [7, \"7-9\"]", "7:16: error: doors.d.sequence[1]: a range of ports where one port is needed"),
        ("sequence = [7, \"8/icmp\"]", "7:16: error: doors.d.sequence[1]: unknown protocol \"icmp\""),
        (
            "sequence = [7, \"x\"]",
            "7:16: error: doors.d.sequence[1]: \"x\" is neither a port number nor a tcp service in /etc/services",
        ),
        ("sequence = [7, 1.5]", "7:16: error: doors.d.sequence[1]: must be a string, not a number with a point"),
        ("sequence = [7, 22]", "7:16: error: doors.d.sequence[1]: port 22/tcp is protected by service s"),
    ] {
        assert_said(&with_door(keys), &[&format!("k.toml:{message}")]);
    }
    for (key, message) in [
        ("action = \"shut\"", "8:10: error: doors.d.action: \"shut\" is not known here"),
        ("seq_timeout = 0", "8:15: error: doors.d.seq_timeout: no time at all"),
        ("seq_timeout = \"0s\"", "8:15: error: doors.d.seq_timeout: no time at all"),
        ("seq_timeout = -1", "8:15: error: doors.d.seq_timeout: is no span of time"),
        ("seq_timeout = true", "8:15: error: doors.d.seq_timeout: is no span of time"),
        ("seq_timeout = \"10 parsecs\"", "8:15: error: doors.d.seq_timeout: \"10 parsecs\" is no span of time"),
        ("seq_timeout = \"25h\"", "8:15: error: doors.d.seq_timeout: longer than 1day"),
        ("cmd_timeout = 0", "8:15: error: doors.d.cmd_timeout: no time at all"),
        ("cmd_timeout = \"\"", "8:15: error: doors.d.cmd_timeout: \"\" is no span of time"),
        ("tcpflags = \"syn\"", "8:12: error: doors.d.tcpflags: must be a list, not a string"),
        ("tcpflags = [\"sin\"]", "8:13: error: doors.d.tcpflags[0]: unknown flag \"sin\""),
        ("tcpflags = [\"syn\", \"!SYN\"]", "8:20: error: doors.d.tcpflags[1]: syn and !syn contradict each other"),
        ("target = \"localhost\"", "8:10: error: doors.d.target: \"localhost\" is no address"),
        ("target = \"::\"", "8:10: error: doors.d.target: :: is no address of one host"),
        ("target = \"224.0.0.1\"", "8:10: error: doors.d.target: 224.0.0.1 is no address of one host"),
        ("grant_prefix_v4 = 0", "8:19: error: doors.d.grant_prefix_v4: must be from 1 to 32"),
        ("grant_prefix_v4 = 33", "8:19: error: doors.d.grant_prefix_v4: must be from 1 to 32"),
        ("grant_prefix_v6 = 129", "8:19: error: doors.d.grant_prefix_v6: must be from 1 to 128"),
        ("colour = 1", "8:1: error: doors.d.colour: unknown key"),
    ] {
        assert_said(&with_door(&format!("{sequence}{key}")), &[&format!("k.toml:{message}")]);
    }
}

#[test]
fn a_closing_door_writes_no_grant() {
    assert_said(
        &with_door("sequence = [7, 9, 8]\naction = \"close\"\ncmd_timeout = 5\ngrant_prefix_v6 = 64"),
        &[
            "k.toml:9:15: error: doors.d.cmd_timeout: a door that closes writes no grant",
            "k.toml:10:19: error: doors.d.grant_prefix_v6: a door that closes writes no grant",
        ],
    );
}

#[test]
fn sequences_have_at_most_32_steps() {
    let steps = |count: u16| (0..count).map(|n| (7000 + n * 7 % 31).to_string()).collect::<Vec<_>>().join(", ");
    assert_said(&with_door(&format!("sequence = [{}]", steps(32))), &[]);
    assert_said(
        &with_door(&format!("sequence = [{}]", steps(33))),
        &["k.toml:7:12: error: doors.d.sequence: a sequence of 33 steps, more than 32"],
    );
}

#[test]
fn doors_need_a_service_that_is_there() {
    let text = format!("{OPTIONS}{SERVICE}[doors.d]\nservice = \"ssh\"\nsequence = [7, 9, 8]\n");
    assert_said(&text, &["k.toml:6:11: error: doors.d.service: no service is called \"ssh\""]);
    // A service with an error of its own is there.
    let text = format!("{OPTIONS}[services.s]\nports = []\n[doors.d]\nservice = \"s\"\nsequence = [7, 9, 8]\n");
    assert_said(&text, &["k.toml:4:9: error: services.s.ports: no port"]);
}

/// Doors on one service, from line 5 on, three lines each: service, and one line of keys.
fn with_doors(doors: &[&str]) -> String {
    let mut text = format!("{OPTIONS}{SERVICE}");
    for (index, keys) in doors.iter().enumerate() {
        text += &format!("[doors.d{index}]\nservice = \"s\"\n{keys}\n");
    }
    text
}

#[test]
fn one_sequence_cannot_open_and_close() {
    let close = "sequence = [7, 9, 8]\naction = \"close\"";
    assert_said(
        &with_doors(&["sequence = [7, 9, 8]", close]),
        &["k.toml:8:8: error: doors.d1.sequence: the same sequence as door d0: it would both open and close"],
    );
    assert_said(
        &with_doors(&["sequence = [7, 9, 8]\ntarget = \"192.0.2.1\"", &format!("{close}\ntarget = \"192.0.2.2\"")]),
        &[],
    );
    assert_said(
        &with_doors(&[
            "sequence = [7, 9, 8]\ntcpflags = [\"syn\", \"urg\"]",
            &format!("{close}\ntcpflags = [\"syn\", \"!urg\"]"),
        ]),
        &[],
    );
}

#[test]
fn prefix_lengths_of_a_service_are_counted() {
    let door = |index: u16, bits: u16| format!("sequence = [{}, 900, 800]\ngrant_prefix_v6 = {bits}", 100 + index);
    let doors = [door(0, 64), door(1, 56), door(2, 48), door(3, 48), door(4, 40)];
    let doors: Vec<&str> = doors.iter().map(String::as_str).collect();
    assert_said(&with_doors(&doors[..4]), &[]);
    assert_said(
        &with_doors(&doors),
        &[
            "k.toml:24:19: error: doors.d4.grant_prefix_v6: one prefix length too many for this service: at most 4, whole addresses among them",
        ],
    );
}

#[test]
fn doors_that_crowd_each_other_are_an_error() {
    let doors: Vec<String> = (0..9).map(|n| format!("sequence = [700, {}, 10]", 800 + n)).collect();
    assert_said(
        &with_doors(&doors.iter().map(String::as_str).collect::<Vec<_>>()),
        &[
            "k.toml:29:8: error: doors.d8.sequence: too many doors share their first knock with it (d0, d1, d2, d3, d4, d5, d6, d7): at most 8 can be under way at once",
        ],
    );
}

#[test]
fn tables_of_64_are_not_overfilled() {
    let doors: Vec<String> = (0..65).map(|n| format!("sequence = [{}, 2, 900]", 1000 + n)).collect();
    let doors: Vec<&str> = doors.iter().map(String::as_str).collect();
    assert_said(&with_doors(&doors[..64]), &[]);
    assert_said(&with_doors(&doors), &["k.toml:197:8: error: doors.d64: 65 doors, more than 64"]);
    let services: String = (0..65).map(|n| format!("[services.s{n}]\nports = [{}]\n", 1000 + n)).collect();
    assert_said(&format!("{OPTIONS}{services}"), &["k.toml:131:11: error: services.s64: 65 services, more than 64"]);
}

#[test]
fn names_with_one_tag_are_an_error() {
    // A collision of 32-bit FNV-1a, found by search.
    let text = format!("{OPTIONS}[services.costarring]\nports = [1]\n[services.liquid]\nports = [2]\n");
    assert_said(&text, &["k.toml:5:11: error: services.liquid: the name has the same tag as services.costarring"]);
}

#[test]
fn weak_sequences_raise_warnings() {
    for (keys, message) in [
        ("sequence = [7]", "7:13: warning: doors.d.sequence: a single knock: any scan of this port makes it"),
        ("sequence = [7, 8, 9]", "7:13: warning: doors.d.sequence: ascending ports: the order in which scanners go"),
        (
            "sequence = [7, \"7/udp\", 9]",
            "7:13: warning: doors.d.sequence: ascending ports: the order in which scanners go",
        ),
        ("sequence = [9, 8, 7]", "7:13: warning: doors.d.sequence: descending ports: the order in which scanners go"),
        (
            "sequence = [7, 9, 9, 8]",
            "7:19: warning: doors.d.sequence[2]: the same step as the one before: a packet sent again makes it too",
        ),
        (
            "sequence = [7, 9, 8]\ntcpflags = [\"ack\"]",
            "8:12: warning: doors.d.tcpflags: segments of a connection fit too (ACK or RST): a sweep of them ends no attempt",
        ),
    ] {
        assert_said(&with_door(keys), &[&format!("k.toml:{message}")]);
    }
    for quiet in [
        "sequence = [7, 9, 8]\ntcpflags = [\"syn\"]",
        "sequence = [7, 9, 8]\ntcpflags = [\"fin\", \"!syn\", \"!ack\", \"!rst\"]",
        "sequence = [\"7/udp\", \"9/udp\", \"8/udp\"]\ntcpflags = [\"ack\"]",
    ] {
        assert_said(&with_door(quiet), &[]);
    }
}

#[test]
fn doors_that_resemble_each_other_raise_warnings() {
    assert_said(
        &with_doors(&["sequence = [7, 9, 8]", "sequence = [7, 9, 8]"]),
        &["k.toml:10:13: warning: doors.d1.sequence: the same sequence as door d0: one knock is for both"],
    );
    let beginning =
        "k.toml:7:13: warning: doors.d0.sequence: the beginning of door d1: whoever knocks there knocks here as well";
    assert_said(&with_doors(&["sequence = [7, 9, 8]", "sequence = [7, 9, 8, 5]"]), &[beginning]);
    assert_said(&with_doors(&["sequence = [7, 9, 8]", "sequence = [7, \"9/udp\", 8, 5]"]), &[]);
}

#[test]
fn services_out_of_reach_raise_warnings() {
    assert_said(&format!("{OPTIONS}{SERVICE}"), &["k.toml:3:11: warning: services.s: no door for this service"]);
    assert_said(OPTIONS, &["k.toml: warning: no service: nothing is protected"]);
    assert_said(
        &with_door("sequence = [7, 9, 8]\naction = \"close\""),
        &["k.toml:3:11: warning: services.s: no door opens this service, they only close it"],
    );
    assert_said(
        &with_option("trusted = [\"0.0.0.0/0\"]"),
        &["k.toml:3:12: warning: options.trusted[0]: every IPv4 address is trusted: for IPv4 there is no gate"],
    );
}

#[test]
fn knock_ports_in_use_raise_a_warning_once() {
    let host = Host { listeners: vec![Port { number: 9, transport: Transport::Tcp }], ..Host::default() };
    let message = "k.toml:7:16: warning: doors.d.sequence[1]: something listens on this port here: knocks reach it, and its users knock";
    assert_eq!(said(&with_door("sequence = [7, 9, 8, 9]"), &host), [message]);
    assert_eq!(said(&with_door("sequence = [7, \"9/udp\", 8]"), &host), Vec::<String>::new());
}

#[test]
fn a_file_that_others_reach_raises_a_warning() {
    let said_with = |mode| said(&with_option(""), &Host { mode: Some(mode), ..Host::default() });
    assert_eq!(said_with(0o100_600), Vec::<String>::new());
    assert_eq!(said_with(0o100_640), Vec::<String>::new());
    assert_eq!(said_with(0o100_644), ["k.toml: warning: everybody on this host may read the sequences"]);
    assert_eq!(said_with(0o100_660), ["k.toml: warning: others than the owner may change this file"]);
}

#[test]
fn warnings_repeat_no_port() {
    let host = Host { listeners: vec![Port { number: 7011, transport: Transport::Tcp }], ..Host::default() };
    let doors = ["sequence = [7011, 7022, 7022, 7033]", "sequence = [7011, 7022, 7022, 7033]", "sequence = [7011]"];
    let said = said(&with_doors(&doors), &host);
    assert!(said.len() >= 6, "{said:?}");
    assert!(said.iter().all(|line| !line.contains("70")), "{said:?}");
}

#[test]
fn names_order_and_defaults_are_kept() {
    let text = format!(
        "{OPTIONS}[services.z]\nports = [\"domain/udp\", 5]\n[services.a]\nports = [\"6-9\"]\nkeepalive = true\n\
        [doors.y]\nservice = \"a\"\nsequence = [70, \"90:udp\", 80]\n[doors.b]\nservice = \"z\"\naction = \"close\"\n\
        sequence = [\"domain\", 80, 81, 20]\nseq_timeout = \"1m30s\"\n"
    );
    let host = Host { names: PortNames::parse("domain 53/udp\ndomain 53/tcp\n"), ..Host::default() };
    let (config, warnings) = parse(&text, "k.toml", Path::new("/etc/k.toml"), &host).unwrap();
    assert_eq!(warnings.len(), 1, "z has no door that opens: {warnings:?}");
    assert_eq!(config.path, Path::new("/etc/k.toml"));
    let names: Vec<&str> = config.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["z", "a"]);
    let names: Vec<&str> = config.doors.iter().map(|door| door.name.as_str()).collect();
    assert_eq!(names, ["y", "b"]);
    assert_eq!(config.services[0].ports[0].to_string(), "53/udp");
    assert!(config.service("a").unwrap().keepalive);

    let door = config.door("y").unwrap();
    assert_eq!(config.service_of(door).name.as_str(), "a");
    assert_eq!(door.sequence.iter().map(Port::to_string).collect::<Vec<_>>(), ["70/tcp", "90/udp", "80/tcp"]);
    assert_eq!((door.action, door.seq_timeout, door.cmd_timeout), (Action::Open, SEQ_TIMEOUT, None));
    assert_eq!((door.grant_prefix_v4, door.grant_prefix_v6, door.target), (32, 128, None));
    assert_eq!(config.door("b").unwrap().seq_timeout.as_secs(), 90);
    assert_eq!(config.door_by_tag(door.name.tag()), Some(door));

    let options = &config.options;
    assert_eq!(
        (&options.log, options.mode, options.on_exit, options.deny),
        (&LogTarget::Stderr, Mode::Native, OnExit::Keep, Deny::Drop)
    );
    assert_eq!((options.log_denied, options.stealth, options.verify_checksums), (true, true, None));
    assert_eq!((options.max_grants, options.max_attempts, options.attempt_rate), (65_536, 65_536, None));
}

#[test]
fn the_examples_are_good() {
    let ascending =
        "article.toml:16:13: warning: doors.opencloseSSH.sequence: ascending ports: the order in which scanners go";
    // The lab shows that even a sweep in its order opens nothing.
    let lab = [
        "lab.toml:16:13: warning: doors.opencloseSSH.sequence: ascending ports: the order in which scanners go",
        "lab.toml:23:13: warning: doors.closeSSH.sequence: descending ports: the order in which scanners go",
    ];
    for (name, text, expected) in [
        ("knock.toml", include_str!("../../../examples/knock.toml"), &[][..]),
        ("lab.toml", include_str!("../../../examples/lab.toml"), &lab),
        ("article.toml", include_str!("../../../examples/article.toml"), &[ascending]),
    ] {
        let (_, warnings) = Config::parse(text, name).unwrap_or_else(|error| panic!("{error}"));
        let heads: Vec<String> =
            warnings.iter().map(|one| one.to_string().lines().next().unwrap_or_default().to_owned()).collect();
        assert_eq!(heads, expected);
    }
}

#[test]
fn files_are_read_with_their_permissions() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(with_option("").as_bytes()).unwrap();
    let (config, warnings) = Config::load(file.path()).unwrap();
    assert_eq!(config.path, file.path());
    assert!(warnings.iter().all(|one| one.line > 0), "the file itself is private: {warnings:?}");
    let mut open = file.as_file().metadata().unwrap().permissions();
    open.set_mode(0o644);
    file.as_file().set_permissions(open).unwrap();
    let (_, warnings) = Config::load(file.path()).unwrap();
    assert!(warnings.iter().any(|one| one.message.starts_with("everybody on this host")));
}

#[test]
fn files_that_are_no_config_are_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let error = Config::load(&missing).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: error: No such file", missing.display())), "{error}");
    assert!(error.contains("\n  help: name another file"), "{error}");
    let error = Config::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("Is a directory") && error.contains("help: name a file in it"), "{error}");
    let error = Config::load(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(error.contains("far too large"), "{error}");

    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"[options]\n# caf\xe9\n").unwrap();
    let error = Config::load(&latin).unwrap_err().to_string();
    assert!(
        error.ends_with("latin.toml:2:6: error: not UTF-8 from here on\n  help: save the file as UTF-8"),
        "{error}"
    );
}

#[test]
fn no_cut_of_a_config_makes_the_reader_fall() {
    let text = include_str!("../../../examples/knock.toml");
    for end in 0..text.len() {
        let _ = parse(&text[..text.floor_char_boundary(end)], "k.toml", Path::new("k.toml"), &Host::default());
    }
}
