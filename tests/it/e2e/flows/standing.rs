//! Connections that stood before the gate did, or before it protected their port.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context as _, Result};
use knock_user::kernel::State;
use knock_user::paths::Paths;
use tests::harness::{Test, waiting_tests};
use tests::lab::{Config, Echo, Family, Guest, Host, Line, SSH_PORT, Session, TIMEOUT, must_open, nft, setting};
use tests::story::World;

use super::dnat::Container;
use super::{
    Denied, FREE_PORT, JUDGEMENTS, Judgement, assert_goes_on, assert_no_other, assert_open, assert_shut, config,
    denied_at_a_guest, gate, hear_answers, under_every_judgement,
};

/// The tests.
pub fn tests() -> Vec<Test> {
    waiting_tests![
        "e2e::flows::standing";
        sessions_with_a_container_that_stand_are_taken_over_at_the_start,
        datagrams_to_a_container_that_are_under_way_are_taken_over_at_the_start,
        sessions_through_a_router_that_stand_go_on_at_the_start,
        sessions_with_a_guest_that_stand_go_on_at_the_start,
        datagrams_to_the_host_that_are_under_way_are_taken_over_at_the_start,
        datagrams_through_a_router_that_are_under_way_are_taken_over_at_the_start,
        datagrams_to_a_guest_that_are_under_way_are_taken_over_at_the_start,
        a_reload_that_adds_a_port_takes_over_what_stands,
        a_reload_that_adds_an_interface_takes_over_what_stands,
        sessions_of_the_host_itself_go_on_at_the_start,
        sessions_of_the_host_itself_take_no_room_from_what_is_forwarded,
    ]
}

/// A line from the client in each family, before there is a gate.
fn lines(open: impl Fn(Family) -> Result<Line>) -> Result<Vec<Line>> {
    Family::ALL
        .into_iter()
        .map(|family| {
            let mut line = open(family)?;
            line.echo()?;
            Ok(line)
        })
        .collect()
}

/// Does this for each way to deny, without a gate; the gate that it starts goes again.
pub fn at_each_start(world: &mut World, mut work: impl FnMut(&mut World, Judgement) -> Result<()>) -> Result<()> {
    let _ends = hear_answers()?;
    for judgement in JUDGEMENTS {
        work(world, judgement).with_context(|| format!("{judgement:?}"))?;
        world.command(&["unload"])?;
        world.daemon = None;
    }
    Ok(())
}

/// Lines over TCP, which all go on under a gate.
fn start_cuts_none(
    world: &mut World,
    to: impl Fn(Family) -> SocketAddr,
    denied: impl Fn(Judgement) -> Denied,
) -> Result<()> {
    at_each_start(world, |world, judgement| {
        for family in Family::ALL {
            assert_open(to(family))?;
        }
        let mut lines = lines(|family| Line::tcp(Host::Client, to(family)))?;
        world.start(&judgement.of(config()))?;
        for (line, family) in lines.iter_mut().zip(Family::ALL) {
            assert_goes_on(line, to(family), denied(judgement))?;
        }
        Ok(())
    })
}

/// Lines over UDP, which all go on under a gate; a socket that has said nothing yet gets no answer.
fn start_cuts_no_datagrams(world: &mut World, to: impl Fn(Family) -> SocketAddr) -> Result<()> {
    at_each_start(world, |world, judgement| {
        let mut lines = lines(|family| Line::udp_from(Host::Client, 0, to(family)))?;
        assert_tracked()?;
        world.start(&judgement.of(config()))?;
        for (line, family) in lines.iter_mut().zip(Family::ALL) {
            line.echo().with_context(|| format!("{family:?}: what was under way"))?;
            assert_no_other(to(family))?;
            line.echo()?;
        }
        Ok(())
    })
}

/// The kernel knows of a flow in each family.
fn assert_tracked() -> Result<()> {
    for name in ["ipv4", "ipv6"] {
        let list = ["conntrack", "-L", "-f", name, "-p", "udp", "--dport", &FREE_PORT.to_string()];
        assert_ne!(Host::Server.must(&list)?, "", "{name}: nothing is tracked");
    }
    Ok(())
}

fn server(port: u16) -> impl Fn(Family) -> SocketAddr {
    move |family| (family.address(Host::Server), port).into()
}

/// Has a host track connections, as any stateful firewall does.
fn track(host: Host) -> Result<()> {
    nft(
        host,
        "table inet tracked {
            chain forwarded { type filter hook forward priority filter; ct state established,related accept; }
            chain own { type filter hook input priority filter; ct state established,related accept; }
        }\n",
    )
}

fn sessions_with_a_container_that_stand_are_taken_over_at_the_start() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    start_cuts_none(&mut world, server(SSH_PORT), Judgement::denied)
}

fn datagrams_to_a_container_that_are_under_way_are_taken_over_at_the_start() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    start_cuts_no_datagrams(&mut world, server(FREE_PORT))
}

