//! Which interfaces the config means, of those that there are.

use std::collections::BTreeMap;

use log::warn;

use anyhow::{Result, bail};

use super::kinds::{self, Fit};
use super::list::Interface;
use crate::config::InterfacePattern;

/// What the config means here and now.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Choice {
    /// Interfaces that get the gate.
    pub fit: Vec<Interface>,
    /// Those that need none of their own, with the reason.
    pub covered: Vec<(Interface, String)>,
    /// Those that can have none, with the reason.
    pub unfit: Vec<(Interface, String)>,
    /// What to know of those that fit: a name and a text.
    pub remarks: Vec<(String, String)>,
    /// Names and patterns that mean nothing that is here, with what may have been meant instead.
    pub absent: Vec<(String, String)>,
}

/// Interfaces that could not have the gate, as they were then, by index.
pub type Refused = BTreeMap<u32, (Interface, String)>;

/// Interfaces that need no gate of their own, by index: name and reason.
pub type Covered = BTreeMap<u32, (String, String)>;

/// The interfaces that the patterns mean.
#[must_use]
pub fn choose(patterns: &[InterfacePattern], all: &[Interface]) -> Choice {
    let means = |interface: &Interface| patterns.iter().any(|pattern| pattern.matches(&interface.name));
    let mut choice = Choice::default();
    for interface in all.iter().filter(|interface| means(interface)) {
        match kinds::fit(interface, all, means) {
            Fit::Yes => choice.fit.push(interface.clone()),
            Fit::But(remark) => {
                choice.fit.push(interface.clone());
                choice.remarks.push((interface.name.clone(), remark));
            }
            Fit::Covered(why) => choice.covered.push((interface.clone(), why)),
            Fit::No(why) => choice.unfit.push((interface.clone(), why)),
        }
    }
    for pattern in patterns {
        if !all.iter().any(|interface| pattern.matches(&interface.name)) {
            choice.absent.push((pattern.as_str().to_owned(), instead(pattern, all)));
        }
    }
    choice
}

impl Choice {
    /// What an administrator should know of the choice, a name and a text each.
    #[must_use]
    pub fn remarks(&self) -> Vec<(String, String)> {
        let covered = self.covered.iter().map(|(interface, why)| (interface.name.clone(), needless(why)));
        let unfit = self.unfit.iter().map(|(interface, why)| (interface.name.clone(), format!("no gate there: {why}")));
        let absent = self.absent.iter().map(|(name, instead)| {
            (name.clone(), format!("not there yet: the gate is taken there when it appears ({instead})"))
        });
        self.remarks.iter().cloned().chain(covered).chain(unfit).chain(absent).collect()
    }

    /// Writes them to the log.
    pub fn warn(&self) {
        for (name, text) in self.remarks() {
            warn!("{name}: {text}");
        }
    }

    /// Why no interface of this host would have the gate; `None` if one would.
    #[must_use]
    pub fn nowhere(&self) -> Option<String> {
        let absent = self.absent.iter().map(|(name, instead)| not_there(name, instead));
        let others =
            self.covered.iter().chain(&self.unfit).map(|(interface, why)| format!("{}: {why}", interface.name));
        self.fit.is_empty().then(|| absent.chain(others).collect::<Vec<_>>().join("; "))
    }

    /// Refuses to take the gate off the last interface on which it stands, of which there are `standing`.
    ///
    /// # Errors
    ///
    /// Says what would happen, what was probably meant, and what to type.
    pub fn refuse_nowhere(&self, standing: &[&str]) -> Result<()> {
        let Some(why) = self.nowhere().filter(|_| !standing.is_empty()) else { return Ok(()) };
        bail!(
            "options.interfaces means no interface that could have the gate: {why}. It would be taken off {}, and NOTHING WOULD \
             BE PROTECTED: mend options.interfaces; if it is meant, say `knockctl reload --force`, or `knockctl unload`",
            standing.join(", ")
        )
    }

    /// Refuses an interface that is named, not matched, and can have no gate.
    ///
    /// # Errors
    ///
    /// Says why.
    pub fn refuse_named(&self, patterns: &[InterfacePattern]) -> Result<()> {
        for (interface, why) in &self.unfit {
            if patterns.iter().any(|pattern| pattern.name() == Some(&interface.name)) {
                bail!("{}: {why}", interface.name);
            }
        }
        Ok(())
    }
}

/// The text for a name or pattern that means nothing that is here.
pub fn not_there(name: &str, instead: &str) -> String {
    format!("{name} is not there ({instead})")
}

/// The text for an interface that is covered by another.
pub fn needless(why: &str) -> String {
    format!("it needs no gate of its own: {why}")
}

