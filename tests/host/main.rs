//! Tests of the host build of the gate, without a kernel.

mod answers;
mod buffers;
mod cases;
mod checksums;
mod common;
mod events;
mod frames;
mod fuzz;
mod gate;
mod histories;
mod import;
mod knocks;
mod limits;
mod lockouts;
mod promises;
mod races;
mod truncation;
