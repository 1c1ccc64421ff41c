//! What has become dearer since another commit: what is so by more than the gate differs from itself.

use std::fmt;

use super::{Beside, Figure, Sheet, Short};

/// By less than this nothing is called dearer: `kernel::budget` sees what is smaller.
const LEAST: f64 = 1.02;
/// The same against the base, which many commits are held against.
const LEAST_OF_BASE: f64 = 1.10;
/// What there should be more of.
const BETTER_IF_MORE: [&str; 2] = ["share", "MB/s"];
/// Of a commit's hash.
const SHOWN: usize = 12;

/// What a run says of another commit.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    commit: String,
    compared: usize,
    /// Figures with too few rounds, or of zero.
    undecided: usize,
    dearer: Vec<Dearer>,
}

/// A figure that has become dearer.
#[derive(Clone, PartialEq, Debug)]
struct Dearer {
    id: String,
    /// By how many times.
    ratio: f64,
    /// The least and the most that the gate is dearer than itself.
    control: [f64; 2],
}

impl Verdict {
    /// Of a sheet, if another commit was measured.
    #[must_use]
    pub fn of(sheet: &Sheet) -> Option<Self> {
        let commit = sheet.beside.as_ref()?;
        let least = if commit.is_base { LEAST_OF_BASE } else { LEAST };
        let compared = sheet.figures.iter().filter(|figure| figure.beside.is_some()).count();
        Some(Self {
            commit: commit.hash.chars().take(SHOWN).collect(),
            compared,
            undecided: sheet.figures.len() - compared,
            dearer: sheet.figures.iter().filter_map(|figure| dearer(figure, least)).collect(),
        })
    }

    /// True if nothing is dearer, and something was compared.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.dearer.is_empty() && self.compared > 0
    }
}

