//! The judgement of single frames, on hosts of several kinds.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use knock_common::abi::counter::Counter;
use knock_common::abi::grant::{FOR_GOOD, Grant, GrantKey, HOST_BITS, Origin, Prefix};
use knock_common::abi::rules::Name;
use knock_common::addr::Addr;
use knock_common::gate::Verdict;
use knock_common::gate::reject::answer::Sender;
use knock_common::packet::{self, Packet};

use super::reading::{self, Segment};
use super::seeds;
use crate::memory::Memory;
use crate::model::{Port, Protocol, Sockets};
use crate::packet::{ACK, CLIENT_V4, CLIENT_V6, PacketBuilder, SERVER_V4, SERVER_V6, STRANGER_V4, SYN};
use crate::tables::Tables;

const SERVICES: [Port; 2] = [Port(2222, Protocol::Tcp), Port(51820, Protocol::Udp)];
/// The client's end of its connections to `ssh2`, which are in no grant.
pub(super) const CONNECTED: u16 = 40_000;
/// Somewhere after boot, in ns.
const NOW: u64 = 1_000_000 << 16;
/// Who has a grant, on half of the hosts.
const GRANTED: &str = "203.0.113.9";
const TRUSTED: [u8; 3] = [198, 51, 100];

const RULES: &str = r#"
[options]
interfaces = ["eth0"]
trusted = ["198.51.100.192/28"]
OPTIONS

[services.ssh2]
ports = ["2222/tcp"]

[services.wg]
ports = ["51820/udp"]
keepalive = true

[doors.open]
service = "ssh2"
sequence = ["7000/tcp", "8000/udp", "9000/tcp"]
cmd_timeout = "60s"

[doors.close]
service = "ssh2"
action = "close"
sequence = ["9000/tcp", "7000/tcp"]
"#;

static TABLES: LazyLock<Vec<Arc<Tables>>> = LazyLock::new(|| {
    let load = |options: &str| Arc::new(Tables::from_toml(&RULES.replace("OPTIONS", options)));
    ["", "deny = \"reject\"", "verify_checksums = false\ndeny = \"reject\"", "stealth = false"].map(load).to_vec()
});

/// The first octet says which host, the others are the frame.
pub fn run(octets: &[u8]) {
    let Some((kind, frame)) = octets.split_first() else { return };
    let kind = usize::from(*kind) % 8;
    let host = host(kind);
    let before = host.grants();
    let (verdict, answer) = host.answer(frame, Sender { ttl: 64, hop_limit: 64, id: 1, key: 7 });
    if let Some(segment) = reading::read(frame) {
        check(&segment, verdict, kind);
    }
    assert_eq!(before.len(), host.grants().len(), "one frame opens or closes nothing here");
    let denials = Counter::ALL.iter().filter(|counter| counter.name().starts_with("deny_"));
    let denied: u64 = denials.map(|counter| host.counter(*counter)).sum();
    assert_eq!(denied, u64::from(verdict != Verdict::Pass), "each denial has one reason");
    if let Some(answer) = answer {
        check_answer(frame, &answer);
    }
    // Whatever it was, strangers stay out and connections stay up.
    let stranger = PacketBuilder::between(STRANGER_V4, SERVER_V4).tcp(1, 2222, SYN).build();
    assert_ne!(host.judge(&stranger), Verdict::Pass);
    let connected = PacketBuilder::between(CLIENT_V6, SERVER_V6).tcp(CONNECTED, 2222, ACK).build();
    assert_eq!(host.judge(&connected), Verdict::Pass);
}

/// A frame of the tables for each host.
pub fn seeds() -> Vec<Vec<u8>> {
    let frames = seeds::frames().into_iter().enumerate();
    frames.map(|(index, frame)| [&[(index % 8) as u8], frame.as_slice()].concat()).collect()
}

fn flows() -> [(IpAddr, u16, IpAddr, u16); 2] {
    let pairs: [(IpAddr, IpAddr); 2] = [(CLIENT_V4.into(), SERVER_V4.into()), (CLIENT_V6.into(), SERVER_V6.into())];
    pairs.map(|(client, server)| (client, CONNECTED, server, 2222))
}

fn host(kind: usize) -> Memory {
    let sockets = Sockets { listening: SERVICES.into(), connections: flows().into(), ..Sockets::default() };
    let host = Memory::new(Arc::clone(&TABLES[kind % 4])).with_sockets(sockets).with_tokens(1000);
    host.set_now(NOW);
    if kind >= 4 {
        let source: IpAddr = GRANTED.parse().expect("an address");
        for service in ["ssh2", "wg"] {
            let key = GrantKey::new(Name::new(service).expect("a name").tag(), &source.into(), &Prefix::new(HOST_BITS));
            host.allow(key, Grant { until: FOR_GOOD, origin: Origin::Command as u32, ..Grant::NONE });
        }
    }
    host
}

fn check(segment: &Segment, verdict: Verdict, kind: usize) {
    if !SERVICES.contains(&segment.to) {
        return;
    }
    let granted = kind >= 4 && segment.source.to_string() == GRANTED;
    let trusted = match segment.source {
        IpAddr::V4(v4) => v4.octets()[..3] == TRUSTED && v4.octets()[3] & 0xf0 == 192,
        IpAddr::V6(_) => false,
    };
    if segment.may_open() && !granted && !trusted {
        assert_ne!(verdict, Verdict::Pass, "a new flow without grant or trust: {segment:?}");
    }
    let flow = (segment.source, segment.from, segment.dest, segment.to.0);
    if segment.may_belong() && flows().contains(&flow) {
        assert_eq!(verdict, Verdict::Pass, "of an established connection: {segment:?}");
    }
    if segment.is_sound && granted && segment.may_belong() {
        assert_eq!(verdict, Verdict::Pass, "under a grant: {segment:?}");
    }
}

/// An answer goes back to where the frame came from, and asks for nothing.
fn check_answer(frame: &[u8], answer: &[u8]) {
    let (mut asked, mut said) = (Packet::BLANK, Packet::BLANK);
    assert_eq!(packet::parse(frame, &mut asked), Ok(()));
    assert_eq!(answer[..6], frame[6..12]);
    match packet::parse(answer, &mut said) {
        Ok(()) => {
            assert_eq!((said.src, said.dst), (asked.dst, asked.src));
            assert_eq!((said.sport, said.dport), (asked.dport, asked.sport));
            assert!(!said.opens() && said.flags & crate::packet::RST != 0);
            assert!(knock_common::packet::checksum::is_right(answer, &said));
        }
        Err(packet::Other::Foreign) => assert_ne!(Addr::ANY, asked.src),
        Err(other) => panic!("an answer that is {other:?}"),
    }
}
