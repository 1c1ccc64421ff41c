//! Knocking again before the door closes, until interrupted.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};

use super::plan::Plan;
use super::round::Round;
use super::schedule::{backoff, jittered};
use crate::exit::Exit;

/// How often the clock and the way out are looked at between two knocks.
const GLANCE: Duration = Duration::from_secs(2);

/// By how much the wall clock must run ahead of the other to say that this host slept.
const SLEPT: Duration = Duration::from_secs(4);

/// How long what is under way may go on after a signal.
const GRACE: Duration = Duration::from_millis(500);

/// Knocks until it is interrupted. What fails is said and tried again: networks come and go.
///
/// # Errors
///
/// If signals cannot be listened for, or `out` takes no more text.
pub(super) fn run(plan: &Plan, every: Duration, out: &mut dyn Write) -> Result<Exit> {
    let (sender, stop) = mpsc::channel();
    let handler = move || {
        // Nobody listens any more: it is ending already.
        let _ = sender.send(());
        // Looking a name up can take long, and there is nothing that must be ended well.
        thread::sleep(GRACE);
        std::process::exit(Exit::Done as i32);
    };
    ctrlc::set_handler(handler).context("knock: signals cannot be listened for")?;
    let span = humantime::format_duration(Duration::from_secs(every.as_secs().max(1)));
    eprintln!("knockctl: knock: {}: knocks now, and again every {span} or a little sooner; Ctrl-C ends it", plan.host);
    let mut said = Vec::new();
    let mut failed = 0;
    loop {
        let (pause, knocked, now) = match Round::make(plan, out) {
            Ok(round) => {
                failed = 0;
                let texts = round.texts();
                (jittered(every), round.knocked, texts)
            }
            Err(error) if is_of_the_output(&error) => return Err(error),
            Err(error) => {
                failed += 1;
                (backoff(failed, every), Vec::new(), vec![format!("{error:#}")])
            }
        };
        for text in now.iter().filter(|text| !said.contains(*text)) {
            eprintln!("knockctl: {text}");
        }
        if now.is_empty() && !said.is_empty() {
            eprintln!("knockctl: knock: {}: knocked again", plan.host);
        }
        said = now;
        if !wait(plan, &knocked, pause, &stop) {
            return Ok(Exit::Done);
        }
    }
}

/// Nobody reads what is said: there is no reason to go on.
fn is_of_the_output(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Waits until it is time for the next knock, which is at once if this host slept or has another
/// address on the way to what it knocked: then the grant is not ours any more. False if interrupted.
fn wait(plan: &Plan, knocked: &[SocketAddr], pause: Duration, stop: &Receiver<()>) -> bool {
    let (start, clock) = (Instant::now(), SystemTime::now());
    let source = || knocked.iter().map(|&to| plan.options.source.towards(to)).collect::<Vec<Option<IpAddr>>>();
    let before = source();
    loop {
        let left = pause.saturating_sub(start.elapsed());
        match stop.recv_timeout(left.min(GLANCE)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return false,
        }
        let slept = clock.elapsed().is_ok_and(|passed| passed > start.elapsed() + SLEPT);
        if left <= GLANCE || slept || is_moved(&before, &source()) {
            return true;
        }
    }
}

/// Whether one of the ways has another address now; a way that is lost is none to knock on.
fn is_moved(before: &[Option<IpAddr>], now: &[Option<IpAddr>]) -> bool {
    before.iter().zip(now).any(|(before, now)| now.is_some() && before != now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_address_is_a_reason_and_a_lost_one_is_none() {
        let (one, other) = (Some([192, 0, 2, 2].into()), Some([198, 51, 100, 2].into()));
        assert!(is_moved(&[one], &[other]) && is_moved(&[None], &[one]) && is_moved(&[one, one], &[one, other]));
        assert!(!is_moved(&[one], &[one]) && !is_moved(&[one], &[None]) && !is_moved(&[], &[]));
    }
}
