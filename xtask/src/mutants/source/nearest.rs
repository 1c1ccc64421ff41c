//! What is near to a text that is not there, so that one sees what has become of it.

use super::texts::Span;
use super::{Code, File};

/// How many places are shown.
const SHOWN: usize = 3;

/// The places that have most tokens of a text where it has them: first those in the item, then those in the crate.
pub(super) fn to(files: &[File], item: &[Span], whole: &[Span], text: &Code) -> Vec<Span> {
    let mut near: Vec<(usize, Span)> = Vec::new();
    for (scope, bonus) in [(item, 1), (whole, 0)] {
        for span in scope {
            let file = &files[span.file];
            for start in span.tokens.clone().take((span.tokens.len() + 1).saturating_sub(text.len())) {
                let same = (0..text.len()).filter(|index| text.word(*index) == file.code.word(start + index)).count();
                let tokens = start..start + text.len();
                if same > 0 && !file.tests.iter().any(|test| test.contains(&start)) {
                    near.push((2 * same + bonus, Span { file: span.file, tokens }));
                }
            }
        }
    }
    near.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let mut shown: Vec<Span> = Vec::new();
    for (_, span) in near {
        let overlaps = |other: &Span| {
            other.file == span.file && other.tokens.start < span.tokens.end && span.tokens.start < other.tokens.end
        };
        if shown.len() < SHOWN && !shown.iter().any(overlaps) {
            shown.push(span);
        }
    }
    shown
}
