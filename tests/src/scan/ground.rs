//! The server that is scanned: protected ports with servers behind them, and beside them ports that are open to
//! all, and closed ones.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::ports::Ports;
use super::row::Transport;
use super::witness::Witness;
use crate::lab::{Config, Family, Host, Probe, SSH_PORT, Status, Wire, connect};
use crate::story::World;

/// What becomes of a packet that is denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deny {
    /// No answer.
    Drop,
    /// That of a closed port.
    Reject,
}

impl Deny {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Drop, Self::Reject];

    /// As the config has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }

    /// The gate that is scanned.
    #[must_use]
    pub fn config(self) -> Config {
        Config::lab()
            .with("[\"2222/tcp\"]", "[\"2222/tcp\", \"5000/udp\"]")
            .with("cmd_timeout = \"4s\"", "cmd_timeout = \"1h\"")
            .set("verify_checksums", "true")
            .option("deny", &format!("\"{}\"", self.name()))
    }
}

/// How long the client waits for an open port after its knock: no knock is lost for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(3);

/// The lab, the gate, and what listens.
pub struct Ground {
    /// Watches what the server sends.
    pub witness: Witness,
    _servers: Servers,
    _wires: [Wire; 2],
    world: World,
}

impl Ground {
    /// Makes it, with a gate of this config.
    ///
    /// # Errors
    ///
    /// If the lab or the gate does not stand.
    pub fn new(config: &Config) -> Result<Self> {
        let mut world = World::new(Family::V4, None)?;
        // Clients whose checksums are those on the wire, and whose end of the pair takes what the gate answers.
        for host in [Host::Client, Host::Stranger] {
            host.must(&["ethtool", "-K", "eth0", "tx", "off"])?;
        }
        // Scans run beside one another: no fragment is forgotten for the many that its source sends meanwhile.
        Host::Server.enter(|| fs::write("/proc/sys/net/ipv4/ipfrag_max_dist", "0").context("ipfrag_max_dist"))?;
        let wires = [Wire::tap(Host::Client)?, Wire::tap(Host::Stranger)?];
        let servers = Servers::start()?;
        let witness = Witness::start()?;
        world.start(config)?;
        Ok(Self { witness, _servers: servers, _wires: wires, world })
    }

    /// Lets the client knock, once in each family, and says what the port is to it then.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub fn knock(&mut self) -> Result<Vec<(Family, Probe)>> {
        let mut knocks = Vec::new();
        for family in Family::ALL {
            self.world.family = family;
            self.world.knock_open()?;
            knocks.push((family, connect(Host::Client, self.world.server(SSH_PORT), PATIENCE)?.0));
        }
        Ok(knocks)
    }

    /// Who holds a grant.
    ///
    /// # Errors
    ///
    /// If there is no gate.
    pub fn granted(&self) -> Result<Vec<IpAddr>> {
        let status = Status::read()?;
        let sources = status.grants().iter().map(|grant| grant["source"].as_str().unwrap_or_default().parse());
        sources.collect::<Result<_, _>>().context("a source of a grant")
    }

    /// Frames that both hosts have sent.
    ///
    /// # Errors
    ///
    /// If the kernel does not say.
    pub fn frames(&self) -> Result<u64> {
        let mut frames = 0;
        for host in [Host::Client, Host::Stranger] {
            let text = host.must(&["ip", "-j", "-s", "link", "show", "dev", "eth0"])?;
            let json: serde_json::Value = serde_json::from_str(&text)?;
            frames += json[0]["stats64"]["tx"]["packets"].as_u64().context("no counter")?;
        }
        Ok(frames)
    }
}

/// Everybody but these has no business with a protected port: sockets of the server with others.
///
/// # Errors
///
/// If they cannot be listed.
pub fn sockets_with_others(granted: &[IpAddr]) -> Result<Vec<String>> {
    let port = Ports::of(Transport::Tcp).protected;
    let filter = format!("( sport = :{port} )");
    let text = Host::Server.must(&["ss", "-H", "-t", "-n", "state", "all", "exclude", "listening", &filter])?;
    let peer = |line: &str| -> Option<IpAddr> {
        let address = line.split_whitespace().last()?.parse::<SocketAddr>().ok()?;
        Some(address.ip().to_canonical())
    };
    let others = text.lines().filter(|line| peer(line).is_none_or(|peer| !granted.contains(&peer)));
    Ok(others.map(str::to_owned).collect())
}

/// Answers on the ports that are not sshd's.
struct Servers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Servers {
    fn start() -> Result<Self> {
        let any = |port: u16| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let (tcp, udp) = (Ports::of(Transport::Tcp), Ports::of(Transport::Udp));
        let (listener, sockets) = Host::Server.enter(|| {
            let listener = TcpListener::bind(any(tcp.open))?;
            let mut sockets = Vec::new();
            for family in Family::ALL {
                for port in [udp.open, udp.protected] {
                    // One that answers from the address that was asked, whichever way the answer goes.
                    sockets.push(UdpSocket::bind((family.address(Host::Server), port))?);
                }
            }
            Ok((listener, sockets))
        })?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut threads = vec![thread::spawn(move || {
            while !stopped.load(Relaxed) {
                match listener.accept() {
                    Ok((mut stream, _)) => drop(stream.write_all(b"hello\n")),
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        })];
        for socket in sockets {
            socket.set_read_timeout(Some(Duration::from_millis(50)))?;
            let stopped = Arc::clone(&stop);
            threads.push(thread::spawn(move || {
                let mut buffer = [0; 2000];
                while !stopped.load(Relaxed) {
                    if let Ok((_, source)) = socket.recv_from(&mut buffer) {
                        let _ = socket.send_to(b"here", source);
                    }
                }
            }));
        }
        Ok(Self { stop, threads })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}
