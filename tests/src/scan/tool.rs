//! Runs a scan, and reads what its tool says of the ports.

use std::path::Path;
use std::process::{ChildStdin, Command, Output, Stdio};
use std::{fs, io::Write as _};

use anyhow::{Context as _, Result, bail, ensure};

use super::ports::Ports;
use super::row::{Row, Tool, Transport};
use crate::lab::{Background, Family, Host, Pause, SERVER_INTERFACES, TIMEOUT, pause, sandbox};

/// How long a tool waits for answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Long enough where answers come at once.
    Usual,
    /// Long enough on a machine that has no time.
    Long,
}

/// What the tool says of each port, in the order of [`Ports::all`].
pub type Said = [String; 3];

/// Scans the server from a host, in one family.
pub struct Scanner {
    host: Host,
    family: Family,
    scapy: Option<(Background, ChildStdin)>,
}

impl Scanner {
    /// A scanner on a host.
    #[must_use]
    pub const fn new(host: Host, family: Family) -> Self {
        Self { host, family, scapy: None }
    }

    /// Runs one scan.
    ///
    /// # Errors
    ///
    /// If the tool fails, or does not say a word about a port.
    pub fn scan(&mut self, row: &Row, patience: Patience) -> Result<Said> {
        let said = match row.tool {
            Tool::Nmap => self.nmap(row, patience),
            Tool::Hping => self.hping(row, patience),
            Tool::Scapy => self.scapy(row, patience),
        };
        said.with_context(|| format!("{} from the {}, {}", row.name(), self.host.name(), self.family.name()))
    }

    fn server(&self) -> String {
        self.family.address(Host::Server).to_string()
    }

    fn nmap(&self, row: &Row, patience: Patience) -> Result<Said> {
        let (retries, wait) = match patience {
            Patience::Usual => ("1", "300ms"),
            Patience::Long => ("3", "1s"),
        };
        let ports = Ports::of(row.transport).all();
        let list = ports.map(|port| port.to_string()).join(",");
        let server = self.server();
        let mut words = vec!["nmap", "-n", "-Pn", "-oX", "-", "-p", &list];
        words.extend(["--max-retries", retries, "--initial-rtt-timeout", wait, "--max-rtt-timeout", wait]);
        words.extend(row.args.split(' '));
        if self.family == Family::V6 {
            words.push("-6");
        }
        words.push(&server);
        let text = self.host.must(&words)?;
        let mut said = Said::default();
        for (port, said) in ports.iter().zip(&mut said) {
            let at = format!("portid=\"{port}\"><state ");
            let (_, rest) = text.split_once(&at).with_context(|| format!("nothing of port {port}:\n{text}"))?;
            *said = nmap_state(rest).with_context(|| format!("no state of port {port}:\n{text}"))?;
        }
        Ok(said)
    }

    /// One program for each port, all at once for TCP. Those of UDP would take the errors of each other for their own.
    fn hping(&self, row: &Row, patience: Patience) -> Result<Said> {
        let count = if patience == Patience::Usual { "1" } else { "3" };
        let server = self.server();
        let mut said = Said::default();
        let mut children = Vec::new();
        for (port, said) in Ports::of(row.transport).all().into_iter().zip(&mut said) {
            let mut command = Command::new("hping3");
            // Ports of its own, so that an answer is to one of the three.
            let own = fastrand::u16(20_000..60_000).to_string();
            let port = port.to_string();
            command.args(["-n", "-I", "eth0", "-c", count, "-i", "u300000", "-p", &port]);
            command.args(row.args.split(' '));
            if !row.args.contains(" -s ") {
                command.args(["-s", &own]);
            }
            command.arg(&server).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = self.host.spawn(&mut command)?;
            match row.transport {
                Transport::Tcp => children.push((port, said, child)),
                Transport::Udp => *said = hping_state(&child.wait_with_output()?, &port, row.transport)?,
            }
        }
        for (port, said, child) in children {
            *said = hping_state(&child.wait_with_output()?, &port, row.transport)?;
        }
        Ok(said)
    }

