//! The rules of the gate: `docs/rules.md` has each number that sources and documents cite, and each has planted bugs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::{mutants, paths, tidy};

/// The page with the rules.
const PAGE: &str = "docs/rules.md";
/// How the head of a rule begins, before its number and a dot.
const HEAD: &str = "### ";

/// Holds what is cited, and what is planted, against the page.
pub fn check() -> Result<()> {
    let rules = numbers()?;
    let mut faults = unplanted(&rules, &mutants::rules());
    let mut times = 0;
    for file in tidy::files()? {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let name = file.strip_prefix(paths::workspace()).unwrap_or(&file).display();
        let cited = cited(&text);
        times += cited.len();
        for (line, number) in unknown(cited, &rules) {
            faults.push(format!("{name}:{line}: rule {number} is not in {PAGE}"));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    println!("[lint] {} rules are cited {times} times, and each has planted bugs", rules.len());
    Ok(())
}

/// The numbers of all rules.
pub fn numbers() -> Result<BTreeSet<u8>> {
    let page = paths::workspace().join(PAGE);
    heads(&fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?)
}

/// The numbers in the heads of the page, which count from 1 on.
fn heads(page: &str) -> Result<BTreeSet<u8>> {
    let number = |line: &str| line.strip_prefix(HEAD)?.split_once(". ")?.0.parse().ok();
    let found: Vec<u8> = page.lines().filter_map(number).collect();
    ensure!(!found.is_empty() && found.iter().copied().eq(1..=found.len() as u8), "{PAGE}: has the rules {found:?}");
    Ok(found.into_iter().collect())
}

/// What is wrong with the rules that have planted bugs.
fn unplanted(rules: &BTreeSet<u8>, planted: &BTreeSet<u8>) -> Vec<String> {
    let table = Path::new("xtask/src/mutants/table").display();
    let without = rules.difference(planted).map(|rule| format!("{PAGE}: rule {rule} has no bug in {table}"));
    let unknown = planted.difference(rules).map(|rule| format!("{table}: has a bug of rule {rule}, not in {PAGE}"));
    without.chain(unknown).collect()
}

/// Those of the numbers that are not on the page.
fn unknown(cited: Vec<(usize, u32)>, rules: &BTreeSet<u8>) -> Vec<(usize, u32)> {
    let is_known = |number: u32| u8::try_from(number).is_ok_and(|number| rules.contains(&number));
    cited.into_iter().filter(|(_, number)| !is_known(*number)).collect()
}

/// Every number of a rule that a text cites, with its line: of `rule 8`, `rules 4 and 10`, `rules 2, 5`, and both ends
/// of `rules 8 to 11`, also where the line ends between two of these words.
fn cited(text: &str) -> Vec<(usize, u32)> {
    let lines = text.lines().enumerate();
    let words: Vec<(usize, &str)> = lines
        .flat_map(|(index, line)| line.split_whitespace().map(move |word| (index + 1, word)))
        .filter(|(_, word)| !matches!(*word, "//" | "///" | "//!" | "#" | "*"))
        .collect();
    let mut found = Vec::new();
    for (at, (_, word)) in words.iter().enumerate() {
        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
        let (is_one, is_several) = (word == "rule", word == "rules");
        let mut rest = words[at + 1..].iter();
        let mut next = (is_one || is_several).then(|| rest.next()).flatten();
        while let Some((line, word)) = next {
            let Some((number, behind)) = leading(word) else { break };
            found.push((*line, number));
            next = match behind {
                "" if is_several => rest.next().filter(|(_, word)| ["and", "or", "to"].contains(word)).and(rest.next()),
                "," if is_several => rest.next(),
                _ => None,
            };
        }
    }
    found
}

/// The number that a word begins with, and what is behind it.
fn leading(word: &str) -> Option<(u32, &str)> {
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    Some((word[..digits].parse().ok()?, &word[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any text that cites rules; in two halves, so that the numbers are not those of this file.
    fn found(tail: &str) -> Vec<u32> {
        cited(&format!("// see the ru{tail}")).into_iter().map(|(_, number)| number).collect()
    }

    #[test]
    fn every_form_of_a_citation_is_read() {
        assert_eq!(found("le 98: it is"), [98]);
        assert_eq!(found("le 98, 7 times"), [98]);
        assert_eq!(found("les 98 and 99)."), [98, 99]);
        assert_eq!(found("les 97, 98 or 99"), [97, 98, 99]);
        assert_eq!(found("les 97 to 99, and 5 more"), [97, 99]);
        assert_eq!(found("les\n/// 97\n/// to 99"), [97, 99]);
        assert_eq!(found("ler 98, the rules of 98, rule N"), [0; 0]);
        assert_eq!(cited(&format!("a\n(Ru{}", "le 98)")), [(2, 98)]);
    }

    #[test]
    fn a_wrong_number_is_found_where_it_stands() {
        let rules = BTreeSet::from_iter(1..=3);
        let text = format!("//! Ru{}\nlet a = 1; // ru{}\n", "les 1 to 3.", "les 3 and 98");
        assert_eq!(unknown(cited(&text), &rules), [(2, 98)]);
        assert_eq!(unknown(vec![(1, 256 + 3)], &rules), [(1, 259)]);
    }

    #[test]
    fn the_numbers_of_the_page_have_no_gap() {
        assert_eq!(heads("# Page\n### 1. A\ntext\n### 2. B\n").unwrap(), BTreeSet::from([1, 2]));
        for page in ["", "### 1. A\n### 3. C\n", "### 1. A\n### 1. B\n", "### 2. B\n"] {
            assert!(heads(page).is_err(), "{page:?}");
        }
    }

    #[test]
    fn a_rule_without_a_bug_is_found_and_a_bug_without_a_rule() {
        let rules = BTreeSet::from([1, 2]);
        assert_eq!(unplanted(&rules, &rules), [""; 0]);
        let faults = unplanted(&rules, &BTreeSet::from([2, 3]));
        assert_eq!(faults.len(), 2);
        assert!(faults[0].contains(&format!("ru{}", "le 1 has no bug")), "{faults:?}");
        assert!(faults[1].contains(&format!("ru{}", "le 3, not in")), "{faults:?}");
    }
}
