//! What the rows must survive: files that move, lines that are wrapped anew, other names.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use super::*;
use crate::mutants::source::{Code, File, Site, Sources};
use crate::paths;

/// Renames that are likely, and some that are harsh: words within other words, a name that others have already,
/// functions that rows are in.
const RENAMES: &[&[(&str, &str)]] = &[
    &[("scratch", "desk"), ("Scratch", "Desk")],
    &[("env", "world"), ("Env", "World"), ("Kernel", "Maps")],
    &[("until", "end")],
    &[("trusts", "is_trusted"), ("index", "number"), ("u32", "Word")],
    &[("fast_path", "glance"), ("FastPath", "Glance"), ("plain", "fast"), ("Plain", "Fast")],
    &[("cell", "word"), ("Atomic64", "Cell64"), ("Attempt", "Progress"), ("slots", "all")],
    &[("advance_slot", "move_attempt"), ("guard", "judge_protected"), ("is_live", "lives"), ("parse", "read")],
];

fn sources() -> Sources {
    Sources::read(&paths::workspace()).unwrap()
}

fn rows() -> Vec<&'static Mutant> {
    all().collect()
}

fn file<'a>(sources: &'a Sources, place: &Site) -> &'a File {
    sources.files().iter().find(|file| file.name == place.file).unwrap()
}

/// The tokens that a bug replaces.
fn tokens(sources: &Sources, place: &Site) -> Range<usize> {
    file(sources, place).code.tokens(&place.octets)
}

fn words(text: &str) -> Vec<String> {
    let code = Code::new(text);
    (0..code.len()).map(|index| code.word(index).to_owned()).collect()
}

/// The rows that have no place any more, or another one, or would put something else there, once names are others.
fn lost(sources: &Sources, names: &[(&str, &str)]) -> Vec<&'static str> {
    let other = |name: &str| names.iter().find(|(from, _)| *from == name).map(|(_, to)| (*to).to_owned());
    let rename = |file: &File| File::new(&file.name, file.code.renamed(other));
    let renamed: Sources = sources.files().iter().map(rename).collect();
    let before = sources.places(&rows()).unwrap();
    let is_lost = |(before, after): (Site, anyhow::Result<Site>)| {
        !after.is_ok_and(|after| {
            (&after.file, tokens(&renamed, &after)) == (&before.file, tokens(sources, &before))
                && words(&after.to) == words(&Code::new(before.to).renamed(other))
        })
    };
    let found = before.into_iter().zip(renamed.each_place(&rows()));
    rows().into_iter().zip(found).filter_map(|(mutant, found)| is_lost(found).then_some(mutant.what)).collect()
}

#[test]
fn every_bug_has_its_one_place_and_changes_it() {
    let sources = sources();
    let places = sources.places(&rows()).unwrap();
    let mut planted = BTreeSet::new();
    for (mutant, place) in rows().into_iter().zip(places) {
        let file = file(&sources, &place);
        let whole = file.code.renamed(|_| None);
        // The table may wait with new names.
        let from = Code::new(mutant.from).renamed(|name| place.renamed.get(name).cloned());
        assert_eq!(words(&whole[place.octets.clone()]), words(&from), "{mutant}");
        assert_ne!(words(&place.planted(&whole)), words(&whole), "{mutant}");
        assert!(planted.insert((place.file, place.octets.start, place.octets.end, mutant.to)), "{mutant}: twice");
    }
}

#[test]
fn a_row_says_no_more_than_tokens() {
    for mutant in rows() {
        for text in [mutant.from, mutant.to] {
            assert_eq!(text, text.split_whitespace().collect::<Vec<_>>().join(" "), "{mutant}");
            assert!(!text.contains("//"), "{mutant}");
        }
    }
}

#[test]
fn files_may_move() {
    let sources = sources();
    let there = |number: usize, file: &File| {
        Path::new(file.name.iter().next().unwrap().to_str().unwrap()).join(format!("src/moved/to{}.rs", 1000 - number))
    };
    let text = |file: &File| file.code.renamed(|_| None);
    let files = sources.files();
    // Others come before them, too.
    let moved: Sources =
        files.iter().enumerate().rev().map(|(number, file)| File::new(there(number, file), text(file))).collect();
    let before = sources.places(&rows()).unwrap();
    let after = moved.places(&rows()).unwrap();
    for ((mutant, before), after) in rows().into_iter().zip(before).zip(after) {
        let number = files.iter().position(|file| file.name == before.file).unwrap();
        let wanted = Site { file: there(number, &files[number]), ..before };
        assert_eq!(after, wanted, "{mutant}");
    }
}

#[test]
fn lines_may_be_wrapped_anew() {
    const BLANKS: [&str; 5] = [" ", "\n", "\n\n        ", " // why\n", "\t/* why */"];
    let sources = sources();
    let wrap = |file: &File| {
        let words = (0..file.code.len()).map(|index| [file.code.word(index), BLANKS[index % BLANKS.len()]]);
        File::new(&file.name, words.flatten().collect::<String>())
    };
    let wrapped: Sources = sources.files().iter().map(wrap).collect();
    let before = sources.places(&rows()).unwrap();
    let after = wrapped.places(&rows()).unwrap();
    for ((mutant, before), after) in rows().into_iter().zip(before).zip(after) {
        assert_eq!((&after.file, &after.item, &after.to), (&before.file, &before.item, &before.to), "{mutant}");
        assert_eq!(tokens(&wrapped, &after), tokens(&sources, &before), "{mutant}");
    }
}

#[test]
fn names_may_become_others() {
    let sources = sources();
    for names in RENAMES {
        assert_eq!(lost(&sources, names), [""; 0], "{names:?}");
    }
    assert_eq!(lost(&sources, &RENAMES.concat()), [""; 0]);
}

#[test]
fn of_a_constant_with_another_name_only_the_value_is_left() {
    // 8 is the value of three more.
    let lost = lost(&sources(), &[("MAX_EXTENSIONS", "MOST_EXTENSIONS"), ("FRAGMENT", "FRAGMENTED")]);
    assert_eq!(lost, ["a ninth extension header is read", "an eighth extension header is too many"]);
}
