//! Rule 15: a link-local source is somebody else on each link. The ports of a bond are one link.

use std::net::Ipv6Addr;

use knock_common::abi::counter::Counter::{
    self, AttemptAdvanced, AttemptEnded, AttemptStarted, DenyNew, DenyProbe, GrantOpened, KnockPacket, PassFlow,
    PassGranted,
};
use knock_common::gate::Verdict::{Deny, Pass};
use tests::links::{BOND, LO, PORTS};
use tests::memory::Memory;
use tests::packet::extension::{DESTINATION, Extension};
use tests::packet::{ACK, PacketBuilder, SERVER_V6};

use crate::common::{NOW, SECOND, datagram, host, host_of, judged, syn};

const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7);

fn knock(host: &Memory) {
    judged(host, "step 1", &syn(SOURCE, SERVER_V6, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
    judged(host, "step 2", &datagram(SOURCE, SERVER_V6, 8000).build(), Pass, &[KnockPacket, AttemptAdvanced]);
    let last = syn(SOURCE, SERVER_V6, 9000).build();
    // It is also the first step of the door that closes.
    judged(host, "step 3", &last, Pass, &[KnockPacket, AttemptStarted, AttemptAdvanced, GrantOpened]);
}

#[test]
fn a_grant_is_for_the_interface_of_the_knock() {
    let host = host();
    knock(&host);
    let visit = syn(SOURCE, SERVER_V6, 2222).build();
    judged(&host, "there", &visit, Pass, &[PassGranted]);
    let segment = PacketBuilder::between(SOURCE, SERVER_V6).tcp(40_000, 2222, ACK).build();
    judged(&host, "its flow", &segment, Pass, &[PassFlow]);
    host.set_interface(2);
    judged(&host, "on another link", &visit, Deny, &[DenyNew]);
    knock(&host);
    assert_eq!(host.grants().len(), 2);
}

/// However wide the prefix that is granted.
#[test]
fn so_is_a_grant_for_a_prefix() {
    let host =
        host_of(&crate::common::CONFIG.replace("cmd_timeout = \"60s\"", "cmd_timeout = \"60s\"\ngrant_prefix_v6 = 48"));
    knock(&host);
    let neighbour = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 8);
    judged(&host, "a neighbour", &syn(neighbour, SERVER_V6, 2222).build(), Pass, &[PassGranted]);
    host.set_interface(2);
    judged(&host, "on another link", &syn(neighbour, SERVER_V6, 2222).build(), Deny, &[DenyNew]);
}

#[test]
fn an_attempt_goes_on_and_ends_on_its_own_interface() {
    let host = host();
    judged(&host, "step 1", &syn(SOURCE, SERVER_V6, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
    host.set_interface(2);
    judged(&host, "step 2 elsewhere", &datagram(SOURCE, SERVER_V6, 8000).build(), Pass, &[KnockPacket]);
    let wrong = syn(SOURCE, SERVER_V6, 31337).build();
    judged(&host, "a wrong one elsewhere", &wrong, Pass, &[]);
    host.set_interface(1);
    judged(&host, "a wrong one", &wrong, Pass, &[AttemptEnded]);
    judged(&host, "step 2", &datagram(SOURCE, SERVER_V6, 8000).build(), Pass, &[KnockPacket]);
}

/// One that spreads packets hands each step over by either, and after a failover all come by the other.
#[test]
fn the_ports_of_a_bond_are_one_link() {
    let host = host();
    let [one, other] = PORTS;
    let on = |host: &Memory, port: u32, what: &str, frame: &[u8], counted: &[Counter]| {
        host.set_interface(port);
        judged(host, what, frame, Pass, counted);
    };
    on(&host, one, "step 1", &syn(SOURCE, SERVER_V6, 7000).build(), &[KnockPacket, AttemptStarted]);
    on(&host, other, "step 2", &datagram(SOURCE, SERVER_V6, 8000).build(), &[KnockPacket, AttemptAdvanced]);
    let last = syn(SOURCE, SERVER_V6, 9000).build();
    on(&host, one, "step 3", &last, &[KnockPacket, AttemptStarted, AttemptAdvanced, GrantOpened]);
    let visit = syn(SOURCE, SERVER_V6, 2222).build();
    let segment = PacketBuilder::between(SOURCE, SERVER_V6).tcp(40_000, 2222, ACK).build();
    // Read the long way.
    let far = PacketBuilder::between(SOURCE, SERVER_V6).tcp(40_000, 2222, ACK);
    let far = far.extension(Extension::generic(DESTINATION, 1)).build();
    for port in PORTS {
        on(&host, port, "a visit", &visit, &[PassGranted]);
        on(&host, port, "its flow", &segment, &[PassFlow]);
        on(&host, port, "its flow", &far, &[PassFlow]);
    }
    let keys: Vec<_> = host.grants().into_keys().map(|key| key.source.interface()).collect();
    assert_eq!(keys, [BOND]);
    // By that port which has seen nothing of it yet, and without a grant.
    host.set_now(NOW + 61 * SECOND);
    on(&host, other, "its flow after the grant", &segment, &[PassFlow]);
    judged(&host, "a new one after the grant", &visit, Deny, &[DenyNew]);
    host.set_interface(LO);
    judged(&host, "on another link", &visit, Deny, &[DenyNew]);
    judged(&host, "its segment on another link", &segment, Deny, &[DenyProbe]);
    assert_eq!(host.all_flows().len(), 1);
}

#[test]
fn a_wrong_knock_by_another_port_of_the_bond_ends_an_attempt() {
    let host = host();
    let [one, other] = PORTS;
    host.set_interface(one);
    judged(&host, "step 1", &syn(SOURCE, SERVER_V6, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
    host.set_interface(other);
    judged(&host, "a wrong one", &syn(SOURCE, SERVER_V6, 31337).build(), Pass, &[AttemptEnded]);
}
