//! Rule 17: what the ring buffer tells, field by field.

use std::net::IpAddr;

use knock_common::abi::event::{Event, Kind};
use knock_common::abi::rules::Name;
use knock_common::addr::Addr;
use tests::packet::{CLIENT_V4, CLIENT_V6, PacketBuilder, SERVER_V4, SERVER_V6};

use crate::common::{NOW, SECOND, datagram, host_of, syn};

const CONFIG: &str = r#"
[options]
interfaces = ["eth0"]

[services.ssh2]
ports = ["2222/tcp"]

[doors.open]
service = "ssh2"
sequence = ["7000/tcp", "8000/udp"]
seq_timeout = "10s"
cmd_timeout = "60s"
grant_prefix_v6 = 64

[doors.close]
service = "ssh2"
action = "close"
sequence = ["6000/udp"]

[doors.other]
service = "ssh2"
sequence = ["5001/tcp", "5000/tcp"]
"#;

/// `seq_timeout`, in whole ticks of 2^16 ns.
const IN_TIME: u64 = (10 * SECOND).next_multiple_of(1 << 16);
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A packet, when it comes, and what is told of it.
type Row = (PacketBuilder, u64, Option<Event>);

#[test]
fn every_kind_of_event_says_what_happened() {
    let pairs: [(IpAddr, IpAddr); 2] = [(CLIENT_V4.into(), SERVER_V4.into()), (CLIENT_V6.into(), SERVER_V6.into())];
    for (client, server) in pairs {
        let host = host_of(CONFIG).with_tokens(1);
        for (packet, after, expected) in rows(client, server) {
            host.set_now(NOW + after);
            let _ = host.judge(&packet.build());
            assert_eq!(host.take_events(), expected.as_slice(), "{packet:?}");
        }
    }
}

fn rows(client: IpAddr, server: IpAddr) -> Vec<Row> {
    let tag = |name| Name::new(name).expect("a name").tag();
    let (open, close, ssh2) = (tag("open"), tag("close"), tag("ssh2"));
    let bits = if client.is_ipv4() { 128 } else { 64 };
    let event = |kind: Kind, after: u64, port: u16, transport: u8| Event {
        at: NOW + after,
        until: 0,
        source: Addr::from(client),
        door: 0,
        service: 0,
        port,
        kind: kind as u8,
        step: 0,
        transport,
        bits: 0,
        interface: if matches!(kind, Kind::Stage | Kind::Wrong) { 0 } else { 1 },
        sport: 40_000,
        ..Event::NONE
    };
    let tcp = |port| syn(client, server, port);
    let udp = |port| datagram(client, server, port);
    let stage = |after, port, transport| Event { door: open, step: 1, ..event(Kind::Stage, after, port, transport) };
    let grant = |kind, after, until| Event {
        until: NOW + until,
        door: open,
        service: ssh2,
        step: 2,
        bits,
        ..event(kind, after, 8000, UDP)
    };
    let closed =
        Event { door: close, service: ssh2, step: 1, bits: 128, ..event(Kind::Closed, 65 * SECOND, 6000, UDP) };
    // Ticks of an attempt are counted from its beginning; so is what is left of it.
    let wrong_at = SECOND;
    let ticks = |time: u64| time >> 16;
    let left = IN_TIME - ((ticks(NOW + wrong_at) - ticks(NOW)) << 16);
    let wrong = Event { until: NOW + wrong_at + left, ..stage(wrong_at, 31337, TCP) };
    let crossed = Event { until: NOW + 70 * SECOND + IN_TIME, ..stage(70 * SECOND, 5000, TCP) };
    vec![
        (tcp(2222), 0, Some(Event { service: ssh2, ..event(Kind::Denied, 0, 2222, TCP) })),
        (tcp(2222), 0, None),
        (tcp(7000), 0, Some(Event { until: NOW + IN_TIME, ..stage(0, 7000, TCP) })),
        (tcp(7000), 0, None),
        (tcp(31337), wrong_at, Some(Event { kind: Kind::Wrong as u8, ..wrong })),
        (tcp(7000), 2 * SECOND, Some(Event { until: NOW + 2 * SECOND + IN_TIME, ..stage(2 * SECOND, 7000, TCP) })),
        (udp(8000), 3 * SECOND, Some(grant(Kind::Opened, 3 * SECOND, 63 * SECOND))),
        (tcp(2222), 3 * SECOND, None),
        (tcp(7000), 4 * SECOND, Some(Event { until: NOW + 4 * SECOND + IN_TIME, ..stage(4 * SECOND, 7000, TCP) })),
        (udp(8000), 5 * SECOND, Some(grant(Kind::Extended, 5 * SECOND, 65 * SECOND))),
        (udp(6000), 65 * SECOND, Some(closed)),
        // A knock of another door ends an attempt as well.
        (tcp(7000), 70 * SECOND, Some(Event { until: NOW + 70 * SECOND + IN_TIME, ..stage(70 * SECOND, 7000, TCP) })),
        (tcp(5000), 70 * SECOND, Some(Event { kind: Kind::Wrong as u8, ..crossed })),
    ]
}
