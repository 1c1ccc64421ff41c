//! Rules 1 to 6: what knocks do, told as stories.

use std::net::IpAddr;

use knock_common::abi::counter::Counter::{
    AttemptAdvanced, AttemptEnded, AttemptStarted, GrantClosed, GrantExtended, GrantOpened, KnockPacket,
};
use knock_common::abi::event::Kind;
use knock_common::abi::rules::Name;
use knock_common::gate::Verdict::{Deny, Pass};
use tests::memory::Memory;
use tests::model::{Port, Protocol};
use tests::packet::{ACK, CLIENT_V4, CLIENT_V6, FIN, PacketBuilder, RST, SERVER_V4, SERVER_V6, STRANGER_V4, SYN};

use crate::common::{CONFIG, NOW, SECOND, datagram, host, host_of, judged, syn};

/// Somebody in front of a host.
struct Visitor<'a> {
    host: &'a Memory,
    source: IpAddr,
    server: IpAddr,
}

impl<'a> Visitor<'a> {
    fn v4(host: &'a Memory) -> Self {
        Self { host, source: CLIENT_V4.into(), server: SERVER_V4.into() }
    }

    fn v6(host: &'a Memory) -> Self {
        Self { host, source: CLIENT_V6.into(), server: SERVER_V6.into() }
    }

    fn to(&self) -> PacketBuilder {
        PacketBuilder::between(self.source, self.server)
    }

    /// Knocks on each port in turn.
    fn knock(&self, ports: &[&str]) -> &Self {
        for port in ports {
            let (number, protocol) = port.split_once('/').expect("PORT/PROTOCOL");
            let number = number.parse().expect("a port number");
            let packet =
                if protocol == "tcp" { self.to().tcp(40_000, number, SYN) } else { self.to().udp(40_000, number) };
            self.send(&packet);
        }
        self
    }

    /// A frame that no knock port keeps from the stack.
    #[track_caller]
    fn send(&self, packet: &PacketBuilder) {
        assert_eq!(self.host.judge(&packet.build()), Pass, "{packet:?}");
    }

    fn is_in(&self) -> bool {
        self.host.judge(&self.to().tcp(40_000, 2222, SYN).build()) == Pass
    }
}

const OPEN: [&str; 3] = ["7000/tcp", "8000/udp", "9000/tcp"];

#[test]
fn the_sequence_opens_the_service_to_its_source() {
    for v6 in [false, true] {
        let host = host();
        let client = if v6 { Visitor::v6(&host) } else { Visitor::v4(&host) };
        assert!(!client.is_in());
        client.knock(&OPEN);
        assert!(client.is_in());
        assert!(!Visitor { source: STRANGER_V4.into(), ..Visitor::v4(&host) }.is_in());
        let tag = |name| Name::new(name).expect("a name").tag();
        let events: Vec<(u8, u32, u8)> =
            host.take_events().iter().map(|event| (event.kind, event.door, event.step)).collect();
        let expected = [
            (Kind::Denied as u8, 0, 0),
            (Kind::Stage as u8, tag("open"), 1),
            (Kind::Stage as u8, tag("open"), 2),
            // The last step begins the close door.
            (Kind::Stage as u8, tag("close"), 1),
            (Kind::Opened as u8, tag("open"), 3),
            (Kind::Denied as u8, 0, 0),
        ];
        assert_eq!(events, expected);
    }
}

#[test]
fn any_other_order_opens_nothing() {
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let host = host();
        let client = Visitor::v4(&host);
        client.knock(&order.map(|step| OPEN[step]));
        assert!(!client.is_in(), "{order:?}");
    }
}

#[test]
fn a_step_out_of_turn_ends_the_attempt() {
    let host = host();
    // Also where something listens, and it would be no wrong knock otherwise.
    host.change_sockets(|sockets| sockets.listening.extend([Port(9000, Protocol::Tcp)]));
    let client = Visitor::v4(&host);
    client.knock(&["7000/tcp", "9000/tcp"]);
    assert_eq!(host.counter(AttemptEnded), 1);
    client.knock(&["8000/udp", "9000/tcp"]);
    assert!(!client.is_in());
}

