//! `story`: plays the story of the gate in the lab, and says what happened.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use tests::lab::{Family, sandbox};
use tests::story::{self, CHAPTERS, Teller, World};

/// Plays the story of the gate in a lab of network namespaces, and leaves the host as it is.
#[derive(Parser)]
#[command(name = "story")]
struct Cli {
    /// Leave the lab up until Ctrl-C, and say how to enter it
    #[arg(long)]
    keep: bool,
    /// Show what the daemon writes
    #[arg(short, long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tell(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("story: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// True if all went as expected.
fn tell(cli: &Cli) -> Result<bool> {
    sandbox::enter()?;
    let start = Instant::now();
    let mut teller = Teller::aloud();
    let mut world = World::new(Family::V4, cli.verbose.then_some("          | "))?;
    println!("{}", story::cast());
    for family in Family::ALL {
        world.family = family;
        for chapter in CHAPTERS {
            if let Err(error) = story::play(chapter, &mut world, &mut teller) {
                teller.step(&format!("the rest of {:?}", chapter.title), "nothing in the way", || Err(error));
            }
        }
    }
    println!("\n{}", teller.summary(start.elapsed()));
    if cli.keep {
        story::keep(&mut world)?;
    }
    Ok(teller.differing().is_empty())
}
