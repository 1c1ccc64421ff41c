//! A config that is replaced by garbage.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tests::harness::{Test, tests};
use tests::lab::{Config, Host, Mark, TIMEOUT, knockctl};

use super::{Siege, daemon, start, unload};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::faults::garbage"; a_config_that_is_garbage_changes_nothing]
}

/// Puts something in the place of the config.
fn replace(path: &Path, by: &str) -> Result<()> {
    // There may be nothing already.
    let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
    let text = Config::lab().0;
    match by {
        "nothing" => return Ok(()),
        "a directory" => return Ok(fs::create_dir(path)?),
        "a link to nowhere" => return Ok(symlink("/nowhere", path)?),
        "a pipe" => return Ok(mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?),
        "an empty file" => fs::write(path, "")?,
        "zeroes" => fs::write(path, vec![0; 1 << 16])?,
        "noise" => fs::write(path, (0..1 << 16).map(|_| fastrand::u8(..)).collect::<Vec<_>>())?,
        "what is before its services" => fs::write(path, text.split("[services").next().unwrap_or_default())?,
        "a file for all to read" => {
            fs::write(path, text)?;
            return Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o644))?);
        }
        "its first lines" => fs::write(path, text.split("8000/udp").next().unwrap_or_default())?,
        "another language" => fs::write(path, "{\"options\": {\"interfaces\": []}}")?,
        other => anyhow::bail!("no such garbage: {other}"),
    }
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

const GARBAGE: [&str; 11] = [
    "nothing",
    "a directory",
    "a link to nowhere",
    "a pipe",
    "an empty file",
    "zeroes",
    "noise",
    "what is before its services",
    "a file for all to read",
    "its first lines",
    "another language",
];

fn a_config_that_is_garbage_changes_nothing() -> Result<()> {
    let mark = Mark::new();
    let config = mark.on(Config::lab());
    let siege = Siege::lay(&config)?;
    let mut running = start(daemon(&config)?)?;
    let path = config.write("gate.toml")?;
    for by in GARBAGE {
        replace(&path, by)?;
        let lines = running.lines.count();
        running.signal(nix::sys::signal::Signal::SIGHUP)?;
        running.lines.wait_after(lines, "the gate goes on as it was", TIMEOUT).context(by)?;
        let said = running.lines.after(lines).join("\n");
        assert!(said.contains("reload: ") && said.contains("gate.toml"), "{by}: {said}");
        let reload = knockctl(Host::Server, &["reload"])?;
        assert!(reload.code == 2 && reload.stderr.contains("gate.toml"), "{by}: {reload}");
        let file = path.display().to_string();
        let check = knockctl(Host::Server, &["check", &file])?;
        assert!(check.code != 0 && check.code < 3, "{by}: {check}");
        assert!(running.runs(), "{by}");
        siege.look().context(by)?;
    }
    running.kill()?;
    for by in GARBAGE {
        replace(&path, by)?;
        let ran = knockctl(Host::Server, &["run", "--config", &path.display().to_string()])?;
        assert!(ran.code == 2 && ran.stderr.contains("gate.toml"), "{by}: {ran}");
        siege.look().context(by)?;
    }
    replace(&path, "nothing").and_then(|()| Ok(fs::write(&path, "")?))?;
    start(daemon(&config)?)?.kill()?;
    siege.look()?;
    mark.wait_for(1)?;
    unload(&siege.lift()?)
}