/// The figure, if it is dearer by more than `least` times and than noise explains. The gate and the control are the
/// same: what is true of one of them only is chance.
fn dearer(figure: &Figure, least: f64) -> Option<Dearer> {
    let Beside { ratio, control_ratio, control: [below, above] } = figure.beside?;
    let is_more_better = BETTER_IF_MORE.contains(&&*figure.unit);
    let cost = |ratio: f64| if is_more_better { ratio.recip() } else { ratio };
    let control = if is_more_better { [above, below] } else { [below, above] }.map(cost);
    // Which of two that are the same is the dearer one is chance as well.
    let noise = control[1].max(control[0].recip());
    let both = cost(ratio).min(cost(control_ratio));
    (both > noise.max(least)).then(|| Dearer { id: figure.id.clone(), ratio: cost(ratio), control })
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commit, compared, undecided, dearer } = self;
        let counts = format!("{compared} figures compared, {undecided} not");
        if *compared == 0 {
            return write!(out, "nothing can be said against {commit}: {counts}");
        }
        if dearer.is_empty() {
            return write!(out, "nothing is dearer than at {commit}: {counts}");
        }
        write!(out, "dearer than at {commit}:")?;
        for (index, Dearer { id, ratio, control: [least, most] }) in dearer.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma} {id} x{} (control {} to {})", Short(*ratio), Short(*least), Short(*most))?;
        }
        write!(out, "; {counts}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Commit, Machine, Rounds};

    fn figure(id: &str, unit: &'static str, ratio: f64, control_ratio: f64, control: [f64; 2]) -> Figure {
        let mut rounds = Rounds::default();
        rounds.own(1.0);
        let figure = rounds.figure(id, unit);
        Figure { beside: Some(Beside { ratio, control_ratio, control }), ..figure }
    }

    fn verdict(is_base: bool, figures: Vec<Figure>) -> Verdict {
        let machine = Machine { cpu: "a CPU".into(), cpus: 2, memory_mib: 2048, kernel: "6.18".into(), load: 0.5 };
        let commit = Commit { hash: "0123456789abcdef".into(), is_base, missing: Vec::new() };
        Verdict::of(&Sheet { beside: Some(commit), figures, ..Sheet::new(machine, false) }).unwrap()
    }

    fn is_dearer(is_base: bool, unit: &'static str, ratio: f64, control_ratio: f64, control: [f64; 2]) -> bool {
        !verdict(is_base, vec![figure("a.b", unit, ratio, control_ratio, control)]).is_good()
    }

    #[test]
    fn what_goes_beyond_the_controls_spread_is_dearer() {
        assert!(is_dearer(false, "ns", 1.06, 1.05, [0.98, 1.03]));
        assert!(is_dearer(false, "ns", 2.0, 2.0, [1.0, 1.0]));
    }

    #[test]
    fn what_lies_within_the_controls_spread_is_not() {
        assert!(!is_dearer(false, "ns", 1.03, 1.03, [0.98, 1.04]));
        // Whichever of two that are the same was the slower one.
        assert!(!is_dearer(false, "ns", 1.2, 1.2, [0.8, 1.0]));
        assert!(!is_dearer(false, "ns", 0.5, 0.5, [0.99, 1.01]));
    }

    #[test]
    fn what_the_control_does_not_show_is_chance() {
        assert!(!is_dearer(false, "ns", 1.3, 1.0, [0.98, 1.05]));
        assert!(!is_dearer(false, "ns", 1.0, 1.3, [0.98, 1.05]));
    }

    #[test]
    fn very_little_is_never_dearer_even_without_noise() {
        assert!(!is_dearer(false, "MiB", 1.01, 1.01, [1.0, 1.0]));
    }

    #[test]
    fn against_the_base_it_takes_a_tenth_as_well() {
        assert!(!is_dearer(true, "ns", 1.09, 1.09, [0.99, 1.01]));
        assert!(is_dearer(true, "ns", 1.12, 1.12, [0.99, 1.01]));
        assert!(!is_dearer(true, "ns", 1.12, 1.12, [0.9, 1.2]));
    }

    #[test]
    fn less_of_what_is_good_is_dearer() {
        assert!(is_dearer(false, "MB/s", 0.5, 0.5, [0.95, 1.05]));
        assert!(!is_dearer(false, "MB/s", 2.0, 2.0, [0.95, 1.05]));
        assert!(!is_dearer(false, "MB/s", 0.9, 0.9, [0.85, 1.05]));
    }

    #[test]
    fn the_last_line_names_what_is_dearer_or_says_that_nothing_is() {
        let good = figure("a.good", "ns", 1.0, 1.0, [0.99, 1.01]);
        let bad = figure("a.bad", "ns", 1.5, 1.4, [0.99, 1.01]);
        let worse = figure("a.worse", "MB/s", 0.25, 0.25, [0.8, 1.25]);
        let undecided = Figure { beside: None, ..good.clone() };
        let said = verdict(false, vec![good.clone(), bad, worse, undecided.clone()]).to_string();
        assert_eq!(
            said,
            "dearer than at 0123456789ab: a.bad x1.50 (control 0.990 to 1.01), a.worse x4.00 (control 0.800 to 1.25); \
             3 figures compared, 1 not"
        );
        let said = verdict(false, vec![good, undecided.clone()]).to_string();
        assert_eq!(said, "nothing is dearer than at 0123456789ab: 1 figures compared, 1 not");
        let nothing = verdict(false, vec![undecided]);
        assert!(!nothing.is_good());
        assert_eq!(nothing.to_string(), "nothing can be said against 0123456789ab: 0 figures compared, 1 not");
    }

    #[test]
    fn a_run_beside_nobody_has_no_verdict() {
        let machine = Machine { cpu: "a CPU".into(), cpus: 2, memory_mib: 2048, kernel: "6.18".into(), load: 0.5 };
        assert_eq!(Verdict::of(&Sheet::new(machine, false)), None);
    }
}
