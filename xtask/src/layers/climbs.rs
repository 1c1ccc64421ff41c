//! How often a frame's way climbs back from `knock-common` to `knock-ebpf`, and goes down again from there.
//!
//! `knock-common` asks the program through traits: for octets, maps, clock and sockets. Where an answer is a look, that is
//! no climb. Where it runs another part of `knock-common` that asks through those traits itself, whoever follows a frame
//! has to read both crates in turn. So this counts the functions of `knock-common` that ask, and that `knock-ebpf` calls:
//! one is the way down, and each further one follows a climb.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::imports::{Import, imports};
use crate::rust::{Code, Item, items};
use crate::{paths, tidy};

/// The gate, and what runs it.
const GATE: &str = "knock-common/src";
const PROGRAM: &str = "knock-ebpf/src";
/// The name of the gate in code.
const CRATE: &str = "knock_common";

/// How often a frame's way may climb back.
const MOST: usize = 2;

/// A function that asks through a trait of the program's.
struct Asking {
    name: String,
    /// Its type, or its file.
    home: String,
    is_method: bool,
    shown: String,
}

/// Counts, and names what is called.
pub fn check() -> Result<()> {
    let root = paths::workspace();
    let read = |folder: &str| tidy::rust_below(&root, &root.join(folder));
    let called = called(&read(GATE)?, &read(PROGRAM)?);
    let names: Vec<&str> = called.iter().map(String::as_str).collect();
    let climbs = called.len().saturating_sub(1);
    ensure!(!called.is_empty(), "{PROGRAM}: nothing of {GATE} that takes a frame is called: what is counted here?");
    ensure!(
        climbs <= MOST,
        "a frame's way climbs back {climbs} times from {GATE} to {PROGRAM}, and may {MOST} times. Called from there are:\n  {}",
        names.join("\n  ")
    );
    println!("[lint] a frame's way climbs back {climbs} times: the program calls {}", names.join(", "));
    Ok(())
}

/// The functions of the gate that ask through traits that the program implements, of those that the program calls.
fn called(gate: &[(PathBuf, String)], program: &[(PathBuf, String)]) -> BTreeSet<String> {
    let program: Vec<Code> = program.iter().map(|(_, text)| Code::new(text.as_str())).collect();
    let implemented: BTreeSet<String> = program.iter().flat_map(implemented).collect();
    // A method is told by its name alone, so only those of types count that the program names.
    let named: BTreeSet<&str> = program.iter().flat_map(Code::names).collect();
    let all = gate.iter().flat_map(|(name, text)| asking(name, text, &implemented));
    let asking: Vec<Asking> = all.filter(|one| !one.is_method || named.contains(&*one.home)).collect();
    let mut called = BTreeSet::new();
    for code in &program {
        let names = names(&imports(code, &items(code).1, &[CRATE]));
        for index in 0..code.len() {
            let is_called = |one: &&Asking| is_call(code, index, one, &names);
            called.extend(asking.iter().filter(is_called).map(|one| one.shown.clone()));
        }
    }
    called
}

/// The traits that are implemented in a file.
fn implemented(code: &Code) -> Vec<String> {
    items(code).0.iter().filter_map(|item| of_trait(code, item)).map(str::to_owned).collect()
}

/// The trait that an item implements.
fn of_trait<'a>(code: &'a Code, item: &Item) -> Option<&'a str> {
    let head = head(code, item.tokens.start);
    let place = head.clone().find(|index| code.word(*index) == "for")?;
    (code.word(head.start) == "impl").then(|| code.word(place - 1))
}

/// The functions of a file that ask through one of these traits, but for those that are of one: who calls these looks.
fn asking(file: &Path, text: &str, traits: &BTreeSet<String>) -> Vec<Asking> {
    let code = Code::new(text);
    let items = items(&code).0;
    let asks = |begin: usize| head(&code, begin).any(|index| traits.contains(code.word(index)));
    let around = |index: usize| {
        let is_around = |item: &&Item| item.tokens.contains(&index) && item.tokens.start < index;
        items.iter().filter(is_around).rfind(|item| ["impl", "trait"].contains(&code.word(item.tokens.start)))
    };
    let mut found = Vec::new();
    for item in items.iter().filter(|item| code.word(item.tokens.start) == "fn") {
        let begin = item.tokens.start;
        let outer = around(begin);
        if outer.is_some_and(|outer| code.word(outer.tokens.start) == "trait" || of_trait(&code, outer).is_some())
            || !asks(begin) && !outer.is_some_and(|outer| asks(outer.tokens.start))
        {
            continue;
        }
        let home = outer.map_or_else(|| module(file), |outer| outer.path.clone());
        let name = code.word(begin + 1).to_owned();
        let is_method = outer.is_some() && head(&code, begin).any(|index| code.word(index) == "self");
        let shown = format!("{} in {}", item.path, file.display());
        found.push(Asking { name, home, is_method, shown });
    }
    found
}

