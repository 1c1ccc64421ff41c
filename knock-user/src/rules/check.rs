//! Twelve bits over a door's whole definition: an attempt begun before a reload goes on only if
//! its door is still the same.

use std::net::IpAddr;

use knock_common::hash::fnv1a;

use super::span::nanoseconds;
use crate::config::{Config, Door};
use crate::sequences::Sequence;

/// The check of the door with this index.
pub(super) fn of(config: &Config, index: usize, door: &Door, slot: u8) -> u16 {
    let mut words = Words(Vec::new());
    words.number(index as u64);
    // A door that moves to another slot would leave its attempt behind in the old one.
    words.number(u64::from(slot));
    words.text(door.name.as_str());
    words.text(config.service_of(door).name.as_str());
    words.number(door.action as u64);
    let sequence = door.in_force();
    words.number(sequence.steps().len() as u64);
    for step in sequence.steps() {
        words.number(u64::from(step.number) << 8 | step.transport as u64);
    }
    words.number(u64::from(door.tcpflags.set) << 8 | u64::from(door.tcpflags.clear));
    words.number(nanoseconds(door.seq_timeout));
    words.number(door.cmd_timeout.map_or(0, nanoseconds));
    words.number(u64::from(matches!(sequence, Sequence::OneTime { .. })));
    words.text(&door.target.as_ref().map_or_else(String::new, IpAddr::to_string));
    words.number(u64::from(door.grant_prefix_v4) << 8 | u64::from(door.grant_prefix_v6));
    (fnv1a(&words.0) & 0xfff) as u16
}

/// Octets in which the end of every part can be told.
struct Words(Vec<u8>);

impl Words {
    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }
}
