//! A host behind the server that speaks to the world under the server's address, from a port which is protected there.

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Config, Echo, Family, Guest, Host, Line, SSH_PORT, nft};
use tests::story::World;

use super::standing::at_each_start;
use super::{FREE_PORT, JUDGEMENTS, assert_shut, config, gate, hear_answers};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::flows::masquerade";
        a_masqueraded_host_connects_from_a_protected_port_on_which_the_server_does_not_listen,
        what_a_masqueraded_host_has_under_way_is_taken_over_at_the_start,
    ]
}

/// Where the client answers.
const ECHO: u16 = 5300;

/// A guest behind the server's address, and what answers it at the client.
struct Scene {
    world: World,
    _servers: [Echo; 2],
    _guest: Guest,
}

impl Scene {
    fn new() -> Result<Self> {
        let world = World::new(Family::V4, None)?;
        let guest = Guest::routed()?;
        nft(
            Host::Server,
            "table inet masqueraded {
                chain out { type nat hook postrouting priority srcnat; oifname \"eth0\" masquerade; }
            }\n",
        )?;
        let servers = [Echo::tcp(Host::Client, ECHO)?, Echo::udp(Host::Client, ECHO)?];
        Ok(Self { world, _servers: servers, _guest: guest })
    }
}

/// A line from a port of the guest; the client sees it come from the same port of the server.
fn line(family: Family, transport: &str, port: u16) -> Result<Line> {
    let to = (family.address(Host::Client), ECHO).into();
    let mut line = match transport {
        "tcp" => Line::tcp_from(Host::Guest, port, to)?,
        _ => Line::udp_from(Host::Guest, port, to)?,
    };
    line.echo().with_context(|| format!("{family:?}, {transport} from port {port}"))?;
    let (name, port) = (if family == Family::V4 { "ipv4" } else { "ipv6" }, port.to_string());
    let known = ["conntrack", "-L", "-f", name, "-p", transport, "--reply-port-dst", &port];
    let known = Host::Server.must(&known)?;
    assert!(known.lines().count() > 0, "{family:?}, {transport}: it leaves from another port than {port}");
    Ok(line)
}

/// An answer that has SYN and ACK is no new connection, and nothing on this host gives its port away.
fn a_masqueraded_host_connects_from_a_protected_port_on_which_the_server_does_not_listen() -> Result<()> {
    let mut scene = Scene::new()?;
    let _ends = hear_answers()?;
    for (judgement, port) in JUDGEMENTS.into_iter().zip(FREE_PORT..) {
        let ports = format!("[\"2222/tcp\", \"{FREE_PORT}-{}/tcp\"]", FREE_PORT + 9);
        gate(&mut scene.world, &judgement.of(Config::lab().with("[\"2222/tcp\"]", &ports)))?;
        for family in Family::ALL {
            let mut line = line(family, "tcp", port).with_context(|| format!("{judgement:?}"))?;
            line.echo()?;
        }
    }
    Ok(())
}

/// On the ssh port the server listens itself, which is what a probe would ask for.
fn what_a_masqueraded_host_has_under_way_is_taken_over_at_the_start() -> Result<()> {
    let Scene { mut world, _servers, _guest } = Scene::new()?;
    at_each_start(&mut world, |world, judgement| {
        let mut lines = Vec::new();
        for family in Family::ALL {
            for (transport, port) in [("tcp", FREE_PORT), ("tcp", SSH_PORT), ("udp", FREE_PORT)] {
                lines.push((family, transport, port, line(family, transport, port)?));
            }
        }
        world.start(&judgement.of(config()))?;
        for (family, transport, port, line) in &mut lines {
            line.echo().with_context(|| format!("{family:?}, {transport} from port {port} when the gate stands"))?;
        }
        for family in Family::ALL {
            assert_shut((family.address(Host::Server), SSH_PORT).into(), judgement.denied())?;
        }
        // So that the next ones get the same ports.
        let connections = lines.into_iter().filter(|(_, transport, ..)| *transport == "tcp");
        connections.map(|(.., line)| line).try_for_each(Line::reset)
    })
}
