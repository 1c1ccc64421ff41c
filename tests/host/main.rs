//! Tests of the host build of the gate, without a kernel.

mod answers;
mod buffers;
mod cases;
mod checksums;
mod common;
mod events;
mod flows;
mod frames;
mod full;
mod fuzz;
mod gate;
mod histories;
mod import;
mod knocks;
mod lenient;
mod limits;
mod link_local;
mod lockouts;
mod promises;
mod races;
mod segments;
mod sweeps;
mod tokens;
mod truncation;
mod zoneless;
