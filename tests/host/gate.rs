//! Rules 8 to 11: what passes to a protected port.

use knock_common::abi::counter::Counter::{
    DenialUnlogged, DenyNew, DenyProbe, DenyUdp, GrantExtended, PassConnected, PassFlow, PassGranted, PassNoSocket,
    PassTrusted, PassUnchecked,
};
use knock_common::abi::event::Kind;
use knock_common::abi::grant::FOR_GOOD;
use knock_common::gate::Verdict::{Deny, Pass};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tests::memory::Memory;
use tests::packet::{
    ACK, CLIENT_V4, CLIENT_V6, CWR, ECE, FIN, PSH, PacketBuilder, RST, SERVER_V4, SERVER_V6, STRANGER_V4, SYN, URG,
};

use crate::common::{CONFIG, NOW, SECOND, allow, datagram, host, host_of, judged, syn};

const NEIGHBOUR_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);
const NEIGHBOUR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0x200, 0, 0, 0, 9);

fn segment(flags: u8) -> Vec<u8> {
    PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(40_000, 2222, flags).build()
}

/// TCP flags that ask for a connection or that no connection sends.
fn opening() -> Vec<u8> {
    (0..=u8::MAX).filter(|flags| flags & (SYN | ACK) == SYN || flags & (SYN | ACK | RST) == 0).collect()
}

#[test]
fn a_trusted_network_never_knocks() {
    let host = host();
    judged(&host, "IPv4", &syn(NEIGHBOUR_V4, SERVER_V4, 2222).build(), Pass, &[PassTrusted]);
    judged(&host, "IPv6", &syn(NEIGHBOUR_V6, SERVER_V6, 2222).build(), Pass, &[PassTrusted]);
    judged(&host, "UDP", &datagram(NEIGHBOUR_V6, SERVER_V6, 51820).build(), Pass, &[PassTrusted]);
    judged(
        &host,
        "the next network",
        &syn(Ipv4Addr::new(198, 51, 100, 208), SERVER_V4, 2222).build(),
        Deny,
        &[DenyNew],
    );
}

#[test]
fn a_grant_lets_one_source_to_one_service_until_its_end() {
    let host = host();
    allow(&host, CLIENT_V4, "ssh2", NOW + SECOND);
    judged(&host, "granted", &segment(SYN), Pass, &[PassGranted]);
    judged(&host, "bare probe, granted", &segment(0), Pass, &[PassGranted]);
    judged(&host, "the other service", &datagram(CLIENT_V4, SERVER_V4, 51820).build(), Deny, &[DenyUdp]);
    judged(&host, "a stranger", &syn(STRANGER_V4, SERVER_V4, 2222).build(), Deny, &[DenyNew]);
    host.set_now(NOW + SECOND - 1);
    judged(&host, "the last nanosecond", &segment(SYN), Pass, &[PassGranted]);
    host.set_now(NOW + SECOND);
    judged(&host, "over, and not swept", &segment(SYN), Deny, &[DenyNew]);
}

#[test]
fn a_grant_without_an_end_has_none() {
    let host = host();
    allow(&host, CLIENT_V6, "ssh2", FOR_GOOD);
    host.set_now(u64::MAX - 1);
    judged(&host, "for good", &syn(CLIENT_V6, SERVER_V6, 2222).build(), Pass, &[PassGranted]);
}

#[test]
fn what_asks_for_a_connection_or_belongs_to_none_is_denied() {
    for flags in opening() {
        judged(&host(), "opening", &segment(flags), Deny, &[DenyNew]);
    }
    for flags in [SYN | ECE | CWR, SYN | FIN, SYN | RST, SYN | PSH | URG, FIN | PSH | URG, FIN, PSH, 0] {
        assert!(opening().contains(&flags), "{flags:#x}");
    }
}

#[test]
fn what_belongs_to_a_connection_passes_and_a_probe_of_the_listener_does_not() {
    let host = host();
    for flags in (0..=u8::MAX).filter(|flags| !opening().contains(flags)) {
        judged(&host, "probe", &segment(flags), Deny, &[DenyProbe]);
    }
    host.change_sockets(|sockets| {
        sockets.connections.insert((CLIENT_V4.into(), 40_000, SERVER_V4.into(), 2222));
    });
    for flags in (0..=u8::MAX).filter(|flags| !opening().contains(flags)) {
        judged(&host, "connected", &segment(flags), Pass, &[PassConnected]);
    }
    let other = PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(40_001, 2222, ACK);
    judged(&host, "another source port", &other.build(), Deny, &[DenyProbe]);
    host.change_sockets(|sockets| *sockets = tests::model::Sockets::default());
    judged(&host, "no socket", &segment(ACK), Pass, &[PassNoSocket]);
    judged(&host, "an answer", &segment(SYN | ACK), Pass, &[PassNoSocket]);
    judged(&host, "new, no socket", &segment(SYN), Deny, &[DenyNew]);
}

