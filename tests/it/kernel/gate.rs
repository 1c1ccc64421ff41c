//! A gate in the kernel, and what became of a frame there.

use std::net::IpAddr;

use anyhow::Result;
use knock_common::abi::counter::Counter;
use knock_common::gate::Verdict;
use tests::kernel::{Kernel, Room};
use tests::packet::{CLIENT_V4, CLIENT_V6, PacketBuilder, SERVER_V4, SERVER_V6, SYN};
use tests::tables::Tables;

/// `ssh2` behind a sequence of three and one of one, and a network that need not knock.
pub const CONFIG: &str = r#"
[options]
interfaces = ["eth0"]
trusted = ["198.51.100.192/28"]

[services.ssh2]
ports = ["2222/tcp"]

[services.wg]
ports = ["51820/udp"]

[doors.open]
service = "ssh2"
sequence = ["7000/tcp", "8000/udp", "9000/tcp"]
seq_timeout = "10s"
cmd_timeout = "60s"

[doors.single]
service = "ssh2"
sequence = ["6000/tcp"]
cmd_timeout = "30s"
"#;

/// A time somewhere after boot, in ns.
pub const NOW: u64 = 1_000_000 << 16;

/// A client and a server of each family.
pub fn pairs() -> [(IpAddr, IpAddr); 2] {
    [(CLIENT_V4.into(), SERVER_V4.into()), (CLIENT_V6.into(), SERVER_V6.into())]
}

/// Does `work` in a network of its own, whose host has all the addresses, on one CPU.
pub fn alone<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let addresses: Vec<IpAddr> = pairs().into_iter().flat_map(|(client, server)| [client, server]).collect();
    tests::kernel::alone(&addresses, work)
}

/// A TCP SYN.
pub fn syn(from: impl Into<IpAddr>, to: impl Into<IpAddr>, port: u16) -> PacketBuilder {
    PacketBuilder::between(from, to).tcp(40_000, port, SYN)
}

/// A UDP datagram.
pub fn datagram(from: impl Into<IpAddr>, to: impl Into<IpAddr>, port: u16) -> PacketBuilder {
    PacketBuilder::between(from, to).udp(40_000, port).payload(b"knock")
}

/// A loaded program at [`NOW`], with enough tokens to log every denial.
pub struct Gate(pub Kernel);

impl Gate {
    /// With this config.
    pub fn of(config: &str) -> Result<Self> {
        Self::with_room(config, Room::default())
    }

    /// With this config and room.
    pub fn with_room(config: &str, room: Room) -> Result<Self> {
        let mut kernel = Kernel::load(&Tables::from_toml(config), room)?;
        kernel.set_now(NOW);
        kernel.set_tokens(1 << 20);
        Ok(Self(kernel))
    }

    /// Judges the frame and holds the verdict, and everything that was counted, against what is
    /// expected.
    #[track_caller]
    pub fn judges(&mut self, what: &str, frame: &[u8], verdict: Verdict, counted: &[Counter]) {
        let before = self.0.all_counters();
        assert_eq!(self.0.judge_frame(frame).expect("the kernel runs it"), verdict, "{what}");
        assert_eq!(names(&self.counted_since(&before)), names(counted), "{what}");
    }

    /// The counters that have grown, once for each time.
    pub fn counted_since(&self, before: &[u64; Counter::COUNT]) -> Vec<Counter> {
        let after = self.0.all_counters();
        let times = |counter: &Counter| after[*counter as usize] - before[*counter as usize];
        Counter::ALL.iter().flat_map(|counter| (0..times(counter)).map(|_| *counter)).collect()
    }
}

/// The names, in the order of the counters.
pub fn names(counters: &[Counter]) -> Vec<&'static str> {
    let mut sorted = counters.to_vec();
    sorted.sort_by_key(|counter| *counter as usize);
    sorted.into_iter().map(Counter::name).collect()
}
