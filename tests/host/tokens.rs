//! Rules 20 to 28: one datagram with a key's MAC in it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use knock_common::abi::counter::Counter::{self, *};
use knock_common::abi::event::Kind;
use knock_common::abi::grant::{FOR_GOOD, Grant, GrantKey, HOST_BITS, Origin, Prefix};
use knock_common::abi::key::{DoorSet, FROM_SEEN, FROM_STRICT, Key};
use knock_common::abi::rules::{Name, PortRole, PortRoles};
use knock_common::addr::Addr;
use knock_common::blake2s::Keyed;
use knock_common::gate::Verdict::{Deny, Pass};
use knock_user::kernel::TokenSettings;
use tests::links;
use tests::memory::Memory;
use tests::packet::extension::HOP_BY_HOP;
use tests::packet::token::{TokenBuilder, base64, stun, stun_of};
use tests::packet::{
    CLIENT_V4, CLIENT_V6, Extension, PacketBuilder, SERVER_V4, SERVER_V6, STRANGER_V4, STRANGER_V6, VLAN,
};
use tests::tables::Tables;

use crate::common::{CONFIG, SECOND, allow, datagram, host_like, judged, syn};

/// Boot time in ns: long enough after boot that a window lies behind.
const NOW: u64 = 1000 * SECOND;
/// Where tokens are taken.
const PORT: u16 = 20_201;
/// What the wall clock is ahead of boot time, in ns: some time in 2026.
const OFFSET: u64 = 1_790_000_000 * SECOND;
/// The wall clock at [`NOW`].
const WALL: u64 = NOW + OFFSET;
const WINDOW: u64 = 60 * SECOND;
const AHEAD: u64 = 10 * SECOND;
/// Since when last times are noted, boot time in ns.
const SINCE: u64 = NOW - 100 * SECOND;
const MASK: [u8; 16] = [0x0a, 0x78, 7, 0x91, 0xb0, 0xe7, 0x51, 0xe1, 0x7e, 0xd3, 0xf9, 0xa5, 0xe3, 0x99, 0x57, 0x71];
/// A key for both doors that open, and the number of its slot.
const LAPTOP: Device = Device { mac: [7; 32], id: 0x5f12_ee90, slot: 3 };
/// A key for the tunnel alone.
const PHONE: Device = Device { mac: [9; 32], id: 0x0102_0304, slot: 5 };
const BOTH: u32 = FROM_STRICT | FROM_SEEN;

#[derive(Clone, Copy)]
struct Device {
    mac: [u8; 32],
    id: u32,
    slot: u32,
}

impl Device {
    fn key(self, doors: &[u8]) -> (u32, Key) {
        let doors = doors.iter().fold(DoorSet::default(), |set, &index| set.and(index));
        let key = Key {
            mac: Keyed::new(&self.mac),
            doors,
            expires: 0,
            prefix_v4: Prefix::NONE,
            prefix_v6: Prefix::NONE,
            slot: self.slot,
            user: 77,
            sources: BOTH,
            reserved: 0,
        };
        (self.id, key)
    }

    /// A token that comes from anywhere.
    fn token(self, door: &str, time: u64) -> TokenBuilder {
        TokenBuilder::new(self.mac, MASK, self.id, tag(door), time)
    }
}

fn tag(name: &str) -> u32 {
    Name::new(name).expect("a name").tag()
}

/// The tables of [`CONFIG`] with a token port and keys, of which the first is [`LAPTOP`]'s.
fn tables(change: impl FnOnce(&mut Tables)) -> Tables {
    let mut tables = Tables::from_toml(CONFIG);
    tables.rules.ports.push((PORT, PortRoles { udp: PortRole::TOKEN, ..PortRoles::default() }));
    tables.rules.keys = vec![LAPTOP.key(&[0, 1, 2]), PHONE.key(&[2])];
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| MASK[at + index]));
    tables.tokens = Some(TokenSettings { mask: [word(0), word(8)], window: WINDOW, ahead: AHEAD });
    change(&mut tables);
    tables
}

fn host() -> Memory {
    host_with(|_| {})
}

fn host_with(change: impl FnOnce(&mut Tables)) -> Memory {
    since(SINCE, tables(change))
}

/// A host that notes last times since then.
fn since(since: u64, tables: Tables) -> Memory {
    let host = host_like(tables).with_keys(OFFSET, since);
    host.set_now(NOW);
    host
}

/// A frame with this payload to the token port.
fn frame(from: impl Into<IpAddr>, payload: &[u8]) -> Vec<u8> {
    let from = from.into();
    let to: IpAddr = if from.is_ipv4() { SERVER_V4.into() } else { SERVER_V6.into() };
    PacketBuilder::between(from, to).udp(40_000, PORT).payload(payload).build()
}

#[track_caller]
fn sends(host: &Memory, what: &str, from: impl Into<IpAddr>, token: &TokenBuilder, counted: &[Counter]) {
    judged(host, what, &frame(from, &token.build()), Pass, counted);
}

