//! What each path through the gate may cost: instructions executed and helpers called, counted in a machine of plain
//! memory (`tests::vm`). The numbers are the same on every machine, so that a path that grows is seen where no time
//! can be measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path as File;

use anyhow::{Context as _, Result, ensure};
use knock_common::layout::name;
use knock_common::world::Socket;
use knock_user::config::Config;
use knock_user::firewall::{Manner, Settings};
use knock_user::rules::RuleSet;
use serde::{Deserialize, Serialize};
use tests::bench::paths::{self, CONFIG, HOLDER_V4, HOLDER_V6, Path};
use tests::kernel::XDP_PASS;
use tests::packet::CLIENT_V4;
use tests::trial::{Trial, trials};
use tests::vm::{Object, Vm, Work, stack};

/// What is committed.
const BUDGET: &str = include_str!("budget.json");
/// Who makes all knocks.
const KNOCKER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
/// In per cent: a compiler may be a little better or worse than the one that the budget was written with.
const SLACK: u32 = 3;

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials!["kernel::budget"; no_path_costs_more_than_it_may, no_chain_of_calls_has_more_stack_than_older_kernels_allow, no_register_is_read_that_a_way_there_leaves_unwritten]
}

/// What a path costs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Cost {
    instructions: u32,
    calls: BTreeMap<String, u32>,
}

fn no_path_costs_more_than_it_may() -> Result<()> {
    let budget: BTreeMap<String, Cost> = serde_json::from_str(BUDGET).context("budget.json")?;
    let costs = measure()?;
    let mut wrong = String::new();
    for (path, cost) in &costs {
        println!("{path:<24} {:>5} instructions, {}", cost.instructions, list(&cost.calls));
        let Some(may) = budget.get(path) else {
            writeln!(wrong, "{path}: has no budget")?;
            continue;
        };
        let most = may.instructions + may.instructions * SLACK / 100;
        if cost.instructions > most {
            writeln!(wrong, "{path}: {} instructions, {} in the budget", cost.instructions, may.instructions)?;
        }
        if cost.instructions + cost.instructions * SLACK / 100 < may.instructions {
            writeln!(
                wrong,
                "{path}: {} instructions only: the budget of {} is out of date",
                cost.instructions, may.instructions
            )?;
        }
        if cost.calls != may.calls {
            writeln!(wrong, "{path}: calls {}, and in the budget {}", list(&cost.calls), list(&may.calls))?;
        }
    }
    for path in budget.keys().filter(|path| !costs.contains_key(*path)) {
        writeln!(wrong, "{path}: is in the budget, and no path is called so")?;
    }
    if !wrong.is_empty() {
        let new = File::new(env!("CARGO_TARGET_TMPDIR")).join("budget.json");
        std::fs::write(&new, serde_json::to_string_pretty(&costs)? + "\n")?;
        ensure!(
            false,
            "{wrong}If that is what the paths have to cost: cp {} tests/it/kernel/budget.json",
            new.display()
        );
    }
    Ok(())
}

/// The four programs, with the calls of all configs.
fn programs() -> Result<Vec<(&'static str, Vm)>> {
    let (config, _) = Config::parse(CONFIG, "budget.toml")?;
    let settings = Settings::new(&config, &[], Manner::default());
    let names = [name::PROGRAM, name::PROGRAM_LINEAR, name::PROGRAM_RAW, name::PROGRAM_RAW_LINEAR];
    names.into_iter().map(|name| Ok((name, Object::read(&settings, true)?.program(name)?))).collect()
}

/// A kernel of today would take more.
fn no_chain_of_calls_has_more_stack_than_older_kernels_allow() -> Result<()> {
    for (program, vm) in programs()? {
        let chain = vm.deepest_chain();
        let depth = stack::depth(&chain);
        println!("{program}: {depth} octets of {} at most: {chain:?}", stack::MOST);
        ensure!(chain.len() > 2 && depth <= stack::MOST, "{program}: {depth} octets: {chain:?}");
    }
    Ok(())
}

/// A kernel of today may know that no such way is gone.
fn no_register_is_read_that_a_way_there_leaves_unwritten() -> Result<()> {
    for (program, vm) in programs()? {
        let unwritten = vm.unwritten();
        ensure!(unwritten.is_empty(), "{program}: (instruction, register) {unwritten:?}");
    }
    Ok(())
}

fn list(calls: &BTreeMap<String, u32>) -> String {
    let calls: Vec<_> = calls.iter().map(|(name, times)| format!("{name} {times}x")).collect();
    calls.join(", ")
}

/// All paths.
fn measure() -> Result<BTreeMap<String, Cost>> {
    let mut vm = machine()?;
    let mut costs = BTreeMap::new();
    let mut note = |id: &str, work: Work| {
        costs.insert(id.to_owned(), Cost { instructions: work.instructions, calls: work.calls });
    };
    let run = |vm: &mut Vm, id: &str, frame: &[u8], action: u32| -> Result<Work> {
        let work = vm.run(frame).with_context(|| id.to_owned())?;
        ensure!(work.action == action, "{id}: returned {} and not {action}", work.action);
        Ok(work)
    };
    // Those who hold a grant have knocked for it.
    for frame in [paths::first(HOLDER_V4), paths::middle(HOLDER_V4), paths::last(HOLDER_V4)] {
        run(&mut vm, "a knock", &frame.build(), XDP_PASS)?;
    }
    for frame in paths::sequence_v6(HOLDER_V6) {
        run(&mut vm, "a knock", &frame, XDP_PASS)?;
    }
    for (id, frame) in [
        ("knock_first.tcp4", paths::first(KNOCKER)),
        ("knock_middle.udp4", paths::middle(KNOCKER)),
        ("knock_last.tcp4", paths::last(KNOCKER)),
    ] {
        note(id, run(&mut vm, id, &frame.build(), XDP_PASS)?);
    }
    run(&mut vm, "a knock", &paths::first_knock(), XDP_PASS)?;
    for Path { id, frame, action, .. } in paths::all() {
        vm.socket = if id == "ack_socket.tcp4" { Socket::Connected } else { Socket::Nothing };
        note(id, run(&mut vm, id, &frame, action)?);
    }
    let id = "wrong_knock.tcp4";
    note(id, run(&mut vm, id, &paths::wrong(CLIENT_V4).build(), XDP_PASS)?);
    Ok(costs)
}

/// The gate of [`CONFIG`], as `knockctl run` loads it.
fn machine() -> Result<Vm> {
    let (config, _) = Config::parse(CONFIG, "budget.toml")?;
    let rules = RuleSet::compile(&config)?;
    let settings = Settings::new(&config, &[], Manner::default());
    let mut vm = Object::read(&settings, !rules.trusted.is_empty())?.program(name::PROGRAM)?;
    vm.load(&rules)?;
    vm.now = 1 << 40;
    Ok(vm)
}