    fn scapy(&mut self, row: &Row, patience: Patience) -> Result<Said> {
        let (program, input) = match &mut self.scapy {
            Some(scapy) => scapy,
            none => none.insert(frames_py(self.host, self.family)?),
        };
        let wait = if patience == Patience::Usual { "0.35" } else { "3" };
        let mut said = Said::default();
        for (port, said) in Ports::of(row.transport).all().into_iter().zip(&mut said) {
            let mark = program.lines.count();
            writeln!(input, "{} {port} {wait}", row.args)?;
            *said = program.lines.wait_after(mark, "", TIMEOUT)?;
            ensure!(!said.starts_with("error"), "{said}");
        }
        Ok(said)
    }
}

/// A port that nobody protects, and that is none of those that are scanned.
const OTHER: u16 = 2090;

/// Starts `frames.py` on a host.
fn frames_py(host: Host, family: Family) -> Result<(Background, ChildStdin)> {
    let path = Path::new(sandbox::DIR).join("frames.py");
    if !path.exists() {
        let new = path.with_extension(format!("{host:?}{family:?}"));
        fs::write(&new, include_str!("frames.py"))?;
        fs::rename(&new, &path)?;
    }
    let interface = SERVER_INTERFACES[usize::from(host == Host::Stranger)];
    let text = Host::Server.must(&["ip", "-j", "link", "show", "dev", interface])?;
    let json: serde_json::Value = serde_json::from_str(&text)?;
    let mac = json[0]["address"].as_str().context("no address")?;
    // Debian's own, which python3-scapy is for.
    let mut command = Command::new("/usr/bin/python3");
    let other = OTHER.to_string();
    let (own, server) = (family.address(host).to_string(), family.address(Host::Server).to_string());
    command.arg("-B").arg(&path).args(["eth0", mac, &own, &server, &other]);
    let (program, input) = Background::talk(host, command)?;
    program.lines.wait_after(0, "ready", TIMEOUT).context("frames.py (Debian: python3-scapy)")?;
    Ok((program, input))
}

/// `state="open" reason="syn-ack" reason_ttl="64"/>...`
fn nmap_state(text: &str) -> Option<String> {
    let value = |name: &str| {
        let (_, rest) = text.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let (state, reason, ttl) = (value("state")?, value("reason")?, value("reason_ttl")?);
    // Without an answer, and to connect(2), there is none.
    let ttl = if ttl == "0" { String::new() } else { format!(" {ttl}") };
    Some(format!("{state} {reason}{ttl}"))
}

/// The first answer among the lines of hping3.
fn hping_state(output: &Output, port: &str, transport: Transport) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(errors.contains("packets transmitted"), "hping3 has sent nothing:\n{text}{errors}");
    for line in text.lines() {
        let word =
            |name: &str| line.split(' ').find_map(|word| word.strip_prefix(name)).filter(|word| !word.is_empty());
        // Which packet an error is about it does not say: all the errors of UDP come to it.
        if line.starts_with("ICMP Port Unreachable") && transport == Transport::Udp {
            return Ok("icmp 3/3".into());
        }
        if !line.starts_with("len=") {
            continue;
        }
        let ttl = word("ttl=").context("no ttl")?;
        match (transport, word("sport="), word("flags=")) {
            // It takes all that comes from the port for an answer, also what belongs to a connection of a scan beside it.
            // To a segment without a connection none has data.
            (Transport::Tcp, _, Some(flags)) if flags.contains('P') => {}
            (Transport::Tcp, Some(from), Some(flags)) if from == port => return Ok(format!("{flags} {ttl}")),
            (Transport::Tcp, ..) => bail!("an answer of another port:\n{line}"),
            (Transport::Udp, ..) => return Ok(format!("udp {ttl}")),
        }
    }
    Ok("silent".into())
}

/// A pause before a scan that asks again.
pub fn rest() {
    pause(Pause::Rescan);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read() {
        let text = r#"state="open" reason="syn-ack" reason_ttl="64"/><service name="x" method="table"/></port>"#;
        assert_eq!(nmap_state(text).as_deref(), Some("open syn-ack 64"));
        let text = r#"state="open|filtered" reason="no-response" reason_ttl="0"/>"#;
        assert_eq!(nmap_state(text).as_deref(), Some("open|filtered no-response"));
    }
}