/// True if a new connection to `ssh2` from there passes.
fn is_open(host: &Memory, from: impl Into<IpAddr>) -> bool {
    let from = from.into();
    let to: IpAddr = if from.is_ipv4() { SERVER_V4.into() } else { SERVER_V6.into() };
    host.judge(&syn(from, to, 2222).build()) == Pass
}

fn grant_of(host: &Memory, service: &str, source: impl Into<IpAddr>) -> Option<Grant> {
    let key = GrantKey::new(tag(service), &Addr::from(source.into()), &Prefix::new(HOST_BITS));
    host.grants().get(&key).copied()
}

/// Events behind the first `known`: their kinds, ends and keys.
fn kinds_after(host: &Memory, known: usize) -> Vec<(Kind, u64, u32)> {
    let events = host.events_after(known).0.into_iter();
    events.map(|event| (Kind::from_number(event.kind).expect("a kind"), event.until, event.key)).collect()
}

fn known(host: &Memory) -> usize {
    host.events_after(usize::MAX).1
}

#[test]
fn a_token_opens_its_door_and_names_its_key() {
    for (client, to_the_other) in
        [(IpAddr::from(CLIENT_V4), IpAddr::from(STRANGER_V4)), (CLIENT_V6.into(), STRANGER_V6.into())]
    {
        for token in [LAPTOP.token("open", WALL), LAPTOP.token("open", WALL).from(client)] {
            let host = host();
            assert!(!is_open(&host, client));
            let before = known(&host);
            sends(&host, "a token", client, &token, &[TokenOpened]);
            assert!(is_open(&host, client) && !is_open(&host, to_the_other));
            let grant = grant_of(&host, "ssh2", client).expect("a grant");
            assert_eq!((grant.key, grant.user, grant.door), (LAPTOP.id, 77, tag("open")));
            assert_eq!((grant.until, grant.origin), (NOW + 60 * SECOND, Origin::Token as u32));
            let (event, _) = host.events_after(before);
            assert_eq!((event[0].kind, event[0].key, event[0].user), (Kind::Opened as u8, LAPTOP.id, 77));
            assert_eq!((event[0].step, event[0].door, event[0].until), (0, tag("open"), grant.until));
            let times = host.last_times_of(LAPTOP.slot as usize);
            assert_eq!((times.used.load(), times.time.load()), (NOW, WALL));
            assert_eq!([times.source[0].load(), times.source[1].load()], Addr::from(client).halves());
        }
    }
}

#[test]
fn the_published_tokens_are_those_of_this_builder() {
    let text = include_str!("../cases/token/vectors.json");
    let vectors: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let octets = |value: &serde_json::Value| -> Vec<u8> {
        let text = value.as_str().expect("hexadecimal");
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
    };
    let mask = octets(&vectors["G"]).try_into().expect("16 octets");
    for token in vectors["tokens"].as_array().expect("a list") {
        let name = token["key"].as_str().expect("a name");
        let of = |x25519: &str, shared: &str| octets(&vectors[if name == "K" { x25519 } else { shared }]);
        let id = u32::from_le_bytes(of("id", "id_of_shared_secret").try_into().expect("4 octets"));
        let mac = of("K", "K_of_shared_secret").try_into().expect("32 octets");
        let number = |field: &str| token[field].as_u64().expect("a number");
        let door = tag(token["door"].as_str().expect("a name"));
        assert_eq!(u64::from(door), number("door_tag"));
        let time = token["time_ns"].as_str().expect("text").parse().expect("a time");
        let random = octets(&token["random"]).try_into().expect("8 octets");
        let mut made = TokenBuilder::new(mac, mask, id, door, time)
            .lane(number("lane") as u8)
            .ttl(number("ttl") as u32)
            .random(random);
        if token["close"].as_bool().expect("true or false") {
            made = made.close();
        }
        if let Some(source) = token["source"].as_str() {
            made = made.from(source.parse::<IpAddr>().expect("an address"));
        }
        assert_eq!(made.body().to_vec(), octets(&token["body"]));
        assert_eq!(made.build().to_vec(), octets(&token["token"]));
        let name = format!("{}:", base64(&made.build()));
        assert_eq!(name, token["stun_username_begins"].as_str().expect("text"));
    }
}

#[test]
fn a_token_opens_once() {
    let host = host();
    let token = LAPTOP.token("open", WALL);
    sends(&host, "at first", CLIENT_V4, &token, &[TokenOpened]);
    let before = known(&host);
    for _ in 0..3 {
        sends(&host, "again", CLIENT_V4, &token, &[TokenRepeated]);
    }
    assert_eq!(known(&host), before, "nobody is told of what a browser repeats");
    sends(&host, "from elsewhere", STRANGER_V4, &token, &[TokenRepeated]);
    assert_eq!(kinds_after(&host, before), [(Kind::Elsewhere, WALL, LAPTOP.id)]);
    assert!(!is_open(&host, STRANGER_V4));
    host.set_now(NOW + 61 * SECOND);
    sends(&host, "when its grant has ended", CLIENT_V4, &token, &[TokenRepeated]);
    assert!(!is_open(&host, CLIENT_V4));
}

