//! What the chapters are played with.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use knock_user::client::hit;
use knock_user::config::{PortNames, PortRange};

use super::Happened;
use super::teller::time;
use crate::ensure_measured;
use crate::lab::{
    Config, Daemon, Family, Host, Lab, PATIENCE, Probe, SSH_PORT, Session, Sshd, Status, connect, knockctl,
    knockctl_path, must_open,
};

/// The door that opens, as `lab.toml` of the lab has it.
pub const OPEN: [&str; 3] = ["7000/tcp", "8000/udp", "9000/tcp"];
/// The door that closes.
pub const CLOSE: [&str; 2] = ["9001/tcp", "7001/tcp"];
/// From the first knock to the last.
pub const SEQ_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a grant lasts.
pub const CMD_TIMEOUT: Duration = Duration::from_secs(4);

/// The lab, and the programs in it.
pub struct World {
    /// The family that is spoken.
    pub family: Family,
    /// The daemon, while it runs. Before the lab: it ends first.
    pub daemon: Option<Daemon>,
    /// An ssh session, once there is one.
    pub session: Option<Session>,
    /// The ssh server.
    pub sshd: Sshd,
    /// Repeats the daemon's lines behind this.
    pub prefix: Option<&'static str>,
    _lab: Lab,
}

impl World {
    /// A lab with an ssh server and no gate.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn new(family: Family, prefix: Option<&'static str>) -> Result<Self> {
        knockctl_path()?;
        let lab = Lab::new()?;
        Ok(Self { family, daemon: None, session: None, sshd: Sshd::start()?, prefix, _lab: lab })
    }

    /// A lab whose server has a gate with this config.
    ///
    /// # Errors
    ///
    /// If the gate does not stand.
    pub fn guarded(family: Family, config: &Config) -> Result<Self> {
        let mut world = Self::new(family, None)?;
        world.start(config)?;
        Ok(world)
    }

    /// Starts a daemon with this config, in place of the one that may have run.
    ///
    /// # Errors
    ///
    /// If the gate does not stand then.
    pub fn start(&mut self, config: &Config) -> Result<&mut Daemon> {
        Ok(self.daemon.insert(Daemon::start(config, self.prefix)?))
    }

    /// The address of a host.
    #[must_use]
    pub fn address(&self, host: Host) -> IpAddr {
        self.family.address(host)
    }

    /// A port of the server.
    #[must_use]
    pub fn server(&self, port: u16) -> SocketAddr {
        (self.address(Host::Server), port).into()
    }

    /// Starts the daemon if it does not run.
    ///
    /// # Errors
    ///
    /// If the gate does not stand then.
    pub fn gate(&mut self) -> Result<&mut Daemon> {
        if self.daemon.as_mut().is_none_or(|daemon| !daemon.runs()) {
            self.start(&Config::lab())?;
        }
        self.daemon.as_mut().context("it was just started")
    }

    /// Runs `knockctl` on the server, which must succeed.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        knockctl(Host::Server, args)?.success()
    }

    /// Knocks from the client with `knockctl knock`.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn knock(&self, ports: &[&str], delay: Duration) -> Result<()> {
        let (server, delay) = (self.address(Host::Server).to_string(), delay.as_millis().to_string());
        let mut args = vec!["knock", "--delay", &delay, &server];
        args.extend(ports);
        knockctl(Host::Client, &args)?.success().map(drop)
    }

    /// The right knock.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn knock_open(&self) -> Result<()> {
        self.knock(&OPEN, Duration::ZERO)
    }

    /// The right knock without a program in between, and then `work` in the same thread; with the
    /// moment of the last knock.
    ///
    /// # Errors
    ///
    /// If one of both fails.
    pub fn knock_and<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<(Instant, T)> {
        let names = PortNames::of_host();
        let mut steps = Vec::new();
        for port in OPEN {
            let port = PortRange::parse(port, &names).ok().and_then(|range| range.ports().next());
            steps.push(port.context("a port")?);
        }
        let server = self.address(Host::Server);
        Host::Client.enter(|| {
            let mut knocked = Instant::now();
            for step in &steps {
                knocked = Instant::now();
                hit((server, step.number).into(), step.transport)?;
            }
            Ok((knocked, work()?))
        })
    }

    /// One connection to the protected port.
    ///
    /// # Errors
    ///
    /// If there is no way to the server.
    pub fn connect(&self, from: Host) -> Result<(Probe, Duration)> {
        connect(from, self.server(SSH_PORT), PATIENCE)
    }

    /// Connects a host to the protected port, which must be open to it: see [`must_open`].
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn must_open(&self, from: Host) -> Result<()> {
        must_open(from, self.server(SSH_PORT))
    }

    /// What the port is to the client, and how many grants there are.
    ///
    /// # Errors
    ///
    /// If the gate does not stand.
    pub fn state(&self) -> Result<Happened> {
        let (probe, took) = self.connect(Host::Client)?;
        let grants = Status::read()?.grants().len();
        let note = if probe == Probe::Open { format!("connected in {}", time(took)) } else { String::new() };
        Ok(Happened::note(state(probe, grants), note))
    }

    /// What the port is to a host.
    ///
    /// # Errors
    ///
    /// If there is no way to the server.
    pub fn port(&self, from: Host) -> Result<Happened> {
        Ok(self.connect(from)?.0.name().into())
    }

    /// The session; if there is none yet, it is opened behind a knock.
    ///
    /// # Errors
    ///
    /// If there is no way in.
    pub fn session(&mut self) -> Result<&mut Session> {
        if self.session.is_none() {
            self.knock_open()?;
            self.session = Some(Session::open(self.family)?);
        }
        self.session.as_mut().context("it was just opened")
    }

    /// Says a line through the session.
    ///
    /// # Errors
    ///
    /// If it does not come back.
    pub fn echo(&mut self) -> Result<Happened> {
        let took = self.session()?.echo()?;
        Ok(Happened::note("the session echoes", time(took)))
    }

    /// Removes the client's grants.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn revoke(&self) -> Result<()> {
        self.command(&["revoke", &self.address(Host::Client).to_string()]).map(drop)
    }

    /// Tries the port until it is silent, which must be at the end of a window that opened at
    /// `began`.
    ///
    /// # Errors
    ///
    /// If it does not become silent.
    pub fn closing(&self, began: Instant, window: Duration) -> Result<Happened> {
        /// How long before the end it is watched closely.
        const CLOSELY: Duration = Duration::from_millis(200);
        /// The pause between two connections: if they came faster than the server takes them, it
        /// would be silent too.
        const PAUSE: Duration = Duration::from_millis(5);
        /// By how much the end may be missed: this machine may be busy.
        const LATE: Duration = Duration::from_millis(500);
        std::thread::sleep((window - CLOSELY).saturating_sub(began.elapsed()));
        let mut open = None;
        loop {
            let asked = began.elapsed();
            let (probe, took) = self.connect(Host::Client)?;
            match (probe, open) {
                (Probe::Open, _) => {
                    // A knock that waited in a queue opens later, and for as much longer.
                    ensure_measured!(asked <= window + LATE, "open for {} and more", time(asked));
                    open = Some(asked);
                }
                (Probe::Silent, open) => {
                    // The SYN left at the latest when the wait for its answer began.
                    let left = began.elapsed().saturating_sub(took);
                    ensure!(left >= window, "silent before the window ends, after {}", time(left));
                    ensure_measured!(open.is_some(), "it was not asked before the window ended");
                    let open = open.unwrap_or_default();
                    let (open, left) = (open.as_secs_f64(), left.as_secs_f64());
                    let note = format!("open after {open:.3} s, silent after {left:.3} s");
                    return Ok(Happened::note("silent when the window ends", note));
                }
                (Probe::Refused, _) => bail!("refused: nothing listens"),
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// What a command says, which must succeed, on the client.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn on_client(&self, program: &str, args: &[&str]) -> Result<String> {
        Host::Client.run(Command::new(program).args(args))?.success()
    }
}

/// The port and the grants in words.
#[must_use]
pub fn state(probe: Probe, grants: usize) -> String {
    let grants = match grants {
        0 => "no grant".to_owned(),
        1 => "1 grant".to_owned(),
        more => format!("{more} grants"),
    };
    format!("{}, {grants}", probe.name())
}
