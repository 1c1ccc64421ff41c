//! What the commands of a door mean, for both families together.

use std::time::Duration;

use super::commands::{self, By, CommandLine, Families, Finder, Note, Rule, Verb};
use crate::config::{PortNames, PortRange};

/// The commands of a door, as knockd would run them for each family.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Commands {
    /// When an IPv4 source has knocked. `None`: nothing runs.
    pub start: Option<String>,
    /// When an IPv6 source has knocked.
    pub start_6: Option<String>,
    /// `cmd_timeout` later.
    pub stop: Option<String>,
    /// The same for IPv6.
    pub stop_6: Option<String>,
}

impl Commands {
    /// From what the directives say: the commands for IPv6 are those for IPv4 unless there are others,
    /// an empty command does nothing, and nothing stops where nothing starts.
    pub fn new(start: Option<&str>, start_6: Option<&str>, stop: Option<&str>, stop_6: Option<&str>) -> Self {
        let some = |command: Option<&str>| command.filter(|text| !text.is_empty()).map(str::to_owned);
        let (start, six) = (some(start), some(start_6.or(start)));
        Self {
            stop: start.as_ref().and_then(|_| some(stop)),
            stop_6: six.as_ref().and_then(|_| some(stop_6.or(stop))),
            start,
            start_6: six,
        }
    }

    /// True if something runs later.
    pub const fn stops(&self) -> bool {
        self.stop.is_some() || self.stop_6.is_some()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        [&self.start, &self.start_6, &self.stop, &self.stop_6].into_iter().flatten()
    }
}

/// What the door does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// It lets the source in.
    Open(Open),
    /// It takes that back.
    Close(Close),
    /// It runs commands that are not understood, for this reason.
    Hooks(String),
    /// Nothing but a line in the log.
    Log,
}

/// How a source is let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    /// By which rules.
    pub rules: Vec<Rule>,
    /// A stop command takes them away after `cmd_timeout`.
    pub stops: bool,
    /// They go by themselves after this time.
    pub lasts: Option<Duration>,
    /// How much of an IPv4 source is let in, if not all of it.
    pub prefix_v4: Option<u8>,
    /// The same for IPv6.
    pub prefix_v6: Option<u8>,
    /// What still runs.
    pub hooks: Commands,
}

/// How that is taken back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Close {
    /// By which rules.
    pub rules: Vec<Rule>,
    /// By what finds a rule when it runs, where that is not known before.
    pub finders: Vec<Finder>,
    /// What still runs.
    pub hooks: Commands,
}

/// One family's commands.
enum One {
    Nothing,
    Open(Family),
    Close(Vec<Rule>, Vec<Finder>, String),
    Other(String),
}

/// How one family is let in.
struct Family {
    rules: Vec<Rule>,
    stops: bool,
    lasts: Option<Duration>,
    /// What still runs when it opens, and when it ends.
    rest: [String; 2],
}

/// Understands them, and adds what there is to say to `notes`.
pub fn of(commands: &Commands, names: &PortNames, notes: &mut Vec<Note>) -> Meaning {
    let v4 = one(commands.start.as_deref(), commands.stop.as_deref(), names, notes);
    let same = commands.start == commands.start_6 && commands.stop == commands.stop_6;
    if same {
        let (rules, meaning) = match v4 {
            One::Nothing => return Meaning::Log,
            One::Other(reason) => return Meaning::Hooks(reason),
            One::Close(rules, finders, rest) => {
                return Meaning::Close(Close { rules, finders, hooks: hooks([&rest, ""], [&rest, ""]) });
            }
            One::Open(open) => {
                let runs = [open.rest[0].clone(), open.rest[1].clone()];
                let hooks = hooks([&runs[0], &runs[1]], [&runs[0], &runs[1]]);
                (open.rules.clone(), Meaning::Open(Open { hooks, ..opened(open) }))
            }
        };
        let only = |families| rules.iter().all(|rule| rule.families == families);
        if only(Families::V4) {
            notes.push(Note::plain("this was for IPv4 only; the service is protected, and opened, for IPv6 as well"));
        } else if only(Families::V6) {
            notes.push(Note::plain("this was for IPv6 only; the service is protected, and opened, for IPv4 as well"));
        }
        return meaning;
    }
    let v6 = one(commands.start_6.as_deref(), commands.stop_6.as_deref(), names, notes);
    both(v4, v6, commands, notes)
}

