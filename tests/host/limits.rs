//! Rules 15, 16 and 18: full tables, budgets, reloads and empty slots.

use std::net::Ipv4Addr;

use knock_common::abi::attempt::Attempt;
use knock_common::abi::counter::Counter::{
    AttemptAdvanced, AttemptLost, AttemptStarted, AttemptUntold, DenyNew, GrantExtended, GrantOpened, GrantRefused,
    KnockPacket, PassGranted,
};
use knock_common::abi::event::Kind;
use knock_common::abi::grant::Prefix;
use knock_common::abi::rules::{Door, MAX_PREFIXES, Name, Service};
use knock_common::addr::Addr;
use knock_common::gate::Verdict::{Deny, Pass};
use knock_common::packet::flags::FlagTest;
use tests::memory::Memory;
use tests::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6, STRANGER_V4};
use tests::tables::Tables;

use crate::common::{CONFIG, NOW, SECOND, allow, datagram, host, host_of, judged, syn};

/// A door of one step, so that a single packet writes a grant.
const SINGLE: &str = "\n[doors.single]\nservice = \"ssh2\"\nsequence = [\"6000/tcp\"]\ncmd_timeout = \"60s\"\n";

#[test]
fn a_full_table_refuses_the_new_grant_and_loses_no_old_one() {
    let host = host_of(&format!("{CONFIG}{SINGLE}")).with_room(1, 64);
    judged(&host, "the first", &syn(CLIENT_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantOpened]);
    judged(&host, "refused", &syn(STRANGER_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantRefused]);
    assert_eq!(host.take_events().last().map(|event| event.kind), Some(Kind::Refused as u8));
    judged(&host, "outside", &syn(STRANGER_V4, SERVER_V4, 2222).build(), Deny, &[DenyNew]);
    judged(&host, "extended", &syn(CLIENT_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantExtended]);
    judged(&host, "inside", &syn(CLIENT_V4, SERVER_V4, 2222).build(), Pass, &[PassGranted]);
}

#[test]
fn an_expired_grant_of_the_same_source_needs_no_new_room() {
    let host = host_of(&format!("{CONFIG}{SINGLE}")).with_room(1, 64);
    allow(&host, CLIENT_V4, "ssh2", NOW - 1);
    judged(&host, "opened", &syn(CLIENT_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantOpened]);
}

