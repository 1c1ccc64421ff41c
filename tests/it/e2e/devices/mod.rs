//! Bonds and VLAN devices: who may come in, and that nobody is cut off, wherever the gate stands among devices that lie on
//! others. Not every kernel has such: `cargo xtask kernels` boots some that do.

mod bond;
mod stacked;
mod standing;
mod vlan;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use tests::harness::Test;
use tests::kernel::Bare;
use tests::lab::devices::{WIRES, link_local_server, move_addresses};
use tests::lab::{Config, Echo, Family, GATE_STANDS, Guest, Host, Line, PATIENCE, Probe, connect, must_open, send_udp};
use tests::story::World;

use super::flows::{
    self, FREE_PORT, Judgement, assert_denied, assert_goes_on, assert_open, assert_shut, wait_for_end_of_grants,
};

/// The tests.
pub fn tests() -> Vec<Test> {
    [bond::tests(), vlan::tests(), stacked::tests(), standing::tests()].into_iter().flatten().collect()
}

/// Silence, with the look-up of sockets: the defaults; and without it.
const SILENCE: [Judgement; 2] = [DROP, Judgement { stealth: false, ..DROP }];
const DROP: Judgement = Judgement { deny: "drop", stealth: true };
/// Answers, with the look-up and without.
const ANSWERS: [Judgement; 2] = [REJECT, Judgement { stealth: false, ..REJECT }];
const REJECT: Judgement = Judgement { deny: "reject", stealth: true };

/// The lab's config for these interfaces and the stranger's, with grants that end by themselves and time enough to
/// connect in them.
fn config(interfaces: &[&str], mode: &str) -> Config {
    let interfaces = [interfaces, &["eth1"]].concat();
    flows::config()
        .set("interfaces", &format!("{interfaces:?}"))
        .set("cmd_timeout", "\"4s\"")
        .option("mode", &format!("{mode:?}"))
}

/// A server that the client reaches by a device that lies on others, and a host behind it.
struct Ground {
    /// The device, which both ends have.
    device: &'static str,
    /// What a denial is over link-local addresses, if it is not what it is else.
    denied_on_link: Option<Probe>,
    _echoes: [Echo; 4],
    guest: Guest,
    _ends: Vec<OwnedFd>,
    world: World,
}

/// Where a service is, and where to knock for it.
#[derive(Clone, Copy, Debug)]
struct Way {
    door: SocketAddr,
    service: SocketAddr,
}

impl Ground {
    /// With a device that `make` makes at both ends, over the first `wires` of [`WIRES`].
    fn over(device: &'static str, wires: usize, make: impl FnOnce() -> Result<()>) -> Result<Self> {
        let world = World::new(Family::V4, None)?;
        make()?;
        move_addresses(device)?;
        let guest = Guest::routed()?;
        let echoes = [
            Echo::tcp(Host::Server, FREE_PORT)?,
            Echo::udp(Host::Server, FREE_PORT)?,
            Echo::tcp(Host::Guest, FREE_PORT)?,
            Echo::udp(Host::Guest, FREE_PORT)?,
        ];
        // So that they hear what the gate answers.
        let mut ends = vec![Host::Stranger.enter(|| Bare::load()?.attach("eth0"))?];
        for wire in &WIRES[..wires] {
            ends.push(Host::Client.enter(|| Bare::load()?.attach(wire))?);
        }
        let ground = Self { device, denied_on_link: None, _echoes: echoes, guest, _ends: ends, world };
        for way in ground.ways() {
            assert_open(way.service)?;
        }
        must_open(Host::Client, ground.link(FREE_PORT)?)?;
        Ok(ground)
    }

    /// To this host and through it, in both families.
    fn ways(&self) -> Vec<Way> {
        let way = |family: Family, to| Way { door: (family.address(Host::Server), 0).into(), service: to };
        let own = Family::ALL.map(|family| way(family, (family.address(Host::Server), FREE_PORT).into()));
        let behind = Family::ALL.map(|family| way(family, (self.guest.address(family), FREE_PORT).into()));
        own.into_iter().chain(behind).collect()
    }

