//! The right knock, by three clients, and the first connection behind it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::teller::time;
use super::world::OPEN;
use super::{Happened, Teller, World};
use crate::lab::{Host, PATIENCE, Probe, SSH_PORT, Status, connect_here};

/// Knocks the right sequence.
type Knock = fn(&World) -> Result<()>;

/// Plays the chapter.
pub fn play(world: &mut World, teller: &mut Teller) -> Result<()> {
    world.gate()?;
    let clients: [(&str, Knock); 3] =
        [("Debian's knock", by_knock), ("`knockctl knock`", World::knock_open), ("curl and bash's /dev/udp", by_curl)];
    for (title, knock) in clients {
        teller.step(&format!("the right knock by {title}; the very next connection"), "open, 1 grant", || {
            knock(world)?;
            world.state()
        });
        teller.step("the stranger stays out", "silent", || world.port(Host::Stranger));
        world.revoke()?;
    }
    teller.step(
        "the first SYN right behind the last knock, 20 times, from knock to connection",
        "20 of 20 open",
        || first_syns(world),
    );
    teller.step("the log", "Stage 1, Stage 2, OPEN SESAME", || log(world));
    teller.step("knocking twice, with a pause", "1 grant, and it ends later", || twice(world));
    world.revoke()?;
    Ok(())
}

/// knock takes `:` before the protocol.
fn by_knock(world: &World) -> Result<()> {
    let server = world.address(Host::Server).to_string();
    let ports: Vec<String> = OPEN.iter().map(|port| port.replace('/', ":")).collect();
    let mut args = vec![server.as_str()];
    args.extend(ports.iter().map(String::as_str));
    world.on_client("knock", &args).map(drop)
}

/// What is at hand where there is no knock client.
fn by_curl(world: &World) -> Result<()> {
    for port in OPEN {
        let (number, transport) = port.split_once('/').context("a port has a protocol")?;
        let server = world.address(Host::Server);
        if transport == "udp" {
            world.on_client("bash", &["-c", &format!("echo >/dev/udp/{server}/{number}")])?;
        } else {
            let url = format!("telnet://{}", world.server(number.parse()?));
            let mut curl = std::process::Command::new("curl");
            curl.args(["--disable", "--silent", "--noproxy", "*", "--connect-timeout", "1", &url]);
            // Nothing listens there: to fail is what it does.
            Host::Client.run(&mut curl)?;
        }
    }
    Ok(())
}

/// The knock and the connection from one thread, with nothing in between.
fn first_syns(world: &World) -> Result<Happened> {
    const TIMES: usize = 20;
    let (server, mut open, mut times) = (world.server(SSH_PORT), 0, Vec::new());
    for _ in 0..TIMES {
        let (knocked, (probe, connected)) = world.knock_and(|| {
            let (probe, _) = connect_here(server, PATIENCE)?;
            Ok((probe, Instant::now()))
        })?;
        open += usize::from(probe == Probe::Open);
        times.push(connected - knocked);
        world.revoke()?;
    }
    times.sort_unstable();
    let note = format!("median {}, longest {}", time(times[TIMES / 2]), time(times[TIMES - 1]));
    Ok(Happened::note(format!("{open} of {TIMES} open"), note))
}

/// What the daemon says of a knock.
fn log(world: &mut World) -> Result<Happened> {
    let client = world.address(Host::Client);
    let mark = world.gate()?.mark();
    world.knock_open()?;
    let mut said = Vec::new();
    for word in ["Stage 1", "Stage 2", "OPEN SESAME"] {
        world.gate()?.wait_after(mark, &format!("{client}: opencloseSSH: {word}"))?;
        said.push(word);
    }
    Ok(said.join(", ").into())
}

fn twice(world: &World) -> Result<Happened> {
    const PAUSE: Duration = Duration::from_millis(300);
    let client = world.address(Host::Client);
    let end = || -> Result<(usize, Duration)> {
        let status = Status::read()?;
        let grants = status.grants_of(client);
        let left = grants.first().and_then(|grant| grant["seconds_left"].as_f64()).context("no end")?;
        Ok((grants.len(), Duration::from_secs_f64(left)))
    };
    world.knock_open()?;
    let start = Instant::now();
    let (_, first) = end()?;
    thread::sleep(PAUSE);
    world.knock_open()?;
    let (count, second) = end()?;
    let later = (start.elapsed() + second).saturating_sub(first);
    let what = if later >= PAUSE / 2 { "and it ends later" } else { "and it ends as before" };
    Ok(Happened::note(
        format!("{count} grant{}, {what}", if count == 1 { "" } else { "s" }),
        format!("by {}", time(later)),
    ))
}
