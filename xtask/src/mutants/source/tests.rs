//! How a text is found, and what is said where it is not.

use std::path::Path;

use super::{File, Site, Sources};
use crate::mutants::table::Mutant;

const ROOT: &str = "a-crate";

const GATE: &str = "//! The gate.

fn guard(world: &World) -> bool {
    if world.trusts(source) {
        return pass(world);
    }
    let now = world.now();
    until > now
}

fn stray(world: &World) -> bool {
    count(world);
    until >= now
}

#[cfg(test)]
mod tests {
    fn count(world: &World) -> bool {
        until > now
    }
}
";

/// The place of this text in this item of a crate of one file.
fn place(gate: &str, item: &'static str, from: &'static str, to: &'static str) -> anyhow::Result<Site> {
    let row = Mutant::new(8, "a bug", (ROOT, item), from, to);
    let other = Mutant::new(8, "another bug", (ROOT, "guard"), "let now = world.now();", "let now = 0;");
    let files = [File::new("a-crate/src/gate.rs", gate), File::new("b-crate/src/gate.rs", GATE)];
    let sources: Sources = files.into_iter().collect();
    sources.each_place(&[&row, &other]).swap_remove(0)
}

fn planted(gate: &str, item: &'static str, from: &'static str, to: &'static str) -> String {
    let place = place(gate, item, from, to).unwrap();
    assert_eq!(place.file, Path::new("a-crate/src/gate.rs"));
    place.planted(gate)
}

fn fault(gate: &str, item: &'static str, from: &'static str) -> String {
    place(gate, item, from, "").unwrap_err().to_string()
}

#[test]
fn only_the_tokens_are_replaced() {
    let planted = planted(GATE, "guard", "{return pass(world);}", "{ }");
    assert_eq!(planted, GATE.replace("{\n        return pass(world);\n    }", "{ }"));
}

#[test]
fn where_an_item_is_gone_the_crate_is_looked_through_but_for_its_tests() {
    let moved = GATE.replace("fn guard", "fn judge");
    let bug = moved.replace("until > now\n}\n\nfn stray", "true\n}\n\nfn stray");
    assert_eq!(planted(&moved, "guard", "until > now", "true"), bug);
    assert_eq!(planted(&moved, "Gate::guard", "until > now", "true"), bug);
}

#[test]
fn where_an_item_is_gone_its_other_rows_know_the_one_that_it_has_become() {
    let moved = GATE.replace("fn guard", "fn judge").replace("count(world)", "pass(world)");
    assert!(planted(&moved, "guard", "pass(world)", "false").contains("return false;"));
    let lonely = moved.replace("world.now()", "0");
    assert!(fault(&lonely, "guard", "pass(world)").contains("stands 2 times in the crate, which has no guard:\n"));
}

#[test]
fn names_that_are_not_there_any_more_may_be_others_and_are_so_in_what_is_planted() {
    let renamed = GATE.replace("world", "env").replace("trusts", "is_trusted");
    let (from, to) = ("if world.trusts(source) {", "if !world.trusts(source) && world.trusts(other) {");
    let bug = "if !env.is_trusted(source) && env.is_trusted(other) {";
    assert!(planted(&renamed, "guard", from, to).contains(bug));
    let shown = place(&renamed, "guard", from, to).unwrap().to_string();
    assert_eq!(shown, "a-crate/src/gate.rs:4 in guard, where trusts is is_trusted, where world is env");
}

#[test]
fn a_name_that_a_row_only_plants_is_taken_from_what_others_have_found() {
    let renamed = GATE.replace("world", "env");
    assert!(planted(&renamed, "guard", "until > now", "pass(world)").contains("    pass(env)\n"));
}

#[test]
fn a_name_that_is_there_still_may_be_another_as_well() {
    // In this function alone, and there is another `until` in it.
    let renamed = GATE.replace("world.now();\n    until > now", "world.now();\n    let until = 0;\n    end > now");
    assert!(planted(&renamed, "guard", "until > now", "until >= now").contains("    end >= now\n"));
}

#[test]
fn one_name_does_not_become_two() {
    let two = GATE.replace("now = world.now();\n    until", "new = world.now();\n    until");
    assert!(fault(&two, "guard", "let now = world.now(); until > now").contains("nothing has its shape"));
}

#[test]
fn what_stands_twice_is_refused_with_both_places() {
    assert_eq!(
        fault(GATE, "guard", "world."),
        "rule 8, a bug: `world.` stands 2 times in guard:\n    \
            a-crate/src/gate.rs:4 in guard: `world.`\n    \
            a-crate/src/gate.rs:7 in guard: `world.`"
    );
    let shapes = fault(GATE, "guard", "(other)");
    assert!(shapes.starts_with("rule 8, a bug: `(other)` has its shape 2 times in guard:\n"), "{shapes}");
}

#[test]
fn what_has_moved_to_another_item_is_refused_with_its_place() {
    assert_eq!(
        fault(GATE, "guard", "until >= now"),
        "rule 8, a bug: `until >= now` does not stand in guard, but elsewhere:\n    \
            a-crate/src/gate.rs:13 in stray: `until >= now`"
    );
}

#[test]
fn what_is_nowhere_is_refused_with_what_is_nearest() {
    let nowhere = fault(GATE, "guard", "if world.trusts(&source) {");
    let lines: Vec<_> = nowhere.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "rule 8, a bug: `if world.trusts(&source) {` does not stand in guard, and nothing has its shape; nearest:",
            "    a-crate/src/gate.rs:4 in guard: `if world.trusts(source) { return`"
        ]
    );
    assert!(fault(GATE, "Other::method", "a + b").contains("in the crate, which has no Other::method, and nothing"));
}
