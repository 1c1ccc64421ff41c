//! The network of the lab: one veth pair from the server to each other host. Addresses from the
//! ranges for documentation; neighbours are found as everywhere, through the gate.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Host, Mount, Probe, TIMEOUT, connect, until};

/// The server's interfaces, to the client and to the stranger.
pub const SERVER_INTERFACES: [&str; 2] = ["eth0", "eth1"];

/// The address family of a test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// The address of a host; the server's is the same for all, and the guest's is that of one to which it routes.
    #[must_use]
    pub const fn address(self, host: Host) -> IpAddr {
        match (self, host) {
            (Self::V4, Host::Server) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            (Self::V4, Host::Client) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
            (Self::V4, Host::Stranger) => IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2)),
            (Self::V4, Host::Guest) => IpAddr::V4(Ipv4Addr::new(203, 0, 113, 130)),
            (Self::V6, Host::Server) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1)),
            (Self::V6, Host::Client) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2)),
            (Self::V6, Host::Stranger) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2)),
            (Self::V6, Host::Guest) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 8, 0, 0, 0, 0, 2)),
        }
    }
}

/// The lab itself. There is one at a time in a sandbox.
pub struct Lab {
    _hosts: Vec<Namespace>,
    _mounts: [Mount; 3],
}

impl Lab {
    /// Makes the hosts and their network, with a bpffs and a run-time directory that are empty.
    ///
    /// # Errors
    ///
    /// If this is not a sandbox, or the kernel lacks what it takes.
    pub fn new() -> Result<Self> {
        // As systemd mounts the one, and makes the others.
        let mounts = [
            Mount::with("bpf", "/sys/fs/bpf", "mode=0700")?,
            Mount::with("tmpfs", "/run/knock", "mode=0700")?,
            Mount::with("tmpfs", "/run/state", "mode=0755")?,
        ];
        let hosts: Vec<Namespace> = Host::ALL.into_iter().map(Namespace::new).collect::<Result<_>>()?;
        link(SERVER_INTERFACES[0], Host::Client, "192.0.2.", "2001:db8:1::")?;
        link(SERVER_INTERFACES[1], Host::Stranger, "198.51.100.", "2001:db8:2::")?;
        let lab = Self { _hosts: hosts, _mounts: mounts };
        wait_for_network()?;
        Ok(lab)
    }
}

/// A veth pair from the server to a host, where it is `eth0`, and the networks on it by how their
/// addresses begin. One queue, so that packets arrive in the order in which they were sent, whichever
/// CPUs send them.
fn link(interface: &str, to: Host, v4: &str, v6: &str) -> Result<()> {
    let queues = "numtxqueues 1 numrxqueues 1";
    let pair = format!("name {interface} netns server {queues} type veth peer name eth0 netns {} {queues}", to.name());
    ip(None, &format!("link add {pair}\n"))?;
    let up = |interface: &str, number: u32| {
        format!(
            "addr add {v4}{number}/24 dev {interface}
             addr add {v6}{number}/64 dev {interface} nodad
             link set {interface} up\n"
        )
    };
    ip(Some(Host::Server), &up(interface, 1))?;
    let routes = format!("route add 0.0.0.0/0 via {v4}1\nroute add ::/0 via {v6}1\n");
    ip(Some(to), &(up("eth0", 2) + &routes))
}

/// Runs lines of iproute2.
fn ip(host: Option<Host>, lines: &str) -> Result<()> {
    let mut command = Command::new("ip");
    if let Some(host) = host {
        command.args(["-n", host.name()]);
    }
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start ip (Debian: iproute2)")?;
    child.stdin.take().context("its standard input is piped")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("ip: {}in:\n{lines}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// A port on which nothing ever listens refuses as soon as packets get through.
fn wait_for_network() -> Result<()> {
    for family in Family::ALL {
        for host in [Host::Client, Host::Stranger] {
            let server = (family.address(Host::Server), 1).into();
            until("the network of the lab", TIMEOUT, || {
                let probe = connect(host, server, Duration::from_millis(50));
                matches!(probe, Ok((Probe::Refused, _))).then_some(())
            })?;
        }
    }
    Ok(())
}

/// A network namespace, with `lo` up.
pub(super) struct Namespace(Host);

impl Namespace {
    pub fn new(host: Host) -> Result<Self> {
        let name = host.name();
        ip(None, &format!("netns add {name}\n"))?;
        let namespace = Self(host);
        // A host without IPv6 may hand that down.
        host.enter(|| {
            for which in ["all", "default"] {
                fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "0")
                    .context("this kernel has no IPv6")?;
            }
            Ok(())
        })?;
        ip(Some(host), "link set lo up\n")?;
        Ok(namespace)
    }

    /// Ends whatever still runs here: an ssh session, for one, outlives the server that began it.
    fn end_programs(&self) -> Result<()> {
        let is_gone = || {
            let ids = programs_on(self.0).ok()?;
            for &id in &ids {
                // An error means that it has ended.
                let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
            }
            ids.is_empty().then_some(())
        };
        until("the end of the programs in the lab", TIMEOUT, is_gone)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let ended = self.end_programs();
        let deleted = ip(None, &format!("netns del {}\n", self.0.name()));
        if let Err(error) = ended.and(deleted) {
            eprintln!("lab: {error:#}");
        }
    }
}

/// The processes on a host.
fn programs_on(host: Host) -> Result<Vec<i32>> {
    use std::os::unix::fs::MetadataExt;
    let namespace = fs::metadata(host.path())?;
    let mut ids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that is ending has no namespace any more.
        if let Ok(own) = fs::metadata(entry.path().join("ns/net"))
            && own.ino() == namespace.ino()
        {
            ids.push(id);
        }
    }
    Ok(ids)
}
