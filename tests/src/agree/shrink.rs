//! Makes a failing scenario small.

use crate::history::Scenario;

/// Leaves out every packet that `fails` does not need, halves first, then single ones.
#[must_use]
pub fn shrink(scenario: &Scenario, mut fails: impl FnMut(&Scenario) -> bool) -> Scenario {
    let mut small = scenario.clone();
    let mut chunk = small.packets.len() / 2;
    while chunk > 0 {
        let mut at = 0;
        while at < small.packets.len() {
            let mut shorter = small.clone();
            shorter.packets.drain(at..(at + chunk).min(small.packets.len()));
            if fails(&shorter) {
                small = shorter;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    small
}