/// True if the pattern may come to mean an interface without Ethernet headers, by how such are called.
/// The program for those takes a moment to load, which an interface that appears should not wait.
#[must_use]
pub fn expects_raw(pattern: &InterfacePattern) -> bool {
    const CALLED: [&str; 9] = ["tun", "ppp", "wg", "wwan", "rmnet", "tunl", "sit", "ip6tnl", "ipip"];
    match pattern.name() {
        Some(name) => CALLED.iter().any(|stem| name.starts_with(stem)),
        None => CALLED.iter().any(|stem| pattern.matches(&format!("{stem}0"))),
    }
}

/// The nearest name, or those that there are.
fn instead(pattern: &InterfacePattern, all: &[Interface]) -> String {
    /// How many letters may be wrong or change places.
    const NEAR: usize = 2;
    /// More names are no help.
    const MANY: usize = 8;
    let names: Vec<_> = all.iter().map(|interface| interface.name.as_str()).collect();
    let distance = |name: &&str| strsim::damerau_levenshtein(pattern.as_str(), name);
    let nearest = names.iter().copied().min_by_key(distance).filter(|name| distance(name) <= NEAR && *name != "lo");
    let more = if names.len() > MANY { ", ..." } else { "" };
    let there = format!("there are {}{more}", names[..names.len().min(MANY)].join(", "));
    match nearest {
        Some(nearest) => format!("did you mean {nearest}? {there}"),
        None => there,
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::Layer;
    use super::super::list::tests::interface;
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<InterfacePattern> {
        texts.iter().map(|text| InterfacePattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn names_and_patterns_choose_and_what_is_absent_is_waited_for() {
        let all = [interface("eth0", 2), interface("eth1", 3), interface("lo", 1)];
        let choice = choose(&patterns(&["eth*", "eht0", "ppp*"]), &all);
        assert_eq!(choice.fit, all[..2]);
        let remarks = choice.remarks();
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(remarks[0].1.contains("not there yet") && remarks[0].1.contains("did you mean eth0?"), "{remarks:?}");
        assert!(remarks[1].0 == "ppp*" && remarks[1].1.contains("there are eth0, eth1, lo"), "{remarks:?}");
    }

    #[test]
    fn a_slip_of_the_pen_takes_the_gate_off_no_last_interface() {
        let all = [interface("eth0", 2), interface("lo", 1)];
        let slip = choose(&patterns(&["eht0"]), &all);
        let error = slip.refuse_nowhere(&["eth0"]).unwrap_err().to_string();
        for word in ["eht0 is not there (did you mean eth0?", "taken off eth0", "knockctl reload --force"] {
            assert!(error.contains(word), "{word:?} is missing: {error}");
        }
        // As at a boot before the network, or with one interface left.
        assert!(slip.refuse_nowhere(&[]).is_ok());
        assert!(choose(&patterns(&["eht0", "eth0"]), &all).refuse_nowhere(&["eth0", "eth1"]).is_ok());
    }

    #[test]
    fn what_another_interface_covers_is_no_hole() {
        let vlan = Interface { kind: Some("vlan".into()), lower: Some(2), ..interface("eth0.5", 3) };
        let all = [interface("eth0", 2), vlan.clone()];
        let patterns = patterns(&["eth0*", "eth0.5"]);
        let choice = choose(&patterns, &all);
        assert_eq!((&choice.fit[..], &choice.covered[0].0), (&all[..1], &vlan));
        assert!(choice.unfit.is_empty() && choice.refuse_named(&patterns).is_ok());
        let remarks = choice.remarks();
        assert!(remarks[0].1.starts_with("it needs no gate of its own: eth0"), "{remarks:?}");
    }

    #[test]
    fn interfaces_without_ethernet_are_expected_by_name() {
        let expects = |text: &str| expects_raw(&InterfacePattern::parse(text).unwrap());
        assert!(["wg0", "tun*", "ppp?", "*"].into_iter().all(expects));
        assert!(!["eth0", "en*", "br0"].into_iter().any(expects));
    }

    #[test]
    fn a_pattern_passes_over_what_a_name_would_be_refused_for() {
        let can = Interface { layer: Layer::Other("CAN".into()), ..interface("can0", 2) };
        let all = [can, interface("eth0", 3)];
        for (texts, refused) in [(["*", "eth0"], false), (["can0", "eth0"], true)] {
            let patterns = patterns(&texts);
            let choice = choose(&patterns, &all);
            assert_eq!(choice.fit, all[1..]);
            assert_eq!(choice.refuse_named(&patterns).is_err(), refused, "{texts:?}");
        }
    }
}
