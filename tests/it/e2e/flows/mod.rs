//! Rule 19: a connection that was let in is never cut, whoever it ends with, and lets nothing else in.

mod bridge;
mod cookies;
mod cut;
mod datagrams;
pub(super) mod dnat;
mod flood;
mod link_local;
mod masquerade;
mod mosh;
mod questions;
mod router;
mod standing;
mod tunnel;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, anyhow};
use tests::harness::Test;
use tests::kernel::Bare;
use tests::lab::{Config, Family, Host, Line, PATIENCE, Probe, Status, TIMEOUT, connect, until};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    [
        datagrams::tests(),
        tunnel::tests(),
        mosh::tests(),
        dnat::tests(),
        standing::tests(),
        router::tests(),
        bridge::tests(),
        link_local::tests(),
        cookies::tests(),
        questions::tests(),
        masquerade::tests(),
        cut::tests(),
        flood::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Protected as well, over TCP and UDP; none but who is named in a test listens there. On the ssh port the server
/// itself always does.
pub(super) const FREE_PORT: u16 = 5000;

/// The lab's config for both ports. A grant lasts until it is revoked.
pub(super) fn config() -> Config {
    Config::lab().with("[\"2222/tcp\"]", "[\"2222/tcp\", \"5000/tcp\", \"5000/udp\"]").set("cmd_timeout", "\"60s\"")
}

/// The same with grants that end by themselves, soon.
fn brief() -> Config {
    config().set("cmd_timeout", "\"2s\"")
}

/// Waits until nobody has a grant.
pub(super) fn wait_for_end_of_grants() -> Result<()> {
    until("the end of the grant", TIMEOUT, || Status::read().ok()?.grants().is_empty().then_some(()))
}

/// What a port is to the client and to the stranger when they are denied.
pub(super) type Denied = [Probe; 2];

/// By default.
const SILENT: Denied = [Probe::Silent; 2];

/// How a gate judges what it lets nobody in by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    pub deny: &'static str,
    pub stealth: bool,
}

/// Every way: `deny` and `stealth`.
pub(super) const JUDGEMENTS: [Judgement; 4] = [
    Judgement { deny: "drop", stealth: true },
    Judgement { deny: "drop", stealth: false },
    Judgement { deny: "reject", stealth: true },
    Judgement { deny: "reject", stealth: false },
];

impl Judgement {
    /// A config with it.
    pub fn of(self, config: Config) -> Config {
        config.option("deny", &format!("{:?}", self.deny)).option("stealth", &self.stealth.to_string())
    }

    /// What a denied port of this host is to the client and to the stranger.
    pub fn denied(self) -> Denied {
        if self.deny == "drop" { SILENT } else { [Probe::Refused; 2] }
    }
}

/// What a denied port of a guest on a bridge is: the host answers no frame to the guest's own MAC, and what the
/// stranger sends comes to the host's.
fn denied_at_a_guest(judgement: Judgement) -> Denied {
    [Probe::Silent, judgement.denied()[1]]
}

/// Starts the gate with a config, or gives it to the one that stands.
pub(super) fn gate(world: &mut World, config: &Config) -> Result<()> {
    if world.daemon.is_none() {
        return world.start(config).map(drop);
    }
    config.write("gate.toml")?;
    world.command(&["reload"]).map(drop)
}

/// Lets the clients hear what the gate answers: see [`tests::lab::Wire::tap`].
fn hear_answers() -> Result<[OwnedFd; 2]> {
    let hear = |host: Host| host.enter(|| Bare::load()?.attach("eth0"));
    Ok([hear(Host::Client)?, hear(Host::Stranger)?])
}

/// Without a gate, the client and the stranger get in.
pub(super) fn assert_open(to: SocketAddr) -> Result<()> {
    for host in [Host::Client, Host::Stranger] {
        let open = || (connect(host, to, PATIENCE).ok()?.0 == Probe::Open).then_some(());
        until(&format!("the way to {to}"), TIMEOUT, open)?;
    }
    Ok(())
}

/// Nobody gets in by a new connection: neither the client, whose grant has ended, nor the stranger.
pub(super) fn assert_shut(to: SocketAddr, denied: Denied) -> Result<()> {
    for (host, denied) in [Host::Client, Host::Stranger].into_iter().zip(denied) {
        assert_denied(host, to, denied)?;
    }
    Ok(())
}

