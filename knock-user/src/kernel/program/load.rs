//! Loading: the object with its constants, then its rules, before anything is attached.

use std::collections::{BTreeMap, HashMap as Table, HashSet};
use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, IterableMap, LpmTrie, Map, MapData, MapError, MapInfo};
use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfLoader, Pod, VerifierLogLevel};
use knock_common::abi::layout::name;
use knock_common::abi::layout::{
    LAYOUT_VERSION, MAX_TRUSTED, READABLE_FROM, STATUS_FLOW_IDLE, STATUS_OBSERVE, STATUS_REJECT,
};
use knock_common::abi::rules::Door;
use knock_common::packet::flags::Segments;

use super::object::OBJECT;
use crate::config::{Config, Deny};
use crate::host::random;
use crate::kernel::features;
use crate::kernel::interfaces::list::{Interface, Layer};
use crate::kernel::pins::kept::PinId;
use crate::kernel::pins::{PROGRAMS, STATE};
use crate::kernel::pod::{InMap, Plain};
use crate::kernel::sys::{self, boot_now, wall_offset};
use crate::rules::RuleSet;

/// What the kernel program is told once, when it is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Look connections up before a segment without SYN passes.
    pub stealth: bool,
    /// How long a UDP flow may be idle, in ns.
    pub flow_idle: u64,
    /// A knock with a wrong checksum is none.
    pub verify_checksums: bool,
    /// New attempts per second and CPU that are told of.
    pub attempt_rate: u32,
    /// Tell the daemon of denials.
    pub log_denied: bool,
    /// Sources may be locked out.
    pub lockout: bool,
    /// Answer what is denied as a closed port would: 0 for no, or the key of the answers, which
    /// nobody else knows.
    pub reject: u32,
    /// Spreads sources over the budgets of ICMP errors; nobody else knows it.
    pub errors_key: [u64; 2],
    /// What tokens are read with; `None` without a token port.
    pub tokens: Option<TokenSettings>,
    /// Let pass what is denied.
    pub observe: bool,
    /// Let pass what is denied from this boot time in ns on; 0 for no such time.
    pub trial_until: u64,
    /// Write the trace of every verdict.
    pub trace: bool,
    /// Room for grants.
    pub max_grants: u32,
    /// Room for attempts.
    pub max_attempts: u32,
    /// Room for flows.
    pub max_flows: u32,
    /// Read the time from the `CLOCK` map. For tests: the program then does not see real time.
    pub test_clock: bool,
}

/// What tokens are read with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TokenSettings {
    /// What the mask is made with: the first 16 octets of a hash of the gate's public key, as two little-endian words.
    pub mask: [u64; 2],
    /// `token.window`, in ns.
    pub window: u64,
    /// `token.ahead`, in ns.
    pub ahead: u64,
}

impl TokenSettings {
    /// For a program that takes none.
    const NONE: Self = Self { mask: [0; 2], window: 0, ahead: 0 };
}

impl Settings {
    /// What `config` says, for the interfaces that frames come through: those that get the gate, and those below them.
    ///
    /// # Errors
    ///
    /// If the kernel gives no random numbers for the keys.
    pub fn new(config: &Config, interfaces: &[Interface], manner: Manner) -> Result<Self> {
        let options = &config.options;
        let open = interfaces.iter().any(Interface::leaves_checksums_open);
        Ok(Self {
            stealth: options.stealth,
            flow_idle: u64::try_from(options.flow_idle.as_nanos()).unwrap_or(u64::MAX),
            verify_checksums: options.verify_checksums.unwrap_or(!open),
            attempt_rate: options.attempt_rate.unwrap_or_else(|| default_rate(config)),
            log_denied: options.log_denied,
            // Who only observes changes nothing.
            lockout: options.lockout.is_some() && !manner.observe,
            reject: if options.deny == Deny::Reject { random_key()? } else { 0 },
            errors_key: random_words()?,
            tokens: None,
            observe: manner.observe,
            trial_until: manner.trial_until,
            trace: manner.trace,
            max_grants: options.max_grants,
            max_attempts: options.max_attempts,
            max_flows: options.max_flows,
            test_clock: false,
        })
    }

    /// The same for another load: with keys of its own.
    ///
    /// # Errors
    ///
    /// If the kernel gives no random numbers for them.
    pub fn anew(&self) -> Result<Self> {
        let reject = if self.reject == 0 { 0 } else { random_key()? };
        Ok(Self { reject, errors_key: random_words()?, ..self.clone() })
    }

