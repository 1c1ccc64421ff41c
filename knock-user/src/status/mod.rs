//! What `status` says of the gate: read from the pins, as text and as JSON, or as the daemon shows it to a group.

mod read;
pub mod render;
pub mod service;
mod shown;
mod snapshot;

pub use self::read::Reader;
pub use self::shown::{BUSY, Shown};
pub use self::snapshot::{Attempt, ConfigFile, Daemon, Door, Grant, Interface, Service, Snapshot};
