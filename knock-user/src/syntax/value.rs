//! Typed access to parsed TOML: every value knows its key and its place, and a value of the wrong
//! type is reported and skipped, so that one mistake does not hide the next.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Severity;
use super::report::{Report, Span};
use super::suggest;

/// Characters of one name in a key: every value below it repeats that.
const MAX_SHOWN: usize = 64;

/// A name of a key as findings show it.
fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", name[..end].escape_debug()),
        None => name.escape_debug().to_string(),
    }
}

/// A value, its key and its place.
pub(crate) struct Item<'a> {
    pub(crate) key: String,
    pub(crate) span: Span,
    value: &'a DeValue<'a>,
}

impl<'a> Item<'a> {
    fn new(key: String, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { key, span: value.span(), value: value.get_ref() }
    }

    /// Reports something for which this value is refused.
    pub(crate) fn error(&self, report: &Report<'_>, message: impl Into<String>, help: impl Into<String>) {
        report.error(&self.span, &self.key, message, help);
    }

    pub(crate) fn as_str(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// The value if it is an integer of 64 bits.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        let integer = self.value.as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// True if it is an integer, however large.
    pub(crate) fn is_integer(&self) -> bool {
        self.value.is_integer()
    }

    pub(crate) fn string(&self, report: &Report<'_>) -> Option<&'a str> {
        self.typed(report, self.as_str(), "a string", "put it in quotes")
    }

    pub(crate) fn boolean(&self, report: &Report<'_>) -> Option<bool> {
        self.typed(report, self.value.as_bool(), "true or false", "write true or false, without quotes")
    }

    pub(crate) fn list(&self, report: &Report<'_>) -> Option<Vec<Item<'a>>> {
        let array = self.typed(report, self.value.as_array(), "a list", "write [\"...\"], in brackets")?;
        Some(array.iter().enumerate().map(|(index, item)| Item::new(format!("{}[{index}]", self.key), item)).collect())
    }

    pub(crate) fn table(&self, report: &Report<'_>) -> Option<Table<'a>> {
        let help = format!("begin a section: [{}]", self.key);
        let table = self.typed(report, self.value.as_table(), "a section", &help)?;
        Some(Table::new(self.key.clone(), self.span.clone(), table))
    }

    /// An integer between `low` and `high`.
    pub(crate) fn integer(&self, report: &Report<'_>, low: u32, high: u32) -> Option<u32> {
        let help = format!("write a whole number from {low} to {high}");
        self.typed(report, self.value.as_integer(), "a number", &help)?;
        let number = self.as_integer().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (low..=high).contains(number));
        if number.is_none() {
            self.error(report, format!("must be from {low} to {high}"), help);
        }
        number
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, report: &Report<'_>, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(report)?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|&(_, choice)| choice);
        if chosen.is_none() {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.error(
                report,
                format!("\"{}\" is not known here", text.escape_debug()),
                format!("write {}", words.join(" or ")),
            );
        }
        chosen
    }

    fn typed<T>(&self, report: &Report<'_>, value: Option<T>, wanted: &str, help: &str) -> Option<T> {
        if value.is_none() {
            self.error(report, format!("must be {wanted}, not {}", self.kind()), help);
        }
        value
    }

    fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        }
    }
}

/// A section: what has been asked for is known, what is left over at the end is not.
pub(crate) struct Table<'a> {
    pub(crate) key: String,
    pub(crate) span: Span,
    entries: Vec<Entry<'a>>,
    known: Vec<&'static str>,
}

/// One key of a section, with the place of the key itself.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) name_span: Span,
    pub(crate) item: Item<'a>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(key: String, span: Span, table: &'a DeTable<'a>) -> Self {
        let dot = if key.is_empty() { "" } else { "." };
        let mut entries: Vec<Entry<'a>> = table
            .iter()
            .map(|(name, value)| Entry {
                name: name.get_ref(),
                name_span: name.span(),
                item: Item::new(format!("{key}{dot}{}", shown(name.get_ref())), value),
            })
            .collect();
        // The parser sorts by name; people mean the order of their file.
        entries.sort_by_key(|entry| entry.name_span.start);
        Self { key, span, entries, known: Vec::new() }
    }

    /// Takes a key out, if it is there.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Item<'a>> {
        self.known.push(name);
        let is_it = |entry: &Entry<'_>| {
            super::work::note();
            entry.name == name
        };
        let index = self.entries.iter().position(is_it)?;
        Some(self.entries.remove(index).item)
    }

    /// Takes a key out that must be there.
    pub(crate) fn need(&mut self, report: &Report<'_>, name: &'static str, example: &str) -> Option<Item<'a>> {
        let item = self.take(name);
        if item.is_none() {
            report.error(&self.span, &format!("{}.{name}", self.key), "is missing", format!("add {name} = {example}"));
        }
        item
    }

    /// All keys that were not taken, in the order of the text.
    pub(crate) fn into_entries(self) -> Vec<Entry<'a>> {
        self.entries
    }

    /// Reports every key that was not taken.
    pub(crate) fn finish(self, report: &Report<'_>) {
        for entry in &self.entries {
            super::work::note();
            if report.is_full() {
                // What was meant takes a while to find out.
                report.leave_out(Severity::Error);
                continue;
            }
            let help = match suggest::nearest(entry.name, &self.known) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            report.error(&entry.name_span, &entry.item.key, "unknown key", help);
        }
    }
}
