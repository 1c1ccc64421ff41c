//! The process of one test: it goes into a sandbox, makes the test, and says at its end what went wrong.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

use super::attempt::{ASKED_BY, WHY};
use super::{Test, failure};
use crate::lab::{last_words, sandbox};

/// How many lines of each program are repeated when a test fails.
const LAST: usize = 15;

/// What the first panic said.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Makes the test of this name. The exit code says how it ended: see [`failure`].
pub(super) fn run(name: &str, tests: Vec<Test>) -> ExitCode {
    panic::set_hook(Box::new(remember));
    let made = panic::catch_unwind(AssertUnwindSafe(|| {
        enter()?;
        let test = tests.into_iter().find(|test| test.name == name);
        (test.with_context(|| format!("there is no test {name}"))?.test)()
    }));
    let (code, why) = match made {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => (failure::code_of(&error), format!("{error:?}")),
        Err(payload) => (failure::BROKEN, panic_text(payload.as_ref())),
    };
    eprintln!("{WHY}\n{why}");
    for (program, lines) in last_words(LAST) {
        eprintln!("\nlast lines of {program}:\n{}", lines.join("\n"));
    }
    ExitCode::from(code)
}

/// Keeps the place and the text of the first panic. A later one only comes from cleaning up.
fn remember(info: &PanicHookInfo<'_>) {
    eprintln!("{info}");
    if let Ok(mut first) = PANIC.lock() {
        first.get_or_insert_with(|| info.to_string());
    }
}

/// What was panicked with, if no hook has seen it.
fn panic_text(payload: &(dyn Any + Send)) -> String {
    let first = PANIC.lock().ok().and_then(|mut first| first.take());
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    first.or(text).unwrap_or_else(|| "a panic without a text".to_owned())
}

fn enter() -> Result<()> {
    if std::env::var_os(sandbox::STAGE).is_none() {
        // Who asked may end before the sandbox does.
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        let asked_by = std::env::var(ASKED_BY).context(ASKED_BY)?;
        ensure!(asked_by == getppid().to_string(), "the program that asked for the test has ended");
    }
    sandbox::enter()
}
