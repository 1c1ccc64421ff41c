//! Rule 15: a link-local source in whose address there is no room for its interface is taken for nobody else.

use std::net::{IpAddr, Ipv6Addr};

use knock_common::abi::counter::Counter::{
    AttemptAdvanced, AttemptStarted, DenyNew, DenyProbe, GrantOpened, KnockPacket, PassFlow, PassGranted, PassTrusted,
};
use knock_common::gate::Verdict::{Deny, Pass};
use tests::packet::extension::{DESTINATION, Extension};
use tests::packet::{ACK, PacketBuilder, SERVER_V6, SYN};
use tests::tables::Tables;

use crate::common::{datagram, host, host_of, judged, syn};

/// As link-local addresses are.
const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7);
/// As they are not, the last one with what could be the index of an interface.
const OTHERS: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfe80, 0, 1, 2, 0, 0, 0, 7),
    Ipv6Addr::new(0xfe80, 0, 0xffff, 0xffff, 0, 0, 0, 7),
    Ipv6Addr::new(0xfe80, 0, 0, 1, 0, 0, 0, 7),
];

/// A plain frame, and one that is read the long way.
fn both(packet: &PacketBuilder) -> [Vec<u8>; 2] {
    [packet.clone().build(), packet.clone().extension(Extension::generic(DESTINATION, 1)).build()]
}

fn segment(source: Ipv6Addr, flags: u8) -> PacketBuilder {
    PacketBuilder::between(source, SERVER_V6).tcp(40_000, 2222, flags)
}

fn trusting(networks: &str) -> String {
    let trusted = r#"trusted = ["198.51.100.192/28", "2001:db8:0:200::/64"]"#;
    crate::common::CONFIG.replace(trusted, &format!("trusted = [{networks}]"))
}

#[test]
fn it_has_no_part_in_the_grant_and_the_connections_of_another() {
    let host = host();
    judged(&host, "step 1", &syn(SOURCE, SERVER_V6, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
    for other in OTHERS {
        for frame in both(&datagram(other, SERVER_V6, 8000)) {
            judged(&host, "step 2 of another", &frame, Pass, &[KnockPacket]);
        }
        for frame in both(&syn(other, SERVER_V6, 31337)) {
            judged(&host, "a wrong one of another", &frame, Pass, &[]);
        }
    }
    judged(&host, "step 2", &datagram(SOURCE, SERVER_V6, 8000).build(), Pass, &[KnockPacket, AttemptAdvanced]);
    let last = syn(SOURCE, SERVER_V6, 9000).build();
    judged(&host, "step 3", &last, Pass, &[KnockPacket, AttemptStarted, AttemptAdvanced, GrantOpened]);
    judged(&host, "granted", &segment(SOURCE, SYN).build(), Pass, &[PassGranted]);
    judged(&host, "its connection", &segment(SOURCE, ACK).build(), Pass, &[PassFlow]);
    for other in OTHERS {
        for frame in both(&segment(other, SYN)) {
            judged(&host, "a new one of another", &frame, Deny, &[DenyNew]);
        }
        for frame in both(&segment(other, ACK)) {
            judged(&host, "with the same ports", &frame, Deny, &[DenyProbe]);
        }
    }
}

/// On each link somebody else may have its address.
#[test]
fn it_opens_no_door() {
    let host = host();
    for other in OTHERS {
        for knock in [syn(other, SERVER_V6, 7000), datagram(other, SERVER_V6, 8000), syn(other, SERVER_V6, 9000)] {
            for frame in both(&knock) {
                judged(&host, "a knock", &frame, Pass, &[KnockPacket]);
            }
        }
        judged(&host, "a visit", &segment(other, SYN).build(), Deny, &[DenyNew]);
    }
    assert!(host.grants().is_empty());
}

/// A group's address, from which no stack sends: a grant for it would let in the one that it stands for in the tables.
#[test]
fn nobody_knocks_for_it_by_the_address_that_is_stored() {
    let host = host();
    let forged = Ipv6Addr::new(0xff80, 0, 1, 2, 0, 0, 0, 7);
    for knock in [syn(forged, SERVER_V6, 7000), datagram(forged, SERVER_V6, 8000), syn(forged, SERVER_V6, 9000)] {
        for frame in both(&knock) {
            judged(&host, "a knock", &frame, Pass, &[KnockPacket]);
        }
    }
    assert!(host.grants().is_empty());
}

#[test]
fn it_is_trusted_by_the_address_that_it_has() {
    for (networks, trusted) in [
        (r#""fe80::/10""#, [true, true, true]),
        (r#""fe80::/64""#, [false, false, false]),
        (r#""fe80:0:1:2::/64""#, [true, false, false]),
    ] {
        let mut host = host_of(&trusting(networks));
        for (other, is_trusted) in OTHERS.into_iter().zip(trusted) {
            let (verdict, counter) = if is_trusted { (Pass, PassTrusted) } else { (Deny, DenyNew) };
            for frame in both(&segment(other, SYN)) {
                judged(&host, networks, &frame, verdict, &[counter]);
            }
        }
        let known: Vec<IpAddr> = host.all_flows().into_keys().map(|key| key.source.into()).collect();
        assert_eq!(known.len(), trusted.into_iter().filter(|trusted| *trusted).count(), "{known:?}");
        assert!(known.iter().all(|source| OTHERS.iter().any(|other| source == other)), "{known:?}");
        host.reload(Tables::from_toml(&trusting("")));
        for (other, was_trusted) in OTHERS.into_iter().zip(trusted) {
            let (verdict, counter) = if was_trusted { (Pass, PassFlow) } else { (Deny, DenyProbe) };
            judged(&host, networks, &segment(other, ACK).build(), verdict, &[counter]);
        }
    }
}

#[test]
fn it_is_not_answered() {
    let host = host_of(&crate::common::CONFIG.replace("[options]", "[options]\ndeny = \"reject\""));
    for other in OTHERS {
        for frame in both(&segment(other, SYN)) {
            judged(&host, "a visit", &frame, Deny, &[DenyNew]);
        }
    }
}
