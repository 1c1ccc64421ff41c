//! A gate of memory, which says what was asked of it, and in which order.

use std::fs;
use std::path::Path;

use anyhow::anyhow;
use tempfile::TempDir;

use super::*;
use crate::config::{Config, LogTarget};
use crate::daemon::logging::Log;
use crate::kernel::{XdpMode, interface};
use crate::paths::Paths;
use crate::runtime::EVENTS;

/// What was asked of it since it was last looked at, and what it is to say.
#[derive(Default)]
struct Memory {
    asked: Vec<&'static str>,
    has_refused: bool,
    is_damaged: bool,
    is_broken: bool,
}

impl Memory {
    fn asked(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.asked)
    }
}

impl Gate for Memory {
    fn cares_for(&self, link: &Interface) -> bool {
        link.name == "eth0"
    }

    fn hurry(&mut self, _: &Interface) {
        self.asked.push("hurry");
    }

    fn follow(&mut self) -> Result<Vec<InterfaceChange>> {
        self.asked.push("follow");
        let refused = InterfaceChange::Refused { name: "eth0".to_owned(), why: "busy".to_owned() };
        if self.is_broken { Err(anyhow!("no netlink")) } else { Ok(vec![refused]) }
    }

    fn follow_addresses(&mut self) -> Result<()> {
        self.asked.push("addresses");
        Ok(())
    }

    fn try_refused_again(&mut self) -> bool {
        self.has_refused
    }

    fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    fn mend(&mut self) -> Result<Vec<String>> {
        self.asked.push("mend");
        let is_damaged = std::mem::take(&mut self.is_damaged);
        Ok(is_damaged.then(|| "GRANTS: SOMEBODY REMOVED THIS PIN".to_owned()).into_iter().collect())
    }

    fn places(&self) -> Result<String, String> {
        Ok("eth0 (native)".to_owned())
    }
}

/// A part of a daemon, with its logs in a folder.
struct Lab {
    folder: TempDir,
    gate: Memory,
    following: Following,
    troubles: Troubles,
    logbook: Logbook,
}

impl Lab {
    fn new(now: Instant) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let logbook = logbook(folder.path());
        let (gate, following) = (Memory::default(), Following::new(now));
        Self { folder, gate, following, troubles: Troubles::default(), logbook }
    }

    fn hear(&mut self, announced: &Announced) -> Vec<&'static str> {
        let mut telling = Telling { troubles: &mut self.troubles, logbook: &mut self.logbook };
        Following::hear(announced, &mut self.gate, &mut telling);
        self.gate.asked()
    }

    fn look_after(&mut self, now: Instant) -> (bool, Vec<&'static str>) {
        let mut telling = Telling { troubles: &mut self.troubles, logbook: &mut self.logbook };
        let follows = self.following.look_after(now, &mut self.gate, &mut telling);
        (follows, self.gate.asked())
    }

    /// What the event log has.
    fn written(&self) -> String {
        fs::read_to_string(self.folder.path().join(EVENTS)).unwrap_or_default()
    }
}

fn logbook(folder: &Path) -> Logbook {
    let text = "[options]\ninterfaces = [\"eth0\"]\n[services.s]\nports = [\"22/tcp\"]\n";
    let (config, _) = Config::parse(text, "test.toml").unwrap();
    let paths = Paths { run: folder.into(), ..Paths::below(folder) };
    Logbook::new(&config, false, Log::open(&LogTarget::File(folder.join("log"))).unwrap(), &paths)
}

fn link(name: &str) -> Interface {
    Interface { xdp: Some((1, XdpMode::Native)), ..interface(name, 2) }
}

#[test]
fn an_announcement_brings_the_gate_to_interfaces_that_concern_it_alone() {
    let mut lab = Lab::new(Instant::now());
    assert_eq!(lab.hear(&Announced::Some(vec![link("lan7")], false)), [""; 0]);
    assert_eq!(lab.hear(&Announced::Some(vec![link("lan7")], true)), ["addresses"]);
    // One that comes up has the gate before all others are looked at.
    assert_eq!(lab.hear(&Announced::Some(vec![link("eth0")], false)), ["hurry", "mend", "follow"]);
    assert!(lab.written().contains("\"interface\":\"eth0\""), "{}", lab.written());
}

#[test]
fn after_lost_announcements_everything_is_looked_at() {
    let mut lab = Lab::new(Instant::now());
    assert_eq!(lab.hear(&Announced::Lost), ["addresses", "mend", "follow"]);
}

#[test]
fn what_was_refused_is_tried_again_after_a_while_and_not_at_every_look() {
    let now = Instant::now();
    let mut lab = Lab::new(now);
    assert_eq!(lab.look_after(now), (false, vec!["addresses"]));
    lab.gate.has_refused = true;
    assert_eq!(lab.look_after(now), (true, vec!["addresses", "mend", "follow"]));
    assert_eq!(lab.look_after(now + RETRY - Duration::from_nanos(1)), (false, vec!["addresses"]));
    assert_eq!(lab.look_after(now + RETRY), (true, vec!["addresses", "mend", "follow"]));
}

#[test]
fn what_somebody_took_away_is_put_back_and_written_down() {
    let now = Instant::now();
    let mut lab = Lab::new(now);
    lab.gate.is_damaged = true;
    assert_eq!(lab.look_after(now), (true, vec!["addresses", "mend", "follow"]));
    assert!(lab.written().contains("SOMEBODY REMOVED THIS PIN"), "{}", lab.written());
    assert_eq!(lab.look_after(now), (false, vec!["addresses"]));
}

#[test]
fn what_could_not_be_followed_is_followed_with_the_next_look() {
    let now = Instant::now();
    let mut lab = Lab::new(now);
    lab.gate.is_broken = true;
    lab.hear(&Announced::Lost);
    assert!(lab.troubles.has(NOT_FOLLOWED) && lab.look_after(now).0);
    lab.gate.is_broken = false;
    assert!(lab.look_after(now).0 && !lab.look_after(now).0);
}
