//! A whole command line: what it does to the firewall, and what else it runs.

use std::time::Duration;

use super::change::{By, Change, Deed, Finder, Note, Rule, Verb};
use super::program;
use super::search;
use super::shell::{self, Command, Join};
use crate::config::PortNames;

/// What a command line does, all in all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandLine {
    /// Adds or deletes.
    pub verb: Verb,
    /// Which rules. Empty only if `finders` is not.
    pub rules: Vec<Rule>,
    /// Rules that are found when they are deleted.
    pub finders: Vec<Finder>,
    /// The rules go by themselves after this time.
    pub lasts: Option<Duration>,
    /// What gets lost when the kernel does the same.
    pub notes: Vec<Note>,
    /// The other commands, which go on as they are; empty if there are none.
    pub rest: String,
    /// Those that run once the rules are gone again.
    pub after: String,
}

/// What a command line does to the firewall, and what else.
///
/// # Errors
///
/// Why it is not understood, as the end of a sentence.
pub fn understand(line: &str, names: &PortNames) -> Result<CommandLine, String> {
    let mut reader = Reader { names, read: Read::default() };
    reader.commands(shell::parse(line)?)?;
    reader.read.finish()
}

/// A command that is no firewall's.
struct Other {
    text: String,
    join: Join,
    sleeps: Option<Duration>,
}

/// What was read so far.
#[derive(Default)]
struct Read {
    verb: Option<Verb>,
    rules: Vec<Rule>,
    finders: Vec<Finder>,
    lasts: Option<Duration>,
    notes: Vec<Note>,
    others: Vec<Other>,
    /// How many of the others are from before the rules went again.
    closed: Option<usize>,
    /// The first program that is not known.
    unknown: Option<String>,
}

struct Reader<'a> {
    names: &'a PortNames,
    read: Read,
}

