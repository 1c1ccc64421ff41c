//! Which commands of a knockd.conf do what the kernel can do itself: let the source of a knock in,
//! or not any more. What a firewall is asked to do is understood as a whole or not at all; other commands
//! beside that go on as they are.

mod address;
mod change;
mod firewalld;
mod ipset;
mod iptables;
mod knock_add;
mod line;
mod nft;
mod program;
mod search;
mod shell;
mod ufw;

#[cfg(test)]
mod tests;

pub use self::address::{interface, ports};
pub use self::change::{By, Container, Families, Finder, Note, Rule, Verb};
pub use self::line::{CommandLine, understand};
pub use self::search::{DELETES, deletes_by_number};
pub use self::shell::words_in;
