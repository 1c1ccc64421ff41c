//! What a connection keeps during a flood: how soon its octets come back, and how many get through.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::cost::{come_first, cpu};
use crate::bench::ground;
use crate::bench::knock::reach;
use crate::bench::peers::Guard;
use crate::bench::plan::Plan;
use crate::bench::rounds::median;
use crate::bench::server::{SEND, guarded};
use crate::kernel::stay_on_cpu;
use crate::lab::{Host, TIMEOUT, Volley};

/// A flood of so many packets a second.
pub struct Flood<'a> {
    /// The packets.
    pub volley: &'a Volley,
    /// A second.
    pub rate: f64,
}

/// What is kept.
pub struct Kept {
    /// The median of round trips, in ms.
    pub echo: f64,
    /// What one in a hundred of them takes longer than, in ms.
    pub slow: f64,
    /// MB a second.
    pub transfer: f64,
}

/// Longer than any answer takes that is worth waiting for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Opens two connections, begins the flood, and measures.
pub fn kept(guard: &dyn Guard, source: Ipv4Addr, flood: Option<&Flood<'_>>, plan: Plan<'_>) -> Result<Kept> {
    let span = Duration::from_millis(plan.choose(1000, 300) as u64);
    let knock = guard.knock(source)?;
    let stop = AtomicBool::new(false);
    Host::Client.enter(|| {
        stay_on_cpu(cpu()?)?;
        reach(source, knock.send(source)?, TIMEOUT)?;
        let (mut echoing, mut sending) = (connect(source)?, connect(source)?);
        echo(&mut echoing, Duration::ZERO)?;
        thread::scope(|scope| {
            // From this host, where this thread is.
            let flooding = flood.map(|flood| {
                scope.spawn(|| {
                    come_first()?;
                    flood.volley.pace_here(flood.rate, &stop)
                })
            });
            let measured = (|| {
                thread::sleep(span / 4);
                let (echo, slow) = echo(&mut echoing, span)?;
                Ok(Kept { echo, slow, transfer: transfer(&mut sending, span)? })
            })();
            stop.store(true, Ordering::Relaxed);
            let sent = flooding.map(|thread| thread.join().expect("the flood does not panic"));
            sent.transpose()?;
            measured
        })
    })
}

fn connect(source: Ipv4Addr) -> Result<TcpStream> {
    let socket = ground::socket(source)?;
    socket.connect_timeout(&guarded().into(), PATIENCE).context("no connection behind the knock")?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

/// Says one octet again and again; the median of round trips and their 99th percentile, in ms. Who is not answered has
/// waited for `PATIENCE`.
fn echo(stream: &mut TcpStream, span: Duration) -> Result<(f64, f64)> {
    let start = Instant::now();
    let mut trips = Vec::new();
    loop {
        let said = Instant::now();
        stream.write_all(b"x")?;
        let answer = stream.read_exact(&mut [0]);
        trips.push(said.elapsed().as_secs_f64() * 1e3);
        if answer.is_err() || start.elapsed() > span {
            trips.sort_by(f64::total_cmp);
            return Ok((median(&trips), trips[trips.len() * 99 / 100]));
        }
    }
}

/// MB a second that come when they are asked for.
fn transfer(stream: &mut TcpStream, span: Duration) -> Result<f64> {
    stream.write_all(&[SEND])?;
    let (start, mut octets, mut buffer) = (Instant::now(), 0, vec![0; 1 << 16]);
    while start.elapsed() < span {
        match stream.read(&mut buffer) {
            Ok(count) => octets += count,
            Err(_) => break,
        }
    }
    Ok(octets as f64 / 1e6 / start.elapsed().as_secs_f64())
}
