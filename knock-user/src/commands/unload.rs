//! `knockctl unload`: takes the gate off without trace.

use std::fs;
use std::io::Write;

use anyhow::Result;

use super::process::{self, Holder};
use crate::config::DEFAULT_CONFIG;
use crate::exit::Exit;
use crate::files::{Folder, Way};
use crate::hooks;
use crate::kernel::{Firewall, WAITING, need_own_pins, need_root};
use crate::paths::Paths;
use crate::reconcile;
use crate::runtime::{self, EVENTS, INFO, LOCK, OLD_EVENTS, STATUS, TRIAL};

/// Arguments of `knockctl unload`: none.
#[derive(clap::Args, Clone, Debug)]
pub struct UnloadArgs {}

/// Stops the daemon, takes the gate off every interface, runs the stop commands that are owed, removes
/// pins and files. Depends on no map, so that it takes away pins of any layout.
///
/// # Errors
///
/// Not root, a daemon that does not end, a pin that cannot be removed, stop commands that could not be
/// run: they stay owed.
pub fn run(paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    need_root()?;
    need_own_pins(paths)?;
    // Before the daemon ends, which may take the gate down itself.
    let (mut loaded, mut interfaces) = (paths.pins.exists(), links(paths));
    let mut stopped = None;
    // Kept against a daemon that starts at this moment.
    let _lock = loop {
        match process::holder(paths)? {
            Holder::Nobody(lock) => break lock,
            Holder::Daemon(daemon) => {
                (loaded, interfaces) = (paths.pins.exists(), links(paths));
                process::stop(paths, &daemon)?;
                stopped = Some(daemon.pid);
            }
        }
    };
    let config = runtime::last_config(paths).unwrap_or_else(|| DEFAULT_CONFIG.into());
    let marked = reconcile::reconcile_last(&config, paths);
    Firewall::unload(paths)?;
    out.write_all(text(stopped, loaded, &interfaces).as_bytes())?;
    for line in marked {
        writeln!(out, "{line}")?;
    }
    // Every grant has ended with the gate, and there is no daemon any more to undo what it ran for it.
    let hooks = hooks::settle(paths);
    remove_files(paths);
    for line in hooks? {
        writeln!(out, "{line}")?;
    }
    Ok(if loaded { Exit::Done } else { Exit::Negative })
}

/// Interfaces with a pinned link.
fn links(paths: &Paths) -> Vec<String> {
    let entries = fs::read_dir(paths.links()).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| Paths::interface_of(&entry.file_name().to_string_lossy())).collect();
    names.sort();
    names
}

/// Removes the run-time files, the lock last; what is not there need not be removed.
fn remove_files(paths: &Paths) {
    if let Ok(folder) = Folder::open(&paths.run, Way::Whole) {
        for name in [INFO, WAITING, TRIAL, LOCK] {
            let _ = folder.remove(&format!("{name}-new"));
        }
        for name in [INFO, WAITING, OLD_EVENTS, EVENTS, STATUS, LOCK] {
            let _ = folder.remove(name);
        }
    }
    let _ = fs::remove_dir(&paths.run);
}

fn text(stopped: Option<u32>, loaded: bool, interfaces: &[String]) -> String {
    let mut text = stopped.map_or_else(String::new, |pid| format!("the daemon (process {pid}) is stopped\n"));
    for name in interfaces {
        text += &format!("{name}: the gate is taken off\n");
    }
    match (loaded, interfaces.is_empty()) {
        (false, _) => text += "nothing was loaded\n",
        (true, true) => text += "no interface had the gate; its pins are removed\n",
        (true, false) => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interface_is_named() {
        let names = ["eth0".to_owned(), "eth1".to_owned()];
        let said = "the daemon (process 42) is stopped\neth0: the gate is taken off\neth1: the gate is taken off\n";
        assert_eq!(text(Some(42), true, &names), said);
        assert_eq!(text(None, false, &[]), "nothing was loaded\n");
        assert_eq!(text(None, true, &[]), "no interface had the gate; its pins are removed\n");
    }

    #[test]
    fn run_time_files_go_and_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("knock");
        let paths = Paths { run: run.clone(), ..Paths::below(directory.path()) };
        fs::create_dir(&run).unwrap();
        for name in
            ["daemon.pid", "daemon.json", "interfaces.json", "events.jsonl", "events.jsonl.1", "status.sock", "notes"]
        {
            fs::write(run.join(name), "").unwrap();
        }
        remove_files(&paths);
        let left: Vec<_> = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes"]);
        fs::remove_file(run.join("notes")).unwrap();
        remove_files(&paths);
        assert!(!run.exists());
    }
}