#[test]
fn without_stealth_nothing_is_looked_up() {
    let host = host_of(&CONFIG.replace("[options]", "[options]\nstealth = false"));
    judged(&host, "probe", &segment(ACK), Pass, &[PassUnchecked]);
    judged(&host, "new", &segment(SYN), Deny, &[DenyNew]);
    judged(&host, "bare", &segment(FIN), Deny, &[DenyNew]);
}

#[test]
fn an_established_connection_outlives_its_grant() {
    let host = host();
    allow(&host, CLIENT_V4, "ssh2", NOW + SECOND);
    host.change_sockets(|sockets| {
        sockets.connections.insert((CLIENT_V4.into(), 40_000, SERVER_V4.into(), 2222));
    });
    host.set_now(NOW + 2 * SECOND);
    judged(&host, "goes on", &segment(ACK | PSH), Pass, &[PassConnected]);
    judged(&host, "ends", &segment(FIN | ACK), Pass, &[PassConnected]);
    judged(&host, "a new one", &syn(CLIENT_V4, SERVER_V4, 2222).build(), Deny, &[DenyNew]);
}

/// Opens `wg` for 30 s.
fn tunnel(host: &Memory, source: IpAddr, server: IpAddr) {
    for port in [7001, 8001] {
        assert_eq!(host.judge(&datagram(source, server, port).build()), Pass);
    }
}

fn only_end(host: &Memory) -> u64 {
    let ends: Vec<u64> = host.grants().values().map(|grant| grant.until).collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0]
}

#[test]
fn traffic_keeps_a_udp_grant_alive() {
    let pairs: [(IpAddr, IpAddr); 2] = [(CLIENT_V4.into(), SERVER_V4.into()), (CLIENT_V6.into(), SERVER_V6.into())];
    for (source, server) in pairs {
        let host = host();
        tunnel(&host, source, server);
        let traffic = datagram(source, server, 51820).build();
        assert_eq!(only_end(&host), NOW + 30 * SECOND);
        host.set_now(NOW + 2 * SECOND);
        judged(&host, "too early to write", &traffic, Pass, &[PassGranted]);
        assert_eq!(only_end(&host), NOW + 30 * SECOND);
        host.set_now(NOW + 29 * SECOND);
        judged(&host, "extended", &traffic, Pass, &[PassFlow, GrantExtended]);
        assert_eq!(only_end(&host), NOW + 59 * SECOND);
        host.set_now(NOW + 59 * SECOND);
        let other = PacketBuilder::between(source, server).udp(40_001, 51820).build();
        judged(&host, "over", &other, Deny, &[DenyUdp]);
    }
}

#[test]
fn traffic_neither_shortens_nor_limits_a_grant() {
    let host = host();
    allow(&host, CLIENT_V4, "wg", FOR_GOOD);
    judged(&host, "for good", &datagram(CLIENT_V4, SERVER_V4, 51820).build(), Pass, &[PassGranted]);
    assert_eq!(only_end(&host), FOR_GOOD);
    allow(&host, CLIENT_V4, "wg", NOW + SECOND);
    judged(&host, "by command", &datagram(CLIENT_V4, SERVER_V4, 51820).build(), Pass, &[PassFlow]);
    assert_eq!(only_end(&host), NOW + SECOND);
}

#[test]
fn denials_are_logged_while_there_are_tokens() {
    let host = host().with_tokens(1);
    judged(&host, "logged", &segment(SYN), Deny, &[DenyNew]);
    let events = host.take_events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, Kind::Denied as u8);
    assert_eq!((IpAddr::from(events[0].source), events[0].port), (CLIENT_V4.into(), 2222));
    judged(&host, "not logged", &segment(SYN), Deny, &[DenyNew, DenialUnlogged]);
    assert!(host.take_events().is_empty());
    let silent = host_of(&CONFIG.replace("[options]", "[options]\nlog_denied = false"));
    judged(&silent, "silent", &segment(SYN), Deny, &[DenyNew]);
    assert!(silent.take_events().is_empty());
}
