//! Rule 19: a connection that was let in is not cut, and nobody else gets in by it.

use std::net::{IpAddr, Ipv4Addr};

use knock_common::abi::counter::Counter::{
    DenyNew, DenyProbe, DenyTinyFragment, DenyUdp, GrantExtended, PassConnected, PassFlow, PassGranted, PassNoSocket,
    PassTrusted,
};
use knock_common::abi::flow::{FlowKey, FlowState, Phase};
use knock_common::gate::Verdict::{Deny, Pass};
use tests::packet::{ACK, CLIENT_V4, CLIENT_V6, FIN, PSH, PacketBuilder, RST, SERVER_V4, SERVER_V6, STRANGER_V4, SYN};

use crate::common::{NOW, SECOND, allow, datagram, host, judged};

/// In a trusted network.
const NEIGHBOUR_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

fn pairs() -> [(IpAddr, IpAddr); 2] {
    [(CLIENT_V4.into(), SERVER_V4.into()), (CLIENT_V6.into(), SERVER_V6.into())]
}

fn segment((client, server): (IpAddr, IpAddr), from: u16, flags: u8) -> Vec<u8> {
    PacketBuilder::between(client, server).tcp(from, 2222, flags).build()
}

/// The listener of the host has the port as well, as docker-proxy has it.
#[test]
fn a_connection_to_a_container_goes_on_when_its_grant_has_ended() {
    for pair in pairs() {
        let host = host();
        allow(&host, pair.0, "ssh2", NOW + SECOND);
        judged(&host, "new", &segment(pair, 40_000, SYN), Pass, &[PassGranted]);
        judged(&host, "made", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);
        host.set_now(NOW + DAY);
        judged(&host, "goes on", &segment(pair, 40_000, ACK | PSH), Pass, &[PassFlow]);
        judged(&host, "ends", &segment(pair, 40_000, FIN | ACK), Pass, &[PassFlow]);
        judged(&host, "the last one", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);
        judged(&host, "a new one", &segment(pair, 40_000, SYN), Deny, &[DenyNew]);
        judged(&host, "a bare one", &segment(pair, 40_000, 0), Deny, &[DenyNew]);
        judged(&host, "another port", &segment(pair, 40_001, ACK), Deny, &[DenyProbe]);
        let stranger = (STRANGER_V4.into(), SERVER_V4.into());
        judged(&host, "a stranger", &segment(stranger, 40_000, ACK), Deny, &[DenyProbe]);
    }
}

/// With SYN cookies there is no socket between the SYN and the ACK.
#[test]
fn a_handshake_may_outlast_the_grant() {
    let host = host();
    let pair = pairs()[0];
    allow(&host, pair.0, "ssh2", NOW + SECOND);
    judged(&host, "SYN", &segment(pair, 40_000, SYN), Pass, &[PassGranted]);
    host.set_now(NOW + 2 * MINUTE);
    judged(&host, "SYN again", &segment(pair, 40_000, SYN), Deny, &[DenyNew]);
    judged(&host, "ACK", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);
    host.set_now(NOW + DAY);
    judged(&host, "goes on", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);

    allow(&host, pair.0, "ssh2", NOW + DAY + SECOND);
    judged(&host, "SYN", &segment(pair, 40_001, SYN), Pass, &[PassGranted]);
    host.set_now(NOW + DAY + 2 * MINUTE + SECOND);
    judged(&host, "too late", &segment(pair, 40_001, ACK), Deny, &[DenyProbe]);
}

#[test]
fn a_connection_ends_two_minutes_behind_its_last_segment() {
    for end in [FIN | ACK, RST, RST | ACK] {
        let (host, pair) = (host(), pairs()[0]);
        allow(&host, pair.0, "ssh2", NOW + SECOND);
        judged(&host, "SYN", &segment(pair, 40_000, SYN), Pass, &[PassGranted]);
        judged(&host, "end", &segment(pair, 40_000, end), Pass, &[PassFlow]);
        host.set_now(NOW + 2 * MINUTE);
        judged(&host, "late", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);
        host.set_now(NOW + 4 * MINUTE + SECOND);
        judged(&host, "later", &segment(pair, 40_000, ACK), Deny, &[DenyProbe]);
    }
}

