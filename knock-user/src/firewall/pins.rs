//! The pins under bpffs: where they are, whether they are ours, and how they change hands.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{Array, HashMap, Map, MapData, MapInfo, MapType};
use knock_common::addr::Addr;
use knock_common::attempt::Attempts;
use knock_common::counter::Counter;
use knock_common::grant::{Grant, GrantKey};
use knock_common::layout::{EVENT_BYTES, LAYOUT_VERSION, MAX_LOCKED, MAX_SPENT, name};
use knock_common::spent::Spent;
use knock_common::watch::WATCH_CELLS;

use super::load::Program;
use super::plain::Plain;
use super::privilege::need_root;
use super::sys::boot_now;
use crate::config::Config;

/// Where the gate keeps its pins and its run-time files.
#[derive(Clone, Debug)]
pub struct Paths {
    /// A directory on a BPF file system.
    pub pins: PathBuf,
    /// A directory for the daemon's lock and the event log.
    pub run: PathBuf,
    /// A directory that outlives a reboot, for what the daemon owes: stop commands that have not run.
    pub state: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { pins: "/sys/fs/bpf/knock".into(), run: "/run/knock".into(), state: "/var/lib/knock".into() }
    }
}

impl Paths {
    /// The same three directories below another one. For tests.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { pins: root.join("pins"), run: root.join("run"), state: root.join("state") }
    }

    /// The pin of a state map.
    #[must_use]
    pub fn map(&self, name: &str) -> PathBuf {
        self.pins.join(name)
    }

    /// The pin of a map that came with the running program's rules.
    #[must_use]
    pub fn rule(&self, name: &str) -> PathBuf {
        self.pins.join("rules").join(name)
    }

    /// The directory of link pins.
    #[must_use]
    pub fn links(&self) -> PathBuf {
        self.pins.join("links")
    }

    /// The pin of the link on an interface. bpffs keeps names with dots to itself.
    #[must_use]
    pub fn link(&self, interface: &str) -> PathBuf {
        self.links().join(interface.replace('%', "%25").replace('.', "%2e"))
    }

    /// The interface that a link pin's name stands for.
    #[must_use]
    pub fn interface_of(pin: &str) -> String {
        pin.replace("%2e", ".").replace("%25", "%")
    }
}

/// The rule maps that `knockctl` reads while the program runs.
const RULES: [&str; 4] = [name::DOORS, name::SERVICES, name::PORTS, name::TOLD];

/// A state map as this build lays it out.
struct Layout {
    name: &'static str,
    kind: MapType,
    key: usize,
    value: usize,
    entries: u32,
}

fn state_maps(config: &Config) -> [Layout; 9] {
    let map = |name, kind, key, value, entries| Layout { name, kind, key, value, entries };
    [
        map(name::LAYOUT, MapType::Array, 4, 8, 1),
        map(name::GRANTS, MapType::Hash, size_of::<GrantKey>(), size_of::<Grant>(), config.options.max_grants),
        map(name::ATTEMPTS, MapType::LruHash, size_of::<Addr>(), size_of::<Attempts>(), config.options.max_attempts),
        map(name::SPENT, MapType::Hash, 8, size_of::<Spent>(), MAX_SPENT),
        map(name::LOCKED, MapType::LruHash, size_of::<Addr>(), 8, MAX_LOCKED),
        map(name::WATCH, MapType::Array, 4, 8, WATCH_CELLS),
        map(name::COUNTERS, MapType::PerCpuArray, 4, 8, Counter::COUNT as u32),
        map(name::TOKENS, MapType::PerCpuArray, 4, 8, 1),
        map(name::EVENTS, MapType::RingBuf, 0, 0, EVENT_BYTES),
    ]
}

/// Names of all state maps.
pub const STATE: [&str; 9] = [
    name::LAYOUT,
    name::GRANTS,
    name::ATTEMPTS,
    name::SPENT,
    name::LOCKED,
    name::WATCH,
    name::COUNTERS,
    name::TOKENS,
    name::EVENTS,
];

/// Makes the directories, and mounts the BPF file system if it is missing.
pub fn prepare(paths: &Paths) -> Result<()> {
    need_root()?;
    let parent = paths.pins.parent().unwrap_or(Path::new("/"));
    if !on_bpffs(parent) {
        let mounted = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(parent).output();
        if !mounted.is_ok_and(|output| output.status.success()) || !on_bpffs(parent) {
            bail!("{0} is not a BPF file system: mount it with `mount -t bpf bpf {0}`", parent.display());
        }
    }
    for path in [paths.pins.clone(), paths.pins.join("rules"), paths.links()] {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("{}: cannot be made on the BPF file system", path.display()))?;
    }
    Ok(())
}

/// True if `path` lies on a BPF file system.
pub fn on_bpffs(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
    let Ok(path) = std::ffi::CString::new(path.as_os_str().as_bytes()) else { return false };
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the path is a C string and the buffer is a statfs, which the call fills in.
    let result = unsafe { libc::statfs(path.as_ptr(), stat.as_mut_ptr()) };
    // SAFETY: zeroed, which is a valid statfs.
    result == 0 && unsafe { stat.assume_init() }.f_type as u64 == BPF_FS_MAGIC
}

