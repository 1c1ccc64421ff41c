//! Which doors there can be beside each other: what our config would refuse is left out, one door
//! after the other, until the rest holds together. A door that is left out stays shut.

use knock_common::abi::rules::{MAX_DOORS, MAX_PREFIXES, MAX_SERVICES};
use knock_common::packet::Transport;
use knock_common::packet::flags::FlagTest;

use super::commands::Rule;
use super::draft::Draft;
use super::meaning::{Close, Commands, Open};
use super::services::{cut, overlap};
use crate::config::{PortOwners, PortRange};
use crate::sequences::slots;

/// What a door does, with its ports known.
#[derive(Debug)]
pub enum Deed {
    /// It opens them.
    Open(Vec<PortRange>, Open),
    /// It closes them, and runs commands.
    Close(Vec<PortRange>, Commands),
    /// It closes what its commands find when they run.
    Seek(Close),
    /// It runs commands.
    Hooks(String),
    /// It only logs.
    Log,
}

/// A door that is still in.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The door.
    pub draft: Draft<'a>,
    /// What it does.
    pub deed: Deed,
    /// Why it is left out, if it is.
    pub left_out: Option<String>,
}

impl Candidate<'_> {
    /// True if it has a service, and opens it.
    pub fn opens(&self) -> bool {
        self.left_out.is_none() && matches!(self.deed, Deed::Open(..))
    }

    /// The rules by which it opens; none if it does not.
    pub fn opened(&self) -> &[Rule] {
        match &self.deed {
            Deed::Open(_, open) if self.left_out.is_none() => &open.rules,
            _ => &[],
        }
    }

    /// True if it has no service.
    pub fn is_bare(&self) -> bool {
        matches!(self.deed, Deed::Hooks(_) | Deed::Log | Deed::Seek(_))
    }

    /// True if it opens or closes these ports.
    pub fn is_for(&self, ports: &[PortRange]) -> bool {
        match &self.deed {
            Deed::Open(own, _) | Deed::Close(own, _) => overlap(own, ports),
            Deed::Hooks(_) | Deed::Log | Deed::Seek(_) => false,
        }
    }

    /// The commands that go on as hooks.
    pub fn hooks(&self) -> Commands {
        match &self.deed {
            Deed::Hooks(_) => self.draft.commands.clone(),
            Deed::Open(_, Open { hooks, .. }) | Deed::Close(_, hooks) => hooks.clone(),
            Deed::Log | Deed::Seek(_) => Commands::default(),
        }
    }

    fn closes(&self) -> bool {
        matches!(self.deed, Deed::Close(..))
    }
}