#[test]
fn without_room_for_a_source_its_attempt_is_not_started() {
    let host = host().with_room(64, 1);
    judged(&host, "first", &syn(CLIENT_V4, SERVER_V4, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
    judged(&host, "second", &syn(STRANGER_V4, SERVER_V4, 7000).build(), Pass, &[KnockPacket, AttemptLost]);
    judged(
        &host,
        "first, step 2",
        &datagram(CLIENT_V4, SERVER_V4, 8000).build(),
        Pass,
        &[KnockPacket, AttemptAdvanced],
    );
}

#[test]
fn a_flood_of_first_knocks_is_told_of_within_a_budget_and_keeps_nobody_out() {
    let host = host_of(&CONFIG.replace("[options]", "[options]\nattempt_rate = 3"));
    allow(&host, CLIENT_V6, "ssh2", NOW + 60 * SECOND);
    judged(&host, "under way", &syn(CLIENT_V4, SERVER_V4, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
    for forged in 1..=60 {
        let frame = syn(Ipv4Addr::new(203, 0, 113, forged), SERVER_V4, 7000).build();
        assert_eq!(host.judge(&frame), Pass);
    }
    assert_eq!((host.counter(AttemptStarted), host.counter(AttemptUntold)), (61, 58));
    assert_eq!(host.take_events().iter().filter(|event| event.kind == Kind::Stage as u8).count(), 3, "are told");
    judged(&host, "granted", &syn(CLIENT_V6, SERVER_V6, 2222).build(), Pass, &[PassGranted]);
    judged(&host, "under way", &datagram(CLIENT_V4, SERVER_V4, 8000).build(), Pass, &[KnockPacket, AttemptAdvanced]);
    let late = [KnockPacket, AttemptUntold, AttemptStarted];
    judged(&host, "in the flood", &syn(CLIENT_V6, SERVER_V6, 7000).build(), Pass, &late);
    judged(&host, "in the flood", &datagram(CLIENT_V6, SERVER_V6, 8000).build(), Pass, &[KnockPacket, AttemptAdvanced]);
    host.set_now(NOW + 2 * SECOND);
    judged(&host, "later", &syn(STRANGER_V4, SERVER_V4, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
}

fn knock_through(host: &Memory, ports: &[u16]) {
    for port in ports {
        let tcp = syn(CLIENT_V4, SERVER_V4, *port);
        let frame = if *port == 8000 { datagram(CLIENT_V4, SERVER_V4, *port) } else { tcp };
        assert_eq!(host.judge(&frame.build()), Pass);
    }
}

#[test]
fn a_reload_of_the_same_rules_keeps_attempts_and_grants() {
    let mut host = host();
    knock_through(&host, &[7000, 8000]);
    host.reload(Tables::from_toml(CONFIG));
    knock_through(&host, &[9000]);
    judged(&host, "opened", &syn(CLIENT_V4, SERVER_V4, 2222).build(), Pass, &[PassGranted]);
    host.reload(Tables::from_toml(CONFIG));
    judged(&host, "still open", &syn(CLIENT_V4, SERVER_V4, 2222).build(), Pass, &[PassGranted]);
}

#[test]
fn an_attempt_at_a_door_that_a_reload_changed_is_dead() {
    for (old, new) in
        [("9000/tcp\"]\nseq", "9001/tcp\"]\nseq"), ("60s", "61s"), ("10s", "11s"), ("[doors.open]", "[doors.other]")]
    {
        let mut host = host();
        knock_through(&host, &[7000, 8000]);
        host.reload(Tables::from_toml(&CONFIG.replacen(old, new, 1)));
        knock_through(&host, &[9000]);
        judged(&host, new, &syn(CLIENT_V4, SERVER_V4, 2222).build(), Deny, &[DenyNew]);
    }
}

#[test]
fn a_source_is_never_under_way_twice_at_one_door_after_a_reload() {
    // More than eight doors share slots, and one more door may give all of them other slots.
    let door = |name: &str, ports: &str| format!("\n[doors.{name}]\nservice = \"ssh2\"\nsequence = [{ports}]\n");
    let services = CONFIG.split("[doors.open]").next().unwrap_or_default();
    let nine: String = (0..9).map(|n| door(&format!("d{n}"), &format!("{}, {}", 5000 + n, 5100 + n))).collect();
    let before = format!("{services}{nine}");
    let after = Tables::from_toml(&format!("{before}{}", door("d9", "5008, 5000, 5200")));
    for (index, rules) in after.rules.doors.iter().enumerate().take(9) {
        let first_knock = syn(CLIENT_V4, SERVER_V4, 5000 + index as u16).build();
        let mut host = host_of(&before);
        assert_eq!(host.judge(&first_knock), Pass);
        host.reload(after.clone());
        assert_eq!(host.judge(&first_knock), Pass);
        let stored = host.all_attempts();
        let words = stored.iter().flat_map(|(_, attempts)| attempts.slots.iter().map(|slot| Attempt(slot.load())));
        let alive = words.filter(|word| word.made() > 0 && word.door() == index as u32 && word.check() == rules.check);
        assert_eq!(alive.count(), 1, "attempts at d{index}");
    }
}

#[test]
fn empty_slots_of_every_table_are_harmless() {
    let mut host = host();
    knock_through(&host, &[7000, 8000]);
    let mut tables = Tables::from_toml(CONFIG);
    tables.rules.doors.clear();
    host.reload(tables.clone());
    knock_through(&host, &[9000, 7000]);
    tables.rules.knocks.clear();
    host.reload(tables.clone());
    knock_through(&host, &[9000, 7000]);
    tables.rules.services.clear();
    host.reload(tables);
    assert_eq!(host.judge(&syn(CLIENT_V4, SERVER_V4, 2222).build()), Pass);
    assert!(host.grants().is_empty());
}

#[test]
fn a_zeroed_service_protects_nothing() {
    let mut tables = Tables::from_toml(CONFIG);
    for service in &mut tables.rules.services {
        *service = Service {
            name: Name::EMPTY,
            tag: 0,
            prefixes_v4: [Prefix::NONE; MAX_PREFIXES],
            prefixes_v6: [Prefix::NONE; MAX_PREFIXES],
            keepalive: 0,
        };
    }
    let mut host = host();
    host.reload(tables);
    judged(&host, "TCP", &syn(CLIENT_V4, SERVER_V4, 2222).build(), Pass, &[]);
    judged(&host, "UDP", &datagram(CLIENT_V6, SERVER_V6, 51820).build(), Pass, &[]);
}

#[test]
fn a_zeroed_door_is_never_begun() {
    let zero = Door {
        name: Name::EMPTY,
        tag: 0,
        check: 0,
        steps: 0,
        action: 0,
        service: 0,
        slot: 0,
        flags: FlagTest { set: 0, clear: 0 },
        hooks: 0,
        left: 0,
        prefix_v4: Prefix::NONE,
        prefix_v6: Prefix::NONE,
        target: Addr::ANY,
        seq_ticks: 0,
        cmd_timeout: 0,
        once: 0,
    };
    let mut tables = Tables::from_toml(CONFIG);
    tables.rules.doors.fill(zero);
    let mut host = host();
    host.reload(tables);
    for port in [7000, 9000] {
        judged(&host, "a first step", &syn(CLIENT_V4, SERVER_V4, port).build(), Pass, &[KnockPacket]);
    }
    assert!(host.all_attempts().is_empty());
}
