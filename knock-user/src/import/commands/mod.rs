//! Which commands of a knockd.conf do what the kernel can do itself: let the source of a knock in,
//! or not any more. A command is understood as a whole or not at all.

mod address;
mod change;
mod iptables;
mod knock_add;
mod nft;
mod shell;
mod ufw;

#[cfg(test)]
mod tests;

pub use self::address::ports;
pub use self::change::{Change, Families, Place, Rule, Verb};

use self::change::Deed;
use self::shell::{Join, Simple};
use crate::config::PortNames;

/// What a command line does to the firewall.
///
/// # Errors
///
/// Why it is not understood, as the end of a sentence.
pub fn understand(line: &str, names: &PortNames) -> Result<Change, String> {
    let commands = shell::parse(line)?;
    let mut whole: Option<Change> = None;
    let mut commands = commands.iter().peekable();
    while let Some(mut command) = commands.next() {
        let change = match one(command, names)? {
            Deed::Change(change) => change,
            Deed::Check(rule) => {
                // iptables -C RULE || iptables -I RULE, and -C RULE && -D RULE.
                let wanted = match command.join {
                    Join::Or => Verb::Add,
                    Join::And => Verb::Delete,
                    Join::Then => return Err("it only looks whether a rule is there".to_owned()),
                };
                command = commands.next().ok_or("it only looks whether a rule is there")?;
                match one(command, names)? {
                    Deed::Change(change) if change.verb == wanted && change.rules == [rule] => change,
                    _ => return Err("it looks for one rule and changes another".to_owned()),
                }
            }
        };
        let is_nothing = |next: &&Simple| {
            next.join == Join::Then && matches!(next.words[..], [ref word] if word == "true" || word == ":")
        };
        if command.join == Join::Or && commands.next_if(is_nothing).is_none() && commands.peek().is_some() {
            return Err("it has another command for when one fails".to_owned());
        }
        match &mut whole {
            None => whole = Some(change),
            Some(whole) => merge(whole, change)?,
        }
    }
    whole.ok_or_else(|| "it changes no rule".to_owned())
}

/// Takes the next command's change to those before: rules pile up, and a rule that is deleted and
/// added again is added.
fn merge(whole: &mut Change, next: Change) -> Result<(), String> {
    if whole.verb == next.verb {
        if whole.lasts != next.lasts {
            return Err("its rules do not end together".to_owned());
        }
        let new: Vec<Rule> = next.rules.into_iter().filter(|rule| !whole.rules.contains(rule)).collect();
        whole.rules.extend(new);
        whole.notes.extend(next.notes);
        Ok(())
    } else if whole.verb == Verb::Delete && whole.rules == next.rules {
        *whole = next;
        Ok(())
    } else {
        Err("it adds rules and deletes others".to_owned())
    }
}

/// One simple command.
fn one(command: &Simple, names: &PortNames) -> Result<Deed, String> {
    let mut words = command.words.as_slice();
    if let [first, rest @ ..] = words
        && base(first) == "sudo"
    {
        words = rest.strip_prefix(&["-n".to_owned()]).unwrap_or(rest);
    }
    let [program, words @ ..] = words else { return Err("it runs no program".to_owned()) };
    match base(program) {
        "iptables" | "iptables-legacy" | "iptables-nft" => iptables::read(Families::V4, words, names),
        "ip6tables" | "ip6tables-legacy" | "ip6tables-nft" => iptables::read(Families::V6, words, names),
        "nft" => nft::read(words, names),
        "ufw" => ufw::read(words, names),
        "knock_add" | "knock_helper_ipt.sh" => knock_add::read(words, names),
        _ => Err(format!("{program} is no command of a firewall that is known here")),
    }
}

/// A program's name without its directory.
fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
