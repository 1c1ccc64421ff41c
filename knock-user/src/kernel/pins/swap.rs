//! A change of the gate as one step. All that a new program brings is pinned in `next` first; then the links
//! move to it; then its pins take their places.
//!
//! Whoever finds a `next` later knows from the links how far somebody came who was killed: if one of them runs
//! its program, the change is brought to its end, else it never was. `next`, and a lock on the directory of the
//! pins, keep two from changing the gate at once, and `allow` and `revoke` from a table that is about to go.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use knock_common::abi::layout::name;
use log::warn;

use super::migrate::Migration;
use super::{PROGRAMS, RULES, STATE};
use crate::kernel::interfaces::links;
use crate::kernel::interfaces::list::{self, Layer};
use crate::kernel::program::load::Program;
use crate::kernel::sys;
use crate::paths::Paths;

/// Where a pin of `next` belongs.
fn place(paths: &Paths, name: &str) -> PathBuf {
    if STATE.contains(&name) { paths.map(name) } else { paths.rule(name) }
}

/// The order in which pins take their places: the version after what it is about, the programs last, by which
/// [`recover`] sees how far it came.
fn order() -> impl Iterator<Item = &'static str> {
    let state = STATE.into_iter().filter(|name| *name != name::LAYOUT);
    state.chain([name::LAYOUT]).chain(RULES).chain(PROGRAMS)
}

/// Keeps others from changing the gate or its grants, until it is dropped. Nobody shares it: those who come one
/// after the other would keep a reload waiting for ever.
///
/// # Errors
///
/// If the pins cannot be opened, or somebody keeps them locked.
pub fn lock(paths: &Paths) -> Result<File> {
    let named = || format!("{}: cannot be locked", paths.pins.display());
    let pins = File::open(&paths.pins).with_context(|| paths.pins.display().to_string())?;
    let end = Instant::now() + PATIENCE;
    loop {
        match pins.try_lock() {
            Ok(()) => return Ok(pins),
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
            Err(TryLockError::WouldBlock) => bail!(
                "{0}: another process has kept it locked for {1} s: `fuser {0}` says which",
                paths.pins.display(),
                PATIENCE.as_secs()
            ),
            Err(TryLockError::Error(error)) => return Err(error).with_context(named),
        }
    }
}

/// How long another change of the gate may take: one that moves a million grants takes seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pins what the new program brings, but for the maps that it shares with the old one, and carries over what was
/// in the tables that it does not share.
///
/// # Errors
///
/// If something cannot be pinned or carried; then nothing is left.
pub fn prepare(paths: &Paths, adopted: &BTreeMap<&str, PathBuf>, program: &mut Program) -> Result<Migration> {
    clear(paths)?;
    let next = paths.next();
    let result = (|| {
        make(&next)?;
        for name in STATE.into_iter().chain(RULES).filter(|name| !adopted.contains_key(name)) {
            let path = next.join(name);
            program.map(name).pin(&path).with_context(|| format!("{}: cannot be pinned", path.display()))?;
        }
        program.pin(&next)?;
        let mut migration = Migration::open(paths, &next, program.settings().flow_idle)?;
        migration.migrate()?;
        Ok(migration)
    })();
    if result.is_err() {
        let _ = clear(paths);
    }
    result
}

/// Lets the pins of `next` take their places, each by a rename.
///
/// # Errors
///
/// Of the file system; what is left is done by [`recover`].
pub fn commit(paths: &Paths) -> Result<()> {
    let next = paths.next();
    let [ethernet, raw] = PROGRAMS.map(|name| next.join(name));
    if ethernet.exists() && !raw.exists() {
        remove(&paths.rule(PROGRAMS[1]))?;
    }
    for name in order() {
        let (from, to) = (next.join(name), place(paths, name));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result.with_context(|| format!("{}: cannot be renamed", from.display()))?,
        }
    }
    clear(paths)
}

/// Gives up a change that could not be made; not if a link could not be moved back from its program.
pub fn undo(paths: &Paths) {
    match runs_next(paths) {
        Ok(false) => drop(clear(paths)),
        _ => warn!("{}: left for the next start to finish", paths.next().display()),
    }
}