#[test]
fn a_retransmitted_knock_changes_nothing() {
    let host = host();
    let client = Visitor::v4(&host);
    client.knock(&["7000/tcp", "7000/tcp", "8000/udp", "7000/tcp", "8000/udp", "8000/udp", "9000/tcp"]);
    assert!(client.is_in());
    // The last step begins the close door.
    assert_eq!(host.counter(AttemptStarted), 2);
}

#[test]
fn a_sweep_of_all_ports_opens_nothing() {
    let host = host();
    let client = Visitor::v4(&host);
    for port in (1..=u16::MAX).filter(|port| *port != 2222) {
        client.send(&client.to().tcp(40_000, port, SYN));
        if port != 51820 {
            client.send(&client.to().udp(40_000, port));
        }
    }
    assert!(!client.is_in());
}

#[test]
fn a_packet_to_where_nothing_listens_ends_the_attempt() {
    for stray in ["31337/tcp", "31337/udp", "9000/udp", "7001/tcp", "0/tcp"] {
        let host = host();
        let client = Visitor::v4(&host);
        client.knock(&["7000/tcp", "8000/udp", stray]);
        assert_eq!(host.counter(AttemptEnded), 1, "{stray}");
        client.knock(&["9000/tcp"]);
        assert!(!client.is_in(), "{stray}");
    }
}

#[test]
fn a_wrong_knock_that_is_the_first_step_of_another_door_begins_it() {
    // More than eight doors share slots: the door that ends leaves its own to the one that begins.
    let services = CONFIG.split("[doors.open]").next().unwrap_or_default();
    let door =
        |n| format!("\n[doors.d{n}]\nservice = \"ssh2\"\nsequence = [\"{}/tcp\", \"{}/tcp\"]\n", 5000 + n, 5100 + n);
    let host = host_of(&format!("{services}{}", (0..9).map(door).collect::<String>()));
    let slots: Vec<u8> = host.tables().rules.doors.iter().map(|door| door.slot).collect();
    let last = (1..9).find(|&door| slots[..door].contains(&slots[door])).expect("nine doors, eight slots");
    let first = slots.iter().position(|slot| *slot == slots[last]).expect("it was found");
    let client = Visitor::v4(&host);
    let step = |door: usize, step: usize| format!("{}/tcp", 5000 + 100 * step + door);
    client.knock(&[&step(first, 0), &step(last, 0)]);
    assert_eq!((host.counter(AttemptStarted), host.counter(AttemptEnded)), (2, 1));
    client.knock(&[&step(last, 1)]);
    assert!(client.is_in());
}

#[test]
fn harmless_packets_beside_a_knock_do_not_end_it() {
    let host = host();
    let client = Visitor::v4(&host);
    client.knock(&["7000/tcp", "22/tcp"]);
    assert!(!client.is_in(), "an early try at the service");
    for flags in [ACK, RST, FIN | ACK, SYN | ACK] {
        client.send(&client.to().tcp(40_000, 31337, flags));
        client.send(&client.to().tcp(40_000, 8000, flags));
        client.send(&client.to().tcp(40_000, 9000, flags));
    }
    client.send(&client.to().udp(40_000, 5353).multicast());
    client.send(&client.to().icmp(8, 0));
    client.send(&client.to().tcp(40_000, 31337, SYN).payload(&[0; 32]).later_fragment(2, false));
    client.knock(&["8000/udp", "9000/tcp"]);
    assert!(client.is_in());
}

