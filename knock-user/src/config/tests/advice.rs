//! What is allowed, and weak.

use super::*;
use crate::host::ephemeral::Ephemeral;

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
            "8:12: warning: doors.d.tcpflags: segments of a connection fit too (ACK or RST): those of one that ends elsewhere disturb a knock",
        ),
        (
            "sequence = [7, 9, 8]\ntcpflags = []",
            "8:12: warning: doors.d.tcpflags: segments of a connection fit too (ACK or RST): those of one that ends elsewhere disturb a knock",
        ),
        (
            "sequence = [7, 9, 8]\ntcpflags = [\"!syn\"]",
            "8:12: warning: doors.d.tcpflags: segments of a connection fit too (ACK or RST): those of one that ends elsewhere disturb a knock",
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
    assert_said(&format!("{OPTIONS}[services]\n"), &["k.toml: warning: no service: nothing is protected"]);
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
fn a_file_that_ends_in_a_line_raises_a_warning() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let host = Host::here(&file.as_file().metadata().unwrap(), true);
    let host = Host { listeners: Vec::new(), ..host };
    assert_eq!(said(&with_option(""), &host), Vec::<String>::new());
    let cut = "k.toml: warning: ends in the middle of a line, as a file that was cut off does";
    assert_eq!(said(with_option("").trim_end(), &host), [cut]);
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
fn a_service_among_the_ephemeral_ports_raises_a_warning_once() {
    let udp = |number| Port { number, transport: Transport::Udp };
    let host = |reserved: &str, listeners| Host {
        ephemeral: Ephemeral::parse("32768 60999", reserved),
        listeners,
        ..Host::default()
    };
    let config = format!(
        "{OPTIONS}[services.m]\nports = [\"22/tcp\", \"60000-61000/udp\", \"50000/udp\"]\n\
         [services.w]\nports = [\"51820/udp\"]\n[services.t]\nports = [\"51820-51830/tcp\", \"53/udp\"]\n"
    );
    let told = |host: &Host| -> Vec<_> {
        let (_, warnings) = parse(&config, "k.toml", Path::new("k.toml"), host).unwrap();
        warnings.iter().map(ToString::to_string).filter(|text| text.contains("ephemeral")).collect()
    };
    let message = "ephemeral ports of this host: what it asks others from such a port, by a socket that is not connected, gets \
                   no answer";
    let help = |line: &str| {
        format!(
            "help: keep them from being given out: `net.ipv4.ip_local_reserved_ports = {line}` in a file below /etc/sysctl.d, and `sysctl --system`"
        )
    };
    // One line for all services: to follow one must not undo another, or what was reserved before.
    let line = help("8080,50000,51820,60000-61000");
    assert_eq!(
        told(&host("8080", Vec::new())),
        [
            format!("k.toml:4:20: warning: services.m.ports[1]: {message}\n  {line}"),
            format!("k.toml:6:10: warning: services.w.ports[0]: {message}\n  {line}"),
        ]
    );
    // What listens has its port, and nobody else gets it.
    let line = help("50000,60000-61000");
    assert_eq!(
        told(&host("", vec![udp(51820), udp(60000)])),
        [format!("k.toml:4:20: warning: services.m.ports[1]: {message}\n  {line}")]
    );
    assert_eq!(told(&host("50000-61000", Vec::new())), Vec::<String>::new());
    assert_eq!(told(&Host::default()), Vec::<String>::new());
}
