//! Which part of the code may import which.

mod circles;
mod imports;
mod modules;

use std::fs;

use anyhow::{Context, Result, ensure};

use self::circles::circles;
use self::modules::{Edge, File, Modules};
use crate::{paths, tidy};

/// The crates whose files are looked at, and their names in code.
const CRATES: [&str; 5] = ["knock_common", "knock_ebpf", "knock_user", "tests", "xtask"];

/// Looks for circles.
pub fn check() -> Result<()> {
    let edges = edges()?;
    if std::env::var_os("DUMP").is_some() {
        for edge in &edges {
            println!("{} {}", edge.from.display(), edge.to.display());
        }
        return Ok(());
    }
    let circles = circles(&edges);
    for way in &circles {
        println!("circle of {}", way.len());
        for edge in way {
            println!("  {}:{} imports {} ({})", edge.from.display(), edge.line, edge.to.display(), edge.path);
        }
    }
    ensure!(circles.is_empty(), "{} circles", circles.len());
    Ok(())
}

fn edges() -> Result<Vec<Edge>> {
    let root = paths::workspace();
    let mut files = Vec::new();
    for krate in CRATES {
        for path in tidy::files_below(&root.join(krate.replace('_', "-")).join("src"))? {
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                files.extend(File::new(path.strip_prefix(&root)?, &text, &CRATES));
            }
        }
    }
    Ok(Modules::new(files).edges())
}
