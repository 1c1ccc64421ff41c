//! The kernel gives no random numbers, as early in a boot: no key is made of anything else.

use anyhow::{Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::strace::failing;
use tests::lab::{Background, Config, Family, Host, TIMEOUT};
use tests::story::World;

use super::super::assert_says;
use super::{command, daemon};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::faults::random";
        a_gate_without_random_numbers_for_its_keys_is_refused,
        a_sequence_is_drawn_from_the_generator_alone,
    ]
}

/// What is said.
const NONE: &str = "getrandom(2): the kernel gives no random numbers";

fn a_gate_without_random_numbers_for_its_keys_is_refused() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    for deny in ["\"drop\"", "\"reject\""] {
        let run = failing(&daemon(&Config::lab().option("deny", deny))?, "getrandom", "ENOSYS");
        let mut daemon = Background::start(Host::Server, run, None)?;
        daemon.lines.wait_after(0, NONE, TIMEOUT)?;
        assert_eq!(daemon.wait(TIMEOUT)?.code(), Some(2), "{deny}");
        world.must_open(Host::Client)?;
    }
    Ok(())
}

fn a_sequence_is_drawn_from_the_generator_alone() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    let ran = Host::Server.run(&mut failing(&command(&["sequence"])?, "getrandom", "ENOSYS"))?;
    assert_says(&ran, 2, &[NONE]);
    ensure!(!ran.stdout.contains("sequence = "), "{ran}");
    Ok(())
}
