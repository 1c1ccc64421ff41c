//! The pins under bpffs: where they are, whether they are ours, and how they change hands.

pub(super) mod kept;
pub(super) mod layouts;
pub(super) mod migrate;
pub(super) mod swap;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{MapInfo, MapType};
use knock_common::abi::attempt::Attempts;
use knock_common::abi::attempt_filter::ATTEMPT_CELLS;
use knock_common::abi::flow::{Flow, FlowKey};
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::key::{KEY_SLOTS, LastTimes, WallClock};
use knock_common::abi::layout::{COUNTER_ROOM, EVENT_BYTES, LAYOUT_WORDS, MAX_LOCKED, MAX_OWN, MAX_USED, name};
use knock_common::abi::used::Used;
use knock_common::addr::Addr;
use log::warn;

use super::privilege::need_root;
use crate::config::Config;
use crate::files::{self, BPF_FS_MAGIC, Folder, Way};
use crate::paths::Paths;
use layouts::{Layout, foreign, unlike};

/// The pins of programs, for whoever has to go back to one: that for Ethernet, that for IP.
pub const PROGRAMS: [&str; 2] = ["PROGRAM", "PROGRAM_RAW"];

/// The rule maps that `knockctl` reads while the program runs.
pub const RULES: [&str; 4] = [name::DOORS, name::SERVICES, name::PORTS, name::TOLD];

/// A state map as this build lays it out.
struct Shape {
    name: &'static str,
    kind: MapType,
    key: usize,
    value: usize,
    entries: u32,
}

fn state_maps(config: &Config) -> [Shape; 11] {
    let map = |name, kind, key, value, entries| Shape { name, kind, key, value, entries };
    [
        map(name::LAYOUT, MapType::Array, 4, 8, LAYOUT_WORDS),
        map(name::GRANTS, MapType::Hash, size_of::<GrantKey>(), size_of::<Grant>(), config.options.max_grants),
        map(name::ATTEMPTS, MapType::LruHash, size_of::<Addr>(), size_of::<Attempts>(), config.options.max_attempts),
        map(name::FLOWS, MapType::LruHash, size_of::<FlowKey>(), size_of::<Flow>(), config.options.max_flows),
        map(name::OWN, MapType::LpmTrie, 4 + size_of::<Addr>(), 4, MAX_OWN),
        map(name::SPENT, MapType::Hash, 8, size_of::<Used>(), MAX_USED),
        map(name::LOCKED, MapType::LruHash, size_of::<Addr>(), 8, MAX_LOCKED),
        map(name::WATCH, MapType::Array, 4, 8, ATTEMPT_CELLS),
        map(name::COUNTERS, MapType::PerCpuArray, 4, 8, COUNTER_ROOM),
        map(name::TOKENS, MapType::PerCpuArray, 4, 8, 1),
        map(name::EVENTS, MapType::RingBuf, 0, 0, EVENT_BYTES),
    ]
}

/// The state maps that go over to every layout: a token that was used stays used.
const fn lasting_maps() -> [Shape; 2] {
    const fn map(name: &'static str, value: usize, entries: u32) -> Shape {
        Shape { name, kind: MapType::Array, key: 4, value, entries }
    }
    [map(name::LAST_TIMES, size_of::<LastTimes>(), KEY_SLOTS), map(name::WALL_CLOCK, size_of::<WallClock>(), 1)]
}

/// Names of all state maps.
pub const STATE: [&str; 13] = [
    name::LAYOUT,
    name::GRANTS,
    name::ATTEMPTS,
    name::FLOWS,
    name::OWN,
    name::SPENT,
    name::LOCKED,
    name::WATCH,
    name::COUNTERS,
    name::TOKENS,
    name::EVENTS,
    name::LAST_TIMES,
    name::WALL_CLOCK,
];

/// How a BPF file system is mounted: without a mode everybody may make files in it.
const MOUNT: [&str; 5] = ["-t", "bpf", "-o", "mode=700,nosuid,nodev,noexec", "bpf"];

/// Makes the directories, and mounts the BPF file system if it is missing.
///
/// # Errors
///
/// If there is none, or in the place of ours there is a directory of somebody else's; with the remedy.
pub fn prepare(paths: &Paths) -> Result<()> {
    need_root()?;
    let parent = above(paths);
    if !on_bpffs(parent) {
        let mounted = Command::new("mount").args(MOUNT).arg(parent).output();
        if !mounted.is_ok_and(|output| output.status.success()) || !on_bpffs(parent) {
            bail!("{0} is not a BPF file system: mount it with `mount {1} {0}`", parent.display(), MOUNT.join(" "));
        }
    }
    let failed = || "the gate cannot be pinned on the BPF file system";
    let pins = Folder::make(&paths.pins, Way::Bpffs, 0o700).with_context(failed)?;
    // Before anything in it is opened: what somebody else has put there would be his to change.
    pins.need_own_files()?;
    for name in ["rules", "links"] {
        pins.make_in(name, 0o700).with_context(failed)?.need_own_files()?;
    }
    if paths.next().exists() {
        pins.make_in("next", 0o700)?.need_own_files()?;
    }
    Ok(())
}