    /// True if a program that was loaded with these does all that one with the others would. The keys of answers may
    /// differ: nobody knows either. A trace has one reader for each program, ever.
    fn serve(&self, others: &Self) -> bool {
        let is_alike = (self.reject == 0) == (others.reject == 0);
        is_alike && !self.trace && *self == Self { reject: self.reject, errors_key: self.errors_key, ..others.clone() }
    }

    /// What `knockctl` can read of them while the program runs.
    const fn status_flags(&self) -> u64 {
        let reject = if self.reject == 0 { 0 } else { STATUS_REJECT };
        let observe = if self.observe { STATUS_OBSERVE } else { 0 };
        reject | observe | self.flow_idle.div_ceil(1_000_000_000) << STATUS_FLOW_IDLE
    }
}

/// So many keys every program has room for.
const KEYS_AT_LEAST: usize = 64;
/// So many knocks every program has room for.
const KNOCKS_AT_LEAST: usize = 64;

/// How the program is to be loaded, beyond what the config says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Manner {
    /// Write the trace of every verdict.
    pub trace: bool,
    /// Count and log what would be denied, and deny nothing.
    pub observe: bool,
    /// From this boot time in ns on, deny nothing, daemon or no daemon; 0 for no such time.
    pub trial_until: u64,
    /// It may be taken off the last interface on which it stands.
    pub force: bool,
}

/// Never 0.
fn random_key() -> Result<u32> {
    Ok(u32::from_ne_bytes(random::octets()?) | 1)
}

fn random_words() -> Result<[u64; 2]> {
    Ok([u64::from_ne_bytes(random::octets()?), u64::from_ne_bytes(random::octets()?)])
}

/// As many new attempts as the table holds for the longest sequence: what goes beyond may be pushed out untold; at
/// least a hundred.
fn default_rate(config: &Config) -> u32 {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let longest = config.doors.iter().map(|door| door.seq_timeout.as_secs() + 1).max().unwrap_or(1);
    (u64::from(config.options.max_attempts) / (cpus * longest)).clamp(100, u64::from(u32::MAX)) as u32
}

/// What to load.
pub struct Load<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// The constants.
    pub settings: Settings,
    /// Pinned maps to use instead of new ones, by name. Their layout was checked.
    pub adopted: &'a BTreeMap<&'static str, PathBuf>,
}

/// A loaded program with its maps.
pub struct Program {
    /// The object.
    pub ebpf: Ebpf,
    name: &'static str,
    settings: Settings,
    rules: RuleSet,
    /// For how many knocks its table has room.
    knocks: usize,
    /// For how many keys its table has room.
    keys: usize,
    /// Pins that were seen to be of its maps.
    seen: Mutex<Table<PathBuf, PinId>>,
}

impl Program {
    /// Loads the program and writes its rules.
    ///
    /// # Errors
    ///
    /// No object in this build, no privilege, a kernel that refuses the program.
    pub fn load(load: &Load<'_>) -> Result<Self> {
        if OBJECT.is_empty() {
            bail!("this knockctl was built without the kernel program: build it with `cargo xtask build`");
        }
        Self::load_as(load, if features::has_large_frames() { name::PROGRAM } else { name::PROGRAM_LINEAR })
    }

