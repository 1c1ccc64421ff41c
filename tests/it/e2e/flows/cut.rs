//! `knockctl revoke --cut`: what stands can be ended when somebody means it.

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Guest, Host, Line, SSH_PORT, Session, Status, TIMEOUT, knockctl, until};
use tests::story::World;

use super::dnat::Container;
use super::{FREE_PORT, SILENT, assert_shut, config};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::flows::cut";
        a_cut_resets_the_sessions_of_the_host_and_says_how_many,
        a_cut_ends_sessions_with_a_container_and_what_conntrack_knows_of_them,
        a_cut_ends_flows_of_datagrams,
        a_cut_names_sessions_that_are_only_forwarded_apart,
        a_cut_of_nothing_is_a_negative_answer,
        status_counts_the_connections_under_each_grant,
    ]
}

/// Revokes the client's grant and cuts what it has; the numbers in what that says.
fn cut(world: &World) -> Result<Vec<u64>> {
    let client = world.address(Host::Client).to_string();
    let said = world.command(&["revoke", &client, "--cut"])?;
    println!("{said}");
    let said = said.replace(&client, "");
    Ok(said.split(|c: char| !c.is_alphanumeric()).filter_map(|word| word.parse().ok()).collect())
}

fn a_cut_resets_the_sessions_of_the_host_and_says_how_many() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config())?;
    let _server = Echo::tcp(Host::Server, FREE_PORT)?;
    for family in Family::ALL {
        world.family = family;
        let (free, stranger) = (world.server(FREE_PORT), world.address(Host::Stranger).to_string());
        world.command(&["allow", &stranger])?;
        let mut other = Line::tcp(Host::Stranger, free)?;
        other.echo()?;
        world.knock_open()?;
        let (mut session, mut first, mut second) =
            (Session::open(family)?, Line::tcp(Host::Client, free)?, Line::tcp(Host::Client, free)?);
        first.echo()?;
        second.echo()?;
        // Without the word nothing is cut.
        world.revoke()?;
        session.echo()?;
        first.echo()?;
        second.echo()?;
        world.knock_open()?;
        let said = cut(&world)?;
        assert!(said.contains(&3), "three connections: {said:?}");
        session.wait_for_end().context("the ssh session goes on")?;
        first.wait_for_reset()?;
        second.wait_for_reset()?;
        // Nobody else's.
        other.echo().context("somebody else's connection")?;
        world.command(&["revoke", &stranger])?;
        assert_shut(world.server(SSH_PORT), SILENT)?;
        other.echo()?;
    }
    Ok(())
}

fn a_cut_ends_sessions_with_a_container_and_what_conntrack_knows_of_them() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _container = Container::new()?;
    world.start(&config())?;
    for family in Family::ALL {
        world.family = family;
        let (to, client) = (world.server(SSH_PORT), world.address(Host::Client).to_string());
        let (_, mut lines) = world.knock_and(|| {
            let open = || {
                let mut line = Line::tcp(Host::Client, to)?;
                line.echo().map(|()| line)
            };
            Ok([open()?, open()?])
        })?;
        // The knocks are known as well.
        let name = if family == Family::V4 { "ipv4" } else { "ipv6" };
        let port = SSH_PORT.to_string();
        let known = || {
            let list = ["conntrack", "-L", "-f", name, "-p", "tcp", "-s", &client, "--dport", &port];
            Host::Server.must(&list).map(|list| list.lines().count())
        };
        assert_eq!(known()?, 2, "{family:?}");
        world.revoke()?;
        for line in &mut lines {
            line.echo().context("without the word nothing is cut")?;
        }
        world.knock_open()?;
        let said = cut(&world)?;
        assert!(said.contains(&2), "two connections: {said:?}");
        assert_eq!(known()?, 0, "{family:?}: conntrack knows what was cut");
        for line in &mut lines {
            assert!(!line.asks()?, "{family:?}: a session that was cut goes on");
        }
        assert_shut(to, SILENT)?;
    }
    Ok(())
}

fn a_cut_ends_flows_of_datagrams() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config())?;
    let _server = Echo::udp(Host::Server, FREE_PORT)?;
    for family in Family::ALL {
        world.family = family;
        let to = world.server(FREE_PORT);
        world.knock_open()?;
        let mut lines = [Line::udp_from(Host::Client, 0, to)?, Line::udp_from(Host::Client, 0, to)?];
        for line in &mut lines {
            line.echo()?;
        }
        world.revoke()?;
        for line in &mut lines {
            line.echo().context("without the word nothing is cut")?;
        }
        world.knock_open()?;
        let said = cut(&world)?;
        assert!(said.contains(&2), "two flows: {said:?}");
        for line in &mut lines {
            assert!(!line.asks()?, "{family:?}: a flow that was cut goes on");
        }
    }
    Ok(())
}

/// A segment that asks for nothing passes to a guest without a flow: the gate cannot end its connection.
fn a_cut_names_sessions_that_are_only_forwarded_apart() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let guest = Guest::routed()?;
    let _server = Echo::tcp(Host::Guest, SSH_PORT)?;
    world.start(&config())?;
    for family in Family::ALL {
        world.family = family;
        let client = world.address(Host::Client).to_string();
        world.knock_open()?;
        let mut line = Line::tcp(Host::Client, (guest.address(family), SSH_PORT).into())?;
        line.echo()?;
        let said = world.command(&["revoke", &client, "--cut"])?;
        assert!(said.contains(": no connection\n"), "{said}");
        assert!(said.contains(": 1 connection that this host only forwards goes on"), "{said}");
        line.echo()?;
    }
    Ok(())
}

fn a_cut_of_nothing_is_a_negative_answer() -> Result<()> {
    let world = World::guarded(Family::V4, &config())?;
    let client = world.address(Host::Client).to_string();
    let ran = knockctl(Host::Server, &["revoke", &client, "--cut"])?;
    assert_eq!((ran.code, ran.stdout), (1, format!("{client}: no grant\n{client}: no connection\n")));
    Ok(())
}

/// Each of the two hosts has a grant; what one of them has open is nothing of the other's.
fn status_counts_the_connections_under_each_grant() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config())?;
    let _servers = [Echo::tcp(Host::Server, FREE_PORT)?, Echo::udp(Host::Server, FREE_PORT)?];
    let counted = |of: std::net::IpAddr, count: u64| {
        until(&format!("{count} connections of {of}"), TIMEOUT, || {
            let status = Status::read().ok()?;
            let [grant] = status.grants_of(of)[..] else { return None };
            (grant["connections"] == count).then_some(())
        })
    };
    for family in Family::ALL {
        world.family = family;
        let (to, client, stranger) =
            (world.server(FREE_PORT), world.address(Host::Client), world.address(Host::Stranger));
        world.command(&["allow", &stranger.to_string()])?;
        world.knock_open()?;
        counted(client, 0)?;
        let mut lines = [
            Line::tcp(Host::Client, to)?,
            Line::tcp(Host::Client, world.server(SSH_PORT))?,
            Line::udp_from(Host::Client, 0, to)?,
        ];
        lines[0].echo()?;
        lines[2].echo()?;
        counted(client, 3)?;
        let mut other = Line::tcp(Host::Stranger, to)?;
        other.echo()?;
        counted(stranger, 1)?;
        counted(client, 3)?;
        // A line that is cut is none any more, and a grant that comes behind it has none.
        world.command(&["revoke", &client.to_string(), "--cut"])?;
        world.knock_open()?;
        counted(client, 0)?;
        counted(stranger, 1)?;
        world.command(&["revoke", &stranger.to_string(), "--cut"])?;
        world.revoke()?;
    }
    Ok(())
}