/// Whoever knows all four of it may send what the other end does not believe.
#[test]
fn a_connection_whose_end_was_forged_goes_on_with_its_data() {
    for end in [FIN | ACK, RST, RST | ACK] {
        for pair in pairs() {
            let host = host();
            allow(&host, pair.0, "ssh2", NOW + SECOND);
            judged(&host, "SYN", &segment(pair, 40_000, SYN), Pass, &[PassGranted]);
            judged(&host, "made", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);
            judged(&host, "a forged end", &segment(pair, 40_000, end), Pass, &[PassFlow]);
            host.set_now(NOW + 2 * MINUTE);
            judged(&host, "data", &segment(pair, 40_000, ACK | PSH), Pass, &[PassFlow]);
            host.set_now(NOW + 2 * DAY);
            judged(&host, "goes on", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);
        }
    }
}

#[test]
fn what_follows_an_end_does_not_open_the_connection_again() {
    let (host, pair) = (host(), pairs()[0]);
    allow(&host, pair.0, "ssh2", NOW + SECOND);
    judged(&host, "SYN", &segment(pair, 40_000, SYN), Pass, &[PassGranted]);
    judged(&host, "end", &segment(pair, 40_000, FIN | ACK), Pass, &[PassFlow]);
    host.set_now(NOW + SECOND - 1);
    judged(&host, "late data", &segment(pair, 40_000, ACK | PSH), Pass, &[PassFlow]);
    host.set_now(NOW + MINUTE);
    judged(&host, "the last ACK", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);
    host.set_now(NOW + 2 * MINUTE);
    judged(&host, "the end again", &segment(pair, 40_000, FIN | ACK | PSH), Pass, &[PassFlow]);
    host.set_now(NOW + 4 * MINUTE + SECOND);
    judged(&host, "too late", &segment(pair, 40_000, ACK | PSH), Deny, &[DenyProbe]);
}

#[test]
fn an_idle_connection_is_kept_for_five_days() {
    let (host, pair) = (host(), pairs()[1]);
    allow(&host, pair.0, "ssh2", NOW + SECOND);
    judged(&host, "in the middle", &segment(pair, 40_000, ACK), Pass, &[PassGranted]);
    host.set_now(NOW + 5 * DAY);
    judged(&host, "five days", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);
    host.set_now(NOW + 10 * DAY + SECOND);
    judged(&host, "and more", &segment(pair, 40_000, ACK), Deny, &[DenyProbe]);
}

#[test]
fn what_begins_no_connection_leaves_nothing() {
    let (host, pair) = (host(), pairs()[0]);
    allow(&host, pair.0, "ssh2", NOW + SECOND);
    for flags in [RST, RST | ACK, 0, FIN, PSH] {
        judged(&host, "granted", &segment(pair, 40_000, flags), Pass, &[PassGranted]);
    }
    let flagless = PacketBuilder::between(pair.0, pair.1).tcp(40_000, 2222, SYN).first_fragment(8).build();
    judged(&host, "without flags", &flagless, Pass, &[PassGranted]);
    assert!(host.all_flows().is_empty(), "{:?}", host.all_flows());
    host.set_now(NOW + 2 * SECOND);
    judged(&host, "without flags", &flagless, Deny, &[DenyTinyFragment]);
}

#[test]
fn a_source_that_is_no_longer_trusted_keeps_its_connections() {
    let mut host = host();
    let pair = (NEIGHBOUR_V4.into(), SERVER_V4.into());
    judged(&host, "SYN", &segment(pair, 40_000, SYN), Pass, &[PassTrusted]);
    let distrusting = crate::common::CONFIG.replace("trusted = [\"198.51.100.192/28\", \"2001:db8:0:200::/64\"]", "");
    host.reload(tests::tables::Tables::from_toml(&distrusting));
    judged(&host, "goes on", &segment(pair, 40_000, ACK), Pass, &[PassFlow]);
    judged(&host, "a new one", &segment(pair, 40_001, SYN), Deny, &[DenyNew]);
}

