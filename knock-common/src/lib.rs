//! Packet parsing, the attempt machine, the verdict and the map layout of the gate.
//!
//! The kernel program and the host compile the same files. Nothing here knows of aya, of a
//! socket or of a clock: what the kernel has and the host has not comes in through three traits:
//! [`frame::Frame`] (the bytes), [`world::World`] (maps, clock, sockets) and [`gate::pipeline::Program`] (what is done
//! with a frame).
//!
//! Read in the order of the data: [`frame`] -> [`packet`] -> [`gate`] -> [`attempt`] -> [`grant`].
//! Comments cite the rules of the gate by their numbers in `docs/rules.md`.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(target_arch = "bpf", expect(internal_features, reason = "the BPF target has no Atomic* types"))]
#![cfg_attr(target_arch = "bpf", feature(core_intrinsics))]

pub mod addr;
pub mod attempt;
pub mod budget;
pub mod cell;
pub mod checksum;
pub mod counter;
pub mod desk;
pub mod event;
pub mod flags;
pub mod flow;
pub mod frame;
pub mod gate;
pub mod grant;
pub mod hash;
pub mod knocking;
pub mod layout;
pub mod packet;
pub mod reject;
pub mod rules;
pub mod siphash;
pub mod spent;
pub mod trust;
pub mod watch;
pub mod world;
