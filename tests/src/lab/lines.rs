//! What a program writes, line by line, while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::patience;
use crate::harness::failure::Late;

/// Lines so far, shared with the thread that reads them.
#[derive(Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Collects what comes out of `pipe`, and repeats it on standard error behind `prefix`.
    #[must_use]
    pub fn of(pipe: impl Read + Send + 'static, prefix: Option<&'static str>) -> Self {
        let lines = Self::default();
        let writer = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if let Some(prefix) = prefix {
                    eprintln!("{prefix}{line}");
                }
                writer.change(|state| state.lines.push(line));
            }
            writer.change(|state| state.ended = true);
        });
        lines
    }

    /// How many lines there are by now: a mark for [`Lines::wait_after`].
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().lines.len()
    }

    /// The lines behind a mark.
    #[must_use]
    pub fn after(&self, mark: usize) -> Vec<String> {
        self.lock().lines.get(mark..).unwrap_or_default().to_vec()
    }

    /// The last lines, at most so many.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<String> {
        let state = self.lock();
        state.lines[state.lines.len().saturating_sub(count)..].to_vec()
    }

    /// Waits for a line behind the mark that contains `text`, and returns it.
    ///
    /// # Errors
    ///
    /// If the lines end before, or a [`Late`] if the time is over before; with the lines that did come.
    pub fn wait_after(&self, mark: usize, text: &str, timeout: Duration) -> Result<String> {
        let (start, timeout) = (Instant::now(), timeout * patience());
        let mut state = self.lock();
        loop {
            let lines = state.lines.get(mark..).unwrap_or_default();
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return Ok(line.clone());
            }
            let left = timeout.saturating_sub(start.elapsed());
            let without = || format!("no line with {text:?}, only:\n{}", lines.join("\n"));
            if state.ended {
                bail!("the output ended: {}", without());
            }
            if left.is_zero() {
                return Err(Late(format!("waited in vain: {}", without())).into());
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::TIMEOUT;
    use super::*;

    #[test]
    fn a_line_is_found_behind_a_mark_only() {
        let lines = Lines::of(&b"one\ntwo\none more\nlast without an end"[..], None);
        assert_eq!(lines.wait_after(0, "one", TIMEOUT).unwrap(), "one");
        assert_eq!(lines.wait_after(1, "one", TIMEOUT).unwrap(), "one more");
        assert_eq!(lines.wait_after(0, "last", TIMEOUT).unwrap(), "last without an end");
        let error = lines.wait_after(2, "two", TIMEOUT).unwrap_err().to_string();
        assert_eq!(error, "the output ended: no line with \"two\", only:\none more\nlast without an end");
        assert_eq!(lines.after(3), ["last without an end"]);
        assert_eq!(lines.last(2), ["one more", "last without an end"]);
        assert_eq!(lines.last(9).len(), 4);
        assert_eq!(lines.after(9), [""; 0]);
    }
}
