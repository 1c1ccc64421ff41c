//! The story of the gate, chapter by chapter: what the article says, played with real programs.
//!
//! `cargo xtask run` tells it from the first chapter to the last, for one address family after the
//! other; the tests play each chapter alone.

mod commands;
mod crash;
mod deaf;
mod end;
mod expiry;
mod keep;
mod knocks;
mod silence;
mod teller;
mod world;

pub use keep::{cast, keep};
pub use teller::{Happened, Teller};
pub use world::{CLOSE, OPEN, World, state};

use anyhow::Result;

/// A chapter.
#[derive(Clone, Copy)]
pub struct Chapter {
    /// What it is called among the tests.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// Plays it, from a gate without grants, or without a gate, to the same.
    pub play: fn(&mut World, &mut Teller) -> Result<()>,
}

/// All of them, in order.
pub const CHAPTERS: [Chapter; 7] = [
    Chapter { name: "silence", title: "A protected port is silent", play: silence::play },
    Chapter { name: "deaf_ears", title: "What is not the knock opens nothing", play: deaf::play },
    Chapter { name: "knocks", title: "The right knock opens at once, for whoever knocked", play: knocks::play },
    Chapter { name: "expiry", title: "A grant ends, a connection does not", play: expiry::play },
    Chapter { name: "commands", title: "Opening and closing by hand, and by a close door", play: commands::play },
    Chapter { name: "crash", title: "Without its daemon, the gate does the same", play: crash::play },
    Chapter { name: "end", title: "The end of the daemon, and of the gate", play: end::play },
];

/// Plays one chapter.
///
/// # Errors
///
/// If the lab itself fails; what differs is noted by the teller.
pub fn play(chapter: Chapter, world: &mut World, teller: &mut Teller) -> Result<()> {
    teller.chapter(&format!("{}, {}", chapter.title, world.family.name()));
    (chapter.play)(world, teller)
}
