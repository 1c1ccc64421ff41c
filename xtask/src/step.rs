//! The printer of steps: what is being done, how it ended, how long it took.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Instant;

use anyhow::Result;

/// A step that prints nothing itself: one line, `[setup] what ... found 0.0 s`.
pub fn line<T>(verb: &str, what: impl Display, act: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
    print!("[{verb}] {what} ... ");
    // The line is for people: where it cannot be written, the work goes on all the same.
    let _ = io::stdout().flush();
    let start = Instant::now();
    let outcome = act();
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok((value, how)) => {
            println!("{how} {seconds:.1} s");
            Ok(value)
        }
        Err(error) => {
            println!("FAILED {seconds:.1} s");
            Err(error)
        }
    }
}

/// A step whose commands print: a line before them and a line after.
pub fn block<T>(verb: &str, what: impl Display, act: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("[{verb}] {what}");
    let start = Instant::now();
    let outcome = act();
    let end = if outcome.is_ok() { "ok" } else { "FAILED" };
    println!("[{verb}] {what} ... {end} {:.1} s", start.elapsed().as_secs_f64());
    outcome
}
