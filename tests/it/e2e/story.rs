//! Each chapter of the story alone.

use anyhow::{Result, ensure};
use tests::harness::Test;
use tests::lab::Family;
use tests::story::{self, CHAPTERS, Chapter, Teller, World};

/// The tests.
pub fn tests() -> Vec<Test> {
    let all = Family::ALL.into_iter().flat_map(|family| CHAPTERS.map(|chapter| (family, chapter)));
    let name =
        |family: Family, chapter: Chapter| format!("e2e::story::{}_{}", chapter.name, family.name().to_lowercase());
    let test = |(family, chapter): (Family, Chapter)| {
        let test = Test::new(name(family, chapter), move || play(family, chapter));
        // Knocks that are too slow take their time.
        if chapter.name == "deaf_ears" { test.waiting() } else { test }
    };
    all.map(test).collect()
}

fn play(family: Family, chapter: Chapter) -> Result<()> {
    let mut world = World::new(family, None)?;
    let mut teller = Teller::quiet();
    story::play(chapter, &mut world, &mut teller)?;
    ensure!(teller.steps() > 0, "no step in this chapter");
    teller.verdict()
}