#[test]
fn a_copy_from_where_the_key_has_a_grant_is_not_told_of() {
    let host = host();
    sends(&host, "at home", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenOpened]);
    let token = LAPTOP.token("open", WALL + 1).lane(1);
    sends(&host, "the other family", CLIENT_V6, &token, &[TokenOpened]);
    let before = known(&host);
    sends(&host, "the same once more, from home", CLIENT_V4, &token, &[TokenRepeated]);
    assert_eq!(known(&host), before);
}

#[test]
fn a_repeat_with_a_wrong_mac_is_forged() {
    let host = host();
    let token = LAPTOP.token("open", WALL);
    sends(&host, "at first", CLIENT_V4, &token, &[TokenOpened]);
    let before = known(&host);
    let mut tag = token.tag();
    tag[15] ^= 0x80;
    judged(&host, "from elsewhere", &frame(STRANGER_V4, &token.masked(tag)), Pass, &[TokenForged]);
    assert_eq!(known(&host), before);
}

#[test]
fn every_bit_of_a_token_counts() {
    let host = host();
    let token = LAPTOP.token("open", WALL).from(CLIENT_V4);
    for bit in 0..48 * 8 {
        let mut octets = token.build();
        octets[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(host.judge(&frame(CLIENT_V4, &octets)), Pass, "bit {bit} of the token");
        assert!(host.grants().is_empty(), "bit {bit} of the token");
    }
    // Under a mask that fits: only the MAC is left to tell.
    for bit in 0..16 * 8 {
        let mut tag = token.tag();
        tag[bit / 8] ^= 1 << (bit % 8);
        judged(&host, &format!("bit {bit} of the MAC"), &frame(CLIENT_V4, &token.masked(tag)), Pass, &[TokenForged]);
    }
    // Those of the body that are looked at only behind the MAC.
    for bit in (8 * 16)..(8 * 32) {
        let other = token.clone().octet(bit / 8, token.body()[bit / 8] ^ 1 << (bit % 8));
        let frame = frame(CLIENT_V4, &other.masked(token.tag()));
        judged(&host, &format!("bit {bit} of the body"), &frame, Pass, &[TokenForged]);
    }
    sends(&host, "as it was", CLIENT_V4, &token, &[TokenOpened]);
}

#[test]
fn a_strict_token_opens_for_its_source_alone() {
    let host = host();
    let token = LAPTOP.token("open", WALL).from(CLIENT_V4);
    sends(&host, "from a stranger", STRANGER_V4, &token, &[TokenForged]);
    sends(&host, "from its source", CLIENT_V4, &token, &[TokenOpened]);
    let seen = LAPTOP.token("open", WALL + 1);
    sends(&host, "as seen", STRANGER_V4, &seen, &[TokenOpened]);
}

#[test]
fn a_strict_token_of_a_link_local_source_holds_its_address_as_on_the_wire() {
    let near: Ipv6Addr = "fe80::7".parse().expect("an address");
    let host = host();
    host.set_interface(links::PORTS[0]);
    sends(&host, "from the link", near, &LAPTOP.token("open", WALL).from(near), &[TokenOpened]);
    assert!(is_open(&host, near));
    host.set_interface(links::LO);
    assert!(!is_open(&host, near), "the same address on another link");
}

#[test]
fn a_key_may_be_used_only_as_it_says() {
    let (strict, seen) = (LAPTOP.token("open", WALL).from(CLIENT_V4), LAPTOP.token("open", WALL));
    for (sources, good, bad) in [(FROM_STRICT, &strict, &seen), (FROM_SEEN, &seen, &strict)] {
        let host = host_with(|tables| tables.rules.keys[0].1.sources = sources);
        let before = known(&host);
        sends(&host, "not so", CLIENT_V4, bad, &[TokenSource]);
        assert_eq!(kinds_after(&host, before), [(Kind::Mode, WALL, LAPTOP.id)]);
        sends(&host, "so", CLIENT_V4, good, &[TokenOpened]);
    }
}

#[test]
fn a_key_that_nobody_has_and_a_zeroed_one_are_unknown() {
    let stranger = Device { id: 0x1234_5678, ..LAPTOP };
    sends(&host(), "another id", CLIENT_V4, &stranger.token("open", WALL), &[TokenUnknown]);
    let zeroed = host_with(|tables| {
        tables.rules.keys[0].1 = Key { slot: LAPTOP.slot, mac: Keyed::NONE, sources: 0, ..tables.rules.keys[0].1 };
    });
    sends(&zeroed, "a zeroed key", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenUnknown]);
    let other_slot = host_with(|tables| tables.rules.keys[0].1.slot = PHONE.slot);
    sends(&other_slot, "a slot of another key", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenUnknown]);
    judged(&host(), "random octets", &frame(CLIENT_V4, &[0x5a; 48]), Pass, &[TokenUnknown]);
}

