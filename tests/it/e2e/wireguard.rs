//! A real WireGuard behind a knock: a UDP service whose own traffic keeps its grant alive.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tests::harness::{Test, waiting_tests};
use tests::lab::{
    Background, Config, Family, Host, PATIENCE, Pause, Probe, Status, TIMEOUT, connect, pause, sandbox, until,
};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    waiting_tests!["e2e::wireguard"; a_tunnel_stands_behind_a_knock_as_long_as_it_is_used]
}

/// WireGuard's, at both ends.
pub const PORT: u16 = 51820;

/// One end of a tunnel, in user space.
pub struct End {
    host: Host,
    device: &'static str,
    public: String,
    _program: Background,
}

impl End {
    pub fn new(host: Host, device: &'static str, address: &str) -> Result<Self> {
        let mut command = Command::new("wireguard-go");
        command.args(["--foreground", device]);
        let program = Background::start(host, command, None)?;
        let socket = format!("/run/wireguard/{device}.sock");
        until("wireguard-go", TIMEOUT, || Path::new(&socket).exists().then_some(()))?;
        let private = host.must(&["wg", "genkey"])?;
        let file = format!("{}/{device}.key", sandbox::DIR);
        std::fs::write(&file, &private)?;
        let mut pubkey = Command::new("wg");
        let mut child = host.spawn(pubkey.arg("pubkey").stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        std::io::Write::write_all(&mut child.stdin.take().context("piped")?, private.as_bytes())?;
        let public = String::from_utf8(child.wait_with_output()?.stdout)?.trim().to_owned();
        host.must(&["wg", "set", device, "private-key", &file, "listen-port", &PORT.to_string()])?;
        host.must(&["ip", "addr", "add", address, "dev", device])?;
        host.must(&["ip", "link", "set", device, "up"])?;
        Ok(Self { host, device, public, _program: program })
    }

    pub fn peer(&self, other: &Self, words: &[&str]) -> Result<()> {
        let set = ["wg", "set", self.device, "peer", &other.public, "allowed-ips", "203.0.113.0/24"];
        self.host.must(&[&set, words].concat()).map(drop)
    }
}

fn a_tunnel_stands_behind_a_knock_as_long_as_it_is_used() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let config = Config::lab()
        .with("ports = [\"2222/tcp\"]", "ports = [\"51820/udp\"]\nkeepalive = true")
        .set("cmd_timeout", "\"3s\"")
        .option("flow_idle", "\"1s\"");
    world.start(&config)?;
    let server = End::new(Host::Server, "wg-server", "203.0.113.1/24")?;
    let client = End::new(Host::Client, "wg-client", "203.0.113.2/24")?;
    server.peer(&client, &[])?;
    client.peer(&server, &["endpoint", &world.server(PORT).to_string(), "persistent-keepalive", "1"])?;
    // Whoever gets an answer from inside the tunnel is through.
    let inside = SocketAddr::from(([203, 0, 113, 1], 1));
    let probe = || connect(Host::Client, inside, PATIENCE).map(|found| found.0);
    assert_eq!(probe()?, Probe::Silent);
    world.knock_open()?;
    // WireGuard tries again every five seconds.
    world.command(&["allow", &world.address(Host::Client).to_string(), "--for", "20s"])?;
    until("the tunnel", Duration::from_secs(15), || (probe().ok()? == Probe::Refused).then_some(()))?;
    world.revoke()?;
    world.knock_open()?;
    // Three windows long.
    for _ in 0..9 {
        pause(Pause::TrafficOfTunnel);
        assert_eq!(probe()?, Probe::Refused);
    }
    assert!(Status::read()?.counter("grant_extended") >= 2, "{}", Status::read()?.0);
    // Not used, it ends with its window, and its flow sooner.
    client.peer(&server, &["persistent-keepalive", "off"])?;
    until("the end of the grant", TIMEOUT, || Status::read().ok()?.grants().is_empty().then_some(()))?;
    assert_eq!(probe()?, Probe::Silent);
    Ok(())
}