#[test]
fn another_source_does_not_disturb_an_attempt() {
    let host = host();
    let client = Visitor::v4(&host);
    let stranger = Visitor { source: STRANGER_V4.into(), ..Visitor::v4(&host) };
    for step in OPEN {
        client.knock(&[step]);
        stranger.knock(&["31337/tcp", "9000/tcp", "8000/udp"]);
    }
    assert!(client.is_in());
    assert!(!stranger.is_in());
}

#[test]
fn the_whole_sequence_has_to_come_in_time() {
    for (late, opened) in [(10 * SECOND / 65536 * 65536, true), ((10 * SECOND).next_multiple_of(65536), false)] {
        let host = host();
        let client = Visitor::v4(&host);
        client.knock(&["7000/tcp"]);
        host.set_now(NOW + 5 * SECOND);
        client.knock(&["8000/udp"]);
        host.set_now(NOW + late);
        client.knock(&["9000/tcp"]);
        assert_eq!(client.is_in(), opened, "{late} ns");
    }
}

#[test]
fn knocking_again_moves_the_end_and_makes_no_second_entry() {
    let host = host();
    let client = Visitor::v4(&host);
    client.knock(&OPEN);
    host.set_now(NOW + 59 * SECOND);
    client.knock(&OPEN);
    assert_eq!((host.counter(GrantOpened), host.counter(GrantExtended)), (1, 1));
    assert_eq!(host.grants().values().map(|grant| grant.until).collect::<Vec<_>>(), [NOW + 119 * SECOND]);
    host.set_now(NOW + 118 * SECOND);
    assert!(client.is_in());
    host.set_now(NOW + 119 * SECOND);
    assert!(!client.is_in());
}

#[test]
fn a_shorter_door_never_moves_the_end_back() {
    let short = "[doors.short]\nservice = \"ssh2\"\nsequence = [\"6000/tcp\", \"6001/tcp\"]\ncmd_timeout = \"1s\"\n";
    let host = host_of(&format!("{CONFIG}\n{short}"));
    let client = Visitor::v4(&host);
    client.knock(&OPEN).knock(&["6000/tcp", "6001/tcp"]);
    assert_eq!(host.grants().values().map(|grant| grant.until).collect::<Vec<_>>(), [NOW + 60 * SECOND]);
}

#[test]
fn the_close_door_removes_the_grant() {
    let host = host();
    let client = Visitor::v6(&host);
    client.knock(&OPEN).knock(&["9000/tcp", "7000/tcp"]);
    assert!(!client.is_in());
    assert_eq!(host.counter(GrantClosed), 1);
    assert!(host.grants().is_empty());
}

#[test]
fn a_close_door_removes_what_doors_with_any_prefix_have_granted() {
    let wide =
        "[doors.wide]\nservice = \"ssh2\"\nsequence = [\"6000/tcp\"]\ngrant_prefix_v4 = 24\ngrant_prefix_v6 = 64\n";
    let host = host_of(&format!("{CONFIG}\n{wide}"));
    for client in [Visitor::v4(&host), Visitor::v6(&host)] {
        client.knock(&OPEN).knock(&["6000/tcp"]);
        assert_eq!(host.grants().len(), 2);
        client.knock(&["9000/tcp", "7000/tcp"]);
        assert!(host.grants().is_empty());
    }
}

#[test]
fn a_prefix_lets_the_neighbours_in() {
    let host = host_of(&CONFIG.replacen("cmd_timeout", "grant_prefix_v4 = 24\ncmd_timeout", 1));
    Visitor::v4(&host).knock(&OPEN);
    assert!(Visitor { source: STRANGER_V4.into(), ..Visitor::v4(&host) }.is_in());
    assert!(!Visitor { source: [198, 51, 101, 7].into(), ..Visitor::v4(&host) }.is_in());
}

#[test]
fn a_target_counts_on_its_own_address_alone() {
    let host = host_of(&CONFIG.replacen("sequence", "target = \"192.0.2.2\"\nsequence", 1));
    let client = Visitor::v4(&host);
    client.knock(&OPEN);
    assert!(!client.is_in());
    Visitor { server: [192, 0, 2, 2].into(), ..Visitor::v4(&host) }.knock(&OPEN);
    assert!(client.is_in());
}