#[test]
fn a_removed_key_opens_nothing_from_then_on() {
    let removed = host();
    removed.remove_key(LAPTOP.id);
    sends(&removed, "in the table of keys", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenUnknown]);
    sends(&removed, "another one", CLIENT_V4, &PHONE.token("tunnel", WALL), &[TokenOpened]);
    let gone = host();
    gone.last_times_of(LAPTOP.slot as usize).gone.store(NOW);
    sends(&gone, "by its last times", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenUnknown]);
}

#[test]
fn what_is_not_known_of_a_head_is_refused_before_the_mac() {
    let host = host();
    let token = || LAPTOP.token("open", WALL);
    let unknown = [(4, 0), (4, 2), (5, 4), (5, 0x80), (6, 4), (6, 0xff), (7, 1)];
    for (at, value) in unknown {
        let other = token().octet(at, value);
        sends(&host, &format!("octet {at} is {value}"), CLIENT_V4, &other, &[TokenRefused]);
        // Whether its MAC is right or not.
        let frame = frame(CLIENT_V4, &other.masked(token().tag()));
        judged(&host, &format!("octet {at} is {value}, and the MAC another"), &frame, Pass, &[TokenRefused]);
    }
}

#[test]
fn a_token_counts_only_within_the_window() {
    let cases = [
        (WALL - WINDOW, Some(TokenOpened)),
        (WALL - WINDOW - 1, None),
        (WALL + AHEAD, Some(TokenOpened)),
        (WALL + AHEAD + 1, None),
        (0, None),
        (1, None),
        (u64::MAX, None),
        (WALL ^ 1 << 63, None),
    ];
    for (time, counter) in cases {
        let host = host();
        let before = known(&host);
        let token = LAPTOP.token("open", time);
        // A time of 0 is that of a key that was never used.
        let expected = counter.unwrap_or(if time == 0 { TokenRepeated } else { TokenClock });
        sends(&host, &format!("made at {time}"), CLIENT_V4, &token, &[expected]);
        if expected == TokenClock {
            assert_eq!(kinds_after(&host, before), [(Kind::Clock, time, LAPTOP.id)]);
            assert!(!is_open(&host, CLIENT_V4));
        }
    }
}

#[test]
fn without_a_wall_clock_no_token_counts() {
    let host = host();
    host.clock().offset.store(0);
    for time in [NOW, WALL] {
        sends(&host, "whenever it was made", CLIENT_V4, &LAPTOP.token("open", time), &[TokenClock]);
    }
}

#[test]
fn the_window_moves_with_the_clock() {
    let host = host();
    host.clock().offset.store(OFFSET + 2 * 3600 * SECOND);
    sends(&host, "two hours behind", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenClock]);
    host.clock().offset.store(OFFSET);
    sends(&host, "after the step", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenOpened]);
}

#[test]
fn a_token_from_before_last_times_were_noted_is_too_early() {
    let host = since(NOW - AHEAD, tables(|_| {}));
    let before = known(&host);
    sends(&host, "from then", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenEarly]);
    assert_eq!(kinds_after(&host, before), [(Kind::Early, WALL, LAPTOP.id)]);
    sends(&host, "a nanosecond later", CLIENT_V4, &LAPTOP.token("open", WALL + 1), &[TokenOpened]);
}

#[test]
fn an_older_token_is_stale_in_its_lane_alone() {
    let host = host();
    sends(&host, "lane 0", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenOpened]);
    let older = LAPTOP.token("open", WALL - 1);
    sends(&host, "older", CLIENT_V4, &older, &[TokenStale]);
    // It is not worth a look at its MAC.
    judged(&host, "older and forged", &frame(CLIENT_V4, &older.masked([0; 16])), Pass, &[TokenStale]);
    for lane in 1..4 {
        let older = LAPTOP.token("open", WALL - 1).lane(lane);
        sends(&host, &format!("older, in lane {lane}"), CLIENT_V4, &older, &[TokenExtended]);
        sends(&host, &format!("again in lane {lane}"), CLIENT_V4, &older, &[TokenRepeated]);
    }
    sends(&host, "another key", CLIENT_V4, &PHONE.token("tunnel", WALL - 1), &[TokenOpened]);
}

#[test]
fn a_door_that_the_key_does_not_list_stays_shut_and_the_token_is_used_up() {
    let host = host();
    let before = known(&host);
    let token = PHONE.token("open", WALL);
    sends(&host, "another door", CLIENT_V4, &token, &[TokenDoor]);
    assert_eq!(kinds_after(&host, before), [(Kind::Unlisted, WALL, PHONE.id)]);
    sends(&host, "again", CLIENT_V4, &token, &[TokenRepeated]);
    sends(&host, "a door that is none", CLIENT_V4, &PHONE.token("cellar", WALL + 1), &[TokenDoor]);
    assert!(host.grants().is_empty());
}

