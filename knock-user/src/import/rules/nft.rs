//! What `nft list ruleset` prints.

use knock_common::packet::Transport;

use super::chain::{Hook, Key, family};
use super::iptables::{is_plain, to};
use super::line::RuleLine;
use super::obstacles::{PASSING, UNTRACKING};
use super::ruleset::Rules;
use super::sets::{Element, Set, elements, network, networks};
use super::verdict::Verdict;
use crate::config::{PortNames, PortRange};

/// Adds its chains, and its sets and maps. What is not understood of a rule makes it odd, never an error: nft has a good
/// deal more to say than is asked here.
///
/// # Errors
///
/// If it ends within a block, or is not as nft writes it.
pub fn read(text: &str, names: &PortNames, all: &mut Rules) -> Result<(), String> {
    let Rules { chains, sets, dormant, .. } = all;
    let mut open: Vec<Block> = Vec::new();
    // Rules may name sets that come behind them.
    let mut rules: Vec<(Key, Vec<String>)> = Vec::new();
    let (statements, mut whole) = statements(text);
    let mut foreign = false;
    for statement in statements {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        foreign |= is_foreign(open.last(), &words);
        match (open.last(), statement.end) {
            (_, End::Opens) => open.push(match (open.last(), words.as_slice()) {
                (None, ["table", family, name]) => Block::Table(format!("{family} {name}")),
                (None, ["table", name]) => Block::Table(format!("ip {name}")),
                (Some(Block::Table(table)), ["chain", name]) => {
                    let key = (table.clone(), (*name).to_owned());
                    chains.entry(key.clone()).or_default();
                    Block::Chain(key)
                }
                (Some(Block::Table(table)), ["set" | "map", name]) => {
                    let key = (table.clone(), (*name).to_owned());
                    sets.entry(key.clone()).or_default();
                    Block::Set(key)
                }
                _ => Block::Other,
            }),
            (_, End::Closes) if words.is_empty() => drop(open.pop()),
            (Some(Block::Chain(key)), end) => {
                let chain = chains.entry(key.clone()).or_default();
                match words.as_slice() {
                    ["type", kind, "hook", hook, ..] => {
                        chain.hook = Some(match (*kind, *hook, family(key)) {
                            (_, _, "arp") => Hook::Other,
                            ("filter", "input", "ip" | "ip6" | "inet") => Hook::Input,
                            ("filter", "input" | "ingress", _) => Hook::Device,
                            ("filter", "forward", _) => Hook::Forward,
                            (_, "input", _) => Hook::Beside,
                            ("filter", "prerouting", "ip" | "ip6" | "inet") if is_behind_dnat(&words) => Hook::Behind,
                            (_, "ingress" | "prerouting", _) => Hook::Early,
                            (_, "postrouting", _) => Hook::Late,
                            _ => Hook::Other,
                        });
                    }
                    ["policy", policy] => chain.drops = *policy != "accept",
                    [] | ["comment" | "flags", ..] => {}
                    _ => rules.push((key.clone(), statement.words)),
                }
                if end == End::Closes {
                    open.pop();
                }
            }
            (Some(Block::Set(key)), end) => {
                sets.entry(key.clone()).or_default().read(&words);
                if end == End::Closes {
                    open.pop();
                }
            }
            (Some(Block::Table(table)), end) => {
                if words.first() == Some(&"flags") && words.contains(&"dormant") {
                    dormant.insert(table.clone());
                }
                if end == End::Closes {
                    open.pop();
                }
            }
            (_, End::Closes) => drop(open.pop()),
            _ => {}
        }
    }
    whole &= open.is_empty();
    for (key, words) in rules {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let named = |name: &str| sets.get(&(key.0.clone(), name.to_owned()));
        let lines = rule(&words, names, &named);
        let text = said(&words);
        let lines = lines.into_iter().map(|line| RuleLine { text: text.clone(), ..line });
        chains.entry(key).or_default().lines.extend(lines);
    }
    match (whole, foreign) {
        (false, _) => Err("it is cut off".to_owned()),
        (true, true) => Err("it is not written as `nft list ruleset` writes it".to_owned()),
        (true, false) => Ok(()),
    }
}

