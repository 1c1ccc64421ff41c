//! Where a bug is planted: in the item that its row names, at the tokens that its row shows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Result, anyhow, ensure};

use super::texts::{Likeness, Names, Span};
use super::{Code, Sources, nearest};
use crate::mutants::table::Mutant;

/// The place of a bug.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// The file, from the root of the workspace.
    pub file: PathBuf,
    /// The item around it.
    pub item: String,
    /// Its line.
    pub line: usize,
    /// The octets that are replaced.
    pub octets: Range<usize>,
    /// What stands there then.
    pub to: String,
    /// Names of the row that the source has others for.
    pub renamed: BTreeMap<String, String>,
}

impl Site {
    /// The text of the file with the bug in it.
    pub fn planted(&self, text: &str) -> String {
        format!("{}{}{}", &text[..self.octets.start], self.to, &text[self.octets.end..])
    }
}

/// The text of one file with all of these bugs in it. From the last place to the first: a bug moves what is behind it.
/// Two at the same tokens are an error.
pub fn planted(text: &str, places: &[&Site]) -> Result<String> {
    let mut places = places.to_vec();
    places.sort_by_key(|place| Reverse(place.octets.start));
    for pair in places.windows(2) {
        ensure!(pair[1].octets.end <= pair[0].octets.start, "two bugs have one place: {} and {}", pair[1], pair[0]);
    }
    Ok(places.iter().fold(text.to_owned(), |text, place| place.planted(&text)))
}

impl Sources {
    /// The places of all these bugs. The text of a row is looked for in the items with the name that it gives; if there
    /// is none, in the whole crate, and in the item in which the other rows of that name are. If nothing there reads
    /// like it, names may be others: first those that are not there any more, then every one, always the same one for
    /// the same. Nothing, or several of it, is an error that says what is near.
    pub fn places(&self, mutants: &[&Mutant]) -> Result<Vec<Site>> {
        let found = self.each_place(mutants);
        let faults: Vec<_> = found.iter().filter_map(|found| found.as_ref().err()).map(ToString::to_string).collect();
        ensure!(faults.is_empty(), "{}", faults.join("\n"));
        found.into_iter().collect()
    }

    /// The same, each for itself.
    pub fn each_place(&self, mutants: &[&Mutant]) -> Vec<Result<Site>> {
        let mut found: Vec<_> = mutants.iter().map(|mutant| self.find(mutant, mutant.item)).collect();
        let heirs: Vec<_> = mutants.iter().map(|mutant| heir(mutant, mutants, &found)).collect();
        for ((found, heir), mutant) in found.iter_mut().zip(heirs).zip(mutants) {
            if let (Err(_), Some(heir)) = (&found, heir)
                && self.items(mutant.root, mutant.item).is_empty()
                && let Ok(place) = self.find(mutant, &heir)
            {
                *found = Ok(place);
            }
        }
        self.rename_the_rest(mutants, &mut found);
        found
    }