    /// A port of this host by its link-local address.
    fn link(&self, port: u16) -> Result<SocketAddr> {
        link_local_server(self.device, port)
    }

    /// Lines over TCP and UDP behind knocks, from each address of the client to each service, which nobody else gets.
    fn lines(&self, judgement: Judgement) -> Result<Vec<(Line, Way)>> {
        let denied = judgement.denied();
        let link = Way { door: self.link(0)?, service: self.link(FREE_PORT)? };
        let ways: Vec<_> = self.ways().into_iter().chain([link]).collect();
        let mut datagrams = Vec::new();
        for way in &ways {
            if way.door == link.door {
                assert_denied(Host::Client, way.service, self.denied_on_link.unwrap_or(denied[0]))?;
            } else {
                assert_shut(way.service, denied)?;
            }
            let mut line = Line::udp_from(Host::Client, 0, way.service)?;
            assert!(!line.asks()?, "datagrams to {} without a grant", way.service);
            datagrams.push((line, *way));
        }
        let mut lines = Vec::new();
        for (mut line, way) in datagrams {
            knock(way.door)?;
            let stream = Line::tcp(Host::Client, way.service);
            lines.push((stream.with_context(|| format!("behind the knock at {}", way.door))?, way));
            line.echo().with_context(|| format!("datagrams to {} behind the knock", way.service))?;
            lines.push((line, way));
        }
        for (line, way) in &mut lines {
            line.echo().with_context(|| format!("the line to {}", way.service))?;
        }
        Ok(lines)
    }

    /// No connection without a knock; a knock opens; what was let in goes on when the grant has ended, and when it was
    /// revoked; and nothing new comes in then: under each of these judgements in turn.
    fn assert_guards(&mut self, config: &Config, judgements: &[Judgement]) -> Result<()> {
        for judgement in judgements {
            self.assert_guards_under(config, *judgement).with_context(|| format!("{judgement:?}"))?;
        }
        Ok(())
    }

    fn assert_guards_under(&mut self, config: &Config, judgement: Judgement) -> Result<()> {
        self.judge(&judgement.of(config.clone()))?;
        let mut lines = self.lines(judgement)?;
        let first = self.ways()[0];
        wait_for_end_of_grants()?;
        self.assert_all_go_on(&mut lines, judgement).context("the grant has ended")?;
        // Not by a knock: its grant might end before it is revoked.
        self.world.command(&["allow", &Family::V4.address(Host::Client).to_string()])?;
        lines.push((Line::tcp(Host::Client, first.service)?, first));
        self.world.command(&["revoke", "--all"])?;
        self.assert_all_go_on(&mut lines, judgement).context("the grant was revoked")
    }

    /// Starts the gate with a config, or gives it to the one that stands and waits as long as that takes: an emulator may
    /// need longer than `knockctl reload` waits.
    fn judge(&mut self, config: &Config) -> Result<()> {
        if self.world.daemon.is_none() {
            return self.world.start(config).map(drop);
        }
        config.write("gate.toml")?;
        let daemon = self.world.gate()?;
        let mark = daemon.mark();
        daemon.hang_up()?;
        daemon.wait_after(mark, GATE_STANDS).map(drop)
    }

    /// All lines go on, and nobody gets in beside them.
    fn assert_all_go_on(&mut self, lines: &mut [(Line, Way)], judgement: Judgement) -> Result<()> {
        for (line, way) in lines.iter_mut() {
            line.echo().with_context(|| format!("the line to {}", way.service))?;
        }
        let denied = judgement.denied();
        assert_denied(Host::Client, self.link(FREE_PORT)?, self.denied_on_link.unwrap_or(denied[0]))?;
        let (first, first_way) = lines.first_mut().context("there are lines")?;
        assert_goes_on(first, first_way.service, denied)
    }
}

/// The knock of the lab's door, from whatever address the client has towards it; closed ports refuse.
fn knock(door: SocketAddr) -> Result<()> {
    let at = |port: u16| {
        let mut to = door;
        to.set_port(port);
        to
    };
    connect(Host::Client, at(7000), PATIENCE)?;
    send_udp(Host::Client, at(8000), b"knock")?;
    connect(Host::Client, at(9000), PATIENCE).map(drop)
}