#[test]
fn a_ttl_only_shortens_the_grant_and_what_keeps_it_alive() {
    for (ttl, seconds) in [(0, 60), (1, 1), (59, 59), (60, 60), (61, 60), (u32::MAX, 60)] {
        let host = host();
        sends(&host, "a token", CLIENT_V4, &LAPTOP.token("open", WALL).ttl(ttl), &[TokenOpened]);
        let grant = grant_of(&host, "ssh2", CLIENT_V4).expect("a grant");
        assert_eq!((grant.until, grant.window), (NOW + seconds * SECOND, seconds * SECOND), "ttl {ttl}");
    }
    let for_good = |tables: &mut Tables| tables.rules.doors[0].cmd_timeout = 0;
    let host = host_with(for_good);
    sends(&host, "without a ttl", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenOpened]);
    assert_eq!(grant_of(&host, "ssh2", CLIENT_V4).map(|grant| (grant.until, grant.window)), Some((FOR_GOOD, 0)));
    let host = host_with(for_good);
    sends(&host, "with one", CLIENT_V4, &LAPTOP.token("open", WALL).ttl(5), &[TokenOpened]);
    let grant = grant_of(&host, "ssh2", CLIENT_V4).expect("a grant");
    assert_eq!((grant.until, grant.window), (NOW + 5 * SECOND, 5 * SECOND));
}

#[test]
fn a_grant_names_whoever_set_its_end() {
    let host = host();
    sends(&host, "for long", CLIENT_V4, &LAPTOP.token("tunnel", WALL), &[TokenOpened]);
    host.set_now(NOW + SECOND);
    sends(&host, "for a shorter time", CLIENT_V4, &PHONE.token("tunnel", WALL).ttl(5), &[TokenExtended]);
    let grant = grant_of(&host, "wg", CLIENT_V4).expect("a grant");
    assert_eq!((grant.key, grant.until, grant.renewed), (LAPTOP.id, NOW + 30 * SECOND, NOW));
    sends(&host, "for longer", CLIENT_V4, &PHONE.token("tunnel", WALL + 1), &[TokenExtended]);
    let grant = grant_of(&host, "wg", CLIENT_V4).expect("a grant");
    assert_eq!((grant.key, grant.until, grant.renewed), (PHONE.id, NOW + 31 * SECOND, NOW + SECOND));
    assert_eq!(grant.since, NOW);
    host.set_now(NOW + 2 * SECOND);
    for port in [7001, 8001] {
        assert_eq!(host.judge(&datagram(CLIENT_V4, SERVER_V4, port).build()), Pass);
    }
    let grant = grant_of(&host, "wg", CLIENT_V4).expect("a grant");
    assert_eq!((grant.key, grant.user, grant.until), (0, 0, NOW + 32 * SECOND), "a sequence has no key");
    assert_eq!(grant.origin, Origin::Knock as u32);
}

#[test]
fn a_sequence_that_moves_no_end_leaves_the_name_of_the_key() {
    let host = host_with(|tables| tables.rules.doors[2].cmd_timeout = 5 * SECOND);
    allow_by(&host, LAPTOP.id, NOW + 30 * SECOND);
    for port in [7001, 8001] {
        assert_eq!(host.judge(&datagram(CLIENT_V4, SERVER_V4, port).build()), Pass);
    }
    let grant = grant_of(&host, "wg", CLIENT_V4).expect("a grant");
    assert_eq!((grant.key, grant.until, grant.renewed), (LAPTOP.id, NOW + 30 * SECOND, NOW - SECOND));
}

/// A grant for the tunnel by a key, which it had a second ago.
fn allow_by(host: &Memory, id: u32, until: u64) {
    let at = GrantKey::new(tag("wg"), &Addr::from(IpAddr::from(CLIENT_V4)), &Prefix::new(HOST_BITS));
    let grant = Grant::new(until, NOW - SECOND, 30 * SECOND, tag("tunnel"), Origin::Token);
    host.allow(at, Grant { key: id, user: 77, ..grant });
}

#[test]
fn a_token_closes_what_its_key_has_opened_and_nothing_else() {
    let host = host();
    sends(&host, "opens", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenOpened]);
    sends(&host, "closes", CLIENT_V4, &LAPTOP.token("open", WALL + 1).close(), &[TokenClosed]);
    assert!(!is_open(&host, CLIENT_V4));
    allow(&host, CLIENT_V4, "ssh2", NOW + 60 * SECOND);
    sends(&host, "what a command has opened", CLIENT_V4, &LAPTOP.token("open", WALL + 2).close(), &[TokenClosed]);
    assert!(is_open(&host, CLIENT_V4));
    sends(&host, "the tunnel", CLIENT_V4, &LAPTOP.token("tunnel", WALL + 3), &[TokenOpened]);
    sends(&host, "with another key", CLIENT_V4, &PHONE.token("tunnel", WALL).close(), &[TokenClosed]);
    assert!(grant_of(&host, "wg", CLIENT_V4).is_some());
}

#[test]
fn a_token_for_a_close_door_closes() {
    let host = host();
    sends(&host, "opens", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenOpened]);
    sends(&host, "the close door", CLIENT_V4, &LAPTOP.token("close", WALL + 1), &[TokenClosed]);
    assert!(!is_open(&host, CLIENT_V4));
}