/// Leaves doors out until the rest holds together, and returns the ports of each service. Never more doors are held
/// against each other than there is room for: the next comes in where one is left out.
pub fn settle(doors: &mut [Candidate<'_>]) -> Vec<Vec<PortRange>> {
    let mut waiting = 0..doors.len();
    let mut alive: Vec<usize> = Vec::new();
    loop {
        alive.retain(|&index| doors[index].left_out.is_none());
        alive.extend(waiting.by_ref().take(MAX_DOORS - alive.len()));
        let opened: Vec<&[PortRange]> = alive
            .iter()
            .filter_map(
                |&index| if let Deed::Open(ports, _) = &doors[index].deed { Some(ports.as_slice()) } else { None },
            )
            .collect();
        let services = cut(&opened);
        if !one_less(doors, &alive, &services) {
            for index in waiting {
                doors[index].left_out = Some(no_room());
            }
            return services;
        }
    }
}

/// Changes the first thing that cannot stay; false if there is none.
fn one_less(doors: &mut [Candidate<'_>], alive: &[usize], services: &[Vec<PortRange>]) -> bool {
    for &index in alive {
        if doors[index].closes() && !services.iter().any(|ports| doors[index].is_for(ports)) {
            doors[index].deed = Deed::Hooks("no door here opens what it closes".to_owned());
            return true;
        }
    }
    let protected = PortOwners::of(services.iter().map(Vec::as_slice));
    let problem = alive
        .iter()
        .find_map(|&index| knocks_at(&doors[index], &protected).map(|why| (index, why)))
        .or_else(|| contrary(doors, alive, services))
        .or_else(|| prefixes(doors, alive, services))
        .or_else(|| too_many(doors, alive, services))
        .or_else(|| crowded(doors, alive, services));
    problem.is_some_and(|(index, why)| {
        doors[index].left_out = Some(why);
        true
    })
}

/// A step on a port that is protected now.
fn knocks_at(door: &Candidate<'_>, protected: &PortOwners) -> Option<String> {
    let step = door.draft.sequence().iter().position(|step| protected.owner(*step).is_some())?;
    Some(format!("step {} of its sequence is a port that another command opens: a knock there is denied", step + 1))
}

/// Two doors of one service and one sequence, of which one opens and the other closes.
fn contrary(doors: &[Candidate<'_>], alive: &[usize], services: &[Vec<PortRange>]) -> Option<(usize, String)> {
    for (position, &index) in alive.iter().enumerate() {
        for &earlier in &alive[..position] {
            let (one, other) = (&doors[earlier], &doors[index]);
            let contrary = (one.opens() && other.closes()) || (one.closes() && other.opens());
            let together = || services.iter().any(|ports| one.is_for(ports) && other.is_for(ports));
            let steps = (one.draft.sequence().len(), other.draft.sequence().len());
            if contrary && steps.0 > 0 && steps.0 == steps.1 && same_knocks(&one.draft, &other.draft) && together() {
                let why =
                    format!("its sequence is that of line {}: one knock would open and close", one.draft.section.line);
                return Some((index, why));
            }
        }
    }
    None
}

/// True if the same packets make both sequences, as far as the shorter one goes.
pub fn same_knocks(one: &Draft<'_>, other: &Draft<'_>) -> bool {
    crate::syntax::work::note();
    let target = one.target.is_none() || other.target.is_none() || one.target == other.target;
    let steps = || one.sequence().iter().zip(other.sequence());
    target
        && steps().all(|(one, other)| one == other)
        && (steps().all(|(step, _)| step.transport == Transport::Udp) || meet(one.test, other.test))
}

/// True if one segment can satisfy both.
const fn meet(one: FlagTest, other: FlagTest) -> bool {
    one.set & other.clear == 0 && one.clear & other.set == 0
}

/// More prefix lengths for one service than the kernel looks for, whole addresses among them.
fn prefixes(doors: &[Candidate<'_>], alive: &[usize], services: &[Vec<PortRange>]) -> Option<(usize, String)> {
    for ports in services {
        for family in [|open: &Open| open.prefix_v4, |open: &Open| open.prefix_v6] {
            let mut lengths = Vec::new();
            for &index in alive.iter().filter(|&&index| doors[index].is_for(ports)) {
                let Deed::Open(_, open) = &doors[index].deed else { continue };
                if let Some(bits) = family(open)
                    && !lengths.contains(&bits)
                {
                    lengths.push(bits);
                }
                if lengths.len() >= MAX_PREFIXES {
                    return Some((index, "its service has too many lengths of source prefixes".to_owned()));
                }
            }
        }
    }
    None
}

/// How many doors of ours a door becomes.
fn parts(door: &Candidate<'_>, services: &[Vec<PortRange>]) -> usize {
    if door.is_bare() { 1 } else { services.iter().filter(|ports| door.is_for(ports)).count() }
}

fn too_many(doors: &[Candidate<'_>], alive: &[usize], services: &[Vec<PortRange>]) -> Option<(usize, String)> {
    let count: usize = alive.iter().map(|&index| parts(&doors[index], services)).sum();
    let kept = services.len() + alive.iter().filter(|&&index| doors[index].is_bare()).count();
    if count > MAX_DOORS || kept > MAX_SERVICES {
        return alive.last().map(|&last| (last, no_room()));
    }
    None
}

fn no_room() -> String {
    format!("there is room for {MAX_DOORS} doors and {MAX_SERVICES} services")
}

fn crowded(doors: &[Candidate<'_>], alive: &[usize], services: &[Vec<PortRange>]) -> Option<(usize, String)> {
    let all: Vec<usize> =
        alive.iter().flat_map(|&index| std::iter::repeat_n(index, parts(&doors[index], services))).collect();
    let sequences: Vec<_> = all.iter().map(|&index| doors[index].draft.sequence()).collect();
    let crowd = slots::assign(&sequences).err()?;
    let index = all.get(crowd.door)?;
    Some((*index, "too many doors share their first knock with it".to_owned()))
}