/// True for what only people write: a block in a line, or what is no block of a table.
fn is_foreign(open: Option<&Block>, words: &[&str]) -> bool {
    match (open, words) {
        (None | Some(Block::Table(_)), ["table" | "chain" | "set" | "map", inside @ ..]) => inside.contains(&"{"),
        (None | Some(Block::Table(_)), ["define" | "include", ..]) | (None, ["add" | "insert" | "create", ..]) => true,
        _ => false,
    }
}

/// True unless the priority of a chain is known, and lower than that of DNAT.
fn is_behind_dnat(words: &[&str]) -> bool {
    let number = |text: &str| text.parse::<i32>().ok().map(i64::from);
    let place = |text: &str| match text {
        "raw" => Some(-300),
        "mangle" => Some(-150),
        "dstnat" => Some(-100),
        other => number(other),
    };
    let at = words.iter().position(|word| *word == "priority");
    let priority = match at.map_or(&[][..], |at| &words[at + 1..]) {
        [from, "+", by, ..] => place(from).zip(number(by)).map(|(from, by)| from + by),
        [from, "-", by, ..] => place(from).zip(number(by)).map(|(from, by)| from - by),
        [at, ..] => place(at),
        [] => None,
    };
    priority.is_none_or(|priority| priority >= -100)
}

/// What is open in braces.
enum Block {
    Table(String),
    Chain(Key),
    Set(Key),
    Other,
}

/// How a statement ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With the line, or with `;`.
    Line,
    /// A block opens behind it.
    Opens,
    /// A block closes behind it.
    Closes,
}

struct Statement {
    words: Vec<String>,
    end: End,
}

/// Statements with their words, and true if all braces are closed; braces of sets within a rule are words, those of blocks
/// are not.
fn statements(text: &str) -> (Vec<Statement>, bool) {
    let mut found = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    let mut rest = text.chars().peekable();
    let end = |words: &mut Vec<String>, end, found: &mut Vec<Statement>| {
        found.push(Statement { words: std::mem::take(words), end });
    };
    while let Some(c) = rest.next() {
        match c {
            '\n' | ';' if depth == 0 => end(&mut words, End::Line, &mut found),
            '#' => {
                let mut remark = String::new();
                while let Some(c) = rest.next_if(|&c| c != '\n') {
                    remark.push(c);
                }
                // What older versions list of a target of iptables that they have no words for.
                if !words.is_empty() && remark.trim_start().starts_with("xt_") {
                    words.push("xt_".to_owned());
                }
            }
            '{' => {
                // The block of a table, a chain or a set ends its line; the braces of a rule do not.
                let mut ahead = rest.clone();
                let opens = depth == 0
                    && ahead.find(|c| !matches!(c, ' ' | '\t' | '\r')).is_none_or(|c| matches!(c, '\n' | '#'))
                    && match words.first().map(String::as_str) {
                        Some(
                            "table" | "chain" | "set" | "map" | "flowtable" | "counter" | "quota" | "limit" | "secmark"
                            | "synproxy",
                        ) => true,
                        // One of its objects, no test of a rule.
                        Some("ct") => words
                            .get(1)
                            .is_some_and(|kind| matches!(kind.as_str(), "helper" | "timeout" | "expectation")),
                        _ => false,
                    };
                if opens {
                    end(&mut words, End::Opens, &mut found);
                } else {
                    depth += 1;
                    words.push("{".to_owned());
                }
            }
            '}' if depth > 0 => {
                depth -= 1;
                words.push("}".to_owned());
            }
            '}' => end(&mut words, End::Closes, &mut found),
            ',' => words.push(",".to_owned()),
            '"' => {
                let mut word = String::new();
                while let Some(c) = rest.next_if(|&c| c != '"' && c != '\n') {
                    word.push(c);
                }
                rest.next_if_eq(&'"');
                words.push(word);
            }
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                while let Some(c) = rest.next_if(|&c| !c.is_whitespace() && !matches!(c, '{' | '}' | ',' | ';' | '"')) {
                    word.push(c);
                }
                words.push(word);
            }
        }
    }
    end(&mut words, End::Line, &mut found);
    (found, depth == 0)
}

