//! The soak: random knocks, floods, reloads, restarts, kills and link flaps under a running ssh session, and
//! what the gate takes of memory, descriptors, maps and programs before and after.
//!
//! What happens is random from a seed. `cargo xtask soak` runs it for an hour, the tests for half a minute.

mod figures;
mod play;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

pub use figures::Figures;

use play::Play;

/// In a run of this length everything is drawn.
const ALL_DRAWN: Duration = Duration::from_secs(600);

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// For how long.
    pub span: Duration,
    /// What the actions are drawn from.
    pub seed: u64,
    /// Says each action.
    pub aloud: bool,
}

/// What was done, and what became of it.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Right knocks made.
    pub knocks: u64,
    /// Of these, those that opened.
    pub opened: u64,
    /// Of these, those that did not.
    pub lost: u64,
    /// Connections that came about without a grant.
    pub let_in: u64,
    /// Wrong knocks made.
    pub wrong: u64,
    /// SYNs of strangers.
    pub syns: u64,
    /// Floods, as fast as a host can.
    pub floods: u64,
    /// Reloads.
    pub reloads: u64,
    /// Ends of the daemon by SIGTERM, with a start behind.
    pub restarts: u64,
    /// Ends of the daemon by SIGKILL, with knocks while there is none and a start behind.
    pub kills: u64,
    /// Interfaces that went down and up, or away and came back.
    pub flaps: u64,
    /// Pins removed by hand.
    pub removals: u64,
    /// Lines that the session has brought back.
    pub echoes: u64,
}

/// How it ended.
pub struct Report {
    plan: Plan,
    took: Duration,
    /// What was done.
    pub tally: Tally,
    before: Figures,
    after: Figures,
}

/// Soaks.
///
/// # Errors
///
/// If the lab fails, or the gate does in a way that does not let it go on.
pub fn run(plan: Plan) -> Result<Report> {
    let start = Instant::now();
    let mut play = Play::begin(plan)?;
    let before = play.figures()?;
    while start.elapsed() < plan.span {
        // Towards the end one daemon is left alone, so that what it takes can grow.
        let last = start.elapsed() > plan.span * 2 / 3;
        play.turn(last)?;
    }
    let after = play.figures()?;
    let tally = play.end()?;
    Ok(Report { plan, took: start.elapsed(), tally, before, after })
}

impl Report {
    /// Nothing was lost, nobody let in, and nothing has grown.
    ///
    /// # Errors
    ///
    /// With what was not as it should be.
    pub fn check(&self) -> Result<()> {
        let Tally { knocks, opened, lost, let_in, reloads, echoes, syns, .. } = self.tally;
        ensure!(lost == 0 && let_in == 0 && knocks == opened, "{lost} knocks lost, {let_in} let in: {self}");
        ensure!(knocks > 0 && reloads > 0 && echoes > 0 && syns > 100, "too little was done: {self}");
        let Tally { wrong, floods, restarts, kills, flaps, removals, .. } = self.tally;
        let drawn = [wrong, floods, restarts, kills, flaps, removals];
        ensure!(self.plan.span < ALL_DRAWN || !drawn.contains(&0), "something was never done: {self}");
        self.after.not_above(&self.before)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { knocks, opened, lost, let_in, wrong, syns, floods, .. } = self.tally;
        let Tally { reloads, restarts, kills, flaps, removals, echoes, .. } = self.tally;
        let faults = restarts + kills + flaps + removals;
        write!(
            f,
            "soak: {} s, seed {}: {knocks} knocks, {opened} opened, {lost} lost, {let_in} let in; {wrong} wrong knocks, {syns} SYNs of \
             strangers, {floods} floods, {reloads} reloads, {faults} faults ({restarts} restarts, {kills} kills, {flaps} flaps, \
             {removals} pins removed), {echoes} lines through the session; {}",
            self.took.as_secs(),
            self.plan.seed,
            self.before.to(&self.after),
        )
    }
}