/// Brings a change to its end that somebody began who was killed, or takes it back.
///
/// # Errors
///
/// If pins or interfaces cannot be read or changed.
pub fn recover(paths: &Paths) -> Result<()> {
    if !paths.next().exists() {
        return Ok(());
    }
    let _lock = lock(paths)?;
    if !runs_next(paths)? {
        return clear(paths);
    }
    warn!("a change of the gate was cut short: it is brought to its end");
    let layers: BTreeMap<u32, Layer> =
        list::list()?.into_iter().map(|interface| (interface.index, interface.layer)).collect();
    let programs = next_programs(paths)?;
    for name in links::pinned(paths)? {
        let (pin, (program, index)) = (paths.link(&name), links::where_is(paths, &name)?);
        if index == 0 || programs.iter().any(|(_, id)| *id == program) {
            continue;
        }
        let own = PROGRAMS[usize::from(layers.get(&index) == Some(&Layer::Ip))];
        if let Ok(program) = sys::open_pin(&paths.next().join(own)) {
            sys::move_link(&pin, program.as_fd()).with_context(|| name.clone())?;
        }
    }
    // Not the grants: one that was taken away since would come back. They may be of another version's layout, too.
    Migration::only_used(paths, &paths.next())?.migrate_used()?;
    commit(paths)
}

/// True if a link runs a program of `next`.
fn runs_next(paths: &Paths) -> Result<bool> {
    let programs = next_programs(paths)?;
    for name in links::pinned(paths)? {
        let (program, _) = links::where_is(paths, &name)?;
        if programs.iter().any(|(_, id)| *id == program) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn next_programs(paths: &Paths) -> Result<Vec<(&'static str, u32)>> {
    let mut programs = Vec::new();
    for name in PROGRAMS {
        let pin = paths.next().join(name);
        if pin.exists() {
            let info = aya::programs::ProgramInfo::from_pin(&pin).with_context(|| pin.display().to_string())?;
            programs.push((name, info.id()));
        }
    }
    Ok(programs)
}

/// The program with this id: by its pin, or by the id itself, which takes `CAP_SYS_ADMIN`.
pub fn program(paths: &Paths, id: u32) -> Option<OwnedFd> {
    let is_it = |pin: &PathBuf| aya::programs::ProgramInfo::from_pin(pin).is_ok_and(|info| info.id() == id);
    let pin = PROGRAMS.map(|name| paths.rule(name)).into_iter().find(is_it);
    pin.and_then(|pin| sys::open_pin(&pin).ok()).or_else(|| sys::program(id).ok())
}

/// Pins again what somebody has removed by hand, or put something else in the place of, from the program's own
/// maps; says what.
///
/// # Errors
///
/// Of the file system.
pub fn put_back(paths: &Paths, program: &mut Program) -> Result<Vec<(PathBuf, &'static str)>> {
    let _lock = lock(paths)?;
    let next = paths.next();
    let mut done = Vec::new();
    // Beside them first: what cannot be pinned costs nothing that is there, as a pin that only could not be looked at.
    make(&next)?;
    let result = STATE.into_iter().chain(RULES).try_for_each(|name| {
        let path = place(paths, name);
        if program.has(name, &path) {
            return Ok(());
        }
        let what = if path.exists() { "PUT SOMETHING ELSE IN THE PLACE OF THIS PIN" } else { "REMOVED THIS PIN" };
        let new = next.join(name);
        program.map(name).pin(&new).with_context(|| format!("{}: cannot be pinned", path.display()))?;
        fs::rename(&new, &path).with_context(|| format!("{}: cannot be put in its place", path.display()))?;
        done.push((path, what));
        Ok(())
    });
    clear(paths)?;
    result.map(|()| done)
}

/// True if a pin of the program's state or of its rules is missing, or of something else.
pub fn is_damaged(paths: &Paths, program: &Program) -> bool {
    !paths.links().exists() || STATE.into_iter().chain(RULES).any(|name| !program.has(name, &place(paths, name)))
}

/// Makes `next`, which must not be there.
fn make(next: &Path) -> Result<()> {
    fs::DirBuilder::new().mode(0o700).create(next).with_context(|| next.display().to_string())
}

/// Removes `next` and all in it.
fn clear(paths: &Paths) -> Result<()> {
    let next = paths.next();
    for name in order() {
        remove(&next.join(name))?;
    }
    match fs::remove_dir(&next) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(anyhow!(error).context(format!("{}: cannot be removed", next.display())))
        }
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(anyhow!(error).context(format!("{}: cannot be removed", path.display())))
        }
        _ => Ok(()),
    }
}
