//! Where the long paths keep what they learn about one packet.
//!
//! In the kernel this lies in a map. The verifier forgets what it knows of a value that is written
//! there, so it follows the long paths once, and not once for every kind of packet times every
//! outcome of every slot (which is millions of instructions).

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use crate::abi::event::Event;
use crate::packet::Packet;

/// One packet at one knock port, and what was found out about it.
#[repr(C)]
#[derive(Debug)]
pub struct Scratch {
    /// The packet.
    pub packet: Packet,
    /// Boot time in ns.
    pub now: Note<u64>,
    /// Doors that the packet completed, an octet each, the first one lowest: index + 1.
    pub done: Note<u64>,
    /// How many these are.
    pub completed: Note<u32>,
    /// Slots whose door took the packet for a knock, a bit each.
    pub used: Note<u32>,
    /// 1: it is no step of the door of some attempt.
    pub stray: Note<u32>,
    /// 1: the checksums are right, or not to be verified.
    pub sound: Note<u32>,
    /// 1: it would have moved an attempt, but for its checksum.
    pub spoilt: Note<u32>,
    /// The event that is being told. New scratch memory has none, or all of it would be written for each packet.
    event: UnsafeCell<MaybeUninit<Event>>,
}

impl Scratch {
    /// Scratch memory with nothing in it but the packet.
    #[inline(always)]
    #[must_use]
    pub const fn new(packet: Packet) -> Self {
        Self {
            packet,
            now: Note::new(0),
            done: Note::new(0),
            completed: Note::new(0),
            used: Note::new(0),
            stray: Note::new(0),
            sound: Note::new(1),
            spoilt: Note::new(0),
            event: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Writes an event down. It is too large for the stack of a BPF call chain.
    #[inline(always)]
    pub fn event(&self, event: Event) -> &Event {
        // SAFETY: the type is not `Sync`, and whoever got the last event is done with it: an event
        // is emitted at once.
        unsafe { (*self.event.get()).write(event) }
    }
}

/// A value that is really written and really read each time, on one CPU.
#[repr(transparent)]
#[derive(Debug)]
pub struct Note<T: Copy>(UnsafeCell<T>);

impl<T: Copy> Note<T> {
    /// A note that says `value`.
    #[inline(always)]
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// What it says.
    #[inline(always)]
    #[must_use]
    pub fn get(&self) -> T {
        // SAFETY: the pointer comes from a reference; the type is not `Sync`, so nobody writes.
        unsafe { self.0.get().read_volatile() }
    }

    /// Says `value` from now on.
    #[inline(always)]
    pub fn set(&self, value: T) {
        // SAFETY: the pointer comes from a reference; the type is not `Sync`, so nobody reads.
        unsafe { self.0.get().write_volatile(value) };
    }
}
