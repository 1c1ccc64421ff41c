//! The lab: a server, a client and a stranger in network namespaces, with real programs in them.
//!
//! A process first goes into the [`sandbox`]; whatever it makes there is gone with it, however it
//! ends. There it makes a [`Lab`], and runs programs on its [`Host`]s.

mod accounts;
mod background;
mod barrage;
mod config;
mod daemon;
mod dev;
pub mod devices;
mod dir;
mod echo;
pub mod figures;
mod flood;
pub mod grants;
mod guest;
mod host;
mod knockctl;
mod late;
pub mod leaks;
mod lines;
mod machine;
mod mount;
mod network;
mod pause;
mod probe;
pub mod sandbox;
mod ssh;
mod sshd;
mod status;
pub mod strace;
mod tunnel;
mod wait;
mod wire;

pub use background::{Background, last_words};
pub use barrage::{Barrage, Outlet, Volley, forged};
pub use config::Config;
pub use daemon::{Daemon, GATE_STANDS};
pub use dev::Dev;
pub use echo::{Echo, Line};
pub use flood::{Flood, Flooded, accepted, cookies_sent};
pub use guest::{BRIDGE, Guest, bridge, moved_addresses, nft, setting};
pub use host::{Host, Ran};
pub use knockctl::{NOBODY, knockctl, knockctl_as_nobody, knockctl_path};
pub use late::{Late, ip};
pub use leaks::Mark;
pub use lines::Lines;
pub use machine::{Machine, MachineRoot};
pub use mount::Mount;
pub use network::{Family, Lab, SERVER_INTERFACES};
pub use pause::{Pause, pause};
pub(crate) use probe::connect_here;
pub use probe::{PATIENCE, Probe, connect, must_open, send_many, send_udp};
pub use ssh::{Session, ssh};
pub use sshd::{SSH_PORT, Sshd};
pub use status::Status;
pub use tunnel::{Device, Frames, Tunnel};
pub(crate) use wait::patience;
pub use wait::{BOOT_TIMEOUT, TIMEOUT, until};
pub use wire::{Wire, ip_packet};

/// Where the gate keeps its pins: the file system of a sandbox, seen by no other.
pub const PINS: &str = "/sys/fs/bpf/knock";
