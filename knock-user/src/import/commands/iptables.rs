//! `iptables` and `ip6tables` (see iptables(8) and iptables-extensions(8)).

use std::net::IpAddr;

use super::address::{self, EVERYBODY, IP};
use super::change::{By, Change, Container, Deed, Families, Note, Rule, Verb};
use crate::config::PortNames;

/// What a command line asks for.
#[derive(Default)]
struct Asked {
    command: Option<(char, String)>,
    source: Option<Option<u8>>,
    destination: Option<String>,
    transport: Option<knock_common::packet::Transport>,
    ports: Option<String>,
    as_sent: bool,
    source_ports: bool,
    accepts: bool,
    interface: Option<String>,
    by_number: bool,
    only_old: bool,
    notes: Vec<Note>,
}

/// Reads the words behind the program's name.
///
/// # Errors
///
/// What is not understood, or has no counterpart.
pub fn read(families: Families, words: &[String], names: &PortNames) -> Result<Deed, String> {
    let mut asked = Asked::default();
    let mut words = Words(words.iter().map(String::as_str).collect::<Vec<_>>().into_iter().peekable());
    while let Some((name, value)) = words.option()? {
        option(&mut asked, &name, value.as_deref(), &mut words)?;
    }
    let (command, chain) = asked.command.ok_or("it changes no rule")?;
    if asked.by_number {
        return Ok(Deed::Find(By::Number));
    }
    if !asked.accepts {
        return Err("its target is not ACCEPT".to_owned());
    }
    let to_source = asked.source.is_none() && asked.destination.as_deref().is_some_and(|to| to.starts_with(IP));
    if to_source && matches!(chain.as_str(), "OUTPUT" | "FORWARD") {
        let text =
            format!("its rule for {chain} is not needed here: let the packet filter pass the answers of the port");
        return Ok(Deed::Needless(Note::plain(text)));
    }
    if asked.only_old {
        return Err("it is not about new connections".to_owned());
    }
    if matches!(chain.as_str(), "OUTPUT" | "PREROUTING" | "POSTROUTING") {
        return Err(format!("chain {chain} is not about this host's own ports"));
    }
    let prefix = asked.source.ok_or(EVERYBODY)?;
    if asked.source_ports {
        return Err("it is about the port of the source".to_owned());
    }
    let mut notes = asked.notes;
    let ports = match (&asked.ports, asked.transport) {
        (None, _) => Vec::new(),
        (Some(ports), Some(transport)) => address::ports(ports, transport, names)?,
        (Some(ports), None) => {
            let text = "it names a port and no protocol, which iptables refuses; taken for TCP";
            notes.push(Note::plain(text));
            address::ports(ports, knock_common::packet::Transport::Tcp, names)?
        }
    };
    let destination: Option<IpAddr> = match &asked.destination {
        Some(text) => address::destination(text)?,
        None => None,
    };
    let rule = Rule {
        ports,
        as_sent: asked.as_sent,
        prefix,
        interface: asked.interface,
        destination,
        ..Rule::new(families, Container::Chain(chain))
    };
    let verb = match command {
        'C' => return Ok(Deed::Check(rule)),
        'D' => Verb::Delete,
        _ => Verb::Add,
    };
    Ok(Deed::Change(Change { notes, ..Change::new(verb, rule, None) }))
}

fn option(asked: &mut Asked, name: &str, value: Option<&str>, words: &mut Words<'_>) -> Result<(), String> {
    let need = |words: &mut Words<'_>| match value.or_else(|| words.0.next()).map(str::to_owned) {
        Some(value) if value == "!" => Err("it negates something".to_owned()),
        Some(value) => Ok(value),
        None => Err(format!("{name} takes a value")),
    };
    match name {
        "-A" | "--append" | "-I" | "--insert" | "-D" | "--delete" | "-C" | "--check" => {
            if asked.command.is_some() {
                return Err("it has two commands".to_owned());
            }
            let letter = match name {
                "-A" | "--append" => 'A',
                "-I" | "--insert" => 'I',
                "-D" | "--delete" => 'D',
                _ => 'C',
            };
            let chain = need(words)?;
            asked.by_number = words.number().is_some() && letter != 'I';
            asked.command = Some((letter, chain));
        }
        "-t" | "--table" => match need(words)?.as_str() {
            "filter" => {}
            table => return Err(format!("table {table} does more than let in")),
        },
        "-s" | "--source" | "--src" => {
            if asked.source.replace(address::source(&need(words)?)?).is_some() {
                return Err("it has two sources".to_owned());
            }
        }
        "-d" | "--destination" | "--dst" => {
            if asked.destination.replace(need(words)?).is_some() {
                return Err("it has two destinations".to_owned());
            }
        }
        "-p" | "--protocol" | "--proto" => asked.transport = address::transport(&need(words)?)?,
        "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
            if asked.ports.replace(need(words)?).is_some() {
                return Err("it names ports twice".to_owned());
            }
        }
        "--ctorigdstport" => {
            asked.as_sent = true;
            if asked.ports.replace(need(words)?).is_some() {
                return Err("it names ports twice".to_owned());
            }
        }
        "--ctdir" => {
            if !need(words)?.eq_ignore_ascii_case("original") {
                return Err("it is about answers".to_owned());
            }
        }
        "--sport" | "--source-port" | "--sports" | "--source-ports" => {
            need(words)?;
            asked.source_ports = true;
        }
        "-m" | "--match" => match need(words)?.as_str() {
            "tcp" | "udp" | "state" | "conntrack" | "comment" | "multiport" => {}
            other => return Err(format!("match {other} has no counterpart")),
        },
        "--state" | "--ctstate" => {
            let states = need(words)?;
            asked.only_old = !states.split(',').any(|state| state == "NEW");
        }
        "--comment" | "-o" | "--out-interface" => drop(need(words)?),
        "-i" | "--in-interface" => {
            let interface = address::interface(&need(words)?);
            asked.interface = Some(interface).filter(|name| name != "*");
        }
        "-j" | "--jump" => match need(words)?.as_str() {
            "ACCEPT" => asked.accepts = true,
            target => return Err(format!("its target is {target}, not ACCEPT")),
        },
        "--syn" | "-v" | "--verbose" | "-n" | "--numeric" | "-4" | "--ipv4" | "-6" | "--ipv6" => {}
        // The seconds may be missing.
        "-w" | "--wait" if value.is_some() => {}
        "-w" | "--wait" => drop(words.number()),
        "!" => return Err("it negates something".to_owned()),
        _ => return Err(format!("{name} has no counterpart")),
    }
    Ok(())
}

/// The words, option by option.
struct Words<'a>(std::iter::Peekable<std::vec::IntoIter<&'a str>>);

impl Words<'_> {
    /// The next option, with its value if that is in the same word.
    fn option(&mut self) -> Result<Option<(String, Option<String>)>, String> {
        let Some(word) = self.0.next() else { return Ok(None) };
        if word.starts_with("--") {
            return Ok(Some(match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            }));
        }
        let mut chars = word.chars();
        match (chars.next(), chars.next()) {
            (Some('!'), None) => Ok(Some(("!".to_owned(), None))),
            (Some('-'), Some(letter)) => {
                let value = Some(chars.as_str().to_owned()).filter(|value| !value.is_empty());
                Ok(Some((format!("-{letter}"), value)))
            }
            _ => Err(format!("\"{word}\" is not understood")),
        }
    }

    /// The next word if it is a number.
    fn number(&mut self) -> Option<u32> {
        let number = self.0.peek()?.parse().ok()?;
        self.0.next();
        Some(number)
    }
}
