//! What is said of doors, each by itself.

use super::*;

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