#[test]
fn a_close_makes_older_tokens_of_every_lane_stale() {
    let host = host();
    sends(&host, "closes", CLIENT_V4, &LAPTOP.token("open", WALL).close(), &[TokenClosed]);
    for lane in 0..4 {
        let held_back = LAPTOP.token("open", WALL - 1).lane(lane);
        sends(&host, &format!("held back in lane {lane}"), CLIENT_V4, &held_back, &[TokenStale]);
    }
    sends(
        &host,
        "closes once more, from before",
        CLIENT_V4,
        &LAPTOP.token("open", WALL - 2).lane(1).close(),
        &[TokenStale],
    );
    sends(&host, "later", CLIENT_V4, &LAPTOP.token("open", WALL + 1).lane(1), &[TokenOpened]);
    sends(&host, "another key", CLIENT_V4, &PHONE.token("tunnel", WALL - 1), &[TokenOpened]);
}

#[test]
fn a_close_that_comes_while_an_older_token_opens_leaves_nothing_open() {
    let host = host();
    let close = frame(CLIENT_V4, &LAPTOP.token("open", WALL + 1).lane(1).close().build());
    // Behind the look at its lane, before the grant is written.
    host.interrupt_at_door(1, move |host| {
        let _ = host.judge_linear(knock_common::packet::link::Link::Ethernet, &close);
    });
    let opened = frame(CLIENT_V4, &LAPTOP.token("open", WALL).build());
    let _ = host.judge_linear(knock_common::packet::link::Link::Ethernet, &opened);
    assert_eq!((host.counter(TokenOpened), host.counter(TokenClosed)), (1, 1));
    assert_eq!(grant_of(&host, "ssh2", CLIENT_V4), None);
}

#[test]
fn a_full_table_uses_the_token_up() {
    let host = host().with_room(1, Memory::MAX_SOURCES);
    allow(&host, STRANGER_V4, "ssh2", NOW + 60 * SECOND);
    let token = LAPTOP.token("open", WALL);
    let before = known(&host);
    sends(&host, "no room", CLIENT_V4, &token, &[TokenFull]);
    assert_eq!(kinds_after(&host, before)[0].0, Kind::Refused);
    sends(&host, "again", CLIENT_V4, &token, &[TokenRepeated]);
}

#[test]
fn nothing_that_a_key_opened_outlives_it() {
    let expires = WALL + 20 * SECOND;
    let host = host_with(|tables| tables.rules.keys[0].1.expires = expires);
    sends(&host, "a token", CLIENT_V4, &LAPTOP.token("tunnel", WALL), &[TokenOpened]);
    let end = NOW + 20 * SECOND;
    assert_eq!(grant_of(&host, "wg", CLIENT_V4).map(|grant| grant.until), Some(end));
    host.set_now(NOW + 19 * SECOND);
    judged(&host, "traffic", &datagram(CLIENT_V4, SERVER_V4, 51820).build(), Pass, &[PassGranted]);
    assert_eq!(grant_of(&host, "wg", CLIENT_V4).map(|grant| grant.until), Some(end), "traffic does not move it");
    host.set_now(end);
    let before = known(&host);
    sends(&host, "when it has expired", CLIENT_V4, &LAPTOP.token("open", expires), &[TokenExpired]);
    assert_eq!(kinds_after(&host, before), [(Kind::Outlived, expires, LAPTOP.id)]);
}

#[test]
fn an_expired_key_stays_expired_when_the_clock_goes_back() {
    let expires = WALL + 20 * SECOND;
    let host = host_with(|tables| tables.rules.keys[0].1.expires = expires);
    host.clock().offset.store(OFFSET + 3600 * SECOND);
    let ahead = LAPTOP.token("open", WALL + 3600 * SECOND);
    sends(&host, "an hour ahead", CLIENT_V4, &ahead, &[TokenExpired]);
    host.clock().offset.store(OFFSET);
    sends(&host, "back again", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenExpired]);
    allow_by(&host, LAPTOP.id, NOW + SECOND);
    judged(&host, "traffic", &datagram(CLIENT_V4, SERVER_V4, 51820).build(), Pass, &[PassGranted]);
    assert_eq!(grant_of(&host, "wg", CLIENT_V4).map(|grant| grant.until), Some(NOW + SECOND));
}

#[test]
fn traffic_keeps_a_grant_by_a_key_alive_while_the_gate_has_the_key() {
    let alive = host();
    allow_by(&alive, LAPTOP.id, NOW + SECOND);
    let traffic = datagram(CLIENT_V4, SERVER_V4, 51820).build();
    judged(&alive, "with the key", &traffic, Pass, &[PassGranted, GrantExtended]);
    let removed = host();
    allow_by(&removed, LAPTOP.id, NOW + SECOND);
    removed.remove_key(LAPTOP.id);
    judged(&removed, "without", &traffic, Pass, &[PassGranted]);
    assert_eq!(grant_of(&removed, "wg", CLIENT_V4).map(|grant| grant.until), Some(NOW + SECOND));
}

