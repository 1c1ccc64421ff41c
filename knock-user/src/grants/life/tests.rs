//! Lives of grants beside a table in memory and a clock that is set.

use std::cell::Cell;
use std::sync::LazyLock;

use anyhow::{Result, bail};
use knock_common::abi::grant::{FOR_GOOD, HOST_BITS};
use knock_common::abi::rules::Name;

use super::*;

/// Doors that are followed from the beginning on.
const DOOR: u32 = 1;
const OTHER: u32 = 2;
/// One that is followed from [`LATER`] on.
const YOUNG: u32 = 3;
const LATER: u64 = 1000;
/// One that nobody follows.
const PLAIN: u32 = 4;

fn follows(door: u32) -> Option<u64> {
    match door {
        DOOR | OTHER => Some(0),
        YOUNG => Some(LATER),
        _ => None,
    }
}

static SERVICE: LazyLock<u32> = LazyLock::new(|| Name::new("ssh").unwrap().tag());

fn key(source: u32) -> GrantKey {
    GrantKey { source: Addr::from_v4(source.to_be_bytes()), service: *SERVICE, bits: HOST_BITS }
}

fn life(source: u32, since: u64) -> Life {
    Life { key: key(source), since }
}

/// A kernel's table, which counts how often it is asked for a grant.
#[derive(Default)]
struct Grants {
    map: HashMap<GrantKey, Grant>,
    asked: Cell<u32>,
}

impl Table for Grants {
    fn get(&self, key: &GrantKey) -> Result<Option<Grant>> {
        self.asked.set(self.asked.get() + 1);
        Ok(self.map.get(key).copied())
    }
}

/// A table that cannot be read.
struct Unreadable;

impl Table for Unreadable {
    fn get(&self, _: &GrantKey) -> Result<Option<Grant>> {
        bail!("it cannot be read")
    }
}

struct Lab {
    table: Grants,
    lives: Lives,
    now: u64,
    /// Live grants that the last look was handed.
    copied: usize,
}

impl Lab {
    fn new() -> Self {
        let mut lab = Self { table: Grants::default(), lives: Lives::default(), now: 0, copied: 0 };
        lab.restart(&[]);
        lab
    }

    /// Another daemon, whose forerunner has told these.
    fn restart(&mut self, told: &[(Life, bool)]) {
        let text = "options.interfaces = [\"eth0\"]\nservices.ssh.ports = [22]\n";
        self.lives = Lives::new(told.iter().copied());
        self.lives.configure(&Config::parse(text, "k.toml").unwrap().0);
    }

    /// A door writes a grant.
    fn grant(&mut self, door: u32, source: u32, since: u64, until: u64) {
        self.table.map.insert(key(source), Grant { door, since, until, origin: 1, ..Grant::NONE });
    }

    /// An event comes.
    fn event(&mut self, kind: Kind, door: u32, source: u32, at: u64) -> Vec<Change> {
        let GrantKey { source, service, .. } = key(source);
        let event = Event { at, source, door, service, kind: kind as u8, bits: HOST_BITS as u8, ..Event::NONE };
        self.lives.hear(&event, kind, &self.table, &follows)
    }

    /// Somebody revokes a grant, or a close door ends it.
    fn take(&mut self, source: u32) {
        self.table.map.remove(&key(source)).unwrap();
    }

    /// A sweep.
    fn look(&mut self) -> Vec<Change> {
        let mut look = self.lives.look(&follows);
        let (mut live, mut expired) = (Vec::new(), Vec::new());
        let now = self.now;
        self.table.map.retain(|key, grant| {
            let entry = GrantEntry { key: *key, grant: *grant };
            let is_live = grant.is_live(now);
            if !is_live {
                expired.push(entry);
            } else if look.see(&entry) {
                live.push(entry);
            }
            is_live
        });
        self.copied = live.len();
        look.end(&self.table, &live, expired)
    }
}

fn knock(kind: Kind, door: u32, source: u32) -> Knock {
    Knock { door, source: key(source).source, kind: Some(kind) }
}

fn opened(source: u32, since: u64, door: u32) -> Change {
    Change::Opened(life(source, since), knock(Kind::Opened, door, source))
}

fn extended(source: u32, since: u64, door: u32) -> Change {
    Change::Extended(life(source, since), knock(Kind::Extended, door, source))
}

