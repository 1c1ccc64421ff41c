//! The scans that look for what the gate hides: nmap, hping3 and packets put together by hand, before a knock and
//! after it, with either answer of the gate, in both families; and a table of what they should see and did.
//!
//! Without a grant, a protected port is silent, or with `deny = "reject"` looks like a closed port of the same host;
//! after a knock it is open to the source that knocked and to no other. Ports beside it stay what they are.
//! `cargo xtask scan` runs all of it, the tests some rows.

mod ground;
mod judge;
mod matrix;
mod moment;
mod ports;
mod row;
mod table;
mod tool;
mod witness;

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

pub use ground::Deny;
pub use moment::Moment;
pub use row::{Row, Tool, Transport};

use crate::lab::{Config, Family, Host, Pause, Probe, pause};
use ground::{Ground, sockets_with_others};
use judge::{Cell, expected, is_lost};
use tool::{Patience, Said, Scanner, rest};

/// What is to be done.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// Only the rows of the short form.
    pub quick: bool,
    /// Only rows with this text in their name.
    pub only: Option<&'a str>,
    /// The gate that is scanned as if it denied so: [`Deny::config`], unless the table itself is tried.
    pub config: fn(Deny) -> Config,
}

/// What was seen.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
    cells: Vec<Cell>,
    beside: Vec<Beside>,
    took: Duration,
    scans: u64,
    frames: u64,
    knocks: u64,
    /// Those after which the client did not find the port open.
    lost: u64,
}

/// What was wrong beside the cells.
struct Beside {
    what: String,
    /// A source without a grant reached what is protected.
    is_let_in: bool,
}

/// Scans.
///
/// # Errors
///
/// If there is no such row, or the lab or a tool fails.
pub fn run(plan: Plan<'_>) -> Result<Report> {
    let start = Instant::now();
    let is_wanted = |row: &&Row| plan.only.is_none_or(|text| row.name().contains(text));
    let wanted = matrix::ROWS.iter().filter(is_wanted);
    let rows: Vec<Row> = wanted.filter_map(|row| if plan.quick { row.short() } else { Some(*row) }).collect();
    ensure!(!rows.is_empty(), "no scan has {:?} in its name", plan.only.unwrap_or_default());
    let mut report = Report { rows, ..Report::default() };
    for deny in Deny::ALL {
        // A lab of its own each: no connection of the one is left in the other.
        let mut ground = Ground::new(&(plan.config)(deny))?;
        for moment in Moment::ALL {
            if moment == Moment::After {
                let knocks = ground.knock()?;
                report.note_knocks(deny, &knocks);
            }
            report.phase(&ground, deny, moment)?;
        }
        report.frames += ground.frames()?;
    }
    report.took = start.elapsed();
    Ok(report)
}

/// The scans of one source that follow one another; several lanes run at once.
struct Lane {
    source: Host,
    family: Family,
    rows: Vec<usize>,
}

impl Report {
    /// Counts what the client knocked, by what the port was to it then.
    fn note_knocks(&mut self, deny: Deny, knocks: &[(Family, Probe)]) {
        for (family, probe) in knocks {
            self.knocks += 1;
            if *probe != Probe::Open {
                self.lost += 1;
                let (deny, family, port) = (deny.name(), family.name(), probe.name());
                let what = format!("{deny}: a knock over {family} is lost: the port is {port} to the client");
                self.beside.push(Beside { what, is_let_in: false });
            }
        }
    }

