//! Files that import each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::modules::Edge;

/// The circles: of files that can all reach each other, the shortest way from one back to itself.
pub fn circles(edges: &[Edge]) -> Vec<Vec<&Edge>> {
    let mut out: BTreeMap<&Path, Vec<&Edge>> = BTreeMap::new();
    for edge in edges {
        out.entry(&edge.from).or_default().push(edge);
    }
    let mut seen: BTreeSet<&PathBuf> = BTreeSet::new();
    let mut circles = Vec::new();
    for edge in edges {
        if seen.contains(&edge.from) {
            continue;
        }
        let Some(way) = way_back(&out, &edge.from) else { continue };
        // One for each group: a file of another circle with the same files is no news.
        seen.extend(group(&out, &edge.from));
        circles.push(way);
    }
    circles
}

/// The shortest way from a file back to it.
fn way_back<'a>(out: &BTreeMap<&'a Path, Vec<&'a Edge>>, start: &'a Path) -> Option<Vec<&'a Edge>> {
    let mut came: BTreeMap<&Path, &Edge> = BTreeMap::new();
    let mut next = vec![start];
    while !next.is_empty() {
        let mut further = Vec::new();
        for file in next {
            for edge in out.get(file).into_iter().flatten() {
                if came.contains_key(edge.to.as_path()) {
                    continue;
                }
                came.insert(&edge.to, edge);
                if edge.to == start {
                    return Some(walked(&came, start));
                }
                further.push(edge.to.as_path());
            }
        }
        next = further;
    }
    None
}

fn walked<'a>(came: &BTreeMap<&Path, &'a Edge>, start: &Path) -> Vec<&'a Edge> {
    let mut way = Vec::new();
    let mut at = start;
    loop {
        let edge = came[at];
        way.push(edge);
        at = &edge.from;
        if at == start {
            way.reverse();
            return way;
        }
    }
}

/// The files that `start` reaches and that reach it.
fn group<'a>(out: &BTreeMap<&'a Path, Vec<&'a Edge>>, start: &'a Path) -> Vec<&'a PathBuf> {
    let reached = reachable(out, start);
    let comes_back = |file: &&PathBuf| reachable(out, file).contains(start);
    reached.iter().filter_map(|file| out.get(*file)).flatten().map(|edge| &edge.from).filter(comes_back).collect()
}

fn reachable<'a>(out: &BTreeMap<&'a Path, Vec<&'a Edge>>, start: &Path) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Path> = out.get(start).into_iter().flatten().map(|edge| edge.to.as_path()).collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(out.get(file).into_iter().flatten().map(|edge| edge.to.as_path()));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(arrows: &[(&str, &str)]) -> Vec<String> {
        let edge = |&(from, to): &(&str, &str)| Edge { from: from.into(), to: to.into(), line: 1, path: String::new() };
        let edges: Vec<Edge> = arrows.iter().map(edge).collect();
        let shown = |way: Vec<&Edge>| way.iter().map(|edge| edge.from.to_str().unwrap()).collect::<Vec<_>>().join(" ");
        circles(&edges).into_iter().map(shown).collect()
    }

    #[test]
    fn a_way_back_is_a_circle_and_two_ways_to_one_file_are_none() {
        assert_eq!(found(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]), [""; 0]);
        assert_eq!(found(&[("a", "b"), ("b", "c"), ("c", "b")]), ["b c"]);
    }

    #[test]
    fn of_one_group_the_shortest_way_is_shown_and_other_groups_as_well() {
        let arrows = [("a", "b"), ("b", "c"), ("c", "a"), ("b", "a"), ("x", "y"), ("y", "x"), ("a", "x")];
        assert_eq!(found(&arrows), ["a b", "x y"]);
    }
}
