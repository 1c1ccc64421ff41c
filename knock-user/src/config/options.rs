//! `[options]`.

use std::collections::HashSet;
use std::time::Duration;

use knock_common::abi::layout::{MAX_ATTEMPTS, MAX_FLOWS, MAX_GRANTS, MAX_TRUSTED};

use super::interface::InterfacePattern;
use super::lockout;
use super::model::{Deny, FLOW_IDLE, HOOK_TIMEOUT, LOG_DENIED_RATE, LOG_RATE, MAX_HOOKS, Mode, OnExit, Options};
use super::report::Report;
use super::value::{Item, Table};
use super::{duration, group, log, network};

/// Entries that a table may have room for; the kernel allocates the grants' room when it is loaded.
const MAX_ROOM: u32 = 1 << 24;
/// Denials that the log can tell of in a second: each is an event, and the ring buffer holds some thousands.
const MOST_LOGGED: u32 = 1000;
/// Lines of one kind in a second, more than a log can take.
const MOST_LINES: u32 = 100_000;
/// The shortest and the longest time for which a UDP flow may be idle. When it was last seen is noted to the second.
const SHORTEST_IDLE: Duration = Duration::from_secs(1);
const LONGEST_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
/// Names of interfaces and patterns for them.
const MOST_INTERFACES: usize = 256;
/// The longest time for a hook: one that runs for hours is a service.
const LONGEST_HOOK: Duration = Duration::from_secs(60 * 60);
/// Hooks at once, each with a process and a pipe.
const MOST_HOOKS: u32 = 256;

/// Reads the section, as far as it goes.
pub(super) fn read(mut table: Table<'_>, report: &Report<'_>) -> Options {
    let interfaces = table.need(report, "interfaces", "[\"eth0\"]");
    let log_denied = boolean(&mut table, report, "log_denied").unwrap_or(true);
    let rate = table.take("log_denied_rate");
    if let Some(item) = rate.as_ref().filter(|_| !log_denied) {
        report.warning(&item.span, &item.key, "has no effect: log_denied is false", "let log_denied be true");
    }
    let options = Options {
        interfaces: interfaces.map(|item| read_interfaces(&item, report)).unwrap_or_default(),
        trusted: table.take("trusted").map(|item| read_trusted(&item, report)).unwrap_or_default(),
        log: log::read(&mut table, report),
        log_denied,
        log_denied_rate: rate.and_then(|item| item.integer(report, 1, MOST_LOGGED)).unwrap_or(LOG_DENIED_RATE),
        log_rate: number(&mut table, report, "log_rate", MOST_LINES).unwrap_or(LOG_RATE),
        mode: table.take("mode").and_then(|item| item.choice(report, MODES)).unwrap_or(Mode::Native),
        stealth: boolean(&mut table, report, "stealth").unwrap_or(true),
        verify_checksums: boolean(&mut table, report, "verify_checksums"),
        on_exit: table.take("on_exit").and_then(|item| item.choice(report, ON_EXIT)).unwrap_or(OnExit::Keep),
        deny: table.take("deny").and_then(|item| item.choice(report, DENY)).unwrap_or(Deny::Drop),
        lockout: table.take("lockout").and_then(|item| lockout::read(&item, report)),
        status_group: table.take("status_group").and_then(|item| group::read(&item, report)),
        max_grants: number(&mut table, report, "max_grants", MAX_ROOM).unwrap_or(MAX_GRANTS),
        max_attempts: number(&mut table, report, "max_attempts", MAX_ROOM).unwrap_or(MAX_ATTEMPTS),
        max_flows: number(&mut table, report, "max_flows", MAX_ROOM).unwrap_or(MAX_FLOWS),
        flow_idle: table.take("flow_idle").and_then(|item| read_flow_idle(&item, report)).unwrap_or(FLOW_IDLE),
        attempt_rate: number(&mut table, report, "attempt_rate", u32::MAX),
        hook_timeout: table
            .take("hook_timeout")
            .and_then(|item| read_hook_timeout(&item, report))
            .unwrap_or(HOOK_TIMEOUT),
        max_hooks: number(&mut table, report, "max_hooks", MOST_HOOKS).unwrap_or(MAX_HOOKS),
    };
    table.finish(report);
    options
}

const MODES: &[(&str, Mode)] = &[("native", Mode::Native), ("generic", Mode::Generic), ("auto", Mode::Auto)];
const DENY: &[(&str, Deny)] = &[("drop", Deny::Drop), ("reject", Deny::Reject)];
const ON_EXIT: &[(&str, OnExit)] = &[("keep", OnExit::Keep), ("detach", OnExit::Detach)];

fn boolean(table: &mut Table<'_>, report: &Report<'_>, name: &'static str) -> Option<bool> {
    table.take(name)?.boolean(report)
}

fn number(table: &mut Table<'_>, report: &Report<'_>, name: &'static str, high: u32) -> Option<u32> {
    table.take(name)?.integer(report, 1, high)
}

fn read_hook_timeout(item: &Item<'_>, report: &Report<'_>) -> Option<Duration> {
    duration::read(item, report, LONGEST_HOOK, "give hooks some seconds, or leave it out for 30s")
}

fn read_flow_idle(item: &Item<'_>, report: &Report<'_>) -> Option<Duration> {
    let help = "give it a few minutes, or leave it out for 3m";
    let idle = duration::read(item, report, LONGEST_IDLE, help)?;
    if idle < SHORTEST_IDLE {
        item.error(report, "shorter than 1s", help);
        return None;
    }
    Some(idle)
}

fn read_interfaces(item: &Item<'_>, report: &Report<'_>) -> Vec<InterfacePattern> {
    let Some(items) = item.list(report) else { return Vec::new() };
    if items.is_empty() {
        item.error(report, "no interface", "name one, such as interfaces = [\"eth0\"]; `ip link` lists them");
    }
    if items.len() > MOST_INTERFACES {
        // Each is held against each interface of the host, whenever one changes.
        let message = format!("{} names and patterns, more than {MOST_INTERFACES}", items.len());
        item.error(report, message, "write a pattern for several interfaces, such as \"eth*\"");
        return Vec::new();
    }
    let mut interfaces = Vec::new();
    for item in items {
        match item.string(report).map(InterfacePattern::parse) {
            Some(Ok(pattern)) if !interfaces.contains(&pattern) => interfaces.push(pattern),
            Some(Err(message)) => item.error(report, message, "`ip link` lists the interfaces of this host"),
            _ => {}
        }
    }
    interfaces
}

fn read_trusted(item: &Item<'_>, report: &Report<'_>) -> Vec<ipnet::IpNet> {
    let Some(items) = item.list(report) else { return Vec::new() };
    let (mut trusted, mut seen) = (Vec::new(), HashSet::new());
    for item in items {
        crate::syntax::work::note();
        let Some(text) = item.string(report) else { continue };
        match network::parse(text) {
            Ok(net) => {
                if net.prefix_len() == 0 {
                    let message = "every IPv4 address is trusted: for IPv4 there is no gate";
                    report.warning(&item.span, &item.key, message, "name the networks that need not knock");
                }
                if seen.insert(net) {
                    trusted.push(net);
                }
            }
            Err((message, help)) => item.error(report, message, help),
        }
    }
    if trusted.len() > MAX_TRUSTED as usize {
        let message = format!("{} networks, more than {MAX_TRUSTED}", trusted.len());
        item.error(report, message, "join neighbouring networks under a shorter prefix");
    }
    trusted
}
