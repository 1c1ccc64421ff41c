//! knockd's own helper: `knock_add`, which Debian calls `knock_helper_ipt.sh`.

use super::address::{self, EVERYBODY};
use super::change::{Change, Container, Deed, Families, Rule, Verb};
use crate::config::PortNames;

/// Reads the words behind the program's name.
///
/// # Errors
///
/// What is not understood.
pub fn read(words: &[String], names: &PortNames) -> Result<Deed, String> {
    let (mut verb, mut source, mut port) = (None, None, None);
    let (mut protocol, mut chain) = ("tcp".to_owned(), "INPUT".to_owned());
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let (name, mut value) = split(word).ok_or_else(|| format!("\"{word}\" is not understood"))?;
        let mut need = || value.take().or_else(|| words.next().cloned()).ok_or_else(|| format!("{name} takes a value"));
        match name.as_str() {
            "-a" | "--append" | "-i" | "--insert" => verb = Some(Verb::Add),
            "-x" | "--delete" => verb = Some(Verb::Delete),
            "-f" | "--srcaddr" => source = Some(address::source(&need()?)?),
            "-d" | "--dstport" => port = Some(need()?),
            "-p" | "--proto" => protocol = need()?,
            "-c" | "--chain" => chain = need()?,
            "-t" | "--test" => return Err("it only tries, and changes nothing".to_owned()),
            // getopt takes a remark from the same word only, and puts one that stands alone behind all options.
            "-m" | "--comment" => {
                value = None;
                words.next_if(|next| !next.starts_with('-'));
            }
            "-v" | "--verbose" => {}
            _ => return Err(format!("{name} has no counterpart")),
        }
        // Letters without a value may stand together.
        if let Some(more) = value.filter(|more| !more.is_empty()) {
            return Err(format!("\"{word}\" is not understood, at {more}"));
        }
    }
    let transport = address::transport(&protocol)?.ok_or("it names no protocol")?;
    let rule = Rule {
        ports: address::ports(&port.ok_or("it names no port")?, transport, names)?,
        prefix: source.ok_or(EVERYBODY)?,
        ..Rule::new(Families::V4, Container::Chain(chain))
    };
    let verb = verb.ok_or("it says neither -a nor -i nor -x")?;
    Ok(Deed::Change(Change::new(verb, rule, None)))
}

/// An option, and the value in the same word.
fn split(word: &str) -> Option<(String, Option<String>)> {
    if word.starts_with("--") {
        return Some(match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.to_owned(), None),
        });
    }
    let rest = word.strip_prefix('-')?;
    let mut chars = rest.chars();
    let letter = chars.next()?;
    Some((format!("-{letter}"), Some(chars.as_str().to_owned()).filter(|value| !value.is_empty())))
}
