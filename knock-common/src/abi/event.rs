//! Events: what the kernel tells the daemon through the ring buffer.

use core::mem::size_of;

use crate::addr::Addr;

/// One record of the `EVENTS` ring buffer. Fixed size, no padding.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Boot time in ns.
    pub at: u64,
    /// For grants: the end, boot time in ns. For steps: when the attempt ends, boot time in ns.
    pub until: u64,
    /// Source address.
    pub source: Addr,
    /// Tag of the door, or 0.
    pub door: u32,
    /// Tag of the service, or 0.
    pub service: u32,
    /// Destination port.
    pub port: u16,
    /// A [`Kind`] as its number.
    pub kind: u8,
    /// Steps made.
    pub step: u8,
    /// IP protocol number, 6 or 17.
    pub transport: u8,
    /// Prefix length of the grant over the mapped form, or 0.
    pub bits: u8,
    /// [`EVENT_VERSION`].
    pub version: u8,
    /// Octets of the record.
    pub size: u8,
    /// The key that opened the door; 0 for none.
    pub key: u32,
    /// Tag of the key's user, or 0.
    pub user: u32,
    /// Index of the interface on which the packet came; 0 for steps and wrong knocks.
    pub interface: u32,
    /// Source port.
    pub sport: u16,
    /// Unused, zero.
    pub reserved: [u8; 2],
}

/// Raised whenever a field of an [`Event`] changes its meaning. Fields are only added behind those that are there.
pub const EVENT_VERSION: u8 = 1;

impl Event {
    /// Nothing that has happened: what other events are made of.
    pub const NONE: Self = Self {
        at: 0,
        until: 0,
        source: Addr::ANY,
        door: 0,
        service: 0,
        port: 0,
        kind: 0,
        step: 0,
        transport: 0,
        bits: 0,
        version: EVENT_VERSION,
        size: size_of::<Self>() as u8,
        key: 0,
        user: 0,
        interface: 0,
        sport: 0,
        reserved: [0; 2],
    };
}

/// What happened.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An attempt made a step (knockd: `Stage N`).
    Stage = 1,
    /// A door wrote a grant (knockd: `OPEN SESAME`).
    Opened = 2,
    /// A door completed while its grant was live; the end moved.
    Extended = 3,
    /// A close door completed; the grant, if there was one, is gone.
    Closed = 4,
    /// A wrong knock ended an attempt.
    Wrong = 5,
    /// A new connection, datagram or probe was denied.
    Denied = 6,
    /// A door completed but the grant table was full.
    Refused = 7,
    /// A door completed with a one-time sequence that was used before.
    Spent = 8,
    /// A token that has opened before came from another address, which holds no grant by its key. `until` is its time, in ns
    /// since 1970, in this and the kinds that follow.
    Elsewhere = 9,
    /// A token outside the window: one of the two clocks is wrong.
    Clock = 10,
    /// A token made before the gate noted when keys were last used.
    Early = 11,
    /// A token with a source, or without one, of a key that may not be used so.
    Mode = 12,
    /// A token of an expired key.
    Outlived = 13,
    /// A token for a door that its key does not list.
    Unlisted = 14,
}

impl Kind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Stage,
            2 => Self::Opened,
            3 => Self::Extended,
            4 => Self::Closed,
            5 => Self::Wrong,
            6 => Self::Denied,
            7 => Self::Refused,
            8 => Self::Spent,
            9 => Self::Elsewhere,
            10 => Self::Clock,
            11 => Self::Early,
            12 => Self::Mode,
            13 => Self::Outlived,
            14 => Self::Unlisted,
            _ => return None,
        })
    }
}
