//! A handshake that began within a grant and ends after it. With SYN cookies the stack has no socket meanwhile.

use anyhow::{Context as _, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Host, Line, Volley, accepted, cookies_sent, nft, setting};
use tests::packet::{PacketBuilder, SYN};
use tests::story::World;

use super::{FREE_PORT, assert_shut, config, in_every_way};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::flows::cookies";
        a_handshake_without_cookies_may_end_after_its_grant,
        a_handshake_by_a_cookie_of_a_full_queue_may_end_after_its_grant,
        a_handshake_by_a_cookie_may_end_after_its_grant,
    ]
}

/// `net.ipv4.tcp_syncookies`, which is of both families.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cookies {
    Never,
    WhenFull,
    Always,
}

/// Another client, which has a grant and never answers.
fn half_open(family: Family) -> std::net::IpAddr {
    match family {
        Family::V4 => [192, 0, 2, 77].into(),
        Family::V6 => std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x77).into(),
    }
}

/// More half-open connections than the queue of the listener has room for.
fn fill(world: &World, family: Family) -> Result<()> {
    let (source, server) = (half_open(family), world.address(Host::Server));
    world.command(&["allow", &source.to_string()])?;
    // The server answers into the void. If it had to look for the source in vain, it would give the half-open connections up
    // after three seconds, and the queue would have room again.
    let (to, nobody) = (source.to_string(), "02:00:00:00:00:77");
    Host::Server.must(&["ip", "neigh", "replace", &to, "lladdr", nobody, "dev", "eth0", "nud", "permanent"])?;
    let syn = |port| PacketBuilder::between(source, server).tcp(port, FREE_PORT, SYN).build();
    let volley = Volley::of(Host::Client, (42_000..42_008).map(syn))?;
    Host::Client.enter(|| volley.send_here())
}

/// The client's bare ACKs are held back until the grant has ended.
fn may_end_later(cookies: Cookies) -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    setting(Host::Server, "net/ipv4/tcp_syncookies", &(cookies as u8).to_string())?;
    in_every_way(&mut world, &config(), |world, judgement| {
        let to = world.server(FREE_PORT);
        let _server = Echo::tcp_with_backlog(Host::Server, FREE_PORT, 1)?;
        if cookies == Cookies::WhenFull {
            fill(world, world.family)?;
        }
        nft(
            Host::Client,
            &format!(
                "table inet held {{
                    chain own {{
                        type filter hook output priority filter;
                        tcp dport {FREE_PORT} tcp flags & (fin | syn | rst | psh | ack) == ack drop
                    }}
                }}\n"
            ),
        )?;
        let (before, sent) = (accepted(Host::Server)?, cookies_sent(Host::Server)?);
        let (_, mut line) = world.knock_and(|| Line::tcp(Host::Client, to))?;
        world.revoke()?;
        let sent = cookies_sent(Host::Server)? - sent;
        ensure!((sent > 0) == (cookies != Cookies::Never), "{cookies:?}: {sent} cookies");
        ensure!(accepted(Host::Server)? == before, "the ACK is not held back");
        nft(Host::Client, "delete table inet held\n")?;
        line.echo().with_context(|| format!("{cookies:?}: a handshake that ends after its grant"))?;
        assert_shut(to, judgement.denied())?;
        line.echo()
    })
}

fn a_handshake_without_cookies_may_end_after_its_grant() -> Result<()> {
    may_end_later(Cookies::Never)
}

fn a_handshake_by_a_cookie_of_a_full_queue_may_end_after_its_grant() -> Result<()> {
    may_end_later(Cookies::WhenFull)
}

fn a_handshake_by_a_cookie_may_end_after_its_grant() -> Result<()> {
    may_end_later(Cookies::Always)
}