#[test]
fn datagrams_go_on_until_they_pause() {
    for (client, server) in pairs() {
        let host = host();
        allow(&host, client, "wg", NOW + SECOND);
        let traffic = datagram(client, server, 51820).build();
        judged(&host, "granted", &traffic, Pass, &[PassGranted]);
        for minutes in [1, 4, 7] {
            host.set_now(NOW + minutes * MINUTE);
            judged(&host, "goes on", &traffic, Pass, &[PassFlow]);
        }
        let other = PacketBuilder::between(client, server).udp(40_001, 51820).build();
        judged(&host, "another port", &other, Deny, &[DenyUdp]);
        host.set_now(NOW + 10 * MINUTE + SECOND);
        judged(&host, "idle", &traffic, Deny, &[DenyUdp]);
    }
}

#[test]
fn an_answer_to_a_question_of_this_host_passes() {
    for (client, server) in pairs() {
        let host = host();
        host.change_sockets(|sockets| {
            sockets.questions.insert((client, 53, server, 51820));
        });
        let answer = |from| PacketBuilder::between(client, server).udp(from, 51820).build();
        judged(&host, "the answer", &answer(53), Pass, &[PassConnected]);
        judged(&host, "somebody else", &answer(54), Deny, &[DenyUdp]);
    }
}

/// The host listens on the port on every address; the packet is for one behind it.
#[test]
fn what_is_only_forwarded_is_no_probe_of_the_listener() {
    for pair in pairs() {
        let host = host();
        judged(&host, "to this host", &segment(pair, 40_000, ACK), Deny, &[DenyProbe]);
        host.change_sockets(|sockets| {
            sockets.guests.insert(pair.1);
        });
        judged(&host, "to a guest", &segment(pair, 40_000, ACK), Pass, &[PassNoSocket]);
        judged(&host, "a new one", &segment(pair, 40_000, SYN), Deny, &[DenyNew]);
    }
}

#[test]
fn a_connection_that_is_taken_over_at_the_start_goes_on() {
    let host = host();
    for (client, server) in pairs() {
        let mut key = FlowKey { source: client.into(), dest: server.into(), sport: 40_000, dport: 2222, transport: 6 };
        assert!(host.take_over(key, FlowState::new(Phase::Open, NOW)));
        judged(&host, "goes on", &segment((client, server), 40_000, ACK), Pass, &[PassFlow]);
        (key.dport, key.transport) = (51820, 17);
        assert!(host.take_over(key, FlowState::new(Phase::Open, NOW)));
        judged(&host, "goes on", &datagram(client, server, 51820).build(), Pass, &[PassFlow]);
    }
}

/// A forger may go on for as long as the client would.
#[test]
fn datagrams_keep_a_grant_alive_for_twelve_windows_behind_the_knock() {
    const WINDOW: u64 = 30 * SECOND;
    let (client, server): (IpAddr, IpAddr) = pairs()[0];
    let host = host();
    for port in [7001, 8001] {
        assert_eq!(host.judge(&datagram(client, server, port).build()), Pass);
    }
    let end = || host.grants().values().map(|grant| grant.until).max();
    let traffic = datagram(client, server, 51820).build();
    judged(&host, "the first", &traffic, Pass, &[PassGranted]);
    for windows in 1..=12 {
        host.set_now(NOW + windows * (WINDOW - SECOND));
        judged(&host, "kept alive", &traffic, Pass, &[PassFlow, GrantExtended]);
    }
    assert_eq!(end(), Some(NOW + 12 * WINDOW));
    host.set_now(NOW + 12 * WINDOW - SECOND);
    judged(&host, "no more", &traffic, Pass, &[PassFlow]);
    assert_eq!(end(), Some(NOW + 12 * WINDOW));
    host.set_now(NOW + 12 * WINDOW);
    judged(&host, "its flow goes on", &traffic, Pass, &[PassFlow]);
    let other = PacketBuilder::between(client, server).udp(40_001, 51820).build();
    judged(&host, "a new flow", &other, Deny, &[DenyUdp]);
}