/// What a verdict map asks of a packet.
enum Asked {
    Ports(&'static [Transport]),
    Source,
    Interface,
    State,
    Protocol,
    Other,
}

/// What the words before a verdict map say that it asks.
fn asked(front: &[&str]) -> Asked {
    match front {
        [.., "tcp", "dport"] => Asked::Ports(&[Transport::Tcp]),
        [.., "udp", "dport"] => Asked::Ports(&[Transport::Udp]),
        [.., "th", "dport"] => Asked::Ports(&[Transport::Tcp, Transport::Udp]),
        [.., "ip" | "ip6", "saddr"] => Asked::Source,
        [.., "iif" | "iifname"] => Asked::Interface,
        [.., "ct", "state"] => Asked::State,
        [.., "meta", "l4proto"] | [.., "ip", "protocol"] | [.., "ip6", "nexthdr"] => Asked::Protocol,
        _ => Asked::Other,
    }
}

/// A rule, as far as it is understood; one line for each element of a verdict map.
fn rule<'a>(words: &[&'a str], names: &PortNames, named: &dyn Fn(&str) -> Option<&'a Set>) -> Vec<RuleLine> {
    let Some(at) = words.iter().position(|word| *word == "vmap") else { return vec![plain(words, names)] };
    let asked = asked(&words[..at]);
    // What it asks is no test.
    let tests = match asked {
        Asked::Interface => at - 1,
        _ => at.saturating_sub(2),
    };
    let mut line = plain(&words[..tests], names);
    match words.get(tests) {
        Some(&"ip") => line.is_v4 = Some(true),
        Some(&"ip6") => line.is_v4 = Some(false),
        _ => {}
    }
    match (&asked, &words[at + 1..]) {
        // Who is in it is asked for by its name.
        (Asked::Source, [name, ..]) if name.starts_with('@') => {
            let sets = vec![name.trim_start_matches('@').to_owned()];
            let mut lines = vec![RuleLine { sets, verdict: Verdict::Accept, ..line.clone() }];
            let map = named(&name[1..]);
            let elements = map.map_or(&[][..], |map| map.elements.as_slice());
            let others = elements.iter().filter(|element| element.verdict != Some(Verdict::Accept));
            lines.extend(others.map(|element| one(line.clone(), &asked, element, names)));
            lines.extend(unknown(&line, map));
            lines
        }
        (_, [name, ..]) if name.starts_with('@') => {
            let map = named(&name[1..]);
            let elements = map.map_or(&[][..], |map| map.elements.as_slice());
            let lines = elements.iter().map(|element| one(line.clone(), &asked, element, names));
            lines.chain(unknown(&line, map)).collect()
        }
        (_, ["{", inside @ ..]) => {
            let end = inside.iter().position(|word| *word == "}").unwrap_or(inside.len());
            elements(&inside[..end]).iter().map(|element| one(line.clone(), &asked, element, names)).collect()
        }
        _ => vec![RuleLine { odd: true, verdict: Verdict::Stop, ..line }],
    }
}

/// A line for what a map may come to say, or says without being listed: anything.
fn unknown(line: &RuleLine, map: Option<&Set>) -> Option<RuleLine> {
    let changes = map.is_none_or(|map| map.changes && map.elements.iter().any(Element::stops));
    changes.then(|| RuleLine { odd: true, verdict: Verdict::Stop, ..line.clone() })
}

