//! All of them knock once, each at its own pace, and connect until they are in.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use knock_common::packet::Transport;

use super::tree::Tree;
use crate::bench::knock::start;
use crate::bench::peers::{STEPS, children, end};
use crate::bench::{ground, server};
use crate::lab::{Host, Outlet, Volley};
use crate::packet::{PacketBuilder, SYN};

/// How it went.
pub struct Came {
    /// Who got in.
    pub share: f64,
    /// When the last of these did.
    pub time: Duration,
    /// What the guard had taken by the end, or by when it was stopped.
    pub took: Tree,
}

/// Connections under way at once.
const BATCH: usize = 512;
/// How long their answers are waited for.
const STAY: Duration = Duration::from_millis(3);
/// Between two handfuls of knocks, so that none is lost before it comes to a guard.
const SPACE: Duration = Duration::from_micros(200);
/// Between two tries of everybody who is not in.
const PAUSE: Duration = Duration::from_millis(20);
/// Processes that a guard may start before it is stopped: the machine is to survive this.
const MOST: usize = 1000;

/// Lets them knock, and connect until all are in, or nobody has come in for `patience`.
pub fn all_at_once(sources: &[Ipv4Addr], process: u32, patience: Duration) -> Result<Came> {
    let volley = knocks(sources)?;
    Host::Client.enter(|| {
        let outlet = Outlet::here()?;
        let begun = Instant::now();
        volley.send_spaced(&outlet, SPACE)?;
        let (mut outside, mut time, mut stopped) = (sources.to_vec(), Duration::ZERO, None);
        while !outside.is_empty() && begun.elapsed() < time + patience && begun.elapsed() < 4 * patience {
            let before = outside.len();
            let mut refused = Vec::new();
            for batch in outside.chunks(BATCH) {
                refused.extend(still_outside(batch)?);
            }
            outside = refused;
            if outside.len() < before {
                time = begun.elapsed();
            }
            let started = children(process);
            if started.len() > MOST && stopped.is_none() {
                // What it has taken so far: of one that has ended nothing is known.
                stopped = Some(Tree::of(process)?);
                started.into_iter().chain([process]).for_each(end);
            }
            if !outside.is_empty() {
                thread::sleep(PAUSE);
            }
        }
        let took = stopped.map_or_else(|| Tree::of(process), Ok)?;
        Ok(Came { share: (sources.len() - outside.len()) as f64 / sources.len() as f64, time, took })
    })
}

/// Of these, those who do not get in.
fn still_outside(sources: &[Ipv4Addr]) -> Result<Vec<Ipv4Addr>> {
    let to = server::guarded().into();
    let mut under_way = Vec::new();
    for &source in sources {
        let socket = ground::socket(source)?;
        start(&socket, &to)?;
        under_way.push((source, socket));
    }
    let begun = Instant::now();
    while !under_way.iter().all(|(_, socket)| socket.peer_addr().is_ok()) && begun.elapsed() < STAY {
        thread::sleep(STAY / 10);
    }
    under_way.retain(|(_, socket)| socket.peer_addr().is_err());
    Ok(under_way.into_iter().map(|(source, _)| source).collect())
}

/// The knocks of all of them, in the order in which they leave: each begins at its own time, and takes its own.
fn knocks(sources: &[Ipv4Addr]) -> Result<Volley> {
    let mut frames: Vec<(f64, Vec<u8>)> = Vec::new();
    for (index, &source) in sources.iter().enumerate() {
        let mut when = fastrand::f64();
        for (port, transport) in STEPS {
            let packet = PacketBuilder::between(source, server::guarded().ip());
            let from = 30_000 + (index % 10_000) as u16;
            let packet = match transport {
                Transport::Tcp => packet.tcp(from, port, SYN),
                Transport::Udp => packet.udp(from, port),
            };
            frames.push((when, packet.build()));
            when += fastrand::f64() / 10.0;
        }
    }
    frames.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    Volley::of(Host::Client, frames.into_iter().map(|(_, frame)| frame))
}