    /// The place of a bug, if the item is called so.
    fn find(&self, mutant: &Mutant, item: &str) -> Result<Site> {
        let from = Code::new(mutant.from);
        ensure!(from.len() > 0, "{mutant}: the row shows no text");
        let whole = self.whole(mutant.root);
        let named = self.items(mutant.root, item);
        let last = self.items(mutant.root, item.rsplit("::").next().unwrap_or(item));
        let is_there = !named.is_empty();
        let scopes = match (is_there, last.is_empty()) {
            (true, _) => vec![named],
            (false, false) => vec![last, whole.clone()],
            (false, true) => vec![whole.clone()],
        };
        let fault = |what: String, places: &[Span]| {
            let near = places.iter().map(|span| self.line_of(span)).collect::<Vec<_>>().join("\n");
            anyhow!("{mutant}: `{}` {what}:\n{near}", from.shown(&(0..from.len())))
        };
        for likeness in [Likeness::Same, Likeness::Gone, Likeness::Shape] {
            for scope in &scopes {
                let hits = self.hits(scope, &from, likeness);
                match &hits[..] {
                    [] => {}
                    [(span, names)] => return Ok(self.place(mutant, span, names)),
                    _ => {
                        let spans: Vec<_> = hits.into_iter().map(|(span, _)| span).collect();
                        let how = if likeness == Likeness::Same { "stands" } else { "has its shape" };
                        return Err(fault(format!("{how} {} times in {}", spans.len(), of(is_there, item)), &spans));
                    }
                }
            }
            // What reads so elsewhere has rather been moved there than been given other names here.
            let elsewhere =
                if likeness == Likeness::Same { self.hits(&whole, &from, Likeness::Same) } else { Vec::new() };
            if !elsewhere.is_empty() {
                let spans: Vec<_> = elsewhere.into_iter().map(|(span, _)| span).collect();
                return Err(fault(format!("does not stand in {item}, but elsewhere"), &spans));
            }
        }
        let near = nearest::to(&self.files, &scopes[0], &whole, &from);
        Err(fault(format!("does not stand in {}, and nothing has its shape; nearest", of(is_there, item)), &near))
    }

    fn place(&self, mutant: &Mutant, span: &Span, names: &Names) -> Site {
        let file = &self.files[span.file];
        Site {
            file: file.name.clone(),
            item: file.item_around(&span.tokens).map_or_else(String::new, |item| item.path.clone()),
            line: file.code.line(span.tokens.start),
            octets: file.code.octets(&span.tokens),
            to: mutant.to.to_owned(),
            renamed: names
                .iter()
                .filter(|(from, to)| from != to)
                .map(|(from, to)| (from.clone(), to.clone()))
                .collect(),
        }
    }

    /// Gives names that only stand in what a row puts there the ones that other rows have found for them, if the crate
    /// has them no more.
    fn rename_the_rest(&self, mutants: &[&Mutant], found: &mut [Result<Site>]) {
        let mut others: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in found.iter().flatten().flat_map(|place| &place.renamed) {
            others.entry(from.clone()).or_default().insert(to.clone());
        }
        let mut there: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (mutant, found) in mutants.iter().zip(found) {
            let Ok(place) = found else { continue };
            let there = there.entry(mutant.root).or_insert_with(|| self.names(&self.whole(mutant.root)));
            let own = &place.renamed;
            let only = |name: &str| others.get(name).filter(|all| all.len() == 1)?.first().cloned();
            let other = |name: &str| match own.get(name) {
                Some(other) => Some(other.clone()),
                None if there.contains(name) => None,
                None => only(name),
            };
            place.to = Code::new(mutant.to).renamed(other);
        }
    }

    /// A line of an error: where it is, and what stands there.
    fn line_of(&self, span: &Span) -> String {
        let file = &self.files[span.file];
        format!("    {}: `{}`", file.shown(&span.tokens), file.code.shown(&span.tokens))
    }
}

/// The item in which the other rows of the same item are, if all that have a place are in one.
fn heir(mutant: &Mutant, mutants: &[&Mutant], found: &[Result<Site>]) -> Option<String> {
    let is_sibling = |other: &Mutant| (other.root, other.item) == (mutant.root, mutant.item);
    let siblings = mutants.iter().zip(found).filter(|(other, _)| is_sibling(other));
    let items: BTreeSet<_> = siblings.filter_map(|(_, found)| Some(&found.as_ref().ok()?.item)).collect();
    (items.len() == 1).then(|| items.first().map(ToString::to_string)).flatten()
}

/// How an error names where it was looked.
fn of(is_there: bool, item: &str) -> String {
    if is_there { item.to_owned() } else { format!("the crate, which has no {item}") }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} in {}", self.file.display(), self.line, self.item)?;
        self.renamed.iter().try_for_each(|(from, to)| write!(f, ", where {from} is {to}"))
    }
}
