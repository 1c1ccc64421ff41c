//! From the object file to a program that is ready to run.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context as _, Result, ensure};
use aya_obj::maps::Map;
use knock_common::abi::layout::name;
use knock_common::gate::env::Socket;
use knock_user::kernel::{OBJECT, Settings};
use knock_user::rules::RuleSet;

use super::instruction::Instruction;
use super::machine::{Vm, Work};
use super::map::Table;
use super::memory::{Memory, TABLES};

/// The object of this build, with its constants.
pub struct Object(aya_obj::Object);

impl Object {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// If this was built without one, or it is none.
    pub fn read(settings: &Settings, rules: &RuleSet) -> Result<Self> {
        ensure!(!OBJECT.is_empty(), "this was built without the kernel program: `cargo xtask test` builds it");
        let mut object = aya_obj::Object::parse(OBJECT)?;
        let numbers: [(&str, u32); 9] = [
            (name::STEALTH, settings.stealth.into()),
            (name::VERIFY, settings.verify_checksums.into()),
            (name::HAS_TRUSTED, (!rules.trusted.is_empty()).into()),
            (name::ATTEMPT_RATE, settings.attempt_rate),
            (name::LOG_DENIED, settings.log_denied.into()),
            (name::LOCKOUT, settings.lockout.into()),
            (name::REJECT, settings.reject),
            (name::OBSERVE, settings.observe.into()),
            (name::TEST_CLOCK, 0),
        ];
        let numbers = numbers.map(|(name, number)| (name, number.to_ne_bytes()));
        let (until, segments) = (settings.trial_until.to_ne_bytes(), rules.segments().0.to_ne_bytes());
        let key = settings.errors_key.map(u64::to_ne_bytes).concat();
        let words = [(name::TRIAL_UNTIL, &until[..]), (name::SEGMENTS, &segments[..]), (name::ERRORS_KEY, &key[..])];
        let words = words.map(|(name, octets)| (name, (octets, true)));
        let constants = numbers.iter().map(|(name, octets)| (*name, (&octets[..], true)));
        let level = (aya_log::LEVEL, (&[0_u8][..], false));
        object.patch_map_data(constants.chain(words).chain([level]).collect())?;
        Ok(Self(object))
    }

    /// One of its programs, with empty tables.
    ///
    /// # Errors
    ///
    /// If there is no such program, or it uses what this machine lacks.
    pub fn program(mut self, name: &str) -> Result<Vm> {
        let maps: BTreeMap<String, Map> = self.0.maps.drain().collect();
        let mut tables = Vec::new();
        for (name, map) in &maps {
            let table = Table::new(name, map.map_type(), map.key_size(), map.value_size(), map.max_entries());
            let mut table = table.with_context(|| format!("{name} is a table of no known kind"))?;
            let data = map.data();
            table.values[..data.len()].copy_from_slice(data);
            tables.push(table);
        }
        let numbered = maps.iter().zip(0..).map(|((name, map), number)| (name.as_str(), number, map));
        let sections: HashSet<usize> = self.0.functions.keys().map(|(section, _)| *section).collect();
        self.0.relocate_maps(numbered, &sections)?;
        self.0.relocate_calls(&sections)?;
        let program = self.0.programs.get(name).with_context(|| format!("the object holds no program {name}"))?;
        let function = self.0.functions.get(&program.function_key()).context("a program without a function")?;
        let code = function.instructions.iter().map(|one| Instruction {
            code: one.code,
            to: one.dst_reg().into(),
            from: one.src_reg().into(),
            offset: one.off,
            number: one.imm,
        });
        Ok(Vm {
            code: code.collect(),
            memory: Memory::new(),
            names: tables.iter().zip(0..).map(|(table, number)| (table.name.clone(), number)).collect(),
            tables,
            now: 0,
            socket: Socket::Nothing,
            work: Work::default(),
        })
    }
}

/// What an instruction means that names a table.
pub(super) const fn table_address(number: i32) -> u64 {
    TABLES + number as u64
}