/// A host is denied. The answer to it may be late on a busy machine; to get in is never forgiven.
pub(super) fn assert_denied(host: Host, to: SocketAddr, denied: Probe) -> Result<()> {
    until(&format!("{denied:?} to {host:?} from {to}"), TIMEOUT, || {
        let found = connect(host, to, PATIENCE).map(|found| found.0);
        match (found, denied) {
            (Ok(Probe::Silent), Probe::Refused) => None,
            (Ok(found), _) if found != denied => Some(Err(anyhow!("{host:?} to {to}: {found:?}"))),
            (found, _) => Some(found.map(drop)),
        }
    })?
}

/// A line goes on, and nobody gets in beside it.
pub(super) fn assert_goes_on(line: &mut Line, to: SocketAddr, denied: Denied) -> Result<()> {
    line.echo().with_context(|| format!("the line to {to} after its grant"))?;
    assert_shut(to, denied)?;
    line.echo().with_context(|| format!("the line to {to} beside what was denied"))
}

/// Does this under each way to deny, by one gate that is given each in turn; the clients hear what it answers.
fn under_every_judgement(
    world: &mut World,
    config: &Config,
    mut work: impl FnMut(&mut World, Judgement) -> Result<()>,
) -> Result<()> {
    let _ends = hear_answers()?;
    for judgement in JUDGEMENTS {
        gate(world, &judgement.of(config.clone()))?;
        work(world, judgement).with_context(|| format!("{judgement:?}"))?;
    }
    Ok(())
}

/// The same in both families.
fn in_every_way(
    world: &mut World,
    config: &Config,
    mut work: impl FnMut(&World, Judgement) -> Result<()>,
) -> Result<()> {
    under_every_judgement(world, config, |world, judgement| {
        for family in Family::ALL {
            world.family = family;
            work(world, judgement).with_context(|| format!("{family:?}"))?;
        }
        Ok(())
    })
}

/// A line that the client opens behind a knock goes on when the grant is revoked.
fn assert_outlives(world: &World, to: SocketAddr, denied: Denied) -> Result<()> {
    assert_shut(to, denied)?;
    let (_, mut line) = world.knock_and(|| Line::tcp(Host::Client, to))?;
    line.echo().with_context(|| format!("the line to {to} within its grant"))?;
    world.revoke()?;
    assert_goes_on(&mut line, to, denied)
}

/// The same in both families, under each way to deny; what a denied port is to both hosts then may depend on that.
fn assert_outlives_every_judgement(
    world: &mut World,
    to: impl Fn(Family) -> SocketAddr,
    denied: impl Fn(Judgement) -> Denied,
) -> Result<()> {
    for family in Family::ALL {
        assert_open(to(family))?;
    }
    in_every_way(world, &config(), |world, judgement| assert_outlives(world, to(world.family), denied(judgement)))
}

/// Datagrams do so as well.
fn assert_datagrams_outlive_every_judgement(world: &mut World, to: impl Fn(Family) -> SocketAddr) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    in_every_way(world, &config(), |world, _| {
        lines.push(assert_datagrams_outlive(world, to(world.family))?);
        Ok(())
    })?;
    // Those that were let in under another judgement.
    lines.iter_mut().try_for_each(Line::echo)?;
    Ok(lines)
}

/// Datagrams from a socket of the client, which go on when the grant is revoked; no other socket gets an answer.
fn assert_datagrams_outlive(world: &World, to: SocketAddr) -> Result<Line> {
    let mut line = Line::udp_from(Host::Client, 0, to)?;
    assert!(!line.asks()?, "{to} without a grant");
    world.knock_open()?;
    line.echo().with_context(|| format!("datagrams to {to} within their grant"))?;
    world.revoke()?;
    line.echo().with_context(|| format!("datagrams to {to} after their grant"))?;
    assert_no_other(to)?;
    line.echo()?;
    Ok(line)
}

/// Neither another socket of the client gets an answer nor the stranger.
fn assert_no_other(to: SocketAddr) -> Result<()> {
    for host in [Host::Client, Host::Stranger] {
        assert!(!Line::udp_from(host, 0, to)?.asks()?, "{host:?} to {to}: a new flow gets in");
    }
    Ok(())
}
