//! A second program, loaded ahead of need. The verifier takes half a second and more. A change of rules that needs no
//! other program does not wait for it: the rules go into the tables of the standby program, which nobody runs, and the
//! links move to it. The one that ran until then is the standby one next.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow};
use log::debug;

use super::load::{Load, Program};
use crate::kernel::interfaces::list::Layer;
use crate::kernel::interfaces::reply_source::ReplySources;
use crate::kernel::sys;

/// A program, and what it was told of interfaces.
pub type Made = (Program, ReplySources);

/// The standby program, once there is one.
#[derive(Default)]
pub struct Standby(Option<JoinHandle<Result<Made>>>);

impl Standby {
    /// True if there is none, and none is being loaded.
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Begins to load another one like `program`, with the pinned maps.
    pub fn load(&mut self, program: &Program, adopted: BTreeMap<&'static str, PathBuf>) {
        let (settings, rules) = (program.settings().clone(), program.rules().clone());
        let layers = [Layer::Ethernet, Layer::Ip].map(|layer| program.is_ready(&layer).then_some(layer));
        self.begin(move || {
            let settings = settings.anew()?;
            let reply_sources = ReplySources::new(settings.reject != 0);
            let mut program = Program::load(&Load { rules: &rules, settings, adopted: &adopted })?;
            for layer in layers.into_iter().flatten() {
                program.prepare(&layer)?;
            }
            Ok((program, reply_sources))
        });
    }

    /// Keeps a program that no link runs any more. A packet may still be on its way through it.
    pub fn keep(&mut self, made: Made) {
        self.begin(move || {
            sys::wait_for_readers().context("membarrier(2)")?;
            Ok(made)
        });
    }

    /// The standby program with the rules of `load`, if it can have them.
    pub fn take(&mut self, load: &Load<'_>) -> Option<Made> {
        let made = self.0.take()?.join().unwrap_or_else(|_| Err(anyhow!("a panic")));
        let filled = made.and_then(|(mut program, reply_sources)| {
            let serves = program.serves(load);
            if serves {
                program.write_rules(load.rules)?;
            }
            Ok(serves.then_some((program, reply_sources)))
        });
        filled.unwrap_or_else(|error| {
            debug!("no standby program: {error:#}");
            None
        })
    }

    fn begin(&mut self, work: impl FnOnce() -> Result<Made> + Send + 'static) {
        let work = || {
            let made = work();
            crate::memory::give_back();
            made
        };
        // Without a thread, rules come into force as slowly as they do without it.
        self.0 = thread::Builder::new().name("standby".to_owned()).spawn(work).ok();
    }
}
