//! Debian's fwknopd as it ships: it listens by pcap, and opens the article's chain by rules of its own. Keys for
//! Rijndael and HMAC, as its manual makes them.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use knock_common::packet::Transport;

use super::guard::Guard;
use super::iptables::Chain;
use crate::bench::knock::{Knock, Packet};
use crate::lab::{Background, Family, Host, Mount, TIMEOUT, sandbox};

/// Where its packets go.
const PORT: u16 = 62201;

/// fwknopd on the server.
pub struct Fwknop {
    program: Background,
    took: Duration,
    dir: PathBuf,
    _run: Mount,
    _chain: Chain,
}

impl Fwknop {
    /// Makes keys and starts it, and waits until it listens.
    ///
    /// # Errors
    ///
    /// If it does not, with what it says.
    pub fn start() -> Result<Self> {
        let dir = Path::new(sandbox::DIR).join("fwknop");
        fs::create_dir_all(&dir)?;
        // What it has seen of keys that are no more.
        let run = Mount::new("tmpfs", &dir)?;
        let server = Family::V4.address(Host::Server).to_string();
        let keys = dir.join("keys");
        let make = ["fwknop", "--no-rc-file", "-A", "tcp/2222", "-D", &server, "--key-gen", "--key-gen-file"];
        Host::Client.must(&[&make[..], &[&path(&keys)]].concat()).context("fwknop's keys")?;
        let keys = fs::read_to_string(keys)?;
        write(&dir.join("access.conf"), &format!("SOURCE ANY\nOPEN_PORTS tcp/2222\nFW_ACCESS_TIMEOUT 60\n{keys}"))?;
        write(&dir.join("fwknopd.conf"), "PCAP_INTF eth0;\n")?;
        write(
            &dir.join("rc"),
            &format!("[default]\nACCESS tcp/2222\nSPA_SERVER {server}\nUSE_HMAC Y\n{}", keys.replace(':', "")),
        )?;
        let chain = Chain::new()?;
        let mut command = Command::new("fwknopd");
        let file = |name: &str| path(&dir.join(name));
        command.args(["-f", "-c", &file("fwknopd.conf"), "-a", &file("access.conf"), "-r", &path(&dir)]);
        command.args(["-p", &file("pid"), "-d", &file("digests")]);
        let start = Instant::now();
        let program = Background::start(Host::Server, command, None)?;
        program.lines.wait_after(0, "Starting fwknopd main event loop", TIMEOUT)?;
        Ok(Self { program, took: start.elapsed(), dir, _run: run, _chain: chain })
    }
}

impl Guard for Fwknop {
    fn process(&self) -> Option<u32> {
        Some(self.program.id())
    }

    fn took(&self) -> Duration {
        self.took
    }

    /// Its client makes the packet, which takes it longer than anything that is measured; it is sent later.
    fn knock(&self, source: Ipv4Addr) -> Result<Knock> {
        let (rc, packet) = (path(&self.dir.join("rc")), self.dir.join("packet"));
        let source = source.to_string();
        let words = ["fwknop", "--rc-file", &rc, "-n", "default", "-a", &source, "--test", "--save-packet"];
        Host::Client.must(&[&words[..], &[&path(&packet)]].concat()).context("fwknop's packet")?;
        let payload = fs::read(&packet)?;
        let payload = payload.strip_suffix(b"\n").unwrap_or(&payload).to_vec();
        fs::remove_file(packet)?;
        Ok(Knock(vec![Packet { port: PORT, transport: Transport::Udp, payload }]))
    }

    fn first_knock(&self) -> (u16, Transport) {
        (PORT, Transport::Udp)
    }
}

impl Drop for Fwknop {
    fn drop(&mut self) {
        // It takes its rules out; the chain's end takes whatever it leaves.
        if let Err(error) = self.program.terminate() {
            eprintln!("bench: {error:#}");
        }
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// Its files are for its eyes only, or it says so.
fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}