/// Refuses pins that somebody else could have put there, or could change. None at all are no fault.
///
/// # Errors
///
/// With the remedy.
pub fn need_own(paths: &Paths) -> Result<()> {
    for path in [paths.pins.clone(), paths.pins.join("rules"), paths.links(), paths.next()] {
        match Folder::open(&path, Way::Bpffs) {
            Ok(folder) => folder.need_own_files()?,
            Err(error) if files::kind_of(&error) == Some(ErrorKind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is wrong with the BPF file system, and the remedy, if everybody may make files in it.
#[must_use]
pub fn open_bpffs(paths: &Paths) -> Option<(String, String)> {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = above(paths);
    let mode = fs::metadata(parent).ok().filter(|_| on_bpffs(parent))?.permissions().mode() & 0o7777;
    let text = || {
        format!(
            "{}: mode {mode:04o}: whoever makes {} before the gate does keeps the gate from starting",
            parent.display(),
            paths.pins.display()
        )
    };
    (mode & 0o022 != 0).then(|| (text(), format!("chmod 0700 {}", parent.display())))
}

/// The BPF file system that the pins are on.
fn above(paths: &Paths) -> &Path {
    paths.pins.parent().unwrap_or(Path::new("/"))
}

/// True if `path` lies on a BPF file system.
pub fn on_bpffs(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|about| about.f_type as u64 == BPF_FS_MAGIC)
}

/// The pinned state maps that the new program shall go on with. Compared here, because aya opens a
/// pin as whatever the object says, and a value of another size would be written past its buffer.
///
/// # Errors
///
/// A pin of another layout, or one that is not ours.
pub fn adopt(paths: &Paths, config: &Config) -> Result<BTreeMap<&'static str, PathBuf>> {
    let layout = Layout::of(paths)?;
    let mut adopted = BTreeMap::new();
    // Of another layout nothing is shared, and what matters is carried over.
    let shared = match layout {
        Layout::Ours => &state_maps(config)[..],
        Layout::Known(version) => {
            warn!(
                "the pins are of layout {version}: the gate is taken over with its grants; attempts and counters are not"
            );
            &[]
        }
        Layout::Unknown(version) => return Err(layouts::unknown(&paths.map(name::LAYOUT), version)),
    };
    // Both or none: the clock says since when last times are noted.
    let lasting = lasting_maps();
    let lasting = if lasting.iter().all(|map| paths.map(map.name).exists()) { &lasting[..] } else { &[] };
    for map in shared.iter().chain(lasting) {
        let path = paths.map(map.name);
        if !path.exists() {
            continue;
        }
        let resizable = matches!(map.name, name::GRANTS | name::ATTEMPTS | name::FLOWS);
        match compare(&path, map)? {
            Likeness::Same => drop(adopted.insert(map.name, path)),
            Likeness::OtherSize if resizable => {}
            Likeness::OtherSize => return Err(foreign(&path, "has another number of entries")),
            Likeness::Other(what) => return Err(foreign(&path, what)),
        }
    }
    if !adopted.contains_key(name::GRANTS) && paths.map(name::GRANTS).exists() {
        let live = migrate::count_live(&paths.map(name::GRANTS))?;
        if live > config.options.max_grants as usize {
            bail!("max_grants = {}: {live} grants are live; set it to at least that", config.options.max_grants);
        }
    }
    Ok(adopted)
}

enum Likeness {
    Same,
    OtherSize,
    Other(String),
}

fn compare(path: &Path, map: &Shape) -> Result<Likeness> {
    let info = MapInfo::from_pin(path).map_err(|error| unlike(path, error))?;
    let kind = info.map_type()?;
    if kind != map.kind {
        return Ok(Likeness::Other(format!("is of type {kind:?}, not {:?}", map.kind)));
    }
    let (key, value) = (info.key_size() as usize, info.value_size() as usize);
    if (key, value) != (map.key, map.value) {
        let (expected_key, expected_value) = (map.key, map.value);
        return Ok(Likeness::Other(format!(
            "has keys of {key} and values of {value} bytes, not {expected_key} and {expected_value}"
        )));
    }
    Ok(if info.max_entries() == map.entries { Likeness::Same } else { Likeness::OtherSize })
}

/// Removes the directories of a start that failed, where they are empty.
pub fn sweep(paths: &Paths) {
    for path in [paths.next(), paths.pins.join("rules"), paths.links(), paths.pins.clone()] {
        let _ = fs::remove_dir(path);
    }
}

/// Removes every pin, whoever's layout it has. The links come first, by [`super::interfaces::attach`].
pub fn remove(paths: &Paths) -> Result<()> {
    for directory in [paths.next(), paths.pins.join("rules"), paths.links(), paths.pins.clone()] {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(anyhow!(error).context(directory.display().to_string())),
        };
        for entry in entries {
            let path = entry?.path();
            fs::remove_file(&path).with_context(|| format!("{}: cannot be removed", path.display()))?;
        }
        fs::remove_dir(&directory).with_context(|| format!("{}: cannot be removed", directory.display()))?;
    }
    Ok(())
}