/// A line for one element of a verdict map.
fn one(mut line: RuleLine, asked: &Asked, element: &Element, names: &PortNames) -> RuleLine {
    line.verdict = element.verdict.clone().unwrap_or_default();
    line.odd |= element.ends;
    let Some(key) = &element.key else { return RuleLine { odd: true, negated: true, ..line } };
    match asked {
        Asked::Ports(transports) => {
            line.odd |= !line.ports.is_empty();
            add_port(&mut line, key, transports, names);
        }
        Asked::Source => {
            line.odd |= !line.sources.is_empty() || !line.sets.is_empty();
            if line.others {
                line.forget_sources();
            } else {
                line.add_sources(networks(key));
            }
        }
        Asked::Interface => {
            line.odd |= !line.interfaces.is_empty();
            line.interfaces = vec![key.clone()];
        }
        Asked::State => line.is_in(false, [key.as_str()]),
        Asked::Protocol => protocols(&mut line, &[key.as_str()]),
        Asked::Other => line.odd = true,
    }
    line
}

/// A rule without a verdict map.
fn plain(words: &[&str], names: &PortNames) -> RuleLine {
    let mut line = RuleLine::default();
    let mut words = words.iter().copied().peekable();
    while let Some(word) = words.next() {
        if let "ip" | "ip6" = word {
            line.is_v4 = Some(word == "ip");
        }
        match (word, words.peek().copied()) {
            ("tcp", Some("flags")) => {
                words.next();
                flags(&mut line, &mut words);
            }
            ("tcp" | "udp" | "th", Some("dport")) => {
                words.next();
                let transports: &[Transport] = match word {
                    "tcp" => &[Transport::Tcp],
                    "udp" => &[Transport::Udp],
                    _ => &[Transport::Tcp, Transport::Udp],
                };
                ports(&mut line, &mut words, transports, names);
            }
            ("tcp" | "udp", _) => {
                protocols(&mut line, &[word]);
                line.odd = true;
            }
            // The address may be another than the packet's.
            ("original" | "reply", Some("ip" | "ip6")) => {
                line.odd = true;
                line.is_v4 = Some(words.next() == Some("ip"));
                words.next();
                negated(&mut words);
                values(&mut words);
            }
            ("reject", Some("with")) => {
                line.verdict = Verdict::Stop;
                // What the answer says.
                while words.next_if(|word| *word != "comment").is_some() {}
            }
            ("icmp" | "icmpv6" | "igmp" | "esp" | "ah" | "sctp", _) => line.never = true,
            ("fib", _) => fib(&mut line, &mut words),
            // It asks for more than the interface.
            ("iif" | "iifname", Some(".")) => line.odd = true,
            ("original", Some("proto-dst")) => {
                words.next();
                line.as_sent = true;
                let of_line = line.transports.clone();
                let transports = if of_line.is_empty() { &[Transport::Tcp] } else { of_line.as_slice() };
                ports(&mut line, &mut words, transports, names);
            }
            ("ip" | "ip6", Some("saddr")) => {
                words.next();
                // It asks for the source twice.
                let is_again = !line.sources.is_empty() || !line.sets.is_empty();
                line.odd |= is_again;
                let is_mixed = is_again && line.others;
                line.others |= negated(&mut words);
                for value in values(&mut words) {
                    match value.strip_prefix('@') {
                        Some(set) => line.sets.push(set.to_owned()),
                        None => line.add_sources(networks(value)),
                    }
                }
                if is_mixed || is_again && line.others {
                    line.forget_sources();
                }
            }
            ("ip" | "ip6", Some("daddr")) => {
                words.next();
                let negated = negated(&mut words);
                let found: Option<Vec<_>> = values(&mut words).into_iter().map(network).collect();
                line.is_to(found.filter(|_| !negated));
            }
            ("iif" | "iifname", Some(_)) => {
                let negated = negated(&mut words);
                let devices = values(&mut words);
                let devices = devices.into_iter().map(str::to_owned);
                if devices.clone().any(|name| name.starts_with('@')) {
                    line.odd = true;
                } else if negated {
                    line.elsewhere.extend(devices);
                } else {
                    line.odd |= !line.interfaces.is_empty();
                    line.interfaces.extend(devices);
                }
            }
            ("oif" | "oifname", Some(_)) => {
                let negated = negated(&mut words);
                match values(&mut words).as_slice() {
                    [name] if !negated && !name.starts_with('@') && line.out.is_none() => {
                        line.out = Some((*name).to_owned());
                    }
                    // All others, or one of several: which it is not known.
                    _ => line.odd = true,
                }
            }
            ("ct", Some("state")) => {
                words.next();
                let negated = negated(&mut words);
                line.is_in(negated, values(&mut words));
            }
            ("meta", Some("l4proto")) | ("ip", Some("protocol")) | ("ip6", Some("nexthdr")) => {
                words.next();
                let negated = negated(&mut words);
                let found = values(&mut words);
                if negated { line.odd = true } else { protocols(&mut line, &found) }
            }
            ("counter", Some("packets")) => {
                // packets N bytes N
                for _ in 0..4 {
                    words.next();
                }
            }
            ("meta", Some("nfproto")) => {
                words.next();
                let negated = negated(&mut words);
                match values(&mut words).as_slice() {
                    [family @ ("ipv4" | "ipv6")] => line.is_v4 = Some((*family == "ipv4") != negated),
                    _ => line.odd = true,
                }
            }
            // A frame of a VLAN may have another one.
            ("meta", Some("protocol")) | ("ether" | "vlan", Some("type")) => {
                words.next();
                line.odd = true;
                let negated = negated(&mut words);
                if let ([family @ ("ip" | "ip6")], false) = (values(&mut words).as_slice(), negated) {
                    line.is_v4 = Some(*family == "ip");
                }
            }
            ("ct" | "counter" | "log" | "meta", _) => {}
            ("notrack", _) => line.untracks = true,
            ("comment" | "prefix" | "level", Some(_)) => drop(words.next()),
            // What follows is a name, whatever it looks like.
            ("name" | "status" | "ibrname" | "obrname" | "set" | "helper" | "timeout" | "label" | "group", Some(_)) => {
                line.odd = true;
                negated(&mut words);
                values(&mut words);
            }
            ("accept", _) => line.verdict = Verdict::Accept,
            ("return", _) => line.verdict = Verdict::Return,
            ("drop" | "reject" | "queue" | "synproxy" | "tproxy" | "fwd", _) => line.verdict = Verdict::Stop,
            // A target of iptables that nftables has no words for.
            ("xt", Some("target")) => {
                words.next();
                line.odd = true;
                let target = words.next().unwrap_or_default();
                line.untracks |= UNTRACKING.contains(&target);
                if !PASSING.contains(&target) {
                    line.verdict = Verdict::Stop;
                }
            }
            ("xt_", _) => {
                line.odd = true;
                line.verdict = Verdict::Stop;
            }
            ("jump", Some(chain)) => {
                words.next();
                line.verdict = Verdict::To(chain.to_owned());
            }
            ("goto", Some(chain)) => {
                words.next();
                line.verdict = Verdict::Goto(chain.to_owned());
            }
            ("dnat", Some(_)) => {
                while words.next_if(|word| matches!(*word, "ip" | "ip6" | "to")).is_some() {}
                let text = words.next().unwrap_or_default();
                let (address, port) = to(text);
                line.astray = !is_plain(text);
                line.verdict = Verdict::Dnat(address, port);
            }
            ("redirect", next) => {
                let is_sent = next == Some("to");
                let port = next.filter(|_| is_sent).and_then(|_| {
                    words.next();
                    words.next()?.strip_prefix(':')?.parse().ok()
                });
                line.astray = is_sent && port.is_none();
                line.verdict = Verdict::Dnat(None, port);
            }
            _ => line.odd = true,
        }
    }
    line
}

