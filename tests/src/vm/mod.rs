//! The BPF object in a machine of plain memory, which counts what a frame makes it execute: the same numbers on every
//! host, with no kernel and no clock. It checks nothing that the verifier checks.
//!
//! What it executes is what the compiler has written. The kernel's verifier takes out the jumps that the constants
//! decide, and writes look-ups in arrays as a few instructions.

mod call;
mod code;
mod map;
mod memory;
mod object;
mod registers;
mod rules;
pub mod stack;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use knock_common::world::Socket;

pub use object::Object;

use code::Instruction;
use map::Table;
use memory::Memory;

/// The machine, with one of the object's programs in it.
pub struct Vm {
    code: Vec<Instruction>,
    memory: Memory,
    tables: Vec<Table>,
    names: BTreeMap<String, usize>,
    /// The clock, boot time in ns.
    pub now: u64,
    /// What every socket look-up finds.
    pub socket: Socket,
    work: Work,
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
    /// Runs the program on a frame.
    ///
    /// # Errors
    ///
    /// If it does what this machine cannot.
    pub fn run(&mut self, frame: &[u8]) -> Result<Work> {
        self.work = Work { at: vec![0; self.code.len()], ..Work::default() };
        self.memory.begin(frame);
        self.work.action = code::execute(self)? as u32;
        Ok(std::mem::take(&mut self.work))
    }

    /// Writes an element of a table as the kernel has it.
    ///
    /// # Errors
    ///
    /// If there is no such table, or the sizes are not its own.
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<()> {
        let index = *self.names.get(table).with_context(|| format!("the object holds no table {table}"))?;
        let table = &mut self.tables[index];
        ensure!(table.takes(key, value), "{} and {} octets do not fit", key.len(), value.len());
        ensure!(table.put(key, value, 0), "no room");
        Ok(())
    }
}
