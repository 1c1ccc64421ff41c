//! Rounds: each contestant once, in turn, so that what else goes on in the machine meets them all alike.

use std::collections::BTreeMap;

use super::{Beside, Figure};

/// The peer that is another commit of ours.
pub const BEFORE: &str = "before";
/// The peer that is the gate once more.
pub const CONTROL: &str = "control";
/// The peer that is a program which passes every frame.
pub const BARE: &str = "xdp_pass";

/// With fewer rounds, what is noise cannot be told.
const ENOUGH: usize = 5;

/// What was measured so far.
#[derive(Clone, Default, Debug)]
pub struct Rounds {
    own: Vec<f64>,
    is_exact: bool,
    peers: BTreeMap<&'static str, Vec<f64>>,
}

impl Rounds {
    /// The gate's measurement of this round.
    pub fn own(&mut self, value: f64) {
        self.own.push(value);
    }

    /// A peer's measurement of this round.
    pub fn peer(&mut self, name: &'static str, value: f64) {
        self.peers.entry(name).or_default().push(value);
    }

    /// Says that each round measures the same: one is enough.
    #[must_use]
    pub const fn exact(mut self) -> Self {
        self.is_exact = true;
        self
    }

    /// The gate against that of another commit, if both it and the control were measured in enough rounds.
    fn beside(&self) -> Option<Beside> {
        let (before, control) = (self.peers.get(BEFORE)?, self.peers.get(CONTROL)?);
        let rounds = self.own.len();
        if before.len() != rounds || control.len() != rounds || (rounds < ENOUGH && !self.is_exact) {
            return None;
        }
        let all = || self.own.iter().chain(before).chain(control);
        // Without a zero: there is no quotient by nothing.
        if !all().all(|value| *value > 0.0) {
            return None;
        }
        let quotients = |one: &[f64], other: &[f64]| -> Vec<f64> {
            one.iter().zip(other).map(|(one, other)| one / other).collect()
        };
        let noise = quotients(&self.own, control);
        Some(Beside {
            ratio: median(&quotients(&self.own, before)),
            control_ratio: median(&quotients(control, before)),
            control: [least(&noise), most(&noise)],
        })
    }

    /// Takes what a baseline took in the same round (the sender's share, an empty program's) from everybody. The
    /// baseline is a peer by its name, and is none afterwards. Nothing falls below `least`.
    #[must_use]
    pub fn without(mut self, baseline: &str, least: f64) -> Self {
        let taken = self.peers.remove(baseline).unwrap_or_default();
        for values in self.peers.values_mut().chain([&mut self.own]) {
            for (value, taken) in values.iter_mut().zip(&taken) {
                *value = (*value - taken).max(least);
            }
        }
        self
    }

    /// The figure: medians, and the median of the quotients of each round.
    ///
    /// # Panics
    ///
    /// If the gate was never measured.
    #[must_use]
    pub fn figure(&self, id: impl Into<String>, unit: &'static str) -> Figure {
        let id = id.into();
        assert!(!self.own.is_empty(), "{id} was never measured");
        let quotients = |values: &Vec<f64>| -> Vec<f64> {
            self.own.iter().zip(values).filter(|(_, peer)| **peer != 0.0).map(|(own, peer)| own / peer).collect()
        };
        let ratio = self.peers.iter().map(|(name, values)| ((*name).into(), quotients(values)));
        Figure {
            unit: unit.into(),
            value: median(&self.own),
            spread: [least(&self.own), most(&self.own)],
            peers: self.peers.iter().map(|(name, values)| ((*name).into(), median(values))).collect(),
            ratio: ratio.filter(|(_, all)| !all.is_empty()).map(|(name, all)| (name, median(&all))).collect(),
            beside: self.beside(),
            note: String::new(),
            id,
        }
    }
}

/// The numbers below `count`, in another order each turn: none always comes behind the same one.
pub fn order(count: usize, turn: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (index + turn) % count)
}

/// The middle one, or the mean of the two in the middle.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_the_same_round() {
        let mut rounds = Rounds::default();
        // A machine that is ten times slower in the second round, and once more in the third.
        for (own, peer) in [(1.0, 2.0), (10.0, 20.0), (100.0, 200.0)] {
            rounds.own(own);
            rounds.peer("other", peer);
        }
        let figure = rounds.figure("some.figure", "ns");
        assert_eq!((figure.value, figure.spread), (10.0, [1.0, 100.0]));
        assert_eq!((figure.peers["other"], figure.ratio["other"]), (20.0, 0.5));
    }

    #[test]
    fn what_a_baseline_took_is_nobodys() {
        let mut rounds = Rounds::default();
        rounds.own(1.5);
        rounds.peer("other", 3.0);
        rounds.peer("sender", 1.0);
        let figure = rounds.without("sender", 0.0).figure("some.figure", "us");
        assert_eq!((figure.value, figure.ratio["other"]), (0.5, 0.25));
        assert!(!figure.peers.contains_key("sender"));
    }

    fn beside(rounds: &[(f64, f64, f64)]) -> Rounds {
        let mut all = Rounds::default();
        for &(own, before, control) in rounds {
            all.own(own);
            all.peer(BEFORE, before);
            all.peer(CONTROL, control);
        }
        all
    }

    #[test]
    fn noise_is_the_gate_against_itself_in_the_same_rounds() {
        // The machine is ten times slower in the last rounds, which changes no quotient.
        let rounds = [(4.0, 2.0, 4.0), (4.0, 2.0, 5.0), (4.0, 2.0, 3.2), (40.0, 20.0, 40.0), (40.0, 20.0, 40.0)];
        let found = beside(&rounds).figure("some.figure", "ns").beside.unwrap();
        assert_eq!(found, Beside { ratio: 2.0, control_ratio: 2.0, control: [0.8, 1.25] });
    }

    #[test]
    fn few_rounds_say_nothing_of_noise_unless_each_measures_the_same() {
        let few = beside(&[(4.0, 2.0, 4.0); ENOUGH - 1]);
        assert_eq!(few.figure("some.figure", "ns").beside, None);
        assert!(few.exact().figure("some.figure", "MiB").beside.is_some());
        assert_eq!(beside(&[(4.0, 0.0, 4.0); ENOUGH]).figure("some.figure", "%").beside, None);
    }

    #[test]
    fn a_peer_of_nothing_has_no_ratio() {
        let mut rounds = Rounds::default();
        rounds.own(1.0);
        rounds.peer("other", 0.0);
        assert!(rounds.figure("some.figure", "%").ratio.is_empty());
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
    }
}
