//! What a program costs at its load.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use knock_common::abi::layout::name;
use knock_user::kernel::{Load, Program, Settings};
use tests::harness::{Test, tests};
use tests::kernel::{Room, settings};
use tests::tables::Tables;

use super::gate::CONFIG;

/// Instructions that the verifier may go through, of the one million that it allows.
const MOST_INSTRUCTIONS: [(&str, u32); 4] = [
    (name::PROGRAM, 300_000),
    (name::PROGRAM_LINEAR, 230_000),
    (name::PROGRAM_RAW, 300_000),
    (name::PROGRAM_RAW_LINEAR, 230_000),
];

/// Kernels before this one prune less: they go through half as many again. (Seen: 1.3 to 1.5 times as many with 6.1.)
const PRUNES: (u32, u32) = (6, 8);

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::cost"; the_verifier_has_not_much_to_do]
}

fn the_verifier_has_not_much_to_do() -> Result<()> {
    let mut too_many = Vec::new();
    let prunes = version()? >= PRUNES;
    for (program, most) in MOST_INSTRUCTIONS {
        let most = if prunes { most } else { most / 2 * 3 };
        for (what, config, trace) in [
            ("the usual options", CONFIG.replace("trusted", "# trusted"), false),
            ("trusted networks", CONFIG.to_owned(), false),
            ("deny = reject", CONFIG.replace("[options]", "[options]\ndeny = \"reject\""), false),
            ("trusted networks, -vv and a trial", CONFIG.to_owned(), true),
            (
                "what can be left out",
                CONFIG.replace("trusted", "stealth = false\nlog_denied = false\nverify_checksums = false\n#"),
                false,
            ),
        ] {
            // As dear as it can be: on trial.
            let tables = Tables { trial_until: u64::from(trace), ..Tables::from_toml(&config) };
            let verified = verified_instructions(program, &tables, trace)?;
            println!("{program}, {what}: {verified} instructions verified, {most} at most");
            if verified > most {
                too_many.push(format!("{program}, {what}: {verified} instructions verified, {most} at most"));
            }
        }
    }
    ensure!(too_many.is_empty(), "{}", too_many.join("\n"));
    Ok(())
}

/// The first two numbers of the kernel's version.
fn version() -> Result<(u32, u32)> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split('.').map_while(|number| number.parse().ok());
    numbers.next().zip(numbers.next()).context(release.clone())
}

/// Loads a program exactly as `knockctl run` does.
fn verified_instructions(program: &'static str, tables: &Tables, trace: bool) -> Result<u32> {
    let settings = Settings { trace, test_clock: false, ..settings(tables, Room::default()) };
    let mut loaded = Program::load_as(&Load { rules: &tables.rules, settings, adopted: &BTreeMap::new() }, program)?;
    let verified = loaded.xdp().info()?.verified_instruction_count();
    verified.context("this kernel does not count them (it is older than 5.16)")
}
