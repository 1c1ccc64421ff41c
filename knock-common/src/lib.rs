//! Packet parsing, the attempt machine, the verdict and the map layout of the gate.
//!
//! The kernel program and the host compile the same files. Nothing here knows of aya, of a socket or of a clock: what the
//! kernel has and the host has not comes in through three traits: [`packet::frame::Frame`] (the bytes),
//! [`gate::env::Env`] (maps, clock, sockets) and [`gate::pipeline::Program`] (what is done with a frame).
//!
//! Read in the order of the data: [`packet`] -> [`gate`] -> [`abi`].
//! Comments cite the rules of the gate by their numbers in `docs/rules.md`.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(target_arch = "bpf", expect(internal_features, reason = "the BPF target has no Atomic* types"))]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics))]

pub mod abi;
pub mod addr;
pub mod atomic;
pub mod blake2s;
pub mod gate;
pub mod hash;
pub mod note;
pub mod packet;
pub mod siphash;