/// What it asks of the routes. Who has no way back to its source is no client.
fn fib<'a, I: Iterator<Item = &'a str>>(line: &mut RuleLine, words: &mut Words<'a, I>) {
    const ASKED: [&str; 12] =
        [".", "!=", "saddr", "daddr", "mark", "iif", "oif", "oifname", "type", "check", "exists", "missing"];
    let mut asked = Vec::new();
    while let Some(word) = words.next_if(|word| ASKED.contains(word)) {
        asked.push(word);
    }
    match asked.as_slice() {
        ["saddr", ".", "iif", "oif", "missing"] | ["saddr", ".", "mark", ".", "iif", "oif", "missing"] => {
            line.never = true;
        }
        // What comes to this host.
        ["daddr", "type"] if words.next_if_eq(&"local").is_some() => line.to_local = true,
        _ => line.odd = true,
    }
}

/// It is for segments with these flags. The first one of a connection has SYN alone.
fn flags<'a, I: Iterator<Item = &'a str>>(line: &mut RuleLine, words: &mut Words<'a, I>) {
    const KNOWN: [&str; 6] = ["fin", "syn", "rst", "psh", "ack", "urg"];
    protocols(line, &["tcp"]);
    let negated = negated(words);
    let set = values(words);
    let mask = if words.next_if_eq(&"/").is_some() { values(words) } else { Vec::new() };
    if mask.is_empty() || mask.iter().any(|flag| !KNOWN.contains(flag)) {
        return line.odd = true;
    }
    let right = if mask.contains(&"syn") { "syn" } else { "0x0" };
    line.never |= (set == [right]) == negated;
}

