//! What the config of the gate and the client's profiles are read with: typed TOML values that know
//! their place, findings with a remedy, ports, spans of time.

#![cfg_attr(not(feature = "gate"), expect(dead_code, reason = "the gate's config reads more than the client's"))]

pub(crate) mod address;
pub(crate) mod diagnostic;
pub(crate) mod document;
pub(crate) mod duration;
pub(crate) mod port;
pub(crate) mod port_names;
pub(crate) mod report;
pub(crate) mod span;
pub(crate) mod suggest;
pub(crate) mod value;
pub(crate) mod work;

pub use self::address::bare_address;
pub use self::diagnostic::{Diagnostic, Excerpt, Severity};
pub use self::port::{Port, PortError, PortRange, transport_name};
pub use self::port_names::PortNames;
