//! `ipset` (see ipset(8)): sets that the source is put into.

use std::time::Duration;

use super::address;
use super::change::{Change, Container, Deed, Families, Rule, Verb};

/// Reads the words behind the program's name.
///
/// # Errors
///
/// What is not understood, or has no counterpart.
pub fn read(words: &[String]) -> Result<Deed, String> {
    let mut words = words.iter().map(String::as_str).filter(|word| !matches!(*word, "-exist" | "-!" | "-q" | "-quiet"));
    let verb = match words.next() {
        Some("add" | "-A" | "--add") => Verb::Add,
        Some("del" | "-D" | "--del") => Verb::Delete,
        Some(other) => return Err(format!("{other} has no counterpart")),
        None => return Err("it changes no set".to_owned()),
    };
    let set = words.next().ok_or("it names no set")?;
    let prefix = address::source(words.next().unwrap_or_default())?;
    let mut lasts = None;
    while let Some(word) = words.next() {
        match word {
            "timeout" => {
                let seconds: u64 = words.next().and_then(|text| text.parse().ok()).ok_or("timeout takes seconds")?;
                lasts = Some(Duration::from_secs(seconds)).filter(|time| !time.is_zero() && verb == Verb::Add);
            }
            "comment" => drop(words.next()),
            _ => return Err(format!("{word} has no counterpart")),
        }
    }
    let rule = Rule { prefix, ..Rule::new(Families::V4, Container::Set(set.to_owned())) };
    Ok(Deed::Change(Change::new(verb, rule, lasts)))
}
