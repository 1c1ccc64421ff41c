//! What a program costs at its load.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use knock_common::layout::name;
use knock_user::firewall::{Load, Program, Settings};
use tests::kernel::{Room, settings};
use tests::tables::Tables;
use tests::trial::{Trial, trials};

use super::gate::CONFIG;

/// Instructions that the verifier may go through, of the one million that it allows.
const MOST_INSTRUCTIONS: [(&str, u32); 2] = [(name::PROGRAM, 300_000), (name::PROGRAM_LINEAR, 230_000)];

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials!["kernel::cost"; the_verifier_has_not_much_to_do]
}

fn the_verifier_has_not_much_to_do() -> Result<()> {
    let mut too_many = Vec::new();
    for (program, most) in MOST_INSTRUCTIONS {
        for (what, config, trace) in [
            ("the usual options", CONFIG.replace("trusted", "# trusted"), false),
            ("trusted networks", CONFIG.to_owned(), false),
            ("deny = reject", CONFIG.replace("[options]", "[options]\ndeny = \"reject\""), false),
            ("trusted networks and -vv", CONFIG.to_owned(), true),
            (
                "what can be left out",
                CONFIG.replace("trusted", "stealth = false\nlog_denied = false\nverify_checksums = false\n#"),
                false,
            ),
        ] {
            let verified = verified_instructions(program, &Tables::from_toml(&config), trace)?;
            println!("{program}, {what}: {verified} instructions verified, {most} at most");
            if verified > most {
                too_many.push(format!("{program}, {what}: {verified} instructions verified, {most} at most"));
            }
        }
    }
    ensure!(too_many.is_empty(), "{}", too_many.join("\n"));
    Ok(())
}

/// Loads a program exactly as `knockctl run` does.
fn verified_instructions(program: &'static str, tables: &Tables, trace: bool) -> Result<u32> {
    let settings = Settings { trace, test_clock: false, ..settings(tables, Room::default()) };
    let mut loaded = Program::load_as(&Load { rules: &tables.rules, settings, adopted: &BTreeMap::new() }, program)?;
    let verified = loaded.xdp().info()?.verified_instruction_count();
    verified.context("this kernel does not count them (it is older than 5.16)")
}
