//! A host with a small gate, in memory and in the kernel.

#[path = "../host/common.rs"]
mod plain;

use tests::kernel::KernelBeside;
use tests::memory::Memory;
use tests::packet::{SERVER_V4, SERVER_V6};
use tests::tables::Tables;

pub use plain::{CONFIG, NOW, SECOND, allow, datagram, judged, syn};

pub fn host() -> Memory {
    beside(plain::host())
}

pub fn host_of(config: &str) -> Memory {
    beside(plain::host_of(config))
}

pub fn host_like(tables: Tables) -> Memory {
    beside(plain::host_like(tables))
}

fn beside(memory: Memory) -> Memory {
    memory.with_beside(KernelBeside::new(&[SERVER_V4.into(), SERVER_V6.into()]))
}
