//! The machine: a program, its memory and its tables.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use knock_common::gate::env::Socket;

use super::instruction::Instruction;
use super::map::Table;
use super::memory::Memory;

/// The machine, with one of the object's programs in it.
pub struct Vm {
    pub(super) code: Vec<Instruction>,
    pub(super) memory: Memory,
    pub(super) tables: Vec<Table>,
    pub(super) names: BTreeMap<String, usize>,
    /// The clock, boot time in ns.
    pub now: u64,
    /// What every socket look-up finds.
    pub socket: Socket,
    pub(super) work: Work,
}

/// What a frame made the program do.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Work {
    /// What it returned.
    pub action: u32,
    /// Instructions executed.
    pub instructions: u32,
    /// Calls of the kernel's helpers, by name. Look-ups are named after the table.
    pub calls: BTreeMap<String, u32>,
    /// How often each instruction was executed, by its place in the program.
    pub at: Vec<u32>,
}

impl Vm {
    /// The numbers of the kernel's helpers that the program calls anywhere.
    #[must_use]
    pub fn helpers(&self) -> BTreeSet<i32> {
        self.code.iter().filter_map(|one| one.helper()).collect()
    }

    /// Writes an element of a table as the kernel has it.
    ///
    /// # Errors
    ///
    /// If there is no such table, or the sizes are not its own.
    pub(super) fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<()> {
        let index = *self.names.get(table).with_context(|| format!("the object holds no table {table}"))?;
        let table = &mut self.tables[index];
        ensure!(table.takes(key, value), "{} and {} octets do not fit", key.len(), value.len());
        ensure!(table.put(key, value, 0), "no room");
        Ok(())
    }
}