    /// Loads one of the programs of the object ([`name::PROGRAM`] and its like).
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_as(load: &Load<'_>, program: &'static str) -> Result<Self> {
        let settings = &load.settings;
        let number = u32::from;
        let (stealth, verify) = (number(settings.stealth), number(settings.verify_checksums));
        let (denied, clock) = (number(settings.log_denied), number(settings.test_clock));
        let (trusted, Segments(segments)) = constants(load.rules);
        let trusted = number(trusted);
        let level: u8 = if settings.trace { aya_log_level() } else { 0 };
        let (observe, lockout) = (number(settings.observe), number(settings.lockout));
        // Room for other rules, too.
        let knocks = load.rules.knocks.len().next_power_of_two().max(KNOCKS_AT_LEAST);
        let keys = load.rules.keys.len().next_power_of_two().max(KEYS_AT_LEAST);
        let has_tokens = number(settings.tokens.is_some());
        let tokens = settings.tokens.unwrap_or(TokenSettings::NONE);
        let mut loader = EbpfLoader::new();
        loader
            // Of the kernel's own types, which are many MiB, nothing here is relocated against.
            .btf(None)
            .verifier_log_level(VerifierLogLevel::STATS)
            .override_global(name::STEALTH, &stealth, true)
            .override_global(name::FLOW_IDLE, &settings.flow_idle, true)
            .override_global(name::VERIFY, &verify, true)
            .override_global(name::HAS_TRUSTED, &trusted, true)
            .override_global(name::ATTEMPT_RATE, &settings.attempt_rate, true)
            .override_global(name::SEGMENTS, &segments, true)
            .override_global(name::LOG_DENIED, &denied, true)
            .override_global(name::LOCKOUT, &lockout, true)
            .override_global(name::REJECT, &settings.reject, true)
            .override_global(name::ERRORS_KEY, &settings.errors_key, true)
            .override_global(name::HAS_TOKENS, &has_tokens, true)
            .override_global(name::TOKEN_MASK, &tokens.mask, true)
            .override_global(name::TOKEN_WINDOW, &tokens.window, true)
            .override_global(name::TOKEN_AHEAD, &tokens.ahead, true)
            .override_global(name::OBSERVE, &observe, true)
            .override_global(name::TRIAL_UNTIL, &settings.trial_until, true)
            .override_global(name::TEST_CLOCK, &clock, true)
            .override_global(aya_log::LEVEL, &level, false)
            .map_max_entries(name::GRANTS, settings.max_grants)
            .map_max_entries(name::ATTEMPTS, settings.max_attempts)
            .map_max_entries(name::FLOWS, settings.max_flows)
            .map_max_entries(name::KEYS, keys as u32)
            .map_max_entries(name::KNOCKS, knocks as u32);
        let mut meant = Vec::new();
        for (name, path) in load.adopted {
            let info = MapInfo::from_pin(path).with_context(|| path.display().to_string())?;
            meant.push((*name, path, info.id()));
            loader.map_pin_path(name, path.as_path());
        }
        let ebpf = loader.load(OBJECT).map_err(explain_object)?;
        let none = RuleSet::default();
        let mut this =
            Self { ebpf, name: program, settings: settings.clone(), rules: none, knocks, keys, seen: Mutex::default() };
        // Where aya finds no pin it makes a map and pins it, and a program with that one would know no grants.
        for (name, path, id) in meant {
            if this.id(name) != Some(id) {
                fs::remove_file(path).with_context(|| path.display().to_string())?;
                bail!("{}: somebody removed this pin a moment ago: try it again", path.display());
            }
        }
        let mut layout: Array<&mut MapData, u64> = this.map(name::LAYOUT).try_into()?;
        layout.set(0, LAYOUT_VERSION, 0)?;
        layout.set(1, READABLE_FROM, 0)?;
        this.tell_time(!load.adopted.contains_key(name::WALL_CLOCK))?;
        this.write_rules(load.rules)?;
        let mut flags: Array<&mut MapData, u64> = this.map(name::TOLD).try_into()?;
        flags.set(0, settings.status_flags(), 0)?;
        this.xdp().load().map_err(explain_program)?;
        Ok(this)
    }

    /// Tells the program what the wall clock is; and, if last times are noted only since now, that.
    ///
    /// # Errors
    ///
    /// Of bpf(2).
    pub fn tell_time(&mut self, is_new: bool) -> Result<()> {
        let mut clock: Array<&mut MapData, [u64; 2]> = self.map(name::WALL_CLOCK).try_into()?;
        let since = if is_new { boot_now() } else { clock.get(&0, 0)?[1] };
        clock.set(0, [wall_offset(), since], 0)?;
        Ok(())
    }

    /// Makes the program for interfaces of a layer ready: that for frames without an Ethernet header is
    /// loaded only where there is one, with the same maps.
    ///
    /// # Errors
    ///
    /// If the kernel refuses it.
    pub fn prepare(&mut self, layer: &Layer) -> Result<()> {
        let program = self.name_for(layer);
        let xdp = self.program(program);
        if xdp.fd().is_err() {
            xdp.load().map_err(explain_program)?;
        }
        Ok(())
    }

    /// True if it [is](Self::prepare) already.
    pub fn is_ready(&self, layer: &Layer) -> bool {
        let program = self.ebpf.program(self.name_for(layer));
        program.is_some_and(|program| <&Xdp>::try_from(program).is_ok_and(|xdp| xdp.fd().is_ok()))
    }

