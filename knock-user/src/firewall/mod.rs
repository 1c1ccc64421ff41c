//! The kernel side as user space sees it: load, attach, pin, reload, unload, and typed views on
//! the maps. The pins under bpffs are the only durable state; nothing here keeps a second copy.

mod attach;
mod interfaces;
mod load;
mod object;
mod pins;
mod plain;
mod state;
mod sys;

pub use attach::Attached;
pub use interfaces::{Interface, XdpMode, list as list_interfaces};
pub use load::{Load, Program, Settings};
pub use object::OBJECT;
pub use pins::Paths;
pub use state::{AttemptEntry, GrantEntry, State, format_source};
pub use sys::{boot_now, need_root};

use anyhow::{Context as _, Result};
use aya::maps::{MapData, RingBuf};

use crate::config::Config;
use crate::rules::RuleSet;

/// A gate that this process put up or took over. Dropping it leaves the gate standing: links and
/// maps are pinned.
pub struct Firewall {
    paths: Paths,
    program: Program,
    attached: Vec<Attached>,
}

impl Firewall {
    /// Puts the gate up as `config` says, or takes over the one that stands and swaps its rules.
    ///
    /// Nothing changes unless everything can: the config is compiled, the pins are checked, the
    /// program is loaded and its rules are in place before the first interface gets it. Each
    /// interface then changes from the old program to the new one at once.
    ///
    /// # Errors
    ///
    /// With the remedy: no such interface, another XDP program there, a driver without native XDP,
    /// pins of another layout, a kernel that lacks a feature, no privilege, no BPF object.
    pub fn start(config: &Config, paths: &Paths, verbose: bool) -> Result<Self> {
        let rules = RuleSet::compile(config)?;
        pins::prepare(paths)?;
        // Directories that a failed first start made go again; others are not empty.
        Self::replace(config, &rules, paths, verbose).inspect_err(|_| pins::sweep(paths))
    }

    fn replace(config: &Config, rules: &RuleSet, paths: &Paths, verbose: bool) -> Result<Self> {
        let adopted = pins::adopt(paths, config)?;
        let interfaces = interfaces::choose(&config.options.interfaces)?;
        attach::refuse_foreign(paths, &interfaces)?;
        let settings = Settings::new(config, &interfaces, verbose);
        let mut program = Program::load(&Load { rules, settings, adopted: &adopted })?;
        let fresh = pins::pin_state(paths, &adopted, &mut program)?;
        let attached = match attach::attach(paths, &interfaces, config.options.mode, &mut program) {
            Ok(attached) => attached,
            Err(error) => {
                fresh.undo();
                return Err(error);
            }
        };
        pins::finish(paths, &adopted, &mut program)?;
        attach::release_others(paths, &interfaces)?;
        Ok(Self { paths: paths.clone(), program, attached })
    }

    /// The interfaces that the gate stands on.
    #[must_use]
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// A view on the pinned state.
    ///
    /// # Errors
    ///
    /// If a pin cannot be opened.
    pub fn state(&self) -> Result<State> {
        State::open(&self.paths)
    }

    /// The ring buffer of events. It has one reader, the daemon.
    ///
    /// # Errors
    ///
    /// If the pin cannot be opened.
    pub fn events(&self) -> Result<RingBuf<MapData>> {
        let path = self.paths.map(knock_common::layout::name::EVENTS);
        let map = MapData::from_pin(&path).with_context(|| format!("{}", path.display()))?;
        Ok(RingBuf::try_from(aya::maps::Map::RingBuf(map))?)
    }

    /// The program, for its trace log.
    pub fn program_mut(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Takes the gate down on every interface and removes every pin.
    ///
    /// # Errors
    ///
    /// If a pin cannot be removed.
    pub fn unload(paths: &Paths) -> Result<Vec<String>> {
        let released = attach::release_all(paths)?;
        pins::remove(paths)?;
        Ok(released)
    }
}