#[test]
fn flags_that_do_not_fit_are_no_knock() {
    let host = host_of(&CONFIG.replacen("sequence", "tcpflags = [\"fin\", \"!syn\", \"!ack\", \"!rst\"]\nsequence", 1));
    let client = Visitor::v4(&host);
    client.knock(&OPEN);
    assert!(!client.is_in());
    let knock = |flags| {
        client.send(&client.to().tcp(40_000, 7000, flags));
        client.send(&client.to().udp(40_000, 8000));
        client.send(&client.to().tcp(40_000, 9000, flags));
        client.is_in()
    };
    for flags in [SYN, ACK, FIN | ACK, FIN | SYN, 0] {
        assert!(!knock(flags), "{flags:#x}");
    }
    assert!(knock(FIN));
}

#[test]
fn a_sweep_of_answers_does_not_walk_through_a_sequence() {
    // SYN and ACK together end no attempt anywhere, so they must not make one either.
    let host = host();
    let client = Visitor::v4(&host);
    for port in [7000, 9000] {
        client.send(&client.to().tcp(40_000, port, SYN | ACK));
    }
    assert_eq!(host.counter(AttemptStarted), 0);
}

#[test]
fn the_next_step_advances_whatever_else_it_would_mean() {
    let door =
        "[doors.round]\nservice = \"ssh2\"\nsequence = [\"6000/tcp\", \"6001/tcp\", \"6000/tcp\", \"6000/tcp\"]\n";
    let host = host_of(&format!("{CONFIG}\n{door}"));
    let client = Visitor::v4(&host);
    client.knock(&["6000/tcp", "6000/tcp", "6001/tcp", "6001/tcp", "6000/tcp", "6000/tcp"]);
    assert!(client.is_in());
    assert_eq!((host.counter(AttemptStarted), host.counter(AttemptAdvanced)), (1, 3));
}

#[test]
fn one_source_comes_through_several_doors_at_once() {
    // Where something listens, a step of one door is no wrong knock at the other.
    let host = host();
    host.change_sockets(|sockets| {
        sockets.listening.extend([7000, 9000].map(|port| Port(port, Protocol::Tcp)));
        sockets.listening.extend([7001, 8000, 8001].map(|port| Port(port, Protocol::Udp)));
    });
    let client = Visitor::v4(&host);
    client.knock(&["7000/tcp", "7001/udp", "8000/udp", "8001/udp", "9000/tcp"]);
    assert!(client.is_in());
    assert_eq!(host.judge(&client.to().udp(1, 51820).build()), Pass);
    assert_eq!(host.judge(&client.to().tcp(1, 2222, SYN).build()), Pass);
    assert_eq!(host.judge(&PacketBuilder::between(STRANGER_V4, SERVER_V4).udp(1, 51820).build()), Deny);
}

/// A guest on a bridge, or a host behind this one.
#[test]
fn what_is_only_forwarded_is_no_wrong_knock() {
    for (client, server, guest) in [
        (IpAddr::from(CLIENT_V4), IpAddr::from(SERVER_V4), IpAddr::from([192, 0, 2, 99])),
        (CLIENT_V6.into(), SERVER_V6.into(), IpAddr::from([0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x99])),
    ] {
        for is_guest in [true, false] {
            for wrong in [syn(client, guest, 31337), datagram(client, guest, 31337)] {
                let host = host();
                if is_guest {
                    host.change_sockets(|sockets| _ = sockets.guests.insert(guest));
                }
                judged(&host, "step 1", &syn(client, server, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
                let counted: &[_] = if is_guest { &[] } else { &[AttemptEnded] };
                judged(&host, "to somebody else, or not", &wrong.build(), Pass, counted);
            }
        }
    }
}