    /// The program for interfaces of a layer, once it is [ready](Self::prepare).
    ///
    /// # Panics
    ///
    /// As [`Self::xdp`].
    pub fn of(&mut self, layer: &Layer) -> &mut Xdp {
        self.program(self.name_for(layer))
    }

    /// Pins the programs that are loaded, under the names of `PROGRAMS`.
    ///
    /// # Errors
    ///
    /// Of the BPF file system.
    pub fn pin(&mut self, directory: &Path) -> Result<()> {
        for (layer, pin) in [Layer::Ethernet, Layer::Ip].iter().zip(PROGRAMS) {
            let path = directory.join(pin);
            let program = self.of(layer);
            if program.fd().is_ok() {
                program.pin(&path).with_context(|| format!("{}: cannot be pinned", path.display()))?;
            }
        }
        Ok(())
    }

    fn name_for(&self, layer: &Layer) -> &'static str {
        match (layer, self.name) {
            (Layer::Ip, name::PROGRAM_LINEAR | name::PROGRAM_RAW_LINEAR) => name::PROGRAM_RAW_LINEAR,
            (Layer::Ip, _) => name::PROGRAM_RAW,
            (_, name) => name,
        }
    }

    /// The XDP program.
    ///
    /// # Panics
    ///
    /// If the object has no such program, which its build would have to change.
    pub fn xdp(&mut self) -> &mut Xdp {
        self.program(self.name)
    }

    fn program(&mut self, name: &str) -> &mut Xdp {
        let program = self.ebpf.program_mut(name).expect("the object holds the program");
        program.try_into().expect("the program is of type XDP")
    }

    /// A map of the object.
    ///
    /// # Panics
    ///
    /// If the object has no such map, which its build would have to change.
    pub fn map(&mut self, name: &str) -> &mut Map {
        self.ebpf.map_mut(name).unwrap_or_else(|| panic!("the object holds the map {name}"))
    }

    /// True if this program does what one that is loaded now would do, once it has the rules.
    pub fn serves(&self, load: &Load<'_>) -> bool {
        self.settings.serve(&load.settings)
            && constants(&self.rules) == constants(load.rules)
            && load.rules.knocks.len() <= self.knocks
            && load.rules.keys.len() <= self.keys
            && STATE.iter().all(|name| load.adopted.get(name).is_some_and(|pin| self.has(name, pin)))
    }

    /// True if either does for the other, once it has the other's rules.
    pub fn is_like(&self, other: &Self) -> bool {
        self.settings.serve(&other.settings) && constants(&self.rules) == constants(&other.rules)
    }

    /// The constants that it was loaded with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The rules that it has.
    #[must_use]
    pub const fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// True if the pin is of this program's map.
    pub fn has(&self, name: &str, pin: &Path) -> bool {
        let Ok(id) = PinId::of(pin) else { return false };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(pin) == Some(&id) {
            return true;
        }
        let is_own = self.id(name).zip(MapInfo::from_pin(pin).ok()).is_some_and(|(own, pinned)| own == pinned.id());
        if is_own {
            seen.insert(pin.to_owned(), id);
        }
        is_own
    }

    /// The kernel's number of a map.
    fn id(&self, name: &str) -> Option<u32> {
        match self.ebpf.map(name)? {
            Map::Array(data)
            | Map::PerCpuArray(data)
            | Map::HashMap(data)
            | Map::LruHashMap(data)
            | Map::LpmTrie(data)
            | Map::RingBuf(data) => data.info().ok().map(|info| info.id()),
            _ => None,
        }
    }

    /// Writes the rules into the tables: what differs from those that are there. With an error they are something in
    /// between.
    ///
    /// # Errors
    ///
    /// Of bpf(2), and too many trusted networks.
    pub fn write_rules(&mut self, rules: &RuleSet) -> Result<()> {
        if rules.trusted.len() > MAX_TRUSTED as usize {
            bail!("{} trusted networks: {MAX_TRUSTED} at most; merge some", rules.trusted.len());
        }
        let old = self.rules.clone();
        self.fill(name::DOORS, &numbered(&old.doors), &numbered(&rules.doors))?;
        self.fill(name::SERVICES, &numbered(&old.services), &numbered(&rules.services))?;
        self.fill(name::KNOCKS, &numbered(&old.knocks), &numbered(&rules.knocks))?;
        self.fill(name::PORTS, &old.ports, &rules.ports)?;
        self.fill_hash(name::DOOR_TAGS, &tags(&old.doors), &tags(&rules.doors))?;
        self.fill_hash(name::KEYS, &plain(&old.keys), &plain(&rules.keys))?;
        let mut trusted: LpmTrie<&mut MapData, Plain<_>, u32> = self.map(name::TRUSTED).try_into()?;
        let key = |&(bits, addr)| Key::new(bits, Plain(addr));
        for network in old.trusted.iter().filter(|network| !rules.trusted.contains(network)) {
            trusted.remove(&key(network))?;
        }
        for network in rules.trusted.iter().filter(|network| !old.trusted.contains(network)) {
            trusted.insert(&key(network), 1, 0)?;
        }
        self.fill(name::TRUST_FILTER, &[(0, old.trust_filter)], &[(0, rules.trust_filter)])?;
        self.rules = rules.clone();
        Ok(())
    }

    /// The same in a table of hashes. What is to go may be gone: `key rm` does not wait.
    fn fill_hash<T: Pod>(&mut self, name: &str, old: &[(u32, T)], new: &[(u32, T)]) -> Result<()> {
        let mut table: HashMap<&mut MapData, u32, T> = self.map(name).try_into()?;
        let kept: HashSet<u32> = new.iter().map(|(key, _)| *key).collect();
        for (key, _) in old.iter().filter(|(key, _)| !kept.contains(key)) {
            match table.remove(key) {
                Ok(()) => {}
                Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(error).with_context(|| format!("map {name}")),
            }
        }
        let (keys, values): (Vec<_>, Vec<_>) = new.iter().copied().unzip();
        sys::write(IterableMap::map(&table).fd().as_fd(), &keys, &values).with_context(|| format!("map {name}"))
    }

    /// Writes what is new or other in a table, and clears what is no longer there.
    fn fill<T: InMap + PartialEq>(&mut self, name: &str, old: &[(u16, T)], new: &[(u16, T)]) -> Result<()> {
        let mut array: Array<&mut MapData, Plain<T>> = self.map(name).try_into()?;
        let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (old.iter().copied().collect(), new.iter().copied().collect());
        let gone = old.keys().filter(|index| !new.contains_key(index)).map(|index| (*index, T::cleared()));
        let changed = new.iter().filter(|(index, value)| old.get(index) != Some(*value));
        for (index, value) in gone.chain(changed.map(|(index, value)| (*index, *value))) {
            array.set(u32::from(index), Plain(value), 0).with_context(|| format!("map {name}"))?;
        }
        Ok(())
    }
}

