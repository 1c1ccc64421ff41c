//! What iptables-save(8) and ip6tables-save(8) say, as tables.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use knock_common::packet::flags::TcpFlags;

use super::model::{Action, Base, Chain, Family, Hook, Key, Name, Rule, Step, Table, Test, Values};
use super::names;

/// The names of states, statuses and kinds of destinations.
const STATES: [&str; 7] = ["invalid", "established", "related", "new", "untracked", "snat", "dnat"];
const STATUSES: [&str; 5] = ["none", "expected", "seen_reply", "assured", "confirmed"];
const TYPES: [&str; 12] = [
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
];
/// Matches whose name alone narrows nothing: what their options say does, or nothing (`comment`, `standard`).
const BARE: [&str; 9] = ["tcp", "udp", "comment", "conntrack", "state", "multiport", "addrtype", "iprange", "standard"];

/// Targets after which the next rule is asked.
const PASSING: [&str; 17] = [
    "LOG",
    "NFLOG",
    "ULOG",
    "CONNSECMARK",
    "SECMARK",
    "SET",
    "TRACE",
    "CLASSIFY",
    "DSCP",
    "TOS",
    "TCPMSS",
    "CHECKSUM",
    "AUDIT",
    "HL",
    "TTL",
    "LED",
    "RATEEST",
];

/// Reads what one of the tools has said.
#[must_use]
pub fn read(text: &str, family: Family) -> Vec<Table> {
    let tool = if family == Family::Ip6 { "ip6tables" } else { "iptables" };
    let mut tables: Vec<Table> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            tables.push(Table { tool, family, name: name.to_owned(), chains: BTreeMap::new() });
            continue;
        }
        let Some(table) = tables.last_mut() else { continue };
        if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_whitespace();
            let (Some(name), policy) = (words.next(), words.next().unwrap_or("-")) else { continue };
            let base = base(&table.name, name, policy);
            table.chains.insert(name.to_owned(), Chain { base, rules: Vec::new() });
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let words = words(rule);
            let Some((chain, words)) = words.split_first() else { continue };
            let steps = Reader { words, chains: &table.chains }.steps();
            if let Some(chain) = table.chains.get_mut(chain) {
                let name = format!("rule {}", chain.rules.len() + 1);
                chain.rules.push(Rule { name, steps });
            }
        }
    }
    tables
}

fn base(table: &str, chain: &str, policy: &str) -> Option<Base> {
    let hook = match chain {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "FORWARD" => Hook::Forward,
        "OUTPUT" => Hook::Output,
        "POSTROUTING" => Hook::Postrouting,
        _ => return None,
    };
    let priority = match (table, hook) {
        ("raw", _) => -300,
        ("mangle", _) => -150,
        ("nat", Hook::Prerouting | Hook::Output) => -100,
        ("nat", _) => 100,
        ("security", _) => 50,
        _ => 0,
    };
    Some(Base { hook, priority, drops: policy == "DROP", devices: Vec::new(), is_nat: table == "nat" })
}