/// A beginning of which no event told.
fn found(source: u32, since: u64, door: u32) -> Change {
    Change::Opened(life(source, since), Knock { kind: None, ..knock(Kind::Opened, door, source) })
}

fn closed(source: u32, door: u32) -> Change {
    Change::Closed(key(source), knock(Kind::Closed, door, source))
}

const fn ended(life: Life, why: End) -> Change {
    Change::Ended(life, why)
}

#[test]
fn a_grant_begins_once_and_ends_once_when_its_time_is_over() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 100, 200);
    assert_eq!(lab.event(Kind::Opened, DOOR, 7, 100), [opened(7, 100, DOOR)]);
    lab.grant(DOOR, 7, 100, 250);
    assert_eq!(lab.event(Kind::Extended, DOOR, 7, 150), [extended(7, 100, DOOR)]);
    for now in [150, 200, 249] {
        lab.now = now;
        assert_eq!(lab.look(), []);
    }
    // Its time is over, and no sweep has come yet.
    lab.now = 250;
    assert_eq!(lab.event(Kind::Closed, PLAIN, 8, 250), [closed(8, PLAIN)]);
    assert_eq!(lab.look(), [ended(life(7, 100), End::Expired { door: DOOR })]);
    assert_eq!(lab.look(), []);
}

#[test]
fn a_lost_beginning_is_found_in_the_table() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 100, 200);
    assert_eq!(lab.look(), [found(7, 100, DOOR)]);
    assert_eq!(lab.look(), []);
    // The event was not lost, only late.
    assert_eq!(lab.event(Kind::Opened, DOOR, 7, 100), []);
    lab.now = 200;
    assert_eq!(lab.look(), [ended(life(7, 100), End::Expired { door: DOOR })]);
}

#[test]
fn an_end_that_nobody_told_of_is_found_in_the_table() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 100, FOR_GOOD);
    lab.event(Kind::Opened, DOOR, 7, 100);
    assert_eq!(lab.look(), []);
    lab.take(7);
    assert_eq!(lab.look(), [ended(life(7, 100), End::Removed)]);
    assert_eq!(lab.look(), []);
}

#[test]
fn of_two_extensions_either_may_be_lost() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 100, 300);
    assert_eq!(lab.event(Kind::Opened, DOOR, 7, 100), [opened(7, 100, DOOR)]);
    // One at 150 was lost.
    assert_eq!(lab.event(Kind::Extended, DOOR, 7, 200), [extended(7, 100, DOOR)]);
    // Of this one the beginning and an extension.
    lab.grant(DOOR, 8, 100, 300);
    let began = Change::Opened(life(8, 100), knock(Kind::Extended, DOOR, 8));
    assert_eq!(lab.event(Kind::Extended, DOOR, 8, 200), [began]);
    assert_eq!(lab.look(), []);
    lab.now = 300;
    let mut ends = lab.look();
    ends.sort_unstable_by_key(|change| matches!(change, Change::Ended(life, _) if life.key == key(8)));
    assert_eq!(ends, [7, 8].map(|source| ended(life(source, 100), End::Expired { door: DOOR })));
    assert_eq!(lab.look(), []);
}

#[test]
fn the_lost_beginning_by_another_door_is_told_before_what_extends_it() {
    let mut lab = Lab::new();
    lab.grant(OTHER, 7, 100, 300);
    let both = [found(7, 100, OTHER), extended(7, 100, DOOR)];
    assert_eq!(lab.event(Kind::Extended, DOOR, 7, 200), both);
    assert_eq!(lab.look(), []);
}

#[test]
fn a_grant_that_is_revoked_and_opened_again_between_two_looks_is_two() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 100, FOR_GOOD);
    assert_eq!(lab.look(), [found(7, 100, DOOR)]);
    lab.grant(DOOR, 7, 200, FOR_GOOD);
    assert_eq!(lab.look(), [ended(life(7, 100), End::Superseded), found(7, 200, DOOR)]);
    assert_eq!(lab.event(Kind::Opened, DOOR, 7, 200), []);
    // The event comes before the look.
    lab.grant(DOOR, 7, 300, FOR_GOOD);
    assert_eq!(lab.event(Kind::Opened, DOOR, 7, 300), [ended(life(7, 200), End::Superseded), opened(7, 300, DOOR)]);
    // Of the next one that of an extension alone.
    lab.grant(DOOR, 7, 400, FOR_GOOD);
    let began = Change::Opened(life(7, 400), knock(Kind::Extended, DOOR, 7));
    assert_eq!(lab.event(Kind::Extended, DOOR, 7, 450), [ended(life(7, 300), End::Superseded), began]);
    // By a door that nobody follows.
    lab.grant(PLAIN, 7, 500, FOR_GOOD);
    assert_eq!(lab.event(Kind::Extended, PLAIN, 7, 550), [ended(life(7, 400), End::Superseded)]);
    assert_eq!(lab.look(), []);
}