    /// Runs all scans of two columns.
    fn phase(&mut self, ground: &Ground, deny: Deny, moment: Moment) -> Result<()> {
        let granted: Vec<IpAddr> = match moment {
            Moment::Before => Vec::new(),
            Moment::After => Family::ALL.map(|family| family.address(Host::Client)).into(),
        };
        let said: Mutex<Vec<(usize, Host, Family, Said)>> = Mutex::new(Vec::new());
        let scans = AtomicU64::new(0);
        let beside = Mutex::new(Vec::new());
        let rows = &self.rows;
        let work = |lane: &Lane| -> Result<()> {
            let mut scanner = Scanner::new(lane.source, lane.family);
            for &index in &lane.rows {
                let row = &rows[index];
                let should = expected(row, deny, moment.grants(lane.source));
                let mut patience = Patience::Usual;
                let seen = loop {
                    scans.fetch_add(1, Relaxed);
                    // A tool that fails fails its cells; the others are still worth a look.
                    let seen = scanner.scan(row, patience).unwrap_or_else(|error| failed(&error));
                    if patience == Patience::Long || !is_lost(row, should, &seen) {
                        break seen;
                    }
                    rest();
                    patience = Patience::Long;
                };
                lock(&said).push((index, lane.source, lane.family, seen));
                for socket in sockets_with_others(&granted)? {
                    lock(&beside).push(format!("about {}: a socket on a protected port: {socket}", row.name()));
                }
                // A host sends one source six ICMP errors at once, and one a second.
                (0..row.errors()).for_each(|_| pause(Pause::IcmpError));
            }
            Ok(())
        };
        for lanes in self.rounds(moment) {
            thread::scope(|scope| {
                let threads: Vec<_> = lanes.iter().map(|lane| scope.spawn(|| work(lane))).collect();
                threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a scan has panicked"))?)
            })?;
        }
        self.scans += scans.into_inner();
        let mut said = said.into_inner().unwrap_or_default();
        // The client first.
        said.sort_by_key(|(index, source, family, _)| (*index, *family == Family::V6, *source == Host::Stranger));
        while let Some((index, _, family, _)) = said.first().cloned() {
            let rest = said.iter().position(|one| (one.0, one.2) != (index, family)).unwrap_or(said.len());
            let seen = said.drain(..rest).map(|(_, source, _, said)| (source, said)).collect();
            self.cells.push(Cell::new(self.rows[index], deny, moment, family, seen));
        }
        let sockets: Vec<String> = beside.into_inner().unwrap_or_default();
        let mut found: Vec<_> = sockets.into_iter().map(|socket| (socket, true)).collect();
        let ours = ground.granted()?;
        let of_others = ours.iter().any(|source| !granted.contains(source));
        if ours.len() != granted.len() || of_others {
            found.push((format!("grants of {ours:?} and not of {granted:?}"), of_others));
        }
        for ((dest, what), frames) in ground.witness.seen() {
            if !granted.contains(&dest) {
                found.push((format!("{frames} frames of the stack to {dest} from {what}"), true));
            }
        }
        let column = format!("{} {}", deny.name(), moment.name());
        let told = |(what, is_let_in)| Beside { what: format!("{column}: {what}"), is_let_in };
        self.beside.extend(found.into_iter().map(told));
        Ok(())
    }

    /// What runs at once, and then what does: one lane for each source, family and tool, and one for
    /// all that take ICMP errors.
    fn rounds(&self, moment: Moment) -> [Vec<Lane>; 2] {
        let tcp = |tool| move |row: &Row| row.errors() == 0 && row.tool == tool;
        let errors = |row: &Row| row.errors() > 0;
        // hping3 takes the answers to others for its own: it has IPv4 to itself.
        let first = |row: &Row, family| family == Family::V6 || tcp(Tool::Hping)(row);
        let kinds: [&dyn Fn(&Row) -> bool; 4] = [&errors, &tcp(Tool::Nmap), &tcp(Tool::Hping), &tcp(Tool::Scapy)];
        let lanes = |is_first: bool| {
            let mut lanes = Vec::new();
            for &source in moment.sources() {
                for family in Family::ALL {
                    for is_kind in kinds {
                        let is_here = |row: &Row| {
                            is_kind(row) && row.families.contains(&family) && first(row, family) == is_first
                        };
                        let rows = (0..self.rows.len()).filter(|&index| is_here(&self.rows[index])).collect();
                        lanes.push(Lane { source, family, rows });
                    }
                }
            }
            lanes.retain(|lane| !lane.rows.is_empty());
            lanes
        };
        [lanes(true), lanes(false)]
    }

    /// What was not as it should be.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        let beside = self.beside.iter().map(|beside| &beside.what);
        self.cells.iter().flat_map(|cell| &cell.faults).chain(beside).map(String::as_str)
    }

    /// How often a source without a grant reached a protected port.
    #[must_use]
    pub fn let_in(&self) -> usize {
        let beside = self.beside.iter().filter(|beside| beside.is_let_in).count();
        self.cells.iter().map(|cell| cell.let_in).sum::<usize>() + beside
    }

    /// Everything was as it should be.
    ///
    /// # Errors
    ///
    /// With how much was not.
    pub fn check(&self) -> Result<()> {
        let wrong = self.faults().count();
        ensure!(wrong == 0, "{wrong} things are not as they should be");
        Ok(())
    }
}

/// What a tool says that has failed.
fn failed(error: &anyhow::Error) -> Said {
    let text = format!("failed: {error:#}");
    let line = text.lines().next().unwrap_or_default();
    [line, line, line].map(str::to_owned)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