/// Words, of which those in quotes hold blanks.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            '\\' if quoted => word.extend(characters.next()),
            blank if blank.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            other => {
                word.push(other);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// Reads the words of a rule.
struct Reader<'a> {
    words: &'a [String],
    chains: &'a BTreeMap<String, Chain>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    /// The value of an option among the words that are left.
    fn after(&self, option: &str) -> Option<&'a str> {
        let at = self.words.iter().position(|word| word == option)?;
        self.words.get(at + 1).map(String::as_str)
    }

    fn value(&mut self) -> &'a str {
        self.next().unwrap_or_default()
    }

    fn steps(mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut negated = false;
        while let Some(word) = self.next() {
            match word {
                "!" => {
                    negated = true;
                    continue;
                }
                "-j" | "-g" => {
                    let target = self.value();
                    steps.extend(self.target(word, target));
                    return steps;
                }
                "-m" => {
                    let module = self.value();
                    if module == "rpfilter" {
                        steps.push(self.way_back());
                    } else if !BARE.contains(&module) {
                        steps.push(match module {
                            // Of headers that no packet has that is asked for.
                            "rt" | "frag" | "hbh" | "dst" | "mh" | "ah" | "esp" => {
                                Step::Test(Test::new(Key::Version, Values::default()))
                            }
                            _ => Step::Unread(format!("the match {module}")),
                        });
                        // What it is asked with is no option of another.
                        while self.words.first().is_some_and(|word| !matches!(word.as_str(), "-m" | "-j" | "-g")) {
                            self.next();
                        }
                    }
                }
                option => self.option(option, negated, &mut steps),
            }
            negated = false;
        }
        steps
    }

    fn option(&mut self, option: &str, negated: bool, steps: &mut Vec<Step>) {
        let unread = || Values::unread(format!("the option {option}"));
        let (key, values) = match option {
            "-s" => (Key::Source, names::network(self.value()).unwrap_or_else(unread)),
            "--ctorigsrc" => (Key::FirstSource, names::network(self.value()).unwrap_or_else(unread)),
            "-d" => (Key::Dest, names::network(self.value()).unwrap_or_else(unread)),
            "--src-range" => (Key::Source, range(self.value()).unwrap_or_else(unread)),
            "--dst-range" => (Key::Dest, range(self.value()).unwrap_or_else(unread)),
            "-i" => (Key::Interface, Values::name(Name::of_iptables(self.value()))),
            "-o" => (Key::Out, Values::name(Name::of_iptables(self.value()))),
            "-p" => match self.value() {
                "all" | "0" => return,
                name => (Key::Protocol, names::protocol(name).map_or_else(unread, Values::number)),
            },
            "--dport" | "--dports" => (Key::Port, names::ports(self.value()).unwrap_or_else(unread)),
            "--sport" | "--sports" => (Key::SourcePort, names::ports(self.value()).unwrap_or_else(unread)),
            "--ctorigsrcport" => (Key::FirstSourcePort, names::ports(self.value()).unwrap_or_else(unread)),
            "--ctorigdst" => (Key::SentDest, names::network(self.value()).unwrap_or_else(unread)),
            "--ctorigdstport" => (Key::SentPort, names::ports(self.value()).unwrap_or_else(unread)),
            "--ctproto" => (Key::Protocol, names::protocol(self.value()).map_or_else(unread, Values::number)),
            "--ctdir" => (Key::Direction, self.names(&["original", "reply"])),
            "--ctstate" | "--state" => (Key::State, self.names(&STATES)),
            "--ctstatus" => (Key::Status, self.names(&STATUSES)),
            "--dst-type" => (Key::DestType, self.names(&TYPES)),
            "--tcp-flags" => match (flags(self.value()), flags(self.value())) {
                (Some(mask), Some(set)) => (Key::Flags(mask), Values::number(set)),
                _ => (Key::Flags(0), unread()),
            },
            "--syn" => (Key::Flags(0x17), Values::number(TcpFlags::SYN)),
            "--comment" => {
                self.next();
                return;
            }
            _ => {
                // Its values, if it has any.
                while self.words.first().is_some_and(|word| !word.starts_with('-') && word != "!") {
                    self.next();
                }
                return steps.push(Step::Unread(format!("the option {option}")));
            }
        };
        steps.push(Step::Test(Test { key, negated, values }));
    }

    /// Names with commas between them, which other tools write in small letters, of those that are known.
    fn names(&mut self, known: &[&str]) -> Values {
        let mut values = Values::default();
        for name in self.value().split(',').map(str::to_ascii_lowercase) {
            let is_known = known.contains(&name.as_str());
            values.extend(if is_known { Values::name(Name::Whole(name)) } else { Values::unread(name) });
        }
        values
    }

    /// The options of the match `rpfilter`.
    fn way_back(&mut self) -> Step {
        let mut is_there = true;
        let mut unread = None;
        while let Some(option) = self.words.first().filter(|word| word.starts_with("--")) {
            match option.as_str() {
                "--invert" => is_there = false,
                "--validmark" => {}
                other => unread = Some(Step::Unread(format!("the option {other}"))),
            }
            self.next();
        }
        unread.unwrap_or(Step::WayBack(is_there))
    }

    fn target(&mut self, how: &str, target: &str) -> Option<Step> {
        Some(Step::Act(match target {
            "ACCEPT" => Action::Accept,
            "DROP" => Action::Drop,
            "REJECT" => Action::Reject,
            "RETURN" => Action::Return,
            "DNAT" => self.after("--to-destination").and_then(send).unwrap_or(Action::Divert),
            "REDIRECT" => match self.after("--to-ports").map(str::parse) {
                None => Action::Redirect(None),
                Some(port) => port.map_or(Action::Divert, |port| Action::Redirect(Some(port))),
            },
            "TPROXY" | "NETMAP" => Action::Divert,
            "SNAT" | "MASQUERADE" => Action::Hide,
            "NOTRACK" => return Some(Step::Untrack),
            "MARK" | "CONNMARK" => return Some(Step::Mark),
            "CT" if self.words.iter().any(|word| word == "--notrack" || word.starts_with("--zone")) => {
                return Some(Step::Untrack);
            }
            "CT" => Action::Continue,
            passing if PASSING.contains(&passing) => Action::Continue,
            chain if self.chains.contains_key(chain) && how == "-g" => Action::Goto(chain.to_owned()),
            chain if self.chains.contains_key(chain) => Action::Jump(chain.to_owned()),
            other => Action::Unread(format!("the target {other}")),
        }))
    }
}

/// `192.0.2.7:22`, `[2001:db8::7]:22`, an address alone, or `:22`.
fn send(to: &str) -> Option<Action> {
    if let Ok(whole) = to.parse::<SocketAddr>() {
        return Some(Action::Send(Some(whole.ip()), Some(whole.port())));
    }
    if let Some(port) = to.strip_prefix(':') {
        return port.parse().ok().map(|port| Action::Send(None, Some(port)));
    }
    to.parse::<IpAddr>().ok().map(|address| Action::Send(Some(address), None))
}

fn range(text: &str) -> Option<Values> {
    let (first, last) = text.split_once('-')?;
    let mut values = names::network(first)?;
    let (_, end) = *names::network(last)?.numbers.first()?;
    values.numbers.iter_mut().for_each(|range| range.1 = end);
    Some(values)
}

fn flags(text: &str) -> Option<u8> {
    match text {
        "NONE" => Some(0),
        "ALL" => Some(0x3f),
        names => names.split(',').try_fold(0, |all, name| {
            let bit = TcpFlags::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1;
            Some(all | bit)
        }),
    }
}
