//! A container behind DNAT, as an engine for containers publishes its ports.

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Guest, Host, Line, PATIENCE, SSH_PORT, nft};
use tests::story::World;

use super::{
    FREE_PORT, Judgement, SILENT, assert_datagrams_outlive_every_judgement, assert_goes_on,
    assert_outlives_every_judgement, assert_shut, brief, config, gate, in_every_way, under_every_judgement,
    wait_for_end_of_grants,
};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::flows::dnat";
        a_session_with_a_container_outlives_its_grant_where_the_host_listens_too,
        a_session_with_a_container_outlives_its_grant_where_the_host_does_not_listen,
        a_session_with_a_container_outlives_the_end_of_its_time,
        a_session_with_a_container_outlives_the_trust_that_let_it_in,
        datagrams_to_a_container_outlive_their_grant,
        a_flow_lets_in_no_new_connection_of_its_own_port,
    ]
}

/// A guest to which the server's protected ports lead, those on which it listens itself too, and its servers there.
pub struct Container {
    _servers: [Echo; 3],
    _guest: Guest,
}

impl Container {
    pub fn new() -> Result<Self> {
        let guest = Guest::routed()?;
        let port = FREE_PORT;
        let servers = [Echo::tcp(Host::Guest, SSH_PORT)?, Echo::tcp(Host::Guest, port)?, Echo::udp(Host::Guest, port)?];
        let [(own4, to4), (own6, to6)] =
            Family::ALL.map(|family| (family.address(Host::Server), guest.address(family)));
        nft(
            Host::Server,
            &format!(
                "table inet containers {{
                    chain published {{
                        type nat hook prerouting priority dstnat;
                        ip daddr {own4} tcp dport {{ {SSH_PORT}, {port} }} dnat ip to {to4}
                        ip daddr {own4} udp dport {port} dnat ip to {to4}
                        ip6 daddr {own6} tcp dport {{ {SSH_PORT}, {port} }} dnat ip6 to {to6}
                        ip6 daddr {own6} udp dport {port} dnat ip6 to {to6}
                    }}
                }}\n"
            ),
        )?;
        Ok(Self { _servers: servers, _guest: guest })
    }
}

/// Both families, under each way to deny.
fn outlives_every_judgement(port: u16) -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    assert_outlives_every_judgement(&mut world, |family| (family.address(Host::Server), port).into(), Judgement::denied)
}

fn a_session_with_a_container_outlives_its_grant_where_the_host_listens_too() -> Result<()> {
    outlives_every_judgement(SSH_PORT)
}

fn a_session_with_a_container_outlives_its_grant_where_the_host_does_not_listen() -> Result<()> {
    outlives_every_judgement(FREE_PORT)
}

fn a_session_with_a_container_outlives_the_end_of_its_time() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    world.start(&brief())?;
    for family in Family::ALL {
        world.family = family;
        let to = world.server(SSH_PORT);
        let (_, mut line) = world.knock_and(|| Line::tcp(Host::Client, to))?;
        line.echo()?;
        wait_for_end_of_grants()?;
        assert_goes_on(&mut line, to, SILENT)?;
    }
    Ok(())
}

fn a_flow_lets_in_no_new_connection_of_its_own_port() -> Result<()> {
    /// The client's, one for each way.
    const PORTS: std::ops::Range<u16> = 41_000..41_008;
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    let mut ports = PORTS;
    in_every_way(&mut world, &config(), |world, judgement| {
        let (to, port) = (world.server(SSH_PORT), ports.next().context("a port")?);
        let (_, mut line) = world.knock_and(|| Line::tcp_from(Host::Client, port, to))?;
        line.echo()?;
        world.revoke()?;
        line.echo().context("the line after its grant")?;
        line.reset()?;
        let again = Line::tcp_within(Host::Client, port, to, PATIENCE);
        assert!(again.is_err(), "the port of a flow that has ended gets in");
        assert_shut(to, judgement.denied())
    })
}

fn a_session_with_a_container_outlives_the_trust_that_let_it_in() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    let trusting = config().option("trusted", "[\"192.0.2.0/24\", \"2001:db8:1::/64\"]");
    let server = |family: Family| (family.address(Host::Server), SSH_PORT).into();
    let open = |family| {
        let mut line = Line::tcp(Host::Client, server(family))?;
        line.echo().map(|()| line)
    };
    under_every_judgement(&mut world, &trusting, |world, judgement| {
        let mut lines = Family::ALL.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        gate(world, &judgement.of(config()))?;
        for (line, family) in lines.iter_mut().zip(Family::ALL) {
            assert_goes_on(line, server(family), judgement.denied())?;
        }
        Ok(())
    })
}

fn datagrams_to_a_container_outlive_their_grant() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    let to = |family: Family| (family.address(Host::Server), FREE_PORT).into();
    assert_datagrams_outlive_every_judgement(&mut world, to).map(drop)
}
