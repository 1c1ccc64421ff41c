//! What `cargo xtask fuzz` drives for minutes, for seconds: every target with what it begins with, with
//! all that ever broke something, and with as much at random. A seed that fails once fails always.

use fastrand::Rng;
use tests::fuzz::mutate::Mutator;
use tests::fuzz::{TARGETS, run, seeds};

/// Inputs at random, unless the environment asks for another number.
const INPUTS: usize = 20_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn inputs() -> usize {
    number("KNOCK_INPUTS").map_or(INPUTS, |count| count as usize)
}

fn seed() -> u64 {
    number("KNOCK_SEED").unwrap_or(1)
}

/// Runs the target, and says how to run it again if it panics.
fn again(target: &str, what: &str, octets: &[u8]) {
    let says = SaysIfItFails(target, what, octets);
    run(target, octets);
    std::mem::forget(says);
}

struct SaysIfItFails<'a>(&'a str, &'a str, &'a [u8]);

impl Drop for SaysIfItFails<'_> {
    fn drop(&mut self) {
        let digits: String = self.2.iter().map(|octet| format!("{octet:02x}")).collect();
        eprintln!("target {}, {}, KNOCK_SEED={}; as a case of tests/cases:\n{digits}", self.0, self.1, seed());
    }
}

/// Octets with a few of them changed, taken out, or come from elsewhere.
fn bent(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = seeds[rng.usize(..seeds.len())].clone();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=octets.len());
        match rng.u8(..4) {
            0 => octets.insert(at, rng.u8(..)),
            1 if at < octets.len() => octets[at] = rng.u8(..),
            2 if at < octets.len() => {
                let end = octets.len().min(at + rng.usize(1..20));
                octets.drain(at..end);
            }
            _ => {
                let other = &seeds[rng.usize(..seeds.len())];
                let from = rng.usize(..=other.len());
                let end = other.len().min(from + rng.usize(..40));
                octets.splice(at..at, other[from..end].iter().copied());
            }
        }
    }
    octets
}

fn short_form(target: &str, count: usize) {
    let seeds = TARGETS.iter().find(|one| one.name == target).map(|one| (one.seeds)()).expect("a target");
    for case in seeds::cases(target) {
        seeds::keep(target, &case.octets);
        again(target, &case.name, &case.octets);
    }
    for (index, octets) in seeds.iter().enumerate() {
        seeds::keep(target, octets);
        again(target, &format!("seed {index}"), octets);
    }
    let mut rng = Rng::with_seed(seed());
    for index in 0..count {
        again(target, &format!("random input {index}"), &bent(&mut rng, &seeds));
    }
}

#[test]
fn the_reader_of_frames_sees_whatever_a_stack_could_see() {
    short_form("packet", inputs());
    let mut mutator = Mutator::new(seed());
    for index in 0..inputs() * 4 {
        again("packet", &format!("mutated frame {index}"), &mutator.frame());
    }
}

#[test]
fn no_frame_opens_the_gate_and_none_cuts_a_connection() {
    short_form("gate", inputs() / 4);
    for case in seeds::cases("frames") {
        for kind in 0..8 {
            again("gate", &case.name, &[&[kind], case.octets.as_slice()].concat());
        }
    }
    let mut mutator = Mutator::new(seed());
    for index in 0..inputs() {
        let frame = [&[(index % 8) as u8], mutator.frame().as_slice()].concat();
        again("gate", &format!("mutated frame {index}"), &frame);
    }
}

#[test]
fn histories_from_any_octets_agree_with_the_model() {
    short_form("history", inputs() / 4);
}

#[test]
fn no_file_of_one_time_sequences_is_misread() {
    short_form("onetime", inputs() / 4);
}

#[test]
fn no_file_of_profiles_is_misread() {
    short_form("profile", inputs() / 10);
}

#[test]
fn no_config_lets_strangers_in_or_is_refused_without_a_remedy() {
    short_form("config", inputs() / 20);
}

#[test]
fn no_knockd_conf_is_refused_without_a_remedy() {
    short_form("import", inputs() / 10);
}