/// What runs for each family: at the start, and at the stop.
fn hooks(v4: [&str; 2], v6: [&str; 2]) -> Commands {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Commands { start: some(v4[0]), start_6: some(v6[0]), stop: some(v4[1]), stop_6: some(v6[1]) }
}

fn both(v4: One, v6: One, commands: &Commands, notes: &mut Vec<Note>) -> Meaning {
    let idle = |family: &str| {
        Note::look(format!("knockd did nothing for {family} here; the service opens and closes for both"))
    };
    match (v4, v6) {
        (One::Nothing, One::Nothing) => Meaning::Log,
        (One::Open(open), One::Nothing) => {
            notes.push(idle("IPv6"));
            let hooks = hooks([&open.rest[0], &open.rest[1]], ["", ""]);
            Meaning::Open(Open { hooks, ..opened(open) })
        }
        (One::Nothing, One::Open(open)) => {
            notes.push(idle("IPv4"));
            let hooks = hooks(["", ""], [&open.rest[0], &open.rest[1]]);
            Meaning::Open(Open { hooks, ..opened(open) })
        }
        (One::Close(rules, finders, rest), One::Nothing) => {
            Meaning::Close(Close { rules, finders, hooks: hooks([&rest, ""], ["", ""]) })
        }
        (One::Nothing, One::Close(rules, finders, rest)) => {
            Meaning::Close(Close { rules, finders, hooks: hooks(["", ""], [&rest, ""]) })
        }
        (One::Close(rules, mut finders, rest), One::Close(others, more, rest_6)) if alike(&rules, &others) => {
            finders.extend(more);
            Meaning::Close(Close { rules, finders, hooks: hooks([&rest, ""], [&rest_6, ""]) })
        }
        (One::Open(open), One::Open(other)) if alike(&open.rules, &other.rules) => {
            if open.stops != other.stops || open.lasts != other.lasts {
                notes.push(Note::look("IPv4 and IPv6 did not stay open for the same time; the shorter one counts"));
            }
            let lasts = open.lasts.into_iter().chain(other.lasts).min();
            let prefix_v6 = prefix(&other.rules, Families::V6);
            let hooks = hooks([&open.rest[0], &open.rest[1]], [&other.rest[0], &other.rest[1]]);
            let stops = open.stops || other.stops;
            Meaning::Open(Open { prefix_v6, stops, lasts, hooks, ..opened(open) })
        }
        (One::Open(open), One::Other(reason)) if commands.start_6 != commands.start => {
            let stop_6 = commands.stop_6.clone().filter(|_| commands.stop_6 != commands.stop);
            let is_fit = |text: &String| !commands::deletes_by_number(text);
            let hooks = Commands {
                start_6: commands.start_6.clone().filter(is_fit),
                stop_6: stop_6.filter(is_fit),
                ..hooks([&open.rest[0], &open.rest[1]], ["", ""])
            };
            notes.push(Note::look(format!("the command for IPv6 stays a hook: {reason}")));
            Meaning::Open(Open { hooks, ..opened(open) })
        }
        (One::Other(reason), _) | (_, One::Other(reason)) => Meaning::Hooks(reason),
        _ => Meaning::Hooks("its commands for IPv4 and IPv6 do not do the same".to_owned()),
    }
}

fn opened(open: Family) -> Open {
    let (prefix_v4, prefix_v6) = (prefix(&open.rules, Families::V4), prefix(&open.rules, Families::V6));
    let Family { rules, stops, lasts, .. } = open;
    Open { rules, stops, lasts, prefix_v4, prefix_v6, hooks: Commands::default() }
}

