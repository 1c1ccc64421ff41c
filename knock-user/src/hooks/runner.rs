//! Hooks that wait and hooks that run: so many at once, those of one source one after the other.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use knock_common::addr::Addr;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::output::Output;
use super::process::{self, Ending};
use super::script::Script;

/// Start commands that may wait. A stop command always may.
pub const MOST_WAITING: usize = 1000;
/// When a stop command is tried again that could not be started.
const AGAIN: Duration = Duration::from_secs(10);

/// Which of a door's two commands it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The start command.
    Start,
    /// The stop command.
    Stop,
}

/// One hook to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The number of its debt in the journal.
    pub debt: Option<u64>,
    /// Start or stop.
    pub part: Part,
    /// Whose it is: those of one source keep their order.
    pub whose: Addr,
    /// The source as the log has it.
    pub source: String,
    /// Name of the door.
    pub door: String,
    /// Name of the service.
    pub service: String,
    /// It only tells of a grant that goes on.
    pub extends: bool,
    /// What to run.
    pub script: Script,
}

/// A hook that has ended.
pub struct Finished {
    /// The hook.
    pub job: Job,
    /// How.
    pub ending: Ending,
    /// What it wrote.
    pub output: Output,
}

/// What came of an attempt to start a hook.
pub enum Begun {
    /// It runs.
    Running(Job),
    /// It could not be started: why, and whether it will be tried again.
    Failed(Job, std::io::Error, bool),
}

/// The queue and the running hooks.
pub struct Runner {
    waiting: VecDeque<Job>,
    running: JoinSet<Finished>,
    busy: HashSet<Addr>,
    most: usize,
    limit: Duration,
    again: Option<Instant>,
}

impl Runner {
    /// Runs `most` hooks at once, each for `limit` at most.
    #[must_use]
    pub fn new(most: usize, limit: Duration) -> Self {
        Self { waiting: VecDeque::new(), running: JoinSet::new(), busy: HashSet::new(), most, limit, again: None }
    }

    /// Other limits, for the hooks that start from now on.
    pub const fn set_limits(&mut self, most: usize, limit: Duration) {
        self.most = most;
        self.limit = limit;
    }

    /// Queues a hook; gives it back if too many wait.
    ///
    /// # Errors
    ///
    /// The job itself.
    pub fn queue(&mut self, job: Job) -> Result<(), Box<Job>> {
        if job.part == Part::Start && self.waiting.len() >= MOST_WAITING {
            return Err(Box::new(job));
        }
        self.waiting.push_back(job);
        Ok(())
    }

    /// True if a hook waits that tells this source's grant by this door goes on: one stands for all until it runs.
    #[must_use]
    pub fn extends(&self, door: &str, source: &str) -> bool {
        self.waiting.iter().any(|job| job.extends && job.door == door && job.source == source)
    }

    /// Starts what may run now.
    pub fn begin(&mut self) -> Vec<Begun> {
        let mut begun = Vec::new();
        if self.again.is_some_and(|again| again > Instant::now()) {
            return begun;
        }
        self.again = None;
        while self.running.len() < self.most
            && let Some(index) = self.waiting.iter().position(|job| !self.busy.contains(&job.whose))
            && let Some(job) = self.waiting.remove(index)
        {
            match process::start(&job.script) {
                Ok(hook) => {
                    let (limit, started) = (self.limit, job.clone());
                    self.busy.insert(job.whose);
                    self.running.spawn(async move {
                        let (ending, output) = hook.finish(limit).await;
                        Finished { job, ending, output }
                    });
                    begun.push(Begun::Running(started));
                }
                Err(error) => {
                    let again = job.part == Part::Stop;
                    if again {
                        // In its old place: its source's later hooks wait for it.
                        self.waiting.insert(index, job.clone());
                        self.again = Some(Instant::now() + AGAIN);
                    }
                    begun.push(Begun::Failed(job, error, again));
                    if again {
                        break;
                    }
                }
            }
        }
        begun
    }

    /// When to begin again by itself.
    #[must_use]
    pub const fn wake(&self) -> Option<Instant> {
        self.again
    }

    /// Waits for the end of a hook; for ever while none runs.
    pub async fn finished(&mut self) -> Finished {
        loop {
            match self.running.join_next().await {
                Some(Ok(finished)) => {
                    self.busy.remove(&finished.job.whose);
                    return finished;
                }
                // A task of ours never panics; if it did, its source would wait for ever.
                Some(Err(_)) => self.busy.clear(),
                None => std::future::pending::<()>().await,
            }
        }
    }

    /// How many run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets the start commands that wait.
    pub fn forget_starts(&mut self) {
        self.waiting.retain(|job| job.part == Part::Stop);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn job(number: u64, last: u8, part: Part, command: &str) -> Job {
        let path = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
        Job {
            debt: Some(number),
            part,
            whose: Addr::from_v4([192, 0, 2, last]),
            source: format!("192.0.2.{last}"),
            door: "d".into(),
            service: "s".into(),
            extends: false,
            script: Script { command: command.to_owned(), environment: BTreeMap::from([path]) },
        }
    }

    fn numbers(begun: &[Begun]) -> Vec<u64> {
        begun
            .iter()
            .map(|one| match one {
                Begun::Running(job) | Begun::Failed(job, ..) => job.debt.unwrap(),
            })
            .collect()
    }

    #[tokio::test]
    async fn one_source_has_one_hook_at_a_time() {
        let mut runner = Runner::new(8, Duration::from_secs(60));
        for (number, last) in [(1, 1), (2, 1), (3, 2), (4, 1), (5, 2)] {
            runner.queue(job(number, last, Part::Start, "true")).unwrap();
        }
        assert_eq!(numbers(&runner.begin()), [1, 3]);
        assert!(runner.begin().is_empty());
        let mut order = Vec::new();
        while runner.running() > 0 {
            order.push(runner.finished().await.job.debt.unwrap());
            runner.begin();
        }
        let of = |wanted: &[u64]| order.iter().copied().filter(|number| wanted.contains(number)).collect::<Vec<_>>();
        assert_eq!((of(&[1, 2, 4]), of(&[3, 5])), (vec![1, 2, 4], vec![3, 5]));
    }

    #[tokio::test]
    async fn no_more_run_than_may() {
        let mut runner = Runner::new(2, Duration::from_secs(60));
        for number in 0..5 {
            runner.queue(job(number, number as u8, Part::Start, "true")).unwrap();
        }
        assert_eq!(numbers(&runner.begin()), [0, 1]);
        assert_eq!((runner.running(), runner.waiting()), (2, 3));
        runner.finished().await;
        assert_eq!(numbers(&runner.begin()), [2]);
    }

    #[tokio::test]
    async fn a_stop_command_always_finds_room() {
        let mut runner = Runner::new(1, Duration::from_secs(60));
        for number in 0..MOST_WAITING as u64 {
            runner.queue(job(number, 1, Part::Start, "true")).unwrap();
        }
        assert_eq!(runner.queue(job(9999, 1, Part::Start, "true")).unwrap_err().debt, Some(9999));
        runner.queue(job(9999, 1, Part::Stop, "true")).unwrap();
        runner.forget_starts();
        assert_eq!(runner.waiting(), 1);
    }
}