impl Reader<'_> {
    fn commands(&mut self, commands: Vec<Command>) -> Result<(), String> {
        let mut commands = commands.into_iter().peekable();
        while let Some(mut command) = commands.next() {
            if let Some(text) = shells(&command) {
                self.commands(shell::parse(&text)?)?;
                if command.join == Join::Or {
                    self.without_alternative(&mut commands)?;
                }
                continue;
            }
            if !program::is_firewalls(&command) {
                self.other(command, commands.peek())?;
                continue;
            }
            if let Some((lasts, text)) = scheduled(&command) {
                self.ends_after(lasts, &text)?;
                continue;
            }
            let mut deed = self.one(&command)?;
            if matches!(deed, Deed::Check(_) | Deed::Look) {
                const ONLY: &str = "it only looks whether a rule is there";
                // iptables -C RULE || iptables -I RULE, and -C RULE && -D RULE.
                let wanted = match command.join {
                    Join::Or => Verb::Add,
                    Join::And => Verb::Delete,
                    Join::Then | Join::Beside => return Err(ONLY.to_owned()),
                };
                command = commands.next().ok_or(ONLY)?;
                let next = self.one(&command)?;
                let fits = match (&deed, &next) {
                    (Deed::Check(rule), Deed::Change(change)) => change.verb == wanted && change.rule == *rule,
                    (Deed::Look, Deed::Change(change)) => change.verb == wanted,
                    (_, Deed::Find(_)) => wanted == Verb::Delete,
                    _ => false,
                };
                if !fits {
                    return Err("it looks for one rule and changes another".to_owned());
                }
                deed = next;
            }
            // What is not needed may be looked for first.
            let is_needless = |next: &Command| matches!(self.one(next), Ok(Deed::Needless(_)));
            if matches!(deed, Deed::Needless(_))
                && matches!(command.join, Join::Or | Join::And)
                && let Some(next) = commands.next_if(is_needless)
            {
                command = next;
            }
            if command.join == Join::Or {
                self.without_alternative(&mut commands)?;
            }
            self.read.take(deed, &command.text)?;
        }
        Ok(())
    }

    /// What stands behind `||` is for when the firewall fails, and the kernel does not.
    fn without_alternative(
        &mut self,
        commands: &mut std::iter::Peekable<std::vec::IntoIter<Command>>,
    ) -> Result<(), String> {
        match commands.next_if(|next| !program::is_firewalls(next)) {
            Some(next) if is_nothing(&next) => Ok(()),
            Some(next) if next.join != Join::Or => {
                let text = format!("left out, as it was for when the firewall fails: {}", next.text);
                self.read.notes.push(Note::plain(text));
                Ok(())
            }
            _ => Err("it has another command for when one fails".to_owned()),
        }
    }

    /// A command that goes on as it is.
    fn other(&mut self, command: Command, next: Option<&Command>) -> Result<(), String> {
        let words = &command.programs[0];
        let program = program::words(words).first().map_or("", String::as_str);
        if command.text.contains("$?") {
            return Err("it asks how a command has ended".to_owned());
        }
        let decides = matches!(command.join, Join::And | Join::Or) && next.is_some_and(program::is_firewalls);
        if decides && (command.join == Join::Or || !program::only_talks(&command)) {
            // To close always is on the safe side, to open always is not.
            let closes = next.is_some_and(|next| matches!(self.one(next), Ok(ref deed) if deletes(deed)));
            if !closes {
                return Err(format!("{program} decides whether it opens"));
            }
            self.read.notes.push(Note::look(format!("{program} decided whether it closes; here it always does")));
        }
        if !program::only_talks(&command) {
            self.read.unknown.get_or_insert_with(|| program.to_owned());
        }
        let sleeps = (command.programs.len() == 1 && command.odd.is_none() && program::name(words) == "sleep")
            .then(|| seconds(&words[1..]))
            .flatten();
        // What stands before a firewall's command is not joined to what stands behind that.
        let apart = next.is_none_or(program::is_firewalls) && command.join != Join::Beside;
        let join = if apart { Join::Then } else { command.join };
        self.read.others.push(Other { text: command.text, join, sleeps });
        Ok(())
    }

    fn one(&self, command: &Command) -> Result<Deed, String> {
        if command.odd.is_some() || command.programs.len() > 1 {
            let why = || command.odd.clone().unwrap_or_else(|| "a pipe, or something like it".to_owned());
            return search::read(command).ok_or_else(why);
        }
        program::read(&command.programs[0], self.names)
    }

    /// `echo "iptables -D RULE" | at now + 5 minutes`
    fn ends_after(&mut self, lasts: Duration, text: &str) -> Result<(), String> {
        let commands = shell::parse(text)?;
        for command in &commands {
            match self.one(command)? {
                Deed::Change(change) if change.verb == Verb::Delete => self.read.ends(&[change.rule], lasts)?,
                Deed::Find(_) if self.read.verb == Some(Verb::Add) => self.read.lasts = Some(lasts),
                _ => return Err("what it does later is not to take its rule away".to_owned()),
            }
        }
        Ok(())
    }
}

const fn deletes(deed: &Deed) -> bool {
    matches!(deed, Deed::Find(_) | Deed::Change(Change { verb: Verb::Delete, .. }))
}

impl Read {
    fn take(&mut self, deed: Deed, text: &str) -> Result<(), String> {
        match deed {
            Deed::Change(change) => self.change(change),
            Deed::Needless(note) => {
                self.notes.push(note);
                Ok(())
            }
            Deed::Find(by) => {
                match self.verb {
                    // What it looks for and deletes, it adds anew, or it ends what it has opened.
                    Some(Verb::Add) => return self.ends(&[], self.slept()),
                    None | Some(Verb::Delete) => self.verb = Some(Verb::Delete),
                }
                self.finders.push(Finder { by, text: text.to_owned() });
                Ok(())
            }
            Deed::Check(_) | Deed::Look => Err("it only looks whether a rule is there".to_owned()),
        }
    }

