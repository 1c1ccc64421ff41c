//! From a knock to a connection: knock, connect to what was knocked, knock again if need be.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use socket2::{Domain, Protocol, Socket, Type};

use super::plan::Plan;
use super::round::Round;
use super::{Family, Source, resolve};

/// By how much the next address starts behind the one before (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// The pause between two tries on a port that refuses.
const PAUSE: Duration = Duration::from_millis(250);

/// Where to connect, and how stubbornly.
pub(super) struct Goal<'a> {
    /// Another host than that which is knocked.
    pub(super) host: Option<&'a str>,
    /// The port.
    pub(super) port: u16,
    /// How long the port may take after each knock.
    pub(super) wait: Duration,
    /// Whether a refusal may turn into an answer without another knock: a service may be starting.
    pub(super) is_patient: bool,
}

/// Knocks and connects; the knocked address is used, so that the family that has the grant is also
/// the one that connects. `Err` in the answer: what the last try came to.
///
/// # Errors
///
/// If there is nothing to knock or to connect to.
pub(super) fn reach(plan: &Plan, goal: &Goal<'_>, out: &mut dyn Write) -> Result<Result<TcpStream, String>> {
    let mut round = 0;
    loop {
        let knocked = Round::say(plan, out)?;
        // The grant is written when the last knock has arrived, not when it was sent.
        thread::sleep(plan.options.delay);
        let targets = targets(plan, goal, &knocked)?;
        let failures = match within(&targets, goal, &plan.options.source) {
            Ok(stream) => return Ok(Ok(stream)),
            Err(failures) => failures,
        };
        if round == plan.retries {
            return Ok(Err(text(&failures, round + 1)));
        }
        round += 1;
        log::info!("{}: knocking again", text(&failures, round));
    }
}

fn text(failures: &[(SocketAddr, io::Error)], knocks: u32) -> String {
    let each: Vec<String> = failures.iter().map(|(address, error)| format!("{address}: {error}")).collect();
    let times = if knocks == 1 { "a knock".to_owned() } else { format!("{knocks} knocks") };
    format!("{} after {times}", each.join("; "))
}

/// The endpoints: those that were knocked, as far as the goal has them.
fn targets(plan: &Plan, goal: &Goal<'_>, knocked: &[SocketAddr]) -> Result<Vec<SocketAddr>> {
    let mut addresses = knocked.to_vec();
    if let Some(host) = goal.host {
        let family = match plan.family {
            Family::Both => Family::Any,
            other => other,
        };
        let theirs = resolve(host, family)?;
        let both: Vec<SocketAddr> = theirs.iter().copied().filter(|one| knocked.contains(one)).collect();
        addresses = if both.is_empty() { theirs } else { both };
    }
    addresses.iter_mut().for_each(|address| address.set_port(goal.port));
    Ok(addresses)
}

/// Tries until the goal's time is over.
fn within(targets: &[SocketAddr], goal: &Goal<'_>, source: &Source) -> Result<TcpStream, Vec<(SocketAddr, io::Error)>> {
    let end = Instant::now() + goal.wait;
    loop {
        match race(targets, end, source) {
            Err(_) if goal.is_patient && Instant::now() + PAUSE < end => thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// Connects to all, one a little later than the other; the first that accepts wins.
fn race(targets: &[SocketAddr], end: Instant, source: &Source) -> Result<TcpStream, Vec<(SocketAddr, io::Error)>> {
    let (sender, answers) = mpsc::channel();
    let mut waiting = targets.iter().copied();
    let (mut under_way, mut failures) = (0, Vec::new());
    loop {
        if let Some(address) = waiting.next() {
            let (sender, source) = (sender.clone(), source.clone());
            // Nobody waits for those who lose; they end at the latest when the time is over.
            thread::spawn(move || sender.send((address, connect(address, end, &source))));
            under_way += 1;
        } else if under_way == 0 {
            return Err(failures);
        }
        let patience =
            if waiting.len() > 0 { STAGGER } else { end.saturating_duration_since(Instant::now()) + STAGGER };
        match answers.recv_timeout(patience) {
            Ok((_, Ok(stream))) => return Ok(stream),
            Ok((address, Err(error))) => {
                under_way -= 1;
                failures.push((address, error));
            }
            Err(_) => {}
        }
    }
}

fn connect(address: SocketAddr, end: Instant, source: &Source) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    source.bind(&socket)?;
    let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    socket.connect_timeout(&address.into(), left)?;
    Ok(socket.into())
}