/// The tokens from a keyword to the body.
fn head(code: &Code, begin: usize) -> Range<usize> {
    let end = (begin..code.len()).find(|index| ["{", ";"].contains(&code.word(*index)));
    begin..end.unwrap_or_else(|| code.len())
}

/// What a file is called as a module.
fn module(file: &Path) -> String {
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if stem(file) == "mod" { file.parent().map(stem).unwrap_or_default() } else { stem(file) }
}

/// What a file calls what it imports of the gate, and the end of the path of each.
fn names(imports: &[Import]) -> BTreeMap<String, String> {
    let ours = imports.iter().filter(|import| import.path.first().is_some_and(|first| first == CRATE));
    ours.filter_map(|import| Some((import.name.clone()?, import.path.last()?.clone()))).collect()
}

/// True if a call of the function begins with the token.
fn is_call(code: &Code, index: usize, one: &Asking, names: &BTreeMap<String, String>) -> bool {
    let behind = code.word(index + 1);
    if behind != "(" && !(behind == "::" && code.word(index + 2) == "<") {
        return false;
    }
    let word = code.word(index);
    let before = |back: usize| index.checked_sub(back).map_or("", |at| code.word(at));
    match before(1) {
        "." => one.is_method && word == one.name,
        "::" => word == one.name && names.get(before(2)).map_or(before(2), String::as_str) == one.home,
        "fn" => false,
        _ => names.get(word) == Some(&one.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAITS: &str = "pub trait Frame { fn octet(&self) -> u8; }\npub trait Env { fn now(&self) -> u64 { 0 } }\n\
        impl Frame for [u8] { fn octet(&self) -> u8 { 0 } }\n";
    const RUN: &str = "pub fn run<E: Env, F: Frame>(env: &E, frame: &F) {}\nfn plain(at: u8) {}\n";
    const LINK: &str = "impl Link { pub fn parse<F: Frame>(self, frame: &F) {} pub fn is_ip(self) {} }\n";
    const PLAIN: &str = "impl<F: Frame> Plain<F> { pub fn look(frame: &F) {} }\n";
    const IMPLS: &str = "impl<H: Hook> Frame for Linear<H> {}\nimpl Env for Kernel {}\n";

    /// What is called of the gate by a program with this code.
    fn called_by(code: &str) -> Vec<String> {
        let file = |(name, text): (&str, &str)| (PathBuf::from(name), text.to_owned());
        let gate =
            [("gate/mod.rs", TRAITS), ("gate/pipeline.rs", RUN), ("packet/link.rs", LINK), ("packet/plain.rs", PLAIN)];
        called(&gate.map(file), &[("env.rs", IMPLS), ("program.rs", code)].map(file)).into_iter().collect()
    }

    #[test]
    fn what_asks_is_counted_where_the_program_calls_it() {
        let run = "use knock_common::gate::pipeline;\nfn entry() { pipeline::run(&env, &frame) }\n";
        assert_eq!(called_by(run), ["run in gate/pipeline.rs"]);
        assert_eq!(called_by(&format!("{run}{run}")), ["run in gate/pipeline.rs"]);
        let further = format!("{run}fn read() {{ Link::Ip.parse(&frame); Plain::<F>::look; Plain::look(frame) }}");
        let all = ["Link::parse in packet/link.rs", "Plain::look in packet/plain.rs", "run in gate/pipeline.rs"];
        assert_eq!(called_by(&further), all);
    }

    #[test]
    fn another_name_hides_nothing() {
        for text in [
            "use knock_common::gate::pipeline::run;\nfn f() { run(&env, &frame) }",
            "use knock_common::gate::pipeline::run as go;\nfn f() { go::<E, F>(&env, &frame) }",
            "use knock_common::gate::pipeline as way;\nfn f() { way::run(&env, &frame) }",
            "fn f() { knock_common::gate::pipeline::run(&env, &frame) }",
        ] {
            assert_eq!(called_by(text), ["run in gate/pipeline.rs"], "{text}");
        }
    }

    #[test]
    fn what_only_looks_is_no_climb() {
        // Of its own, of a trait, of the gate without a trait, and of a type that is not named here.
        let text = "use knock_common::gate::pipeline::plain;\nuse crate::other::run;\n\
            fn f() { run(1); other::run(2); frame.octet(); env.now(); plain(3); link.is_ip(); file.parse(4) }";
        assert_eq!(called_by(text), [""; 0]);
    }
}
