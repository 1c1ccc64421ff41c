//! The bench: what it measures goes the way that its figures are called by. Nothing is measured here.

use anyhow::Result;
use tests::bench::cost;
use tests::harness::{Test, tests};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::bench"; every_packet_whose_cost_is_measured_goes_its_path]
}

fn every_packet_whose_cost_is_measured_goes_its_path() -> Result<()> {
    cost::rehearse()
}
