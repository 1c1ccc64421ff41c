//! The BPF object, embedded by the build script.

/// The object; empty if the build had none (see `KNOCK_BPF_OBJECT` in the build script).
pub static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/knock-gate"));