#[test]
fn a_key_has_its_own_prefix_before_the_doors() {
    let host = host_with(|tables| {
        tables.rules.keys[0].1.prefix_v6 = Prefix::new(64);
        tables.rules.services[0].prefixes_v6[1] = Prefix::new(64);
    });
    sends(&host, "a token", CLIENT_V6, &LAPTOP.token("open", WALL), &[TokenOpened]);
    assert!(is_open(&host, CLIENT_V6) && is_open(&host, STRANGER_V6), "both are in one network of 64 bits");
    sends(&host, "closes", CLIENT_V6, &LAPTOP.token("open", WALL + 1).close(), &[TokenClosed]);
    assert!(!is_open(&host, CLIENT_V6));
}

#[test]
fn what_has_not_the_form_of_a_token_is_none() {
    let host = host();
    let token = LAPTOP.token("open", WALL).build();
    let long: Vec<u8> = token.iter().copied().cycle().take(1472).collect();
    for length in (0..=1472).filter(|length| *length != 48) {
        judged(&host, &format!("{length} octets"), &frame(CLIENT_V4, &long[..length]), Pass, &[]);
    }
    let whole = || PacketBuilder::between(CLIENT_V4, SERVER_V4).udp(40_000, PORT).payload(&token);
    let mut behind = token.to_vec();
    behind.push(0);
    let surplus = PacketBuilder::between(CLIENT_V4, SERVER_V4).udp(40_000, PORT).payload(&behind).udp_length(56);
    judged(&host, "an octet behind the datagram", &surplus.build(), Pass, &[]);
    judged(&host, "to a group", &whole().multicast().build(), Pass, &[]);
    judged(&host, "to everybody", &whole().broadcast().build(), Pass, &[]);
    judged(&host, "a first fragment", &whole().fragment(0, true).build(), Pass, &[]);
    let other = PacketBuilder::between(CLIENT_V4, SERVER_V4).udp(40_000, PORT + 1).payload(&token);
    judged(&host, "to another port", &other.build(), Pass, &[]);
    let tcp = PacketBuilder::between(CLIENT_V4, SERVER_V4).tcp(40_000, PORT, 0x18).payload(&token);
    judged(&host, "over TCP", &tcp.build(), Pass, &[]);
    assert!(host.grants().is_empty());
    judged(&host, "as it should be", &whole().build(), Pass, &[TokenOpened]);
}

#[test]
fn a_token_is_found_behind_whatever_stands_before_it() {
    let token = LAPTOP.token("open", WALL).build();
    let v4 = || PacketBuilder::between(CLIENT_V4, SERVER_V4).udp(40_000, PORT).payload(&token);
    let v6 = || PacketBuilder::between(CLIENT_V6, SERVER_V6).udp(40_000, PORT).payload(&token);
    let ways = [
        ("a VLAN tag", v4().vlan(VLAN)),
        ("two", v4().vlan(VLAN).vlan(VLAN)),
        ("options", v4().options(&[1, 1, 1, 0])),
        ("padding of the frame", v4().padded(18)),
        ("IPv6 and options", v6().extension(Extension::generic(HOP_BY_HOP, 1))),
        ("no checksum", v4().without_udp_checksum()),
    ];
    for (what, way) in ways {
        judged(&host(), what, &way.build(), Pass, &[TokenOpened]);
    }
}

#[test]
fn a_token_with_a_wrong_checksum_is_not_used_up() {
    let host = host();
    let token = LAPTOP.token("open", WALL).build();
    let way = || PacketBuilder::between(CLIENT_V4, SERVER_V4).udp(40_000, PORT).payload(&token);
    judged(&host, "of UDP", &way().wrong_checksum().build(), Pass, &[BadChecksum]);
    judged(&host, "of IP", &way().wrong_header_checksum().build(), Pass, &[BadChecksum]);
    judged(&host, "right", &way().build(), Pass, &[TokenOpened]);
}

#[test]
fn a_browsers_question_for_a_name_carries_a_token() {
    for client in [IpAddr::from(CLIENT_V4), CLIENT_V6.into()] {
        let host = host();
        let request = stun(&LAPTOP.token("open", WALL).build());
        judged(&host, "a request", &frame(client, &request), Pass, &[TokenOpened]);
        assert!(is_open(&host, client));
        judged(&host, "again", &frame(client, &request), Pass, &[TokenRepeated]);
    }
}