/// The prefix length for one family: the longest, if the rules differ.
fn prefix(rules: &[Rule], family: Families) -> Option<u8> {
    let whole = if family == Families::V4 { 32 } else { 128 };
    let of_family = rules.iter().filter(|rule| rule.families == family || rule.families == Families::Both);
    of_family.map(|rule| rule.prefix.unwrap_or(whole).min(whole)).max().filter(|&bits| bits < whole)
}

fn one(start: Option<&str>, stop: Option<&str>, names: &PortNames, notes: &mut Vec<Note>) -> One {
    let Some(start) = start else { return One::Nothing };
    let line = match commands::understand(start, names) {
        Ok(line) => line,
        Err(reason) => return One::Other(reason),
    };
    let stopped = match stop.map(|stop| commands::understand(stop, names)) {
        None => None,
        Some(Ok(stopped)) => Some(stopped),
        Some(Err(reason)) => return One::Other(format!("of its stop command: {reason}")),
    };
    let (meant, more) = match (line.verb, stopped) {
        (Verb::Add, None) => {
            let rest = [line.rest, line.after];
            (One::Open(Family { rules: line.rules, stops: false, lasts: line.lasts, rest }), Vec::new())
        }
        (Verb::Add, Some(stop)) if takes_away(&line.rules, &stop) => {
            let later = [line.after, stop.rest].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>();
            let rest = [line.rest, later.join("; ")];
            let more = stop.notes.into_iter().filter(|note| note.look).collect();
            (One::Open(Family { rules: line.rules, stops: true, lasts: line.lasts, rest }), more)
        }
        (Verb::Add, Some(_)) => {
            return One::Other("its stop command does not take the same rule away".to_owned());
        }
        (Verb::Delete, None) => (One::Close(line.rules, line.finders, line.rest), Vec::new()),
        (Verb::Delete, Some(_)) => {
            return One::Other("it closes, and its stop command does something else".to_owned());
        }
    };
    for note in line.notes.into_iter().chain(more) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    meant
}

/// True if a stop command deletes these rules, by what they are, by a search for them, or by their number.
fn takes_away(rules: &[Rule], stop: &CommandLine) -> bool {
    let finds = |rule: &Rule| stop.finders.iter().any(|finder| finds(finder, rule));
    stop.verb == Verb::Delete
        && if stop.finders.is_empty() {
            alike(rules, &stop.rules)
        } else {
            rules.iter().all(|rule| finds(rule) || stop.rules.iter().any(|other| same(rule, other)))
        }
}

/// True if a deletion may find a rule, by what both name.
pub fn finds(finder: &Finder, rule: &Rule) -> bool {
    let place = rule.place.name().is_none_or(|name| finder.names(name));
    let port = |range: &PortRange| range.first == range.last && finder.names(&range.first.to_string());
    place && (finder.by == By::Number || !finder.has_ports() || rule.ports.iter().any(port))
}

fn same(rule: &Rule, other: &Rule) -> bool {
    rule.place == other.place && rule.ports == other.ports
}

