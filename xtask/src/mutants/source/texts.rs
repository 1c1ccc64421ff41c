//! Where a text stands: token for token, or but for its names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Sources;
use crate::rust::{Code, is_name};

/// Tokens of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// The number of the file.
    pub file: usize,
    /// The numbers of the tokens.
    pub tokens: Range<usize>,
}

/// What a row may differ in from the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Likeness {
    /// In nothing.
    Same,
    /// In names that are not there any more.
    Gone,
    /// In every name.
    Shape,
}

/// The names of the source for those of a row.
pub(super) type Names = BTreeMap<String, String>;

impl Sources {
    /// The items with this name, without those that stand in others of them.
    pub(super) fn items(&self, root: &str, name: &str) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for (number, file) in self.files.iter().enumerate().filter(|(_, file)| file.name.starts_with(root)) {
            for item in file.items.iter().filter(|item| item.is_called(name)) {
                let is_within = |span: &Span| span.file == number && span.tokens.end >= item.tokens.end;
                if !spans.last().is_some_and(is_within) {
                    spans.push(Span { file: number, tokens: item.tokens.clone() });
                }
            }
        }
        spans
    }

    /// All of a crate.
    pub(super) fn whole(&self, root: &str) -> Vec<Span> {
        let files = self.files.iter().enumerate().filter(|(_, file)| file.name.starts_with(root));
        files.map(|(number, file)| Span { file: number, tokens: 0..file.code.len() }).collect()
    }

    /// The names that stand there.
    pub(super) fn names(&self, scope: &[Span]) -> BTreeSet<&str> {
        let words = |span: &Span| {
            let code = &self.files[span.file].code;
            span.tokens.clone().map(|index| code.word(index))
        };
        scope.iter().flat_map(words).filter(|word| is_name(word)).collect()
    }

    /// Where a text stands there, code of tests aside.
    pub(super) fn hits(&self, scope: &[Span], from: &Code, likeness: Likeness) -> Vec<(Span, Names)> {
        let stands = |name: &str| {
            let mut words = scope.iter().flat_map(|span| span.tokens.clone().map(|index| (span.file, index)));
            words.any(|(file, index)| self.files[file].code.word(index) == name)
        };
        let free: BTreeSet<&str> = match likeness {
            Likeness::Same => BTreeSet::new(),
            Likeness::Gone => from.names().filter(|name| !stands(name)).collect(),
            Likeness::Shape => from.names().collect(),
        };
        let mut hits = Vec::new();
        for span in scope {
            let file = &self.files[span.file];
            for start in span.tokens.clone().take((span.tokens.len() + 1).saturating_sub(from.len())) {
                if !file.tests.iter().any(|test| test.contains(&start))
                    && let Some(names) = names_at(&file.code, start, from, &free)
                {
                    hits.push((Span { file: span.file, tokens: start..start + from.len() }, names));
                }
            }
        }
        hits
    }
}

/// The names for those of a text, if it stands there but for the free ones.
fn names_at(code: &Code, start: usize, from: &Code, free: &BTreeSet<&str>) -> Option<Names> {
    let is_like = |index| {
        let (wanted, word) = (from.word(index), code.word(start + index));
        wanted == word || (free.contains(wanted) && is_name(word))
    };
    if !(0..from.len()).all(is_like) {
        return None;
    }
    let mut names = Names::new();
    for index in (0..from.len()).filter(|index| is_name(from.word(*index))) {
        let word = code.word(start + index);
        if names.entry(from.word(index).to_owned()).or_insert_with(|| word.to_owned()) != word {
            return None;
        }
    }
    Some(names)
}
