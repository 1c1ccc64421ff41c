//! `lockout`: who is locked out begins no attempt, and nobody else notices.

use std::net::IpAddr;

use knock_common::abi::counter::Counter::{
    AttemptAdvanced, AttemptStarted, BadChecksum, DenyNew, GrantClosed, GrantOpened, KnockLockedOut, KnockPacket,
    PassGranted,
};
use knock_common::addr::Addr;
use knock_common::gate::Verdict::{Deny, Pass};
use tests::links::LO;
use tests::memory::Memory;
use tests::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6, STRANGER_V4};

use crate::common::{CONFIG, NOW, SECOND, allow, datagram, host, host_of, judged, syn};

const LATER: u64 = NOW + 60 * SECOND;

fn lockout() -> String {
    CONFIG.replace("[options]", "[options]\nlockout = { after = 5, for = \"10m\" }")
}

fn locked(source: impl Into<IpAddr>) -> Memory {
    let host = host_of(&lockout());
    host.lock_out(source.into(), LATER);
    host
}

#[test]
fn a_source_that_is_locked_out_begins_no_attempt_until_its_time_is_over() {
    let host = locked(CLIENT_V4);
    let first = syn(CLIENT_V4, SERVER_V4, 7000).build();
    judged(&host, "locked out", &first, Pass, &[KnockPacket, KnockLockedOut]);
    judged(&host, "another", &syn(STRANGER_V4, SERVER_V4, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
    host.set_now(LATER - 1);
    judged(&host, "still", &first, Pass, &[KnockPacket, KnockLockedOut]);
    host.set_now(LATER);
    judged(&host, "over", &first, Pass, &[KnockPacket, AttemptStarted]);
}

#[test]
fn a_lockout_ends_no_attempt_that_is_under_way() {
    let host = host_of(&lockout());
    judged(&host, "first", &syn(CLIENT_V4, SERVER_V4, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
    host.lock_out(IpAddr::from(CLIENT_V4), LATER);
    judged(&host, "second", &datagram(CLIENT_V4, SERVER_V4, 8000).build(), Pass, &[KnockPacket, AttemptAdvanced]);
}

#[test]
fn an_ipv6_source_is_locked_out_with_its_whole_64() {
    let host = locked(CLIENT_V6);
    let mut octets = CLIENT_V6.octets();
    octets[8..].copy_from_slice(&[0xfe; 8]);
    let beside = std::net::Ipv6Addr::from(octets);
    judged(&host, "beside", &syn(beside, SERVER_V6, 7000).build(), Pass, &[KnockPacket, KnockLockedOut]);
    octets[7] ^= 1;
    let other = std::net::Ipv6Addr::from(octets);
    judged(&host, "elsewhere", &syn(other, SERVER_V6, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
}

#[test]
fn a_link_local_source_is_locked_out_on_its_link_alone() {
    let source = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7);
    let host = host_of(&lockout());
    host.lock_out(Addr::from(source).scoped(LO), LATER);
    let first = syn(source, SERVER_V6, 7000).build();
    judged(&host, "locked out", &first, Pass, &[KnockPacket, KnockLockedOut]);
    host.set_interface(2);
    judged(&host, "somebody else on another link", &first, Pass, &[KnockPacket, AttemptStarted]);
}

#[test]
fn a_grant_for_the_service_of_the_door_keeps_its_source_from_being_locked_out() {
    let host = locked(CLIENT_V4);
    allow(&host, CLIENT_V4, "ssh2", LATER);
    // But not from the doors of another one.
    judged(&host, "tunnel", &datagram(CLIENT_V4, SERVER_V4, 7001).build(), Pass, &[KnockPacket, KnockLockedOut]);
    judged(&host, "extends", &syn(CLIENT_V4, SERVER_V4, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
    judged(&host, "inside", &syn(CLIENT_V4, SERVER_V4, 2222).build(), Pass, &[PassGranted]);
}

#[test]
fn a_knock_to_a_service_under_keepalive_extends_no_grant() {
    let host = host_of(&lockout());
    for port in [7001, 8001] {
        assert_eq!(host.judge(&datagram(CLIENT_V4, SERVER_V4, port).build()), Pass);
    }
    host.lock_out(IpAddr::from(CLIENT_V4), LATER);
    // Late enough for traffic to move the end.
    host.set_now(NOW + 29 * SECOND);
    let before = host.grants();
    judged(&host, "a knock", &datagram(CLIENT_V4, SERVER_V4, 7001).build(), Pass, &[KnockPacket, AttemptStarted]);
    assert_eq!(host.grants(), before);
}

#[test]
fn a_trusted_source_is_never_locked_out() {
    let trusted: IpAddr = "198.51.100.193".parse().expect("an address");
    let host = locked(trusted);
    judged(&host, "trusted", &syn(trusted, SERVER_V4, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
}

#[test]
fn a_door_of_one_step_is_locked_as_well() {
    let single = "\n[doors.single]\nservice = \"ssh2\"\nsequence = [\"6000/tcp\"]\ncmd_timeout = \"60s\"\n";
    let host = host_of(&format!("{}{single}", lockout()));
    host.lock_out(IpAddr::from(CLIENT_V4), LATER);
    let knock = syn(CLIENT_V4, SERVER_V4, 6000);
    judged(&host, "locked out", &knock.clone().build(), Pass, &[KnockPacket, KnockLockedOut]);
    judged(&host, "outside", &syn(CLIENT_V4, SERVER_V4, 2222).build(), Deny, &[DenyNew]);
    judged(&host, "broken", &knock.wrong_checksum().build(), Pass, &[KnockPacket, BadChecksum]);
    host.set_now(LATER);
    judged(&host, "over", &syn(CLIENT_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantOpened]);
}

#[test]
fn without_the_option_nobody_is_locked_out() {
    let host = host();
    host.lock_out(IpAddr::from(CLIENT_V4), LATER);
    judged(&host, "first", &syn(CLIENT_V4, SERVER_V4, 9000).build(), Pass, &[KnockPacket, AttemptStarted]);
    judged(
        &host,
        "closed",
        &syn(CLIENT_V4, SERVER_V4, 7000).build(),
        Pass,
        &[KnockPacket, AttemptAdvanced, GrantClosed, AttemptStarted],
    );
}
