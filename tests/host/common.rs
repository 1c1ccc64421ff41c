//! A host with a small gate, and what became of a frame there.

use std::net::IpAddr;

use knock_common::abi::counter::Counter;
use knock_common::abi::grant::{Grant, GrantKey, HOST_BITS, Origin, Prefix};
use knock_common::abi::rules::Name;
use knock_common::addr::Addr;
use knock_common::gate::Verdict;
use tests::fuzz::seeds;
use tests::memory::Memory;
use tests::model::{Port, Protocol, Sockets};
use tests::packet::{PacketBuilder, SYN};
use tests::tables::Tables;

/// `ssh2` behind a sequence of three, `wg` behind one of two, and a network that need not knock.
pub const CONFIG: &str = r#"
[options]
interfaces = ["eth0"]
trusted = ["198.51.100.192/28", "2001:db8:0:200::/64"]

[services.ssh2]
ports = ["2222/tcp"]

[services.wg]
ports = ["51820/udp"]
keepalive = true

[doors.open]
service = "ssh2"
sequence = ["7000/tcp", "8000/udp", "9000/tcp"]
seq_timeout = "10s"
cmd_timeout = "60s"

[doors.close]
service = "ssh2"
action = "close"
sequence = ["9000/tcp", "7000/tcp"]

[doors.tunnel]
service = "wg"
sequence = ["7001/udp", "8001/udp"]
cmd_timeout = "30s"
"#;

/// A time somewhere after boot, in ns.
pub const NOW: u64 = 1_000_000 << 16;
/// In ns.
pub const SECOND: u64 = 1_000_000_000;

/// The host of [`CONFIG`], on which both services run.
pub fn host() -> Memory {
    host_of(CONFIG)
}

/// A host with another config, on which the services of [`CONFIG`] run.
pub fn host_of(config: &str) -> Memory {
    host_like(Tables::from_toml(config))
}

/// A host with these tables, on which the services of [`CONFIG`] run.
pub fn host_like(tables: Tables) -> Memory {
    let listening = [Port(2222, Protocol::Tcp), Port(51820, Protocol::Udp), Port(22, Protocol::Tcp)];
    let sockets = Sockets { listening: listening.into(), ..Sockets::default() };
    let host = Memory::new(tables).with_sockets(sockets).with_tokens(1000);
    host.set_now(NOW);
    host
}

/// A TCP SYN.
pub fn syn(from: impl Into<IpAddr>, to: impl Into<IpAddr>, port: u16) -> PacketBuilder {
    PacketBuilder::between(from, to).tcp(40_000, port, SYN)
}

/// A UDP datagram.
pub fn datagram(from: impl Into<IpAddr>, to: impl Into<IpAddr>, port: u16) -> PacketBuilder {
    PacketBuilder::between(from, to).udp(40_000, port).payload(b"knock")
}

/// Writes a grant as `knockctl allow` does.
pub fn allow(host: &Memory, source: impl Into<IpAddr>, service: &str, until: u64) {
    let tag = Name::new(service).expect("a name").tag();
    let key = GrantKey::new(tag, &Addr::from(source.into()), &Prefix::new(HOST_BITS));
    host.allow(key, Grant { until, origin: Origin::Command as u32, ..Grant::NONE });
}

/// Judges the frame and holds the verdict, and everything that was counted, against what is
/// expected.
#[track_caller]
pub fn judged(host: &Memory, what: &str, frame: &[u8], verdict: Verdict, counted: &[Counter]) {
    seeds::keep("packet", frame);
    seeds::keep("gate", &[&[0], frame].concat());
    let before: Vec<u64> = Counter::ALL.iter().map(|counter| host.counter(*counter)).collect();
    assert_eq!(host.judge(frame), verdict, "{what}");
    let grown = Counter::ALL.iter().flat_map(|counter| {
        let times = host.counter(*counter) - before[*counter as usize];
        (0..times).map(|_| counter.name())
    });
    let mut expected: Vec<_> = counted.iter().map(|counter| counter.name()).collect();
    expected.sort_by_key(|name| Counter::ALL.iter().position(|counter| counter.name() == *name));
    assert_eq!(grown.collect::<Vec<_>>(), expected, "{what}");
}
