//! The soak: random knocks, floods, reloads, restarts, kills and link flaps under a running ssh session, and
//! what the gate takes of memory, descriptors, maps and programs before and after.
//!
//! What happens is random from a seed. `cargo xtask soak` runs it for an hour, the tests for half a minute.

mod figures;
mod plan;
mod play;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

pub use figures::Figures;
pub use plan::{Plan, Tally};

use play::Play;

/// In a run of this length everything is drawn.
const ALL_DRAWN: Duration = Duration::from_secs(600);

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
