//! Loading: the object with its constants, then its rules, before anything is attached.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, LpmTrie, Map, MapData};
use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use knock_common::layout::name;
use knock_common::layout::{LAYOUT_VERSION, MAX_TRUSTED, READABLE_FROM, TOLD_OBSERVE, TOLD_REJECT};

use super::change;
use super::interfaces::{Interface, Layer};
use super::object::OBJECT;
use super::plain::{InMap, Plain};
use crate::config::{Config, Deny};
use crate::rules::RuleSet;

/// What the kernel program is told once, when it is loaded.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Look connections up before a segment without SYN passes.
    pub stealth: bool,
    /// A knock with a wrong checksum is none.
    pub verify_checksums: bool,
    /// New attempts per second and CPU.
    pub attempt_rate: u32,
    /// Tell the daemon of denials.
    pub log_denied: bool,
    /// Sources may be locked out.
    pub lockout: bool,
    /// Answer what is denied as a closed port would: 0 for no, or the key of the answers, which
    /// nobody else knows.
    pub reject: u32,
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
    /// Read the time from the `CLOCK` map. For tests: the program then does not see real time.
    pub test_clock: bool,
}

impl Settings {
    /// What `config` says, for these interfaces.
    #[must_use]
    pub fn new(config: &Config, interfaces: &[Interface], manner: Manner) -> Self {
        let options = &config.options;
        let open = interfaces.iter().any(Interface::leaves_checksums_open);
        Self {
            stealth: options.stealth,
            verify_checksums: options.verify_checksums.unwrap_or(!open),
            attempt_rate: options.attempt_rate.unwrap_or_else(|| default_rate(config)),
            log_denied: options.log_denied,
            // Who only observes changes nothing.
            lockout: options.lockout.is_some() && !manner.observe,
            reject: if options.deny == Deny::Reject { random_key() } else { 0 },
            observe: manner.observe,
            trial_until: manner.trial_until,
            trace: manner.trace,
            max_grants: options.max_grants,
            max_attempts: options.max_attempts,
            test_clock: false,
        }
    }

    /// What `knockctl` can read of them while the program runs.
    const fn told(&self) -> u64 {
        let reject = if self.reject == 0 { 0 } else { TOLD_REJECT };
        let observe = if self.observe { TOLD_OBSERVE } else { 0 };
        reject | observe
    }
}

/// How the program is to be loaded, beyond what the config says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Manner {
    /// Write the trace of every verdict.
    pub trace: bool,
    /// Count and log what would be denied, and deny nothing.
    pub observe: bool,
    /// From this boot time in ns on, deny nothing, daemon or no daemon; 0 for no such time.
    pub trial_until: u64,
}

/// Never 0.
fn random_key() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0) as u32 | 1
}

/// As many new attempts as the table holds for the longest sequence, so that a flood of forged
/// first knocks cannot push a live attempt out; at least a hundred.
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
        // The program for multi-buffer frames first; an older kernel refuses its flag.
        let program = match Self::load_as(load, name::PROGRAM) {
            Ok(program) => program,
            Err(first) => Self::load_as(load, name::PROGRAM_LINEAR).map_err(|_| first)?,
        };
        Ok(program)
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
        let trusted = number(!load.rules.trusted.is_empty());
        let level: u8 = if settings.trace { aya_log_level() } else { 0 };
        let (observe, lockout) = (number(settings.observe), number(settings.lockout));
        let mut loader = EbpfLoader::new();
        loader
            .verifier_log_level(VerifierLogLevel::STATS)
            .override_global(name::STEALTH, &stealth, true)
            .override_global(name::VERIFY, &verify, true)
            .override_global(name::HAS_TRUSTED, &trusted, true)
            .override_global(name::ATTEMPT_RATE, &settings.attempt_rate, true)
            .override_global(name::LOG_DENIED, &denied, true)
            .override_global(name::LOCKOUT, &lockout, true)
            .override_global(name::REJECT, &settings.reject, true)
            .override_global(name::OBSERVE, &observe, true)
            .override_global(name::TRIAL_UNTIL, &settings.trial_until, true)
            .override_global(name::TEST_CLOCK, &clock, true)
            .override_global(aya_log::LEVEL, &level, false)
            .map_max_entries(name::GRANTS, settings.max_grants)
            .map_max_entries(name::ATTEMPTS, settings.max_attempts)
            .map_max_entries(name::KNOCKS, load.rules.knocks.len().max(1) as u32);
        for (name, path) in load.adopted {
            loader.map_pin_path(name, path.as_path());
        }
        let ebpf = loader.load(OBJECT).map_err(explain_object)?;
        let mut this = Self { ebpf, name: program };
        this.write_rules(load.rules)?;
        let mut told: Array<&mut MapData, u64> = this.map(name::TOLD).try_into()?;
        told.set(0, settings.told(), 0)?;
        this.xdp().load().map_err(explain_program)?;
        Ok(this)
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

    /// The program for interfaces of a layer, once it is [ready](Self::prepare).
    ///
    /// # Panics
    ///
    /// As [`Self::xdp`].
    pub fn of(&mut self, layer: &Layer) -> &mut Xdp {
        self.program(self.name_for(layer))
    }

    /// Pins the programs that are loaded, under the names of `change::PROGRAMS`.
    ///
    /// # Errors
    ///
    /// Of the BPF file system.
    pub fn pin(&mut self, directory: &Path) -> Result<()> {
        for (layer, pin) in [Layer::Ethernet, Layer::Ip].iter().zip(change::PROGRAMS) {
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

    fn write_rules(&mut self, rules: &RuleSet) -> Result<()> {
        let mut layout: Array<&mut MapData, u64> = self.map(name::LAYOUT).try_into()?;
        layout.set(0, LAYOUT_VERSION, 0)?;
        layout.set(1, READABLE_FROM, 0)?;
        self.fill(name::DOORS, rules.doors.iter().copied().enumerate())?;
        self.fill(name::SERVICES, rules.services.iter().copied().enumerate())?;
        self.fill(name::KNOCKS, rules.knocks.iter().copied().enumerate())?;
        self.fill(name::PORTS, rules.ports.iter().map(|&(port, roles)| (usize::from(port), roles)))?;
        if rules.trusted.len() > MAX_TRUSTED as usize {
            bail!("{} trusted networks: {MAX_TRUSTED} at most; merge some", rules.trusted.len());
        }
        let mut trusted: LpmTrie<&mut MapData, Plain<_>, u32> = self.map(name::TRUSTED).try_into()?;
        for &(bits, addr) in &rules.trusted {
            trusted.insert(&Key::new(bits, Plain(addr)), 1, 0)?;
        }
        Ok(())
    }

    fn fill<T: InMap>(&mut self, name: &str, values: impl Iterator<Item = (usize, T)>) -> Result<()> {
        let mut array: Array<&mut MapData, Plain<T>> = self.map(name).try_into()?;
        for (index, value) in values {
            array.set(index as u32, Plain(value), 0).with_context(|| format!("map {name}"))?;
        }
        Ok(())
    }
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
    anyhow!("the maps cannot be made: {text}")
}

fn explain_program(error: ProgramError) -> anyhow::Error {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let last: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
            let last = last[last.len().saturating_sub(6)..].join("\n  ");
            anyhow!(
                "the kernel refuses the program: {io_error}\n  {last}\nIt needs Linux 5.15 with \
                 bpf_skc_lookup_tcp, ring buffers and 64-bit compare-and-swap; this is {}",
                kernel_release()
            )
        }
        other => anyhow!(other).context("the program cannot be loaded"),
    }
}

fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".into(), |text| text.trim().into())
}
