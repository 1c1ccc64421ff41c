//! Where the gate stands, and where it is meant to: what `status` shows, with or without a daemon.

use std::collections::BTreeMap;

use anyhow::Result;

use super::choose::choose;
use super::links::{self, Links};
use super::list::{self, Interface, XdpMode};
use super::pending::Waiting;
use crate::paths::Paths;

/// An interface that has the gate, or should have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceState {
    /// Its name; a pattern that nothing matches yet.
    pub name: String,
    /// Where the program runs; `None` without the gate.
    pub mode: Option<XdpMode>,
    /// How it is.
    pub condition: Condition,
}

/// How an interface is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// It has the gate and is up.
    Up,
    /// It has the gate and is down.
    Down,
    /// It is not there, or not yet: what else could be meant, and what there is.
    Absent(String),
    /// It needs no gate of its own: why.
    Covered(String),
    /// It has no gate: why.
    Open(String),
}

/// All interfaces, by name.
///
/// # Errors
///
/// If the pins or the interfaces cannot be listed.
pub fn read(paths: &Paths) -> Result<Vec<InterfaceState>> {
    let all = list::list()?;
    Ok(gather(&links::read(paths, &all)?, &all, &Waiting::read(paths)))
}

fn gather(links: &Links, all: &[Interface], waiting: &Waiting) -> Vec<InterfaceState> {
    let mut states = BTreeMap::new();
    let mut put = |name: &str, mode, condition| {
        let name = name.to_owned();
        states.entry(name.clone()).or_insert(InterfaceState { name, mode, condition });
    };
    for interface in all.iter().filter(|interface| links.stands_on(interface)) {
        let condition = if interface.up { Condition::Up } else { Condition::Down };
        put(&interface.name, interface.xdp.map(|(_, mode)| mode), condition);
    }
    let choice = choose(&waiting.interfaces, all);
    for (interface, why) in &choice.covered {
        put(&interface.name, None, Condition::Covered(why.clone()));
    }
    for (interface, why) in &choice.unfit {
        put(&interface.name, None, Condition::Open(why.clone()));
    }
    for interface in &choice.fit {
        let why =
            waiting.refused.get(&interface.name).map_or("nobody has taken it in: see the daemon's log", |why| why);
        put(&interface.name, None, Condition::Open(why.to_owned()));
    }
    let gone = links.gone.iter().filter(|name| !all.iter().any(|interface| interface.name == **name));
    for (name, instead) in &choice.absent {
        put(name, None, Condition::Absent(instead.clone()));
    }
    for name in gone {
        put(name, None, Condition::Absent("it is gone".to_owned()));
    }
    states.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::interface;
    use super::*;
    use crate::config::InterfacePattern;

    #[test]
    fn what_has_the_gate_what_should_have_it_and_what_is_awaited() {
        let all = [
            Interface { xdp: Some((7, XdpMode::Native)), ..interface("eth0", 2) },
            Interface { xdp: Some((7, XdpMode::Generic)), up: false, ..interface("eth1", 3) },
            interface("eth2", 4),
            interface("eth3", 5),
            interface("other0", 6),
            Interface { kind: Some("vlan".into()), lower: Some(2), ..interface("eth0.5", 7) },
        ];
        let links = Links {
            standing: BTreeMap::from([(2, "eth0".into()), (3, "eth1".into())]),
            gone: vec!["eth2".into(), "old0".into()],
            renamed: Vec::new(),
        };
        let interfaces = ["eth*", "ppp0"].iter().map(|text| InterfacePattern::parse(text).unwrap()).collect();
        let waiting = Waiting { interfaces, refused: BTreeMap::from([("eth3".into(), "busy".into())]), source: None };
        let states = gather(&links, &all, &waiting);
        let shown: Vec<_> = states.iter().map(|state| (state.name.as_str(), state.mode, &state.condition)).collect();
        let nobody = Condition::Open("nobody has taken it in: see the daemon's log".into());
        let covered = Condition::Covered("eth0, on which it lies, has the gate, which reads VLAN tags".into());
        let expected = [
            ("eth0", Some(XdpMode::Native), &Condition::Up),
            ("eth0.5", None, &covered),
            ("eth1", Some(XdpMode::Generic), &Condition::Down),
            ("eth2", None, &nobody),
            ("eth3", None, &Condition::Open("busy".into())),
            ("old0", None, &Condition::Absent("it is gone".into())),
            ("ppp0", None, &Condition::Absent("there are eth0, eth1, eth2, eth3, other0, eth0.5".into())),
        ];
        assert_eq!(shown, expected);
    }
}
