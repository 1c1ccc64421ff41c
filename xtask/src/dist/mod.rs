//! `cargo xtask dist`: what is given out. A Debian package, a tarball with a statically linked
//! program, and their checksums, all in `target/dist`.

mod crates;
mod deb;
mod stage;
mod sums;
mod tarball;

use std::path::PathBuf;

use anyhow::Result;

use self::stage::Stage;
use crate::compile::{self, Built, Profile};
use crate::setup::{self, Purpose};

/// The verb.
pub fn verb(revision: u32) -> Result<()> {
    let tools = setup::setup(Some(Purpose::Dist))?;
    let built = compile::build(&tools, Profile::Release)?;
    let stage = Stage::make(&built)?;
    let files = [deb::build(&stage, revision)?, tarball::build(&stage, &built)?];
    let sums = sums::write(&files)?;
    for file in files.iter().chain([&sums]) {
        println!("[dist] {}", file.display());
    }
    Ok(())
}

/// What the tests of the packages take.
pub struct Packages {
    /// The Debian package.
    pub deb: PathBuf,
    /// The same with a later revision: what it is upgraded to.
    pub next: PathBuf,
    /// The tarball.
    pub tarball: PathBuf,
}

impl Packages {
    /// Builds them.
    pub fn build(built: &Built) -> Result<Self> {
        let stage = Stage::make(built)?;
        Ok(Self { deb: deb::build(&stage, 1)?, next: deb::build(&stage, 2)?, tarball: tarball::build(&stage, built)? })
    }
}
