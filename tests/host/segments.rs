//! Rule 4 for doors that take other segments than requests for a connection: which of them end an attempt, and which do
//! no harm.

use knock_common::abi::counter::Counter::{AttemptEnded, GrantOpened};
use knock_common::gate::Verdict::Pass;
use tests::memory::Memory;
use tests::packet::{ACK, CLIENT_V4, FIN, PacketBuilder, RST, SERVER_V4, SYN};
use tests::sweep::{DOORS, PROTECTED, SEGMENTS};

use crate::common::host_of;

/// A segment to a port of the server.
fn segment(port: u16, flags: u8) -> PacketBuilder {
    PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(40_000, port, flags)
}

fn send(host: &Memory, packet: &PacketBuilder) {
    assert_eq!(host.judge(&packet.build()), Pass, "{packet:?}");
}

/// A host with one door of TCP, 7000, 9000, 8000, with these `tcpflags`.
fn host_with(flags: &str) -> Memory {
    host_of(&format!(
        "[options]\ninterfaces = [\"eth0\"]\n[services.ssh2]\nports = [\"{PROTECTED}/tcp\"]\n[doors.d]\n\
         service = \"ssh2\"\nsequence = [\"7000/tcp\", \"9000/tcp\", \"8000/tcp\"]\ntcpflags = {flags}\n"
    ))
}

#[test]
fn the_right_segments_open_each_door() {
    for flags in DOORS {
        let fits = |segment: &&(&str, u8)| {
            let host = host_with(flags);
            for port in [7000, 9000, 8000] {
                send(&host, &self::segment(port, segment.1));
            }
            host.counter(GrantOpened) == 1
        };
        let opened: Vec<_> = SEGMENTS.iter().filter(fits).map(|(name, _)| *name).collect();
        let expected = match flags {
            "[]" => SEGMENTS.iter().map(|(name, _)| *name).collect(),
            "[\"ack\"]" => vec!["SYN+ACK", "ACK", "ACK+PSH", "RST+ACK", "FIN+ACK", "all"],
            "[\"rst\"]" => vec!["RST", "RST+ACK", "all"],
            "[\"syn\", \"ack\"]" => vec!["SYN+ACK", "all"],
            "[\"!syn\"]" => {
                vec!["ACK", "ACK+PSH", "RST", "RST+ACK", "FIN", "FIN+ACK", "NULL", "Xmas"]
            }
            "[\"fin\"]" => vec!["FIN", "FIN+ACK", "Xmas", "SYN+FIN", "all"],
            "[\"psh\", \"!rst\"]" => vec!["ACK+PSH", "Xmas"],
            _ => vec!["SYN", "SYN+FIN", "SYN with ECN"],
        };
        assert_eq!(opened, expected, "{flags}");
    }
}

#[test]
fn a_segment_ends_the_attempt_of_a_door_that_takes_it_and_of_no_other() {
    for (flags, knock, wrong, ends) in [
        ("[]", SYN, ACK, true),
        ("[]", SYN, RST, true),
        ("[]", ACK, SYN | ACK, true),
        ("[\"ack\"]", ACK, FIN | ACK, true),
        ("[\"ack\"]", ACK, RST, false),
        ("[\"syn\", \"ack\"]", SYN | ACK, SYN | ACK, true),
        ("[\"syn\", \"ack\"]", SYN | ACK, ACK, false),
        ("[\"!syn\"]", ACK, RST, true),
        ("[\"!syn\"]", ACK, SYN | ACK, false),
        ("[\"!syn\"]", ACK, SYN, true),
        ("[\"syn\"]", SYN, ACK, false),
        ("[\"syn\"]", SYN, RST, false),
    ] {
        let host = host_with(flags);
        send(&host, &segment(7000, knock));
        send(&host, &segment(31337, wrong));
        let ended = u64::from(ends);
        assert_eq!(host.counter(AttemptEnded), ended, "{flags}: {wrong:#x}");
        send(&host, &segment(9000, knock));
        send(&host, &segment(8000, knock));
        assert_eq!(host.counter(GrantOpened), 1 - ended, "{flags}: {wrong:#x}");
    }
}

#[test]
fn of_two_doors_a_segment_ends_the_attempt_at_that_which_takes_it() {
    // Also where it is the knock of a third.
    let door = |name: &str, flags: &str, ports: &str| {
        format!("[doors.{name}]\nservice = \"ssh2\"\nsequence = [{ports}]\ntcpflags = {flags}\ncmd_timeout = \"9s\"\n")
    };
    for wrong in [31337, 6000] {
        let host = host_of(&format!(
            "[options]\ninterfaces = [\"eth0\"]\n[services.ssh2]\nports = [\"{PROTECTED}/tcp\"]\n{}{}{}",
            door("any", "[]", "\"7000/tcp\", \"9000/tcp\""),
            door("syn", "[\"syn\"]", "\"7000/tcp\", \"8000/tcp\""),
            door("ack", "[\"ack\"]", "\"6000/tcp\", \"6001/tcp\"")
        ));
        send(&host, &segment(7000, SYN));
        send(&host, &segment(wrong, ACK));
        assert_eq!(host.counter(AttemptEnded), 1, "{wrong}");
        send(&host, &segment(9000, SYN | ACK));
        assert_eq!(host.counter(GrantOpened), 0, "{wrong}");
        send(&host, &segment(8000, SYN));
        assert_eq!(host.counter(GrantOpened), 1, "{wrong}");
    }
}

#[test]
fn a_segment_that_belongs_to_a_socket_or_to_nobody_here_does_no_harm() {
    let host = host_with("[]");
    host.change_sockets(|sockets| {
        sockets.connections.insert((CLIENT_V4.into(), 40_001, SERVER_V4.into(), 31337));
        sockets.connections.insert((CLIENT_V4.into(), 40_001, SERVER_V4.into(), PROTECTED));
        sockets.guests.insert([192, 0, 2, 2].into());
    });
    let beside = || {
        for flags in [ACK, FIN | ACK, RST, RST | ACK] {
            send(&host, &PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(40_001, 31337, flags));
            send(&host, &PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(40_001, PROTECTED, flags));
            // To whoever listens.
            send(&host, &segment(22, flags));
            send(&host, &PacketBuilder::between(CLIENT_V4, [192, 0, 2, 2]).tcp(40_000, 31337, flags));
            // Without its flags it could be anything.
            send(&host, &segment(31337, flags).first_fragment(8));
        }
        let _ = host.judge(&segment(PROTECTED, SYN).build());
    };
    for port in [7000, 9000] {
        send(&host, &segment(port, SYN));
        beside();
    }
    assert_eq!(host.counter(AttemptEnded), 0);
    send(&host, &segment(8000, SYN));
    assert_eq!(host.counter(GrantOpened), 1);
}

#[test]
fn a_door_of_datagrams_alone_takes_no_segment() {
    let config = "[options]\ninterfaces = [\"eth0\"]\n[services.ssh2]\nports = [\"2222/tcp\"]\n[doors.d]\n\
                  service = \"ssh2\"\nsequence = [\"7000/udp\", \"9000/udp\"]\ntcpflags = []\n";
    let host = host_of(config);
    let datagram = |port| PacketBuilder::between(CLIENT_V4, SERVER_V4).udp(40_000, port);
    send(&host, &datagram(7000));
    send(&host, &segment(31337, ACK));
    send(&host, &segment(7000, RST));
    send(&host, &datagram(9000));
    assert_eq!((host.counter(AttemptEnded), host.counter(GrantOpened)), (0, 1));
}
