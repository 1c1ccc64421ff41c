//! What each path through the gate may cost: instructions executed and helpers called, counted in a machine of plain
//! memory (`tests::vm`). The numbers are the same on every machine, so that a path that grows is seen where no time
//! can be measured.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::Path as File;

use anyhow::{Context as _, Result, ensure};
use knock_common::abi::layout::name;
use knock_common::gate::env::Socket;
use knock_user::config::Config;
use knock_user::kernel::{Manner, Settings};
use knock_user::rules::RuleSet;
use serde::{Deserialize, Serialize};
use tests::bench::paths::{self, CONFIG, HOLDER_V4, HOLDER_V6, Path};
use tests::harness::{Test, tests};
use tests::kernel::XDP_PASS;
use tests::packet::CLIENT_V4;
use tests::vm::{Object, Vm, Work, stack};

/// What is committed.
const BUDGET: &str = include_str!("budget.json");
/// Who makes all knocks.
const KNOCKER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
/// So many octets of stack are to be free for what is added next.
const FREE: u32 = 64;
/// In per cent: a compiler may be a little better or worse than the one that the budget was written with.
const SLACK: u32 = 3;

/// `bpf_xdp_get_buff_len`, `bpf_xdp_load_bytes` and `bpf_xdp_store_bytes`: of Linux 5.18.
const LARGE_FRAMES: RangeInclusive<i32> = 188..=190;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::budget"; no_path_costs_more_than_it_may, more_than_a_budget_is_wrong_and_less_is_only_said, every_chain_of_calls_leaves_stack_free_on_older_kernels, programs_for_older_kernels_call_no_helper_that_those_lack, no_register_is_read_that_a_way_there_leaves_unwritten]
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
    for (path, cost) in &costs {
        println!("{path:<24} {:>5} instructions, {}", cost.instructions, list(&cost.calls));
    }
    let Judged { more, less } = judge(&budget, &costs);
    if more.is_empty() && less.is_empty() {
        return Ok(());
    }
    let new = File::new(env!("CARGO_TARGET_TMPDIR")).join("budget.json");
    std::fs::write(&new, serde_json::to_string_pretty(&costs)? + "\n")?;
    let copy = format!("cp {} tests/it/kernel/budget.json && cargo xtask costs", new.display());
    if !less.is_empty() {
        println!("{}\nThe budget can be lowered: {copy}", less.join("\n"));
    }
    ensure!(more.is_empty(), "{}\nIf that is what the paths have to cost: {copy}", more.join("\n"));
    Ok(())
}

/// What paths cost against a budget.
struct Judged {
    /// What is wrong: a path that costs more than it may, and what has none or no path.
    more: Vec<String>,
    /// What has become cheaper.
    less: Vec<String>,
}

fn judge(budget: &BTreeMap<String, Cost>, costs: &BTreeMap<String, Cost>) -> Judged {
    let mut judged = Judged { more: Vec::new(), less: Vec::new() };
    for (path, cost) in costs {
        let Some(may) = budget.get(path) else {
            judged.more.push(format!("{path}: has no budget"));
            continue;
        };
        let of = |number: u32| number + number * SLACK / 100;
        let said = format!("{path}: {} instructions, {} in the budget", cost.instructions, may.instructions);
        if cost.instructions > of(may.instructions) {
            judged.more.push(said);
        } else if of(cost.instructions) < may.instructions {
            judged.less.push(said);
        }
        let said = format!("{path}: calls {}, and in the budget {}", list(&cost.calls), list(&may.calls));
        if cost.calls.iter().any(|(name, times)| *times > may.calls.get(name).copied().unwrap_or(0)) {
            judged.more.push(said);
        } else if cost.calls != may.calls {
            judged.less.push(said);
        }
    }
    let stale = budget.keys().filter(|path| !costs.contains_key(*path));
    judged.more.extend(stale.map(|path| format!("{path}: is in the budget, and no path is called so")));
    judged
}

