//! The kernel side as user space sees it: load, attach, pin, reload, unload, and typed views on
//! the maps. The pins under bpffs are the only durable state; nothing here keeps a second copy.

mod behind;
mod explain;
mod features;
mod flows;
mod interfaces;
mod pins;
mod pod;
mod privilege;
mod program;
mod state;
mod sys;

pub use behind::{behind_gate, remarks_on_filters, warn_of_filters};
pub use explain::{Answer, Question, ask};
pub use features::{FEATURES, Feature, Need, kernel_release};
pub use interfaces::arrival::{Arrivals, gates_for, scope_meant};
pub use interfaces::attach::Attached;
pub use interfaces::choose::{Choice, choose, not_there};
pub use interfaces::follow::InterfaceChange;
pub use interfaces::kinds::without_tags;
#[cfg(test)]
pub(crate) use interfaces::list::tests::interface;
pub use interfaces::list::{Interface, Layer, XdpMode, list as list_interfaces};
pub use interfaces::pending::{Source, WAITING, Waiting};
pub use interfaces::report::{Condition, InterfaceState};
pub use pins::{need_own as need_own_pins, open_bpffs};
pub use privilege::{NEEDED, need_root};
pub use program::load::{Load, Manner, Program, Settings, TokenSettings};
pub use program::object::OBJECT;
pub use state::flows::FlowEntry;
pub use state::{
    Allowed, AttemptEntry, GrantEntry, LockoutEntry, State, Swept, format_network, format_site, format_source,
    format_source_as,
};
pub use sys::{
    FrameContext, Ran, boot_now, each as each_element, read_array, read_per_cpu, test_run, write as write_elements,
};

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use aya::maps::{MapData, RingBuf};
use knock_common::abi::layout::name;
use log::{error, warn};

use flows::TakeOver;
use interfaces::choose::{Covered, Refused};
use interfaces::reply_source::ReplySources;
use program::standby::Standby;

use crate::config::{Config, InterfacePattern, Mode};
use crate::paths::Paths;
use crate::rules::RuleSet;

/// A gate that this process put up or took over. Dropping it leaves the gate standing: links and
/// maps are pinned.
pub struct Firewall {
    paths: Paths,
    program: Program,
    reply_sources: ReplySources,
    standby: Standby,
    patterns: Vec<InterfacePattern>,
    source: Source,
    mode: Mode,
    attached: Vec<Attached>,
    refused: Refused,
    /// They are tried again, whether or not they have changed.
    again: bool,
    covered: Covered,
    /// Names and patterns that mean nothing that is here, with what may have been meant instead.
    absent: Vec<(String, String)>,
    hurried: BTreeSet<u32>,
    /// Checksums are verified because no interface that was there leaves them open.
    verifies_by_kind: bool,
    /// `status` could not be told what the gate waits for.
    is_untold: bool,
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
    /// With the remedy: another XDP program on an interface, a driver without native XDP, pins of
    /// another layout, a kernel that lacks a feature, no privilege, no BPF object. An interface that is
    /// not there is no error, unless it would take the gate off the last one on which it stands: a daemon may
    /// start before the network. [`Self::follow`] takes it in.
    pub fn start(config: &Config, paths: &Paths, manner: Manner) -> Result<Self> {
        let rules = RuleSet::compile(config)?;
        pins::prepare(paths)?;
        // Directories that a failed first start made go again; others are not empty.
        Self::replace(config, &rules, paths, manner, (&mut Standby::default(), None))
            .inspect_err(|_| pins::sweep(paths))
    }

