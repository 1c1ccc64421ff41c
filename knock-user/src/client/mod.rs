//! The client: `knockctl knock HOST PORT...`. Needs no root, and nothing of the gate but ports.

mod address;
mod args;
mod hit;
mod keep_open;
mod knock;
mod list;
mod pipe;
mod plan;
pub mod profiles;
mod reach;
mod resolve;
mod round;
mod run;
mod schedule;
mod sequence;
mod source;
pub(crate) mod table;
mod target;
mod then;

pub use self::address::SourceAddress;
pub use self::args::KnockArgs;
pub use self::hit::{hit, hit_from};
pub use self::knock::{DELAY, Failure, KnockOptions, knock};
pub use self::resolve::{Family, address_text, resolve};
pub use self::run::run;
pub use self::sequence::parse_sequence;
pub use self::source::Source;

#[cfg(test)]
mod tests;
