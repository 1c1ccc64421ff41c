//! The BPF object in a machine of plain memory, which counts what a frame makes it execute: the same numbers on every
//! host, with no kernel and no clock. It checks nothing that the verifier checks.
//!
//! What it executes is what the compiler has written. The kernel's verifier takes out the jumps that the constants
//! decide, and writes look-ups in arrays as a few instructions.

mod call;
mod execute;
mod instruction;
mod machine;
mod map;
mod memory;
mod object;
mod registers;
mod rules;
pub mod stack;

use anyhow::Result;

pub use machine::{Vm, Work};
pub use object::Object;

impl Vm {
    /// Runs the program on a frame.
    ///
    /// # Errors
    ///
    /// If it does what this machine cannot.
    pub fn run(&mut self, frame: &[u8]) -> Result<Work> {
        self.work = Work { at: vec![0; self.code.len()], ..Work::default() };
        self.memory.begin(frame);
        self.work.action = execute::execute(self)? as u32;
        Ok(std::mem::take(&mut self.work))
    }
}