#[test]
fn an_event_that_comes_late_is_not_about_a_younger_grant() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 300, FOR_GOOD);
    assert_eq!(lab.look(), [found(7, 300, DOOR)]);
    assert_eq!(lab.event(Kind::Opened, DOOR, 7, 100), [opened(7, 100, DOOR)]);
    assert_eq!(lab.event(Kind::Closed, PLAIN, 7, 200)[..1], [ended(life(7, 100), End::Superseded)]);
    lab.take(7);
    // Nor does a close door end it that was completed before it began.
    let changes = lab.event(Kind::Closed, PLAIN, 7, 200);
    assert_eq!(changes, [ended(life(7, 300), End::Removed), closed(7, PLAIN)]);
}

#[test]
fn extensions_that_come_late_are_of_one_life() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 300, FOR_GOOD);
    lab.grant(DOOR, 8, 300, FOR_GOOD);
    assert_eq!(lab.look().len(), 2);
    assert_eq!(lab.event(Kind::Opened, DOOR, 7, 100), [opened(7, 100, DOOR)]);
    assert_eq!(lab.event(Kind::Extended, DOOR, 7, 150), [extended(7, 100, DOOR)]);
    // Of this one the event of the beginning was lost.
    let began = Change::Opened(life(8, 150), knock(Kind::Extended, DOOR, 8));
    assert_eq!(lab.event(Kind::Extended, DOOR, 8, 150), [began]);
    assert_eq!(lab.event(Kind::Extended, DOOR, 8, 160), [extended(8, 150, DOOR)]);
    assert_eq!(lab.look(), [ended(life(7, 100), End::Superseded), ended(life(8, 150), End::Superseded)]);
    assert_eq!(lab.look(), []);
}

#[test]
fn of_two_that_knock_at_once_the_table_says_who_has_the_grant() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 100, 300);
    assert_eq!(lab.event(Kind::Opened, OTHER, 7, 101), [opened(7, 101, OTHER)]);
    assert_eq!(lab.event(Kind::Opened, DOOR, 7, 100), [opened(7, 100, DOOR)]);
    assert_eq!(lab.event(Kind::Extended, DOOR, 7, 150), [extended(7, 100, DOOR)]);
    assert_eq!(lab.look(), [ended(life(7, 101), End::Superseded)]);
    assert_eq!(lab.look(), []);
    lab.now = 300;
    assert_eq!(lab.look(), [ended(life(7, 100), End::Expired { door: DOOR })]);
    assert_eq!(lab.look(), []);
}

#[test]
fn a_late_life_that_a_sweep_takes_out_ends_once() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 100, 200);
    lab.event(Kind::Opened, OTHER, 7, 101);
    lab.event(Kind::Opened, DOOR, 7, 100);
    lab.now = 200;
    assert_eq!(lab.look(), [ended(life(7, 100), End::Expired { door: DOOR }), ended(life(7, 101), End::Removed)]);
    assert_eq!(lab.look(), []);
}

#[test]
fn a_close_door_ends_what_covers_its_source() {
    let mut lab = Lab::new();
    for source in [7, 8, 9] {
        lab.grant(DOOR, source, 100, FOR_GOOD);
        lab.event(Kind::Opened, DOOR, source, 100);
    }
    lab.take(7);
    lab.take(8);
    let changes = lab.event(Kind::Closed, PLAIN, 7, 200);
    assert_eq!(changes.len(), 3);
    assert!(changes.contains(&ended(life(7, 100), End::Closed)), "{changes:?}");
    assert!(changes.contains(&ended(life(8, 100), End::Removed)), "{changes:?}");
    assert_eq!(changes[2], closed(7, PLAIN));
    assert_eq!(lab.look(), []);
}

