//! Where a sandbox keeps its files.

/// For temporary files of ours.
pub const DIR: &str = "/run/lab";