/// What rules are to the program as constants: whether there are trusted networks, and which segments are looked at.
fn constants(rules: &RuleSet) -> (bool, Segments) {
    (!rules.trusted.is_empty(), rules.segments())
}

/// The index of each door by its tag.
fn tags(doors: &[Door]) -> Vec<(u32, u32)> {
    (0..).zip(doors).map(|(index, door)| (door.tag, index)).collect()
}

fn plain<T: InMap>(values: &[(u32, T)]) -> Vec<(u32, Plain<T>)> {
    values.iter().map(|(key, value)| (*key, Plain(*value))).collect()
}

fn numbered<T: Copy>(values: &[T]) -> Vec<(u16, T)> {
    (0..).zip(values.iter().copied()).collect()
}

/// The number of the level "trace" in `aya-log`.
const fn aya_log_level() -> u8 {
    5
}

fn explain_object(error: aya::EbpfError) -> anyhow::Error {
    let text = format!("{:#}", anyhow!(error));
    if text.contains("Operation not permitted") {
        return anyhow!("{text}: loading needs root, or the capabilities CAP_BPF and CAP_NET_ADMIN");
    }
    match features::missing() {
        Some(missing) => anyhow!("the maps cannot be made: {missing}"),
        None => anyhow!("the maps cannot be made: {text}"),
    }
}

fn explain_program(error: ProgramError) -> anyhow::Error {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let last: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
            let last = last[last.len().saturating_sub(6)..].join("\n  ");
            let refused = format!("the kernel refuses the program: {io_error}");
            match features::missing() {
                Some(missing) => anyhow!("{refused}: {missing}"),
                None if last.is_empty() => anyhow!(refused),
                None => anyhow!(
                    "{refused}\n  {last}\nLinux {} has every feature that the program uses: report it with these lines",
                    features::kernel_release()
                ),
            }
        }
        other => anyhow!(other).context("the program cannot be loaded"),
    }
}
