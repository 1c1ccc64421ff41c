//! A real WireGuard whose grant ends, without `keepalive`.

use std::net::SocketAddr;

use anyhow::Result;
use tests::harness::{Test, waiting_tests};
use tests::lab::{Config, Family, Host, PATIENCE, Pause, Probe, TIMEOUT, connect, pause, until};
use tests::story::World;

use super::super::wireguard::{End, PORT};
use super::{JUDGEMENTS, gate, hear_answers, wait_for_end_of_grants};

/// The tests.
pub fn tests() -> Vec<Test> {
    waiting_tests!["e2e::flows::tunnel"; a_tunnel_outlives_its_grant_from_the_port_that_was_let_in]
}

fn a_tunnel_outlives_its_grant_from_the_port_that_was_let_in() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _ends = hear_answers()?;
    let ports = format!("[\"2222/tcp\", \"{PORT}/udp\"]");
    let config = Config::lab().with("[\"2222/tcp\"]", &ports).set("cmd_timeout", "\"60s\"");
    let server = End::new(Host::Server, "wg-server", "203.0.113.1/24")?;
    let client = End::new(Host::Client, "wg-client", "203.0.113.2/24")?;
    server.peer(&client, &[])?;
    // Whoever gets an answer from inside the tunnel is through.
    let inside = SocketAddr::from(([203, 0, 113, 1], 1));
    let probe = || connect(Host::Client, inside, PATIENCE).map(|found| found.0);
    let through = || (probe().ok()? == Probe::Refused).then_some(());
    let move_to = |port: u16| Host::Client.must(&["wg", "set", "wg-client", "listen-port", &port.to_string()]);
    let [drop, .., reject] = JUDGEMENTS;
    for (judgement, port) in [(drop, PORT), (reject, PORT + 2)] {
        gate(&mut world, &judgement.of(config.clone()))?;
        move_to(port)?;
        world.knock_open()?;
        client.peer(&server, &["endpoint", &world.server(PORT).to_string(), "persistent-keepalive", "1"])?;
        until("the tunnel", TIMEOUT, through)?;
        world.revoke()?;
        wait_for_end_of_grants()?;
        for _ in 0..3 {
            pause(Pause::TrafficOfTunnel);
            assert_eq!(probe()?, Probe::Refused, "{judgement:?}: the tunnel after its grant");
        }
        // From another port it is a new flow.
        move_to(port + 1)?;
        assert_eq!(probe()?, Probe::Silent, "{judgement:?}: another port gets in");
        move_to(port)?;
        until("the tunnel from its own port", TIMEOUT, through)?;
    }
    Ok(())
}