#[test]
fn a_stun_message_that_is_no_such_question_is_no_token() {
    let host = host();
    let token = LAPTOP.token("open", WALL).build();
    let right = stun(&token);
    let changed = |at: usize, value: u8| {
        let mut request = right.clone();
        request[at] = value;
        request
    };
    let text = base64(&token);
    let mut with_first = right[..20].to_vec();
    with_first.extend([0x80, 0x22, 0, 4, 1, 2, 3, 4]);
    with_first.extend(&right[20..]);
    with_first[3] += 8;
    let cases = [
        ("a response", changed(0, 1)),
        ("an indication", changed(1, 0x11)),
        ("a shorter message", changed(3, right[3] - 4)),
        ("a longer message", changed(3, right[3] + 4)),
        ("another cookie", changed(4, 0x20)),
        ("another cookie, at its end", changed(7, 0x43)),
        ("another attribute", changed(21, 7)),
        ("a longer name than the message", changed(23, 0xff)),
        ("a name that ends before the colon", changed(23, 64)),
        ("no colon", changed(24 + 64, b';')),
        ("another attribute first", with_first),
        ("a name of 64 characters", stun_of(text.as_bytes())),
        ("a name of 63 and a colon", stun_of(format!("{}:4f2A", &text[..63]).as_bytes())),
        ("url-safe base64", stun_of(format!("-{}:4f2A", &text[1..]).as_bytes())),
    ];
    for (what, request) in cases {
        judged(&host, what, &frame(CLIENT_V4, &request), Pass, &[]);
    }
    for at in 0..64 {
        for octet in [b'=', b'-', b'_', b'@', b'[', b'`', b'{', 0, 0x80, 0xff] {
            let request = frame(CLIENT_V4, &changed(24 + at, octet));
            judged(&host, &format!("{octet:#x} as character {at}"), &request, Pass, &[]);
        }
    }
    assert!(host.grants().is_empty());
    judged(&host, "as it was", &frame(CLIENT_V4, &right), Pass, &[TokenOpened]);
}

#[test]
fn a_token_is_no_wrong_knock_and_any_other_datagram_is_one() {
    let host = host();
    let knocks =
        [syn(CLIENT_V4, SERVER_V4, 7000), datagram(CLIENT_V4, SERVER_V4, 8000), syn(CLIENT_V4, SERVER_V4, 9000)];
    judged(&host, "step 1", &knocks[0].build(), Pass, &[KnockPacket, AttemptStarted]);
    sends(&host, "a token beside it", CLIENT_V4, &LAPTOP.token("cellar", WALL), &[TokenDoor]);
    judged(&host, "octets of its length", &frame(CLIENT_V4, &[3; 48]), Pass, &[TokenUnknown]);
    judged(&host, "step 2", &knocks[1].build(), Pass, &[KnockPacket, AttemptAdvanced]);
    judged(&host, "another length", &frame(CLIENT_V4, &[3; 47]), Pass, &[AttemptEnded]);
    judged(&host, "step 3", &knocks[2].build(), Pass, &[KnockPacket, AttemptStarted]);
}

#[test]
fn who_is_locked_out_may_still_send_tokens() {
    let host = host_with(|tables| tables.lockout = true);
    host.lock_out(IpAddr::from(CLIENT_V4), NOW + 3600 * SECOND);
    sends(&host, "a token", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenOpened]);
}

#[test]
fn what_a_reload_leaves_alone_stays_used() {
    let mut host = host();
    let token = LAPTOP.token("open", WALL);
    sends(&host, "before", CLIENT_V4, &token, &[TokenOpened]);
    host.reload(tables(|tables| tables.rules.keys.swap(0, 1)));
    sends(&host, "after", CLIENT_V4, &token, &[TokenRepeated]);
    sends(&host, "a later one", CLIENT_V4, &LAPTOP.token("open", WALL + 1), &[TokenExtended]);
}

#[test]
fn another_gates_token_is_unknown_here_or_forged() {
    let host = host();
    let other_mask = TokenBuilder::new(LAPTOP.mac, [1; 16], LAPTOP.id, tag("open"), WALL);
    sends(&host, "under another mask", CLIENT_V4, &other_mask, &[TokenUnknown]);
    let masked_anew = TokenBuilder::new([8; 32], MASK, LAPTOP.id, tag("open"), WALL);
    sends(&host, "masked anew", CLIENT_V4, &masked_anew, &[TokenForged]);
}

#[test]
fn a_flood_of_good_tokens_is_told_of_so_often_a_second() {
    let host = host();
    let before = known(&host);
    for count in 0..600 {
        let token = LAPTOP.token("open", WALL + count);
        let _ = host.judge(&frame(CLIENT_V4, &token.build()));
    }
    assert_eq!(known(&host) - before, 512);
    assert_eq!(host.counter(TokenUntold), 88);
    assert_eq!(host.counter(TokenOpened) + host.counter(TokenExtended), 600, "each counts, told of or not");
}

#[test]
fn a_host_that_observes_takes_tokens_and_one_without_keys_takes_none() {
    let observes = host_with(|tables| tables.observe = true);
    sends(&observes, "a token", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenOpened]);
    let none = host_with(|tables| tables.rules.keys.clear());
    sends(&none, "a token", CLIENT_V4, &LAPTOP.token("open", WALL), &[TokenUnknown]);
}

#[test]
fn every_source_of_a_token_keeps_its_own_grant() {
    let host = host();
    for last in 1..=20_u8 {
        let source = Ipv4Addr::new(203, 0, 113, last);
        let token = LAPTOP.token("open", WALL + u64::from(last));
        sends(&host, "from another address", source, &token, &[TokenOpened]);
    }
    let sources: BTreeSet<_> = host.grants().into_keys().map(|key| key.source).collect();
    assert_eq!(sources.len(), 20);
    assert_eq!(host.judge(&syn(STRANGER_V4, SERVER_V4, 2222).build()), Deny);
}