/// True if both are about the same ports in the same places, whichever family and prefix.
fn alike(rules: &[Rule], others: &[Rule]) -> bool {
    rules.iter().all(|rule| others.iter().any(|other| same(rule, other)))
        && others.iter().all(|other| rules.iter().any(|rule| same(rule, other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: &str = "iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
    const DELETE: &str = "iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
    const ADD_6: &str = "ip6tables -I INPUT -s %IP%/64 -p tcp --dport 22 -j ACCEPT";
    const DELETE_6: &str = "ip6tables -D INPUT -s %IP%/64 -p tcp --dport 22 -j ACCEPT";

    fn meaning(directives: [Option<&str>; 4]) -> (Meaning, usize, usize) {
        let [start, start_6, stop, stop_6] = directives;
        let mut notes = Vec::new();
        let commands = Commands::new(start, start_6, stop, stop_6);
        let meaning = of(&commands, &PortNames::default(), &mut notes);
        let looks = notes.iter().filter(|note| note.look).count();
        (meaning, notes.len() - looks, looks)
    }

    fn word(directives: [Option<&str>; 4]) -> String {
        let (meaning, _, looks) = meaning(directives);
        let looks = if looks > 0 { " look" } else { "" };
        match meaning {
            Meaning::Open(open) => {
                let prefix = open.prefix_v6.map_or_else(String::new, |bits| format!(" /{bits}"));
                let hooks = if open.hooks == Commands::default() { "" } else { " hooks" };
                format!("open{}{prefix}{hooks}{looks}", if open.stops { " stops" } else { "" })
            }
            Meaning::Close(_) => format!("close{looks}"),
            Meaning::Hooks(reason) => format!("hooks: {reason}{looks}"),
            Meaning::Log => format!("log{looks}"),
        }
    }

    #[test]
    fn a_stop_command_that_takes_the_rule_away_ends_the_grant() {
        for (directives, meant) in [
            ([Some(ADD), None, None, None], "open"),
            ([Some(ADD), None, Some(DELETE), None], "open stops"),
            ([Some(DELETE), None, None, None], "close"),
            ([None; 4], "log"),
            ([Some(""), None, Some(DELETE), None], "log"),
            ([None, None, Some(DELETE), None], "log"),
            ([Some(ADD), None, Some(ADD), None], "hooks: its stop command does not take the same rule away"),
            ([Some(DELETE), None, Some(ADD), None], "hooks: it closes, and its stop command does something else"),
            (
                [Some("open %IP%"), None, Some(DELETE), None],
                "hooks: open is no command of a firewall that is known here",
            ),
            (
                [Some(ADD), None, Some("close %IP%"), None],
                "hooks: of its stop command: close is no command of a firewall that is known here",
            ),
        ] {
            assert_eq!(word(directives), meant, "{directives:?}");
        }
    }

    #[test]
    fn both_families_are_one_service() {
        for (directives, meant) in [
            ([Some(ADD), Some(ADD_6), Some(DELETE), Some(DELETE_6)], "open stops /64"),
            // knockd's own mistake: the command for IPv4 cannot take the rule for IPv6 away.
            ([Some(ADD), Some(ADD_6), Some(DELETE), None], "open stops /64"),
            ([Some(ADD), Some(""), Some(DELETE), None], "open stops look"),
            ([Some(""), Some(ADD_6), None, Some(DELETE_6)], "open stops /64 look"),
            ([Some(ADD), Some("six %IP%"), Some(DELETE), None], "open stops hooks look"),
            ([Some(DELETE), Some(DELETE_6), None, None], "close"),
            ([Some(ADD), Some(DELETE_6), None, None], "hooks: its commands for IPv4 and IPv6 do not do the same"),
            (
                [Some("four %IP%"), Some(ADD_6), None, None],
                "hooks: four is no command of a firewall that is known here",
            ),
        ] {
            assert_eq!(word(directives), meant, "{directives:?}");
        }
    }

    #[test]
    fn families_that_stay_open_for_different_times_both_have_the_shorter_one() {
        let command =
            |family: &str, timeout: &str| format!("nft add element {family} filter guests {{ %IP%{timeout} }}");
        for (v4, v6, seconds) in [
            (" timeout 30s", " timeout 10s", Some(10)),
            (" timeout 10s", " timeout 30s", Some(10)),
            (" timeout 30s", "", Some(30)),
            ("", " timeout 30s", Some(30)),
            ("", "", None),
        ] {
            let (start, start_6) = (command("ip", v4), command("ip6", v6));
            let (meaning, _, looks) = meaning([Some(&start), Some(&start_6), None, None]);
            let Meaning::Open(open) = meaning else { panic!("{start}, {start_6}: {meaning:?}") };
            assert_eq!(open.lasts, seconds.map(Duration::from_secs), "{start}, {start_6}");
            assert_eq!(looks, usize::from(v4 != v6), "{start}, {start_6}");
        }
    }

    #[test]
    fn commands_fall_back_as_in_knockd() {
        let commands = Commands::new(Some("a"), None, Some("b"), Some(""));
        assert_eq!((commands.start_6.as_deref(), commands.stop_6.as_deref()), (Some("a"), None));
        let commands = Commands::new(Some("a"), Some(""), Some("b"), None);
        assert_eq!((commands.start_6, commands.stop_6), (None, None));
    }
}
