//! Where the long paths keep what they learn about one packet.
//!
//! In the kernel this lies in a map. The verifier forgets what it knows of a value that is written
//! there, so it follows the long paths once, and not once for every kind of packet times every
//! outcome of every slot (which is millions of instructions).

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use crate::abi::event::Event;
use crate::abi::grant::Grant;
use crate::abi::token::{Head, Tail, WORDS};
use crate::blake2s::Work;
use crate::note::Note;
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
    /// The token in the packet. New scratch memory has none.
    token: UnsafeCell<MaybeUninit<TokenNotes>>,
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
            token: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Writes an event down. It is too large for the stack of a BPF call chain.
    #[inline(always)]
    pub fn event(&self, event: Event) -> &Event {
        // SAFETY: the type is not `Sync`, and whoever got the last event is done with it: an event
        // is emitted at once.
        unsafe { (*self.event.get()).write(event) }
    }

    /// Begins to work on a token: none of it is known yet.
    #[inline(always)]
    pub fn begin_token(&self) -> &TokenNotes {
        // SAFETY: the type is not `Sync`, and nobody has a reference to the notes of this packet before they begin.
        unsafe { (*self.token.get()).write(TokenNotes::new()) }
    }

    /// The token, of which [`Self::begin_token`] has begun the notes.
    #[inline(always)]
    #[must_use]
    pub fn token(&self) -> &TokenNotes {
        // SAFETY: they were written for this packet, and are only changed through shared references.
        unsafe { (*self.token.get()).assume_init_ref() }
    }
}

/// What is known of the token in a packet.
#[repr(C)]
#[derive(Debug)]
pub struct TokenNotes {
    /// The MAC, and the body behind it, under its mask or without, as numbers.
    pub words: [Note<u32>; WORDS],
    /// Where the MAC is made.
    pub work: Work,
    /// 1: its time is that of the last one.
    pub is_repeated: Note<u32>,
    /// 1: the daemon is told of it.
    pub is_told: Note<u32>,
    grants: [UnsafeCell<Grant>; 2],
    /// The [`Kind`](crate::abi::event::Kind) of what it did, as its number, or 0.
    pub outcome: Note<u32>,
}

impl TokenNotes {
    const fn new() -> Self {
        Self {
            words: [const { Note::new(0) }; WORDS],
            work: Work::new(),
            is_repeated: Note::new(0),
            is_told: Note::new(0),
            grants: [const { UnsafeCell::new(Grant::NONE) }; 2],
            outcome: Note::new(0),
        }
    }

    /// Writes down the grant that it makes. It is too large for the stack of a BPF call chain, as the next one is.
    #[inline(always)]
    pub fn made(&self, grant: Grant) -> &Grant {
        // SAFETY: the type is not `Sync`, and a token makes one grant.
        unsafe {
            *self.grants[0].get() = grant;
            &*self.grants[0].get()
        }
    }

    /// Writes down what becomes of a grant that is there.
    #[inline(always)]
    pub fn renewed(&self, grant: Grant) -> &Grant {
        // SAFETY: the type is not `Sync`, and whoever got the last one has written it to the table.
        unsafe {
            *self.grants[1].get() = grant;
            &*self.grants[1].get()
        }
    }

    /// Two words as one, from the word `at` on.
    #[inline(always)]
    #[must_use]
    pub fn pair(&self, at: usize) -> u64 {
        u64::from(self.words[at].get()) | u64::from(self.words[at + 1].get()) << 32
    }

    /// Sets two words, from the word `at` on.
    #[inline(always)]
    pub fn set_pair(&self, at: usize, pair: u64) {
        self.words[at].set(pair as u32);
        self.words[at + 1].set((pair >> 32) as u32);
    }

    /// The first half of the body, once its mask is off.
    #[inline(always)]
    #[must_use]
    pub fn head(&self) -> Head {
        Head([self.pair(4), self.pair(6)])
    }

    /// The second half of the body, once its mask is off.
    #[inline(always)]
    #[must_use]
    pub fn tail(&self) -> Tail {
        Tail([self.pair(8), self.pair(10)])
    }
}
