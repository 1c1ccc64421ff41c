//! What a packet costs. Printed, not judged: the machine is whichever it is.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use anyhow::{Context as _, Result, ensure};
use knock_common::layout::name;
use knock_user::firewall::{Load, Program, Settings};
use libtest_mimic::Trial;
use tests::kernel::{Bare, Kernel, Room, Run, XDP_DROP, XDP_PASS, settings};
use tests::packet::{ACK, CLIENT_V4, CLIENT_V6, PacketBuilder, SERVER_V4, SERVER_V6, STRANGER_V4, SYN};
use tests::tables::Tables;

use super::gate::{CONFIG, alone, syn};
use crate::trials::trials;

/// Runs of which the kernel says the mean.
const RUNS: u32 = 1_000_000;
/// Rounds over all cases, of which the median is taken.
const ROUNDS: usize = 7;
/// Instructions that the verifier may go through, of the one million that it allows.
const MOST_INSTRUCTIONS: [(&str, u32); 2] = [(name::PROGRAM, 400_000), (name::PROGRAM_LINEAR, 250_000)];

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials!["kernel::cost"; the_verifier_has_not_much_to_do, a_packet_costs_little]
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

struct Case<'a> {
    what: &'static str,
    program: BorrowedFd<'a>,
    frame: Vec<u8>,
    action: u32,
    rounds: Vec<u32>,
}

fn a_packet_costs_little() -> Result<()> {
    alone(|| {
        let bare = Bare::load()?;
        // As on a host: by the real clock, with a grant that outlives the rounds, and with no tokens
        // left, since the log takes a few denials a second and a flood has millions.
        let tables = Tables::from_toml(&CONFIG.replace("30s", "1h"));
        let settings = Settings { test_clock: false, ..settings(&tables, Room::default()) };
        let kernel = Kernel::load_with(name::PROGRAM, &tables.rules, settings)?;
        let _ = kernel.judge_frame(&syn(CLIENT_V6, SERVER_V6, 6000).build())?;
        let v4 = |from| PacketBuilder::between(from, SERVER_V4);
        let fd = kernel.fd();
        let granted = syn(CLIENT_V6, SERVER_V6, 2222);
        let mut cases: Vec<_> = [
            ("bare XDP_PASS", bare.fd(), v4(CLIENT_V4).tcp(40_000, 80, SYN), XDP_PASS),
            ("unrelated TCP SYN", fd, v4(CLIENT_V4).tcp(40_000, 80, SYN), XDP_PASS),
            ("unrelated TCP ACK", fd, v4(CLIENT_V4).tcp(40_000, 80, ACK), XDP_PASS),
            ("unrelated UDP", fd, v4(CLIENT_V4).udp(40_000, 53), XDP_PASS),
            ("denied TCP SYN", fd, v4(STRANGER_V4).tcp(40_000, 2222, SYN), XDP_DROP),
            ("TCP SYN under a grant", fd, granted, XDP_PASS),
        ]
        .into_iter()
        .map(|(what, program, packet, action)| Case {
            what,
            program,
            frame: packet.build(),
            action,
            rounds: Vec::new(),
        })
        .collect();
        for _ in 0..ROUNDS {
            for case in &mut cases {
                let ran = Run::new(&case.frame).repeat(RUNS).on(case.program)?;
                ensure!(ran.action == case.action, "{}: {} and not {}", case.what, ran.action, case.action);
                case.rounds.push(ran.nanoseconds);
            }
        }
        print(&mut cases);
        Ok(())
    })
}

/// The median, the least and the most of each case, and the median against that of the first.
fn print(cases: &mut [Case<'_>]) {
    println!("ns per packet, median of {ROUNDS} rounds of {RUNS} (least to most), and times bare:");
    let mut unit = None;
    for case in cases {
        case.rounds.sort_unstable();
        let median = case.rounds[ROUNDS / 2];
        let unit = *unit.get_or_insert(median.max(1));
        let (least, most) = (case.rounds[0], case.rounds[ROUNDS - 1]);
        let ratio = f64::from(median) / f64::from(unit);
        println!("  {:<24} {median:>4} ({least} to {most})  {ratio:.1}", case.what);
    }
}