    /// Takes the next change to those before: rules pile up, a rule that is deleted and added again is added, and
    /// one that is added and deleted after a while goes by itself.
    fn change(&mut self, change: Change) -> Result<(), String> {
        let Some(verb) = self.verb else {
            self.verb = Some(change.verb);
            self.rules = vec![change.rule];
            self.lasts = change.lasts;
            self.notes.extend(change.notes);
            return Ok(());
        };
        match (verb, change.verb) {
            _ if verb == change.verb => {
                if self.lasts != change.lasts || self.closed.is_some() {
                    return Err("its rules do not end together".to_owned());
                }
                if !self.rules.contains(&change.rule) {
                    self.rules.push(change.rule);
                }
                self.notes.extend(change.notes);
                Ok(())
            }
            // What was found by a search was an older rule of the same source.
            (Verb::Delete, Verb::Add)
                if self.finders.iter().all(|finder| finder.by == By::Search)
                    && (self.rules.is_empty() || self.rules == [change.rule.clone()]) =>
            {
                *self = Self {
                    verb: None,
                    rules: Vec::new(),
                    finders: Vec::new(),
                    lasts: None,
                    notes: std::mem::take(&mut self.notes),
                    others: std::mem::take(&mut self.others),
                    closed: None,
                    unknown: self.unknown.take(),
                };
                self.change(change)
            }
            (Verb::Add, Verb::Delete) => self.ends(&[change.rule], self.slept()),
            _ => Err("it adds rules and deletes others".to_owned()),
        }
    }

    /// How long it has slept since.
    fn slept(&self) -> Duration {
        self.others.iter().filter_map(|other| other.sleeps).sum()
    }

    /// Its rules go after a time: all of them, or those that are deleted one after the other.
    fn ends(&mut self, rules: &[Rule], lasts: Duration) -> Result<(), String> {
        let mine = |rule: &Rule| self.rules.iter().any(|own| own.place == rule.place && own.ports == rule.ports);
        if self.verb != Some(Verb::Add) || !rules.iter().all(mine) {
            return Err("it adds rules and deletes others".to_owned());
        }
        if lasts.is_zero() {
            return Err("it adds a rule and deletes it at once".to_owned());
        }
        self.lasts = Some(self.lasts.map_or(lasts, |other| other.min(lasts)));
        self.others.retain(|other| other.sleeps.is_none() || self.closed.is_some());
        self.closed.get_or_insert(self.others.len());
        Ok(())
    }

    fn finish(self) -> Result<CommandLine, String> {
        let Some(verb) = self.verb else {
            return Err(self.unknown.map_or_else(|| "it changes no rule".to_owned(), |name| program::unknown(&name)));
        };
        let (rest, after) = self.others.split_at(self.closed.unwrap_or(self.others.len()));
        Ok(CommandLine {
            verb,
            rest: row(rest),
            after: row(after),
            rules: self.rules,
            finders: self.finders,
            lasts: self.lasts,
            notes: self.notes,
        })
    }
}

/// Commands in a row, as they were joined.
fn row(others: &[Other]) -> String {
    let mut text = String::new();
    for (index, other) in others.iter().enumerate() {
        text += &other.text;
        let last = index + 1 == others.len();
        text += match other.join {
            Join::Beside if last => " &",
            _ if last => "",
            Join::Then => "; ",
            Join::Beside => " & ",
            Join::And => " && ",
            Join::Or => " || ",
        };
    }
    text
}

/// `true`, or `:`.
fn is_nothing(command: &Command) -> bool {
    command.programs.len() == 1 && matches!(program::name(&command.programs[0]), "true" | ":")
}

/// What `sh -c` is given.
fn shells(command: &Command) -> Option<String> {
    match command.programs.as_slice() {
        [words] if command.odd.is_none() => match program::words(words) {
            [shell, c, text] if matches!(program::base(shell), "sh" | "bash" | "dash") && c == "-c" => {
                Some(text.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

/// A command that `at` runs later: when, and the command.
fn scheduled(command: &Command) -> Option<(Duration, String)> {
    let [echo, at] = command.programs.as_slice() else { return None };
    if command.odd.is_some() || program::name(echo) != "echo" || program::name(at) != "at" || echo.len() != 2 {
        return None;
    }
    let when: String = at.iter().skip(1).filter(|word| !word.starts_with('-')).map(String::as_str).collect();
    let when = when.strip_prefix("now")?.strip_prefix('+')?;
    let digits = when.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = when[..digits].parse().ok()?;
    let unit = match when[digits..].trim_end_matches('s') {
        "min" | "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    Some((Duration::from_secs(number.checked_mul(unit)?), echo[1].clone()))
}

/// How long `sleep` sleeps with these arguments.
fn seconds(words: &[String]) -> Option<Duration> {
    crate::config::slept(words.iter().map(String::as_str))
}