/// What is cheaper is told of, and fails nobody.
fn more_than_a_budget_is_wrong_and_less_is_only_said() -> Result<()> {
    let cost = |instructions, calls: &[(&str, u32)]| {
        let calls = calls.iter().map(|&(name, times)| (name.to_owned(), times)).collect();
        BTreeMap::from([("a.path".to_owned(), Cost { instructions, calls })])
    };
    let budget = cost(100, &[("look up A", 2), ("look up B", 1)]);
    let as_budgeted = [("look up A", 2), ("look up B", 1)];
    // Costs, and whether they are more, and less.
    type Case<'a> = (&'a str, u32, &'a [(&'a str, u32)], bool, bool);
    let cases: [Case<'_>; 8] = [
        ("the same", 100, &as_budgeted, false, false),
        ("as much more as compilers differ", 103, &as_budgeted, false, false),
        ("as much less", 98, &as_budgeted, false, false),
        ("more instructions", 104, &as_budgeted, true, false),
        ("fewer instructions", 90, &as_budgeted, false, true),
        ("one call more", 100, &[("look up A", 3), ("look up B", 1)], true, false),
        ("one call less", 100, &[("look up A", 1), ("look up B", 1)], false, true),
        ("another helper in place of one", 100, &[("look up A", 2), ("look up C", 1)], true, false),
    ];
    for (what, instructions, calls, is_more, is_less) in cases {
        let Judged { more, less } = judge(&budget, &cost(instructions, calls));
        ensure!((!more.is_empty(), !less.is_empty()) == (is_more, is_less), "{what}: more {more:?}, less {less:?}");
    }
    let nothing = BTreeMap::new();
    ensure!(judge(&nothing, &budget).more == ["a.path: has no budget"], "a path without a budget");
    ensure!(judge(&budget, &nothing).more.len() == 1, "a budget without a path");
    Ok(())
}

/// The four programs, with the calls of all configs.
fn programs() -> Result<Vec<(&'static str, Vm)>> {
    let (config, _) = Config::parse(CONFIG, "budget.toml")?;
    let rules = RuleSet::compile(&config)?;
    let settings = Settings::new(&config, &[], Manner::default())?;
    let names = [name::PROGRAM, name::PROGRAM_LINEAR, name::PROGRAM_RAW, name::PROGRAM_RAW_LINEAR];
    names.into_iter().map(|name| Ok((name, Object::read(&settings, &rules)?.program(name)?))).collect()
}

/// A kernel of today would take more.
fn every_chain_of_calls_leaves_stack_free_on_older_kernels() -> Result<()> {
    for (program, vm) in programs()? {
        let chain = vm.deepest_chain();
        let depth = stack::depth(&chain);
        println!("{program}: {depth} octets of {} at most: {chain:?}", stack::MOST);
        ensure!(chain.len() > 1 && depth <= stack::MOST - FREE, "{program}: {depth} octets: {chain:?}");
    }
    Ok(())
}

/// A kernel of today has them, so that it would not be seen here otherwise.
fn programs_for_older_kernels_call_no_helper_that_those_lack() -> Result<()> {
    for (program, vm) in programs()? {
        let large: Vec<i32> = vm.helpers().into_iter().filter(|number| LARGE_FRAMES.contains(number)).collect();
        let is_for_older = [name::PROGRAM_LINEAR, name::PROGRAM_RAW_LINEAR].contains(&program);
        ensure!(large.is_empty() == is_for_older, "{program}: helpers of 5.18: {large:?}");
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
    for (id, frame) in paths::new_flows(HOLDER_V4, HOLDER_V6) {
        note(id, run(&mut vm, id, &frame, XDP_PASS)?);
    }
    for Path { id, frame, action, .. } in paths::all() {
        vm.socket = if id == "ack_socket.tcp4" { Socket::Connected } else { Socket::Nothing };
        // As the bench measures it: whatever the first one changes has changed.
        run(&mut vm, id, &frame, action)?;
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
    let settings = Settings::new(&config, &[], Manner::default())?;
    let mut vm = Object::read(&settings, &rules)?.program(name::PROGRAM)?;
    vm.load(&rules)?;
    vm.now = 1 << 40;
    Ok(vm)
}