/// The pinned state maps that the new program shall go on with. Compared here, because aya opens a
/// pin as whatever the object says, and a value of another size would be written past its buffer.
///
/// # Errors
///
/// A pin of another layout, or one that is not ours.
pub fn adopt(paths: &Paths, config: &Config) -> Result<BTreeMap<&'static str, PathBuf>> {
    check_version(paths)?;
    let mut adopted = BTreeMap::new();
    for map in state_maps(config) {
        let path = paths.map(map.name);
        if !path.exists() {
            continue;
        }
        let resizable = matches!(map.name, name::GRANTS | name::ATTEMPTS);
        match compare(&path, &map)? {
            Likeness::Same => drop(adopted.insert(map.name, path)),
            Likeness::OtherSize if resizable => {}
            Likeness::OtherSize => return Err(foreign(&path, "has another number of entries")),
            Likeness::Other(what) => return Err(foreign(&path, &what)),
        }
    }
    if !adopted.contains_key(name::GRANTS) && paths.map(name::GRANTS).exists() {
        let live = live_grants(&paths.map(name::GRANTS))?.len();
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

fn compare(path: &Path, map: &Layout) -> Result<Likeness> {
    let info =
        MapInfo::from_pin(path).map_err(|error| foreign(path, &format!("cannot be opened as a map: {error}")))?;
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

/// Checks the layout version of the pins.
///
/// # Errors
///
/// If they are of another version.
pub fn check_version(paths: &Paths) -> Result<()> {
    let path = paths.map(name::LAYOUT);
    if !path.exists() {
        return Ok(());
    }
    let map = MapData::from_pin(&path).map_err(|error| foreign(&path, &error.to_string()))?;
    let Ok(array) = Array::<_, u64>::try_from(Map::Array(map)) else {
        return Err(foreign(&path, "is not an array of 64-bit words"));
    };
    let found = array.get(&0, 0).map_err(|error| foreign(&path, &error.to_string()))?;
    if found != LAYOUT_VERSION {
        return Err(foreign(&path, &format!("is of layout {found}, this knockctl knows layout {LAYOUT_VERSION}")));
    }
    Ok(())
}

fn foreign(path: &Path, what: &str) -> anyhow::Error {
    anyhow!(
        "{}: {what}: these pins are not of this version; take them away with `knockctl unload` (this ends grants, \
         established connections go on)",
        path.display()
    )
}

/// Pins that were made by this start and go again if it fails.
pub struct Fresh(Vec<PathBuf>);

impl Fresh {
    /// Removes them.
    pub fn undo(self) {
        for path in self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Pins the state maps that are new, and carries live grants over to a map of another size.
pub fn pin_state(paths: &Paths, adopted: &BTreeMap<&str, PathBuf>, program: &mut Program) -> Result<Fresh> {
    let mut fresh = Fresh(Vec::new());
    for name in STATE {
        let path = paths.map(name);
        if adopted.contains_key(name) || path.exists() {
            continue;
        }
        if let Err(error) = program.map(name).pin(&path) {
            fresh.undo();
            return Err(anyhow!(error).context(format!("{}: cannot be pinned", path.display())));
        }
        fresh.0.push(path);
    }
    carry_grants(paths, adopted, program)?;
    Ok(fresh)
}

/// After the new program runs: swaps the pins of resized maps and of the rules, each by a rename.
pub fn finish(paths: &Paths, adopted: &BTreeMap<&str, PathBuf>, program: &mut Program) -> Result<()> {
    // Once more, for grants that the old program wrote meanwhile.
    carry_grants(paths, adopted, program)?;
    for name in [name::GRANTS, name::ATTEMPTS] {
        // Equal to the adopted pin or pinned afresh unless the map was resized.
        if !adopted.contains_key(name) {
            swap_pin(program.map(name), &paths.map(name))?;
        }
    }
    for name in RULES {
        swap_pin(program.map(name), &paths.rule(name))?;
    }
    Ok(())
}

/// Pins `map` at `path`, over an older pin if there is one, so that there is always one.
fn swap_pin(map: &Map, path: &Path) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-new");
    let beside = PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    map.pin(&beside).with_context(|| format!("{}: cannot be pinned", beside.display()))?;
    fs::rename(&beside, path).with_context(|| format!("{}: cannot be renamed", beside.display()))
}

fn carry_grants(paths: &Paths, adopted: &BTreeMap<&str, PathBuf>, program: &mut Program) -> Result<()> {
    let path = paths.map(name::GRANTS);
    if adopted.contains_key(name::GRANTS) || !path.exists() {
        return Ok(());
    }
    let live = live_grants(&path)?;
    let mut grants: HashMap<&mut MapData, Plain<GrantKey>, Plain<Grant>> = program.map(name::GRANTS).try_into()?;
    for (key, grant) in live {
        const NOEXIST: u64 = 1;
        match grants.insert(Plain(key), Plain(grant), NOEXIST) {
            Ok(()) => {}
            Err(_) if grants.get(&Plain(key), 0).is_ok() => {}
            Err(error) => return Err(anyhow!(error).context("a grant cannot be carried over")),
        }
    }
    Ok(())
}

fn live_grants(path: &Path) -> Result<Vec<(GrantKey, Grant)>> {
    let map = Map::HashMap(MapData::from_pin(path)?);
    let grants: HashMap<MapData, Plain<GrantKey>, Plain<Grant>> = map.try_into()?;
    let now = boot_now();
    Ok(grants
        .iter()
        .filter_map(Result::ok)
        .map(|(key, grant)| (key.0, grant.0))
        .filter(|(_, grant)| grant.is_live(now))
        .collect())
}

/// Removes the directories of a start that failed, where they are empty.
pub fn sweep(paths: &Paths) {
    for path in [paths.pins.join("rules"), paths.links(), paths.pins.clone()] {
        let _ = fs::remove_dir(path);
    }
}

/// Removes every pin, whoever's layout it has. The links come first, by [`super::attach`].
pub fn remove(paths: &Paths) -> Result<()> {
    for directory in [paths.pins.join("rules"), paths.links(), paths.pins.clone()] {
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