fn sessions_through_a_router_that_stand_go_on_at_the_start() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::routed()?;
    let _server = Echo::tcp(Host::Guest, SSH_PORT)?;
    start_cuts_none(&mut world, |family| (guest.address(family), SSH_PORT).into(), Judgement::denied)
}

fn sessions_with_a_guest_that_stand_go_on_at_the_start() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::bridged()?;
    let _server = Echo::tcp(Host::Guest, SSH_PORT)?;
    start_cuts_none(&mut world, |family| (guest.address(family), SSH_PORT).into(), denied_at_a_guest)
}

fn datagrams_to_the_host_that_are_under_way_are_taken_over_at_the_start() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    track(Host::Server)?;
    let _server = Echo::udp(Host::Server, FREE_PORT)?;
    start_cuts_no_datagrams(&mut world, server(FREE_PORT))
}

fn datagrams_through_a_router_that_are_under_way_are_taken_over_at_the_start() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::routed()?;
    track(Host::Server)?;
    let _server = Echo::udp(Host::Guest, FREE_PORT)?;
    start_cuts_no_datagrams(&mut world, |family| (guest.address(family), FREE_PORT).into())
}

/// Of what it only bridges, the kernel tracks nothing unless it is told to.
fn datagrams_to_a_guest_that_are_under_way_are_taken_over_at_the_start() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::bridged()?;
    for name in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
        setting(Host::Server, &format!("net/bridge/{name}"), "1")?;
    }
    track(Host::Server)?;
    let _server = Echo::udp(Host::Guest, FREE_PORT)?;
    start_cuts_no_datagrams(&mut world, |family| (guest.address(family), FREE_PORT).into())
}

/// Lines with a container, which no gate has judged yet, go on when that with this config gets another one.
fn reload_cuts_none(world: &mut World, before: &Config) -> Result<()> {
    under_every_judgement(world, before, reload_cuts_none_under)
}

fn reload_cuts_none_under(world: &mut World, judgement: Judgement) -> Result<()> {
    for family in Family::ALL {
        must_open(Host::Client, server(SSH_PORT)(family))?;
    }
    let mut sessions = lines(|family| Line::tcp(Host::Client, server(SSH_PORT)(family)))?;
    let mut datagrams = lines(|family| Line::udp_from(Host::Client, 0, server(FREE_PORT)(family)))?;
    gate(world, &judgement.of(config()))?;
    for (line, to) in sessions.iter_mut().zip(Family::ALL.map(server(SSH_PORT))) {
        assert_goes_on(line, to, judgement.denied())?;
    }
    for line in &mut datagrams {
        line.echo()?;
    }
    Ok(())
}

fn a_reload_that_adds_a_port_takes_over_what_stands() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    let before = Config::lab().with("[\"2222/tcp\"]", "[\"5001/tcp\"]");
    reload_cuts_none(&mut world, &before)
}

fn a_reload_that_adds_an_interface_takes_over_what_stands() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    // The client comes by the other one.
    reload_cuts_none(&mut world, &config().set("interfaces", "[\"eth1\"]"))
}

fn sessions_of_the_host_itself_go_on_at_the_start() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    at_each_start(&mut world, |world, judgement| {
        let mut sessions = [Session::open(Family::V4)?, Session::open(Family::V6)?];
        world.start(&judgement.of(config()))?;
        for family in Family::ALL {
            assert_shut(server(SSH_PORT)(family), judgement.denied())?;
        }
        for session in &mut sessions {
            session.echo()?;
        }
        Ok(())
    })
}

/// More of them than there is room for flows, all of them tracked.
fn sessions_of_the_host_itself_take_no_room_from_what_is_forwarded() -> Result<()> {
    const ROOM: usize = 128;
    const OWN: usize = 300;
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::routed()?;
    track(Host::Server)?;
    let listener = Host::Server.enter(|| Ok(TcpListener::bind(server(FREE_PORT)(Family::V4))?))?;
    let own = Host::Client.enter(|| {
        let pair = || {
            let client = TcpStream::connect_timeout(&server(FREE_PORT)(Family::V4), TIMEOUT)?;
            anyhow::Ok((client, listener.accept()?.0))
        };
        (0..OWN).map(|_| pair()).collect::<Result<Vec<_>>>()
    })?;
    let _server = Echo::udp(Host::Guest, FREE_PORT)?;
    let mut forwarded = Vec::new();
    for _ in 0..4 {
        forwarded.extend(lines(|family| Line::udp_from(Host::Client, 0, (guest.address(family), FREE_PORT).into()))?);
    }
    assert_tracked()?;
    world.start(&config().option("max_flows", &ROOM.to_string()))?;
    let flows = State::open(&Paths::default())?.flows()?;
    assert!(flows.iter().all(|flow| flow.key.is_udp()), "{flows:?}");
    for line in &mut forwarded {
        line.echo().context("what is forwarded")?;
    }
    for (mut client, mut here) in own {
        client.write_all(b"x")?;
        here.set_read_timeout(Some(TIMEOUT))?;
        here.read_exact(&mut [0]).context("a session of the host")?;
    }
    Ok(())
}
