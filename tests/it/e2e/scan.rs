//! What scanners see of a gate, and that the table of it can be wrong.

use anyhow::{Result, ensure};
use tests::harness::{Test, waiting_tests};
use tests::lab::Config;
use tests::scan::{self, Deny, Plan, Report};

/// The tests.
pub fn tests() -> Vec<Test> {
    waiting_tests!["e2e::scan";
        scanners_see_what_they_should,
        a_gate_that_lets_everybody_in_is_told,
        a_gate_that_denies_otherwise_is_told,
        a_scan_that_is_not_there_is_refused,
    ]
}

fn scanners_see_what_they_should() -> Result<()> {
    let report = scan::run(Plan { quick: true, only: None, config: Deny::config })?;
    println!("{report}");
    report.check()?;
    // One for each family, under each answer of the gate.
    let text = report.to_string();
    let counted = text.ends_with(", 4 knocks made, 0 knocks lost, 0 let in, 0 wrong");
    ensure!(counted, "the last line is {:?}", text.lines().last());
    Ok(())
}

/// The table of one scan of another gate than the one that is expected.
fn of_another(config: fn(Deny) -> Config) -> Result<Report> {
    let report = scan::run(Plan { quick: true, only: Some("nmap -sS -g 53"), config })?;
    println!("{report}");
    ensure!(report.check().is_err(), "the table is as it should be");
    Ok(report)
}

fn a_gate_that_lets_everybody_in_is_told() -> Result<()> {
    let open = |deny: Deny| deny.config().option("trusted", "[\"0.0.0.0/0\", \"2001:db8::/32\"]");
    let report = of_another(open)?;
    let told = |text: &str| report.faults().any(|fault| fault.contains(text));
    for column in ["drop before, IPv4", "drop after, IPv6", "reject before, IPv6", "reject after, IPv4"] {
        ensure!(told(&format!("nmap -sS -g 53, {column}")), "nothing of {column}");
    }
    ensure!(report.faults().all(|fault| !fault.contains("after, IPv4, from the client")), "the client has a grant");
    ensure!(told("frames of the stack to 198.51.100.2 from 2222/tcp with flags 0x12"), "nobody saw the frames");
    // Four columns, in two families each.
    ensure!(report.let_in() >= 8, "{} let in", report.let_in());
    Ok(())
}

fn a_gate_that_denies_otherwise_is_told() -> Result<()> {
    let otherwise = |deny: Deny| match deny {
        Deny::Drop => Deny::Reject.config(),
        Deny::Reject => Deny::Drop.config(),
    };
    let report = of_another(otherwise)?;
    let faults: Vec<_> = report.faults().collect();
    ensure!(faults.len() == 8 && report.let_in() == 0, "{faults:?}, {} let in", report.let_in());
    for what in ["port 2222 is `closed reset 64` and should be", "port 2222 is `filtered no-response` and should be"] {
        ensure!(faults.iter().filter(|fault| fault.contains(what)).count() == 4, "{what}: {faults:?}");
    }
    Ok(())
}

fn a_scan_that_is_not_there_is_refused() -> Result<()> {
    let Err(error) = scan::run(Plan { quick: true, only: Some("portscan"), config: Deny::config }) else {
        anyhow::bail!("something was scanned");
    };
    ensure!(error.to_string() == "no scan has \"portscan\" in its name", "{error}");
    Ok(())
}