#[test]
fn another_daemon_tells_what_its_forerunner_has_not() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 1, 100, FOR_GOOD);
    lab.grant(DOOR, 2, 200, FOR_GOOD);
    lab.grant(YOUNG, 3, LATER - 1, FOR_GOOD);
    lab.grant(YOUNG, 4, LATER, FOR_GOOD);
    // One lives, one was in its place before, one has gone, one was of another boot.
    lab.restart(&[(life(1, 100), true), (life(1, 50), true), (life(5, 100), true), (life(2, 200), false)]);
    let expected = [
        ended(life(1, 50), End::Superseded),
        ended(life(2, 200), End::Reboot),
        ended(life(5, 100), End::Removed),
        found(2, 200, DOOR),
        found(4, LATER, YOUNG),
    ];
    let mut changes = lab.look();
    changes[3..].sort_unstable_by_key(|change| *change == expected[4]);
    assert_eq!(changes, expected);
    assert_eq!(lab.look(), []);
    // What is older than who follows it is left alone until a knock extends it.
    assert_eq!(lab.event(Kind::Extended, YOUNG, 3, LATER + 1), [extended(3, LATER - 1, YOUNG)]);
    lab.take(3);
    assert_eq!(lab.look(), [ended(life(3, LATER - 1), End::Removed)]);
}

#[test]
fn of_grants_that_nobody_follows_nothing_is_asked_or_kept() {
    let mut lab = Lab::new();
    lab.grant(PLAIN, 7, 100, 200);
    assert_eq!(lab.event(Kind::Opened, PLAIN, 7, 100), [opened(7, 100, PLAIN)]);
    assert_eq!(lab.event(Kind::Extended, PLAIN, 7, 150), []);
    assert_eq!(lab.look(), []);
    assert_eq!(lab.event(Kind::Closed, PLAIN, 8, 160), [closed(8, PLAIN)]);
    lab.now = 200;
    assert_eq!(lab.look(), [ended(life(7, 100), End::Expired { door: PLAIN })]);
    assert!(lab.lives.followed.is_empty() && lab.table.asked.get() == 0);
}

#[test]
fn a_table_that_cannot_be_read_ends_nothing() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 100, FOR_GOOD);
    lab.look();
    assert_eq!(lab.lives.look(&follows).end(&Unreadable, &[], Vec::new()), []);
    lab.take(7);
    assert_eq!(lab.look(), [ended(life(7, 100), End::Removed)]);
}

#[test]
fn a_service_that_is_gone_and_a_gate_that_is_taken_down_end_their_grants() {
    let mut lab = Lab::new();
    lab.grant(DOOR, 7, 100, FOR_GOOD);
    lab.look();
    let text = "options.interfaces = [\"eth0\"]\nservices.web.ports = [80]\n";
    lab.lives.configure(&Config::parse(text, "k.toml").unwrap().0);
    assert_eq!(lab.look(), [ended(life(7, 100), End::ServiceGone)]);
    // It stands in the table until its time is over.
    assert_eq!(lab.look(), []);
    lab.restart(&[]);
    lab.look();
    assert_eq!(lab.lives.end_all(), [ended(life(7, 100), End::GateDown)]);
    assert_eq!(lab.lives.end_all(), []);
}

#[test]
fn of_many_grants_only_those_that_a_look_did_not_see_are_copied_or_asked_for() {
    const MANY: u32 = 1 << 18;
    let mut lab = Lab::new();
    (0..MANY).for_each(|source| lab.grant(DOOR, source, 100, 200 + u64::from(source % 2)));
    assert_eq!((lab.look().len(), lab.copied), (MANY as usize, MANY as usize));
    assert_eq!((lab.look(), lab.copied, lab.table.asked.get()), (Vec::new(), 0, 0));
    (0..MANY / 4).for_each(|source| lab.take(source));
    let ends = lab.look();
    assert_eq!((ends.len(), lab.table.asked.get()), (MANY as usize / 4, MANY / 4));
    assert!(ends.iter().all(|change| matches!(change, Change::Ended(_, End::Removed))));
    lab.now = 200;
    let ends = lab.look();
    assert_eq!(ends.len(), MANY as usize * 3 / 8);
    assert!(ends.iter().all(|change| matches!(change, Change::Ended(_, End::Expired { door: DOOR }))));
    assert_eq!(lab.lives.followed.len(), MANY as usize * 3 / 8);
    assert_eq!(lab.table.asked.get(), MANY / 4);
    // What they took in memory is given back.
    lab.now = 201;
    assert_eq!(lab.look().len(), MANY as usize * 3 / 8);
    assert!(lab.lives.followed.capacity() < MANY as usize / 64, "{}", lab.lives.followed.capacity());
}
