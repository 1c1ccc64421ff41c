//! What a client does, and what the ports are to it afterwards.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};
use tests::harness::failure::Late;
use tests::lab::{Family, Host, PATIENCE, Pause, Probe, Session, connect, pause};
use tests::packet::PacketBuilder;

/// How long a port may take to become what it should be: knockd starts a shell, and that iptables.
const SETTLES: Duration = Duration::from_secs(3);
/// How long a port that stays shut is watched.
const WATCHED: Duration = Duration::from_millis(600);

/// One thing that the client does.
#[derive(Clone, Copy)]
pub enum Act {
    /// Runs `knock` with these words behind the server's address.
    Knock(&'static [&'static str]),
    /// Knocks again while the port is still open by the knock before.
    Again(&'static [&'static str]),
    /// Sends bare segments with these flags to these ports.
    Segments(&'static [(u16, u8)]),
    /// Does nothing.
    Wait(f64),
    /// Opens an ssh session, which must echo ever after.
    Session,
}

/// A run, and what comes of it.
pub struct Run {
    /// What it is.
    pub what: &'static str,
    /// What is done.
    pub acts: &'static [Act],
    /// The port that is tried.
    pub port: u16,
    /// True if it is open then, under knockd.
    pub knockd: bool,
    /// True if it is open then, under ours.
    pub ours: bool,
    /// Why they differ, where they do.
    pub because: &'static str,
}

/// A run that ends in the same way under both.
pub const fn same(what: &'static str, acts: &'static [Act], port: u16, open: bool) -> Run {
    Run { what, acts, port, knockd: open, ours: open, because: "" }
}

/// The times of a door.
#[derive(Clone, Copy)]
pub struct Times {
    /// For the sequence.
    pub sequence: Duration,
    /// Until the port is shut again.
    pub open: Duration,
}

impl Times {
    /// So many seconds each.
    pub const fn of(sequence: u64, open: u64) -> Self {
        Self { sequence: Duration::from_secs(sequence), open: Duration::from_secs(open) }
    }
}

/// When what a run has done was done.
struct Done {
    /// When what came after the last rest began.
    begun: Instant,
    /// When it ended.
    ended: Instant,
}

impl Done {
    /// Forgives a port that is shut and should be open, if this machine was too slow for the times of the door.
    fn excuse(&self, times: Times, asked: Instant) -> Result<()> {
        let (took, since) = (self.ended - self.begun, asked + PATIENCE - self.begun);
        if took >= times.sequence || since >= times.open {
            return Err(Late(format!("a knock took {took:?}, and the port was tried within {since:?}")).into());
        }
        Ok(())
    }
}

/// Plays all runs over one address family at doors with these times, and returns what the port was after each.
///
/// # Errors
///
/// If one cannot be played.
pub fn play(family: Family, runs: &[Run], times: Times, wanted: impl Fn(&Run) -> bool) -> Result<Vec<bool>> {
    let mut session: Option<Session> = None;
    let mut seen = Vec::new();
    let mut done = Done { begun: Instant::now(), ended: Instant::now() };
    for run in runs {
        ensure!((run.knockd != run.ours) != run.because.is_empty(), "{}: a difference has a reason", run.what);
        let mut has_rested = true;
        for act in run.acts {
            let begun = Instant::now();
            match act {
                Act::Wait(seconds) => {
                    pause(Pause::Rest(Duration::from_secs_f64(*seconds)));
                    has_rested = true;
                    continue;
                }
                Act::Again(words) => {
                    knock(family, words)?;
                    done.excuse(times, Instant::now())?;
                }
                Act::Knock(words) => knock(family, words)?,
                Act::Segments(segments) => segments_to(family, segments)?,
                Act::Session => session = Some(Session::open(family)?),
            }
            done = Done { begun: if has_rested { begun } else { done.begun }, ended: Instant::now() };
            has_rested = false;
        }
        let (asked, wanted) = (Instant::now(), wanted(run));
        let open = is_open(family, run.port, wanted)?;
        if wanted && !open {
            done.excuse(times, asked).context(run.what)?;
        }
        seen.push(open);
        if let Some(session) = &mut session {
            session.echo()?;
        }
        // Whoever else asks is never let in.
        ensure!(connect_from(neighbour(family), run.port)? == Probe::Silent, "{}: open for a neighbour", run.what);
        let stranger = connect(Host::Stranger, server(family, run.port), PATIENCE)?.0;
        ensure!(stranger == Probe::Silent, "{}: open for all", run.what);
    }
    Ok(seen)
}

/// An address of the client's host that never knocks.
pub const fn neighbour(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x77)),
    }
}

fn server(family: Family, port: u16) -> SocketAddr {
    (family.address(Host::Server), port).into()
}

fn knock(family: Family, words: &[&str]) -> Result<()> {
    let server = family.address(Host::Server).to_string();
    let mut command = Command::new("knock");
    // Options come first.
    let (options, ports): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
    Host::Client.run(command.args(options).arg(server).args(ports))?.success().map(drop)
}

/// Segments without a connection, from a port of their own each.
fn segments_to(family: Family, segments: &[(u16, u8)]) -> Result<()> {
    let (client, server) = (family.address(Host::Client), family.address(Host::Server));
    Host::Client.enter(|| {
        let socket = match family {
            Family::V4 => Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP))?,
            Family::V6 => Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(nix::libc::IPPROTO_RAW)))?,
        };
        if family == Family::V4 {
            socket.set_header_included_v4(true)?;
        }
        for (index, &(port, flags)) in segments.iter().enumerate() {
            let source = 40_000 + u16::try_from(index)?;
            let frame = PacketBuilder::between(client, server).tcp(source, port, flags).build();
            socket.send_to(&frame[14..], &SocketAddr::from((server, 0)).into())?;
        }
        Ok(())
    })
}

/// What the port is to the client: as it should be as soon as it is that, or as it is after a while.
fn is_open(family: Family, port: u16, wanted: bool) -> Result<bool> {
    let start = Instant::now();
    loop {
        let open = match connect(Host::Client, server(family, port), PATIENCE)?.0 {
            Probe::Open => true,
            Probe::Silent => false,
            Probe::Refused => bail!("nothing listens on {port}"),
        };
        // Shut at once may be open in a moment; shut after having been open is meant.
        let (patience, settled) = if wanted { (SETTLES, open) } else { (if open { SETTLES } else { WATCHED }, false) };
        if settled || start.elapsed() > patience {
            return Ok(open);
        }
        sleep(Duration::from_millis(20));
    }
}

/// Connects from another address of the client's host.
fn connect_from(source: IpAddr, port: u16) -> Result<Probe> {
    Host::Client.enter(|| {
        let family = if source.is_ipv4() { Family::V4 } else { Family::V6 };
        let to = server(family, port);
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        match socket.connect_timeout(&to.into(), PATIENCE) {
            Ok(()) => Ok(Probe::Open),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => Ok(Probe::Silent),
            Err(error) => bail!("{error}"),
        }
    })
}

/// Servers on ports of the server, until they are dropped.
///
/// # Errors
///
/// If a port is taken.
pub fn listen(ports: &[u16]) -> Result<Vec<TcpListener>> {
    let listen = |&port| {
        // Their connections are never accepted, only established.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from(([0, 0, 0, 0], port)).into())?;
        socket.listen(4096)?;
        Ok(socket.into())
    };
    Host::Server.enter(|| ports.iter().map(listen).collect())
}
