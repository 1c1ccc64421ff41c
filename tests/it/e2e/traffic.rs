//! Much data, large frames and fragments through the gate.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Instant;

use anyhow::{Context, Result};
use tests::harness::{Test, tests};
use tests::lab::{Config, Family, Host, PATIENCE, TIMEOUT, send_udp};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::traffic";
        a_connection_carries_much_data_after_its_grant,
        large_frames_are_gated_and_carried,
        fragmented_datagrams_pass_where_datagrams_do,
    ]
}

/// The second protected port of these tests.
const PORT: u16 = 5000;

fn config() -> Config {
    Config::lab().with("[\"2222/tcp\"]", "[\"2222/tcp\", \"5000/tcp\", \"5000/udp\"]")
}

fn a_connection_carries_much_data_after_its_grant() -> Result<()> {
    let mut world = World::guarded(Family::V4, &config())?;
    for family in Family::ALL {
        world.family = family;
        carry(&world, 64 << 20)?;
    }
    Ok(())
}

fn large_frames_are_gated_and_carried() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    for host in [Host::Server, Host::Client] {
        host.must(&["ip", "link", "set", "eth0", "mtu", "9000"])?;
    }
    world.start(&config())?;
    for family in Family::ALL {
        world.family = family;
        assert_eq!(world.port(Host::Client)?.what(), "silent");
        carry(&world, 64 << 20)?;
    }
    Ok(())
}

/// Both ways through a connection whose grant has ended.
fn carry(world: &World, length: usize) -> Result<()> {
    let server: SocketAddr = world.server(PORT);
    let listener = Host::Server.enter(|| Ok(TcpListener::bind(server)?))?;
    world.knock_open()?;
    let there = Host::Client.enter(|| Ok(TcpStream::connect_timeout(&server, PATIENCE)?))?;
    let (here, _) = listener.accept()?;
    world.revoke()?;
    for (mut from, mut to) in [(&there, &here), (&here, &there)] {
        let start = Instant::now();
        to.set_read_timeout(Some(TIMEOUT))?;
        let data: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let (sent, received) = std::thread::scope(|scope| {
            let sender = scope.spawn(|| from.write_all(&data));
            let mut received = vec![0; length];
            let result = to.read_exact(&mut received).map(|()| received);
            (sender.join(), result)
        });
        assert!(sent.is_ok_and(|sent| sent.is_ok()));
        assert!(received.context("the data does not arrive")? == data, "the data arrives changed");
        let rate = length as f64 / start.elapsed().as_secs_f64() / 1e6;
        println!("{}: {rate:.0} MB/s", world.family.name());
    }
    Ok(())
}

fn fragmented_datagrams_pass_where_datagrams_do() -> Result<()> {
    const OPEN: u16 = 5001;
    let mut world = World::guarded(Family::V4, &config())?;
    for family in Family::ALL {
        world.family = family;
        let long = [7; 4000];
        let mut buffer = [0; 8000];
        let mut receive = |port: u16, from: Host| -> Result<bool> {
            let server = world.server(port);
            let socket = Host::Server.enter(|| Ok(UdpSocket::bind(server)?))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            send_udp(from, server, &long)?;
            Ok(socket.recv(&mut buffer).is_ok_and(|length| length == long.len()))
        };
        assert!(receive(OPEN, Host::Client)?);
        assert!(!receive(PORT, Host::Client)?);
        world.knock_open()?;
        assert!(receive(PORT, Host::Client)?);
        assert!(!receive(PORT, Host::Stranger)?);
        world.revoke()?;
    }
    Ok(())
}
