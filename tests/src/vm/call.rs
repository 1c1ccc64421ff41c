//! The kernel's helpers that the program calls (`enum bpf_func_id`).

use anyhow::{Context as _, Result, bail, ensure};
use knock_common::gate::env::Socket;

use super::machine::Vm;
use super::memory::{SOCKET, TABLES, VALUES};

/// `TCP_ESTABLISHED` and `TCP_LISTEN`, and where `struct bpf_sock` has the state.
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;
const STATE: usize = 72;

impl Vm {
    /// The octets at an address.
    pub(super) fn octets(&mut self, address: u64, length: usize) -> Result<&mut [u8]> {
        if address < VALUES {
            return self.memory.at(address, length);
        }
        let number = ((address - VALUES) >> 32) as usize;
        let values = &mut self.tables.get_mut(number).context("no such table")?.values;
        let begin = (address & 0xffff_ffff) as usize;
        ensure!(begin + length <= values.len(), "{length} octets at {address:#x} are too many");
        Ok(&mut values[begin..begin + length])
    }

    fn count(&mut self, what: &str) {
        *self.work.calls.entry(what.to_owned()).or_default() += 1;
    }

    /// The number of the table that an address stands for, and a key of its at another.
    fn keyed(&mut self, table: u64, key: u64) -> Result<(usize, Vec<u8>)> {
        let number = table.checked_sub(TABLES).context("no table")? as usize;
        let size = self.tables.get(number).context("no such table")?.key_size();
        Ok((number, self.octets(key, size)?.to_vec()))
    }
}

/// Calls a helper with its five arguments.
pub(super) fn helper(vm: &mut Vm, number: i32, [a, b, c, d, _]: [u64; 5]) -> Result<u64> {
    const FAILED: u64 = -22_i64 as u64;
    let result = |done: bool| if done { 0 } else { FAILED };
    Ok(match number {
        1 => {
            let (table, key) = vm.keyed(a, b)?;
            let found = vm.tables[table].find(&key);
            vm.count(&format!("look up {}", vm.tables[table].name.clone()));
            found.map_or(0, |place| VALUES + ((table as u64) << 32) + place as u64)
        }
        2 => {
            let (table, key) = vm.keyed(a, b)?;
            let size = vm.tables[table].value_size();
            let value = vm.octets(c, size)?.to_vec();
            vm.count(&format!("write {}", vm.tables[table].name.clone()));
            result(vm.tables[table].put(&key, &value, d))
        }
        3 => {
            let (table, key) = vm.keyed(a, b)?;
            vm.count(&format!("remove from {}", vm.tables[table].name.clone()));
            result(vm.tables[table].remove(&key))
        }
        7 => {
            vm.count("random");
            0x1234_5678
        }
        28 => {
            vm.count("sum");
            let octets = vm.octets(c, d as usize)?;
            let words =
                octets.chunks_exact(4).map(|word| u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]])));
            let sum: u64 = words.sum();
            let folded = (sum & 0xffff_ffff) + (sum >> 32);
            (folded & 0xffff_ffff) + (folded >> 32)
        }
        44 => {
            vm.count("adjust");
            result(vm.memory.adjust(i64::from(b as i32), 0))
        }
        65 => {
            vm.count("adjust");
            result(vm.memory.adjust(0, i64::from(b as i32)))
        }
        85 | 99 => {
            vm.count("look up a socket");
            let state = if matches!(vm.socket, Socket::Listening) { LISTEN } else { ESTABLISHED };
            vm.memory.socket[STATE] = state;
            if matches!(vm.socket, Socket::Nothing) { 0 } else { SOCKET }
        }
        86 => {
            vm.count("release a socket");
            0
        }
        125 => {
            vm.count("clock");
            vm.now
        }
        130 => {
            vm.count("event");
            0
        }
        188 => {
            vm.count("length");
            vm.memory.length()
        }
        other => bail!("helper {other} is not known here"),
    })
}