    /// Swaps the rules of this gate for those of `config`, as [`Self::start`] does; at once, if there is a standby
    /// program for them. With an error nothing has changed.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn swap(&mut self, config: &Config, manner: Manner) -> Result<()> {
        let rules = RuleSet::compile(config)?;
        pins::prepare(&self.paths)?;
        let before = (&mut self.standby, Some(self.program.rules()));
        let new = Self::replace(config, &rules, &self.paths, manner, before)?;
        let old = std::mem::replace(self, new);
        if old.program.is_like(&self.program) {
            self.standby.keep((old.program, old.reply_sources));
        }
        Ok(())
    }

    /// Begins to load a standby program, unless there is one, so that the next change of the rules of `config` waits for
    /// nothing.
    ///
    /// # Errors
    ///
    /// If pins cannot be read.
    pub fn stock(&mut self, config: &Config) -> Result<()> {
        if self.standby.is_none() {
            self.standby.load(&self.program, pins::adopt(&self.paths, config)?);
        }
        Ok(())
    }

    /// In place of a gate of this process with a standby program and these rules, or of one that another process has left.
    fn replace(
        config: &Config,
        rules: &RuleSet,
        paths: &Paths,
        manner: Manner,
        (standby, old): (&mut Standby, Option<&RuleSet>),
    ) -> Result<Self> {
        pins::swap::recover(paths)?;
        let adopted = pins::adopt(paths, config)?;
        let patterns = &config.options.interfaces;
        let all = interfaces::list::list()?;
        let choice = choose(patterns, &all);
        choice.refuse_named(patterns)?;
        let links = interfaces::links::reconcile(paths, &all)?;
        if !manner.force {
            let standing = all.iter().filter(|interface| links.stands_on(interface));
            choice.refuse_nowhere(&standing.map(|interface| interface.name.as_str()).collect::<Vec<_>>())?;
        }
        interfaces::attach::refuse_foreign(&links, &choice.fit)?;
        let settings = Settings::new(config, &interfaces::list::with_all_below(&choice.fit, &all), manner)?;
        let answers_denials = settings.reject != 0;
        let verifies_by_kind = settings.verify_checksums && config.options.verify_checksums.is_none();
        let load = Load { rules, settings, adopted: &adopted };
        let (mut program, mut reply_sources) = match standby.take(&load) {
            Some(made) => made,
            None => (Program::load(&load)?, ReplySources::new(answers_denials)),
        };
        for interface in &choice.fit {
            program.prepare(&interface.layer)?;
        }
        reply_sources.reconcile(&mut program, &choice.fit.iter().collect::<Vec<_>>(), &all);
        if patterns.iter().any(interfaces::choose::expects_raw) {
            program.prepare(&Layer::Ip)?;
        }
        let is_new = |interface| !links.stands_on(interface);
        let takes_over = choice.fit.iter().any(is_new) || old.is_none_or(|old| flows::protects_more(rules, old));
        let mut standing = takes_over.then(|| TakeOver::find(rules));
        let lock = pins::swap::lock(paths)?;
        let mut migration = pins::swap::prepare(paths, &adopted, &mut program)?;
        // Before the first packet is judged by it; and connections once more behind it, for those that came meanwhile.
        flows::tell_addresses_or_warn(&mut program);
        if let Some(standing) = &mut standing {
            standing.note(&mut program);
        }
        if let Err(error) =
            interfaces::attach::attach(paths, &links, &choice.fit, &all, config.options.mode, &mut program)
        {
            pins::swap::undo(paths);
            return Err(error);
        }
        // Until now the old program may have used tokens up that the new one does not know of.
        if !adopted.contains_key(name::LAST_TIMES)
            && let Err(error) = program.tell_time(true)
        {
            error!("tokens that were used a moment ago may count once more: {error:#}");
        }
        // The new program runs. What goes wrong from here on is no reason to say that it does not.
        let finished = pins::swap::commit(paths).and_then(|()| migration.migrate());
        if let Err(error) = finished {
            error!("the rules are in force, but not all pins are in their places: {error:#}");
        }
        drop(lock);
        if let Some(standing) = standing {
            standing.finish(paths, &mut program);
        }
        if let Err(error) = interfaces::attach::release_others(paths, &choice.fit) {
            error!("the gate still stands on an interface that options.interfaces no longer means: {error:#}");
        }
        choice.warn();
        reply_sources.say_again();
        for (name, what) in reply_sources.news(&all) {
            warn!("{name}: {what}");
        }
        let attached = interfaces::list::list()
            .and_then(|all| Ok(interfaces::attach::attached(&interfaces::links::read(paths, &all)?, &all)));
        let attached = attached.unwrap_or_else(|error| {
            error!("it cannot be seen in which mode the gate stands: {error:#}");
            interfaces::attach::presumed(&choice.fit, config.options.mode)
        });
        interfaces::attach::warn_of_modes(&attached, config.options.mode);
        let refused = choice.unfit.into_iter().map(|(one, why)| (one.index, (one, why))).collect();
        let (patterns, mode) = (patterns.clone(), config.options.mode);
        let covered = choice.covered.into_iter().map(|(one, why)| (one.index, (one.name, why))).collect();
        let paths = paths.clone();
        let mut this = Self {
            paths,
            program,
            reply_sources,
            standby: Standby::default(),
            patterns,
            source: Source::of(config),
            mode,
            attached,
            refused,
            again: false,
            covered,
            absent: choice.absent,
            hurried: BTreeSet::new(),
            verifies_by_kind,
            is_untold: false,
        };
        this.tell();
        Ok(this)
    }

    /// Leaves word for `status` of what the gate waits for.
    fn tell(&mut self) {
        let refused = self.refused.values().map(|(interface, why)| (interface.name.clone(), why.clone()));
        let (interfaces, source) = (self.patterns.clone(), Some(self.source.clone()));
        let outcome = Waiting { interfaces, refused: refused.collect(), source }.write(&self.paths);
        if let Err(error) = &outcome
            && !self.is_untold
        {
            warn!("{error:#}: `knockctl status` does not know what the gate waits for until it can be written");
        }
        self.is_untold = outcome.is_err();
    }

    /// Does so again if it could not be done.
    pub fn tell_again(&mut self) {
        if self.is_untold {
            self.tell();
        }
    }

    /// Tells the program which addresses are this host's own by now.
    ///
    /// # Errors
    ///
    /// If they cannot be listed or written.
    pub fn follow_addresses(&mut self) -> Result<()> {
        flows::tell_addresses(&mut self.program)
    }

    /// The interfaces that the gate stands on.
    #[must_use]
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// Why the gate stands on no interface; `None` if it stands on one.
    #[must_use]
    pub fn nowhere(&self) -> Option<String> {
        let absent = self.absent.iter().map(|(name, instead)| not_there(name, instead));
        let refused = self.refused.values().map(|(interface, why)| format!("{}: {why}", interface.name));
        self.attached.is_empty().then(|| absent.chain(refused).collect::<Vec<_>>().join("; "))
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
        let path = self.paths.map(knock_common::abi::layout::name::EVENTS);
        let map = MapData::from_pin(&path).with_context(|| format!("{}", path.display()))?;
        Ok(RingBuf::try_from(aya::maps::Map::RingBuf(map))?)
    }

    /// The program, for its trace log.
    pub fn program_mut(&mut self) -> &mut Program {
        &mut self.program
    }

    /// True if somebody has removed pins, or the BPF file system, or detached a link.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        // A link that goes with its pin, or is detached, is announced by nobody.
        let stands =
            |attached: &Attached| matches!(interfaces::links::where_is(&self.paths, &attached.name), Ok((_, 1..)));
        pins::swap::is_damaged(&self.paths, &self.program) || !self.attached.iter().all(stands)
    }

    /// Puts back what somebody has taken away by hand: pins, the directories they were in, the BPF file
    /// system. Says what, for the log; [`Self::follow`] must come next if it says something, for links that
    /// went with their pins.
    ///
    /// # Errors
    ///
    /// With the remedy, as long as it cannot be put back.
    pub fn mend(&mut self) -> Result<Vec<String>> {
        pins::swap::recover(&self.paths)?;
        if !pins::swap::is_damaged(&self.paths, &self.program) {
            return Ok(Vec::new());
        }
        pins::prepare(&self.paths)?;
        let mut said = pins::swap::put_back(&self.paths, &mut self.program)?;
        said.retain(|(path, _)| path.exists());
        // What could not have the gate may have it now.
        self.refused.clear();
        Ok(said.iter().map(|(path, what)| format!("{}: SOMEBODY {what}: it is put back", path.display())).collect())
    }

    /// The interfaces on which the pinned gate stands, whoever put it up: their names by index.
    ///
    /// # Errors
    ///
    /// If pins or interfaces cannot be read.
    pub fn standing(paths: &Paths) -> Result<BTreeMap<u32, String>> {
        Ok(interfaces::links::read(paths, &interfaces::list::list()?)?.standing)
    }

    /// Takes the gate down on every interface and removes every pin.
    ///
    /// # Errors
    ///
    /// If a pin cannot be removed, or the pins are somebody else's.
    pub fn unload(paths: &Paths) -> Result<Vec<String>> {
        pins::need_own(paths)?;
        let released = interfaces::attach::release_all(paths)?;
        pins::remove(paths)?;
        Ok(released)
    }
}