/// A rule in a few words.
fn said(words: &[&str]) -> String {
    super::line::short(&words.join(" "))
}

/// It is for packets of these protocols.
fn protocols(line: &mut RuleLine, protocols: &[&str]) {
    // A range, a set, or one value of several that are asked for at once.
    if protocols.iter().any(|protocol| !protocol.chars().all(|c| c.is_ascii_alphanumeric())) {
        return line.odd = true;
    }
    let transports = protocols.iter().filter_map(|protocol| match *protocol {
        "tcp" | "6" => Some(Transport::Tcp),
        "udp" | "17" => Some(Transport::Udp),
        _ => None,
    });
    let found: Vec<_> = transports.collect();
    // It asks twice.
    line.odd |= !line.transports.is_empty() && line.transports != found;
    line.transports = found;
    // Packets of other protocols have no port that could be protected.
    line.never |= line.transports.is_empty();
}

type Words<'a, I> = std::iter::Peekable<I>;

fn negated<'a, I: Iterator<Item = &'a str>>(words: &mut Words<'a, I>) -> bool {
    words.next_if_eq(&"!=").is_some()
}

fn ports<'a, I: Iterator<Item = &'a str>>(
    line: &mut RuleLine,
    words: &mut Words<'a, I>,
    transports: &[Transport],
    names: &PortNames,
) {
    line.odd |= !line.ports.is_empty() || line.negated;
    line.negated |= negated(words);
    for value in values(words) {
        add_port(line, value, transports, names);
    }
}

fn add_port(line: &mut RuleLine, port: &str, transports: &[Transport], names: &PortNames) {
    for &transport in transports {
        let text = format!("{port}/{}", crate::config::transport_name(transport));
        match PortRange::parse(&text, names) {
            Ok(range) => line.ports.push(range),
            // A named set of ports, or a name that this host does not know.
            Err(_) => line.negated = true,
        }
    }
}

/// One value, or several in braces.
fn values<'a, I: Iterator<Item = &'a str>>(words: &mut Words<'a, I>) -> Vec<&'a str> {
    if words.next_if_eq(&"{").is_none() {
        let mut values: Vec<_> = words.next().into_iter().collect();
        while words.next_if_eq(&",").is_some() {
            values.extend(words.next());
        }
        return values;
    }
    words.by_ref().take_while(|word| *word != "}").filter(|word| *word != ",").collect()
}
