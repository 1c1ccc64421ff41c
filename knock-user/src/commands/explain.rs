//! `knockctl explain`: what the loaded program would do with a packet, and which rule of `docs/rules.md` says so.

use std::io::Write;
use std::net::IpAddr;

use anyhow::{Result, bail};
use knock_common::abi::counter::Counter;
use knock_common::abi::grant::HOST_BITS;
use knock_common::abi::rules::Service;
use knock_common::addr::Addr;
use knock_common::packet::Transport;
use knock_common::packet::flags::TcpFlags;
use serde::Serialize;

use super::source;
use crate::config::{Port, PortNames, transport_name};
use crate::exit::Exit;
use crate::host::filter::Fate;
use crate::host::scope;
use crate::kernel::{Question, State, ask, behind_gate, boot_now, format_source, need_root, scope_meant};
use crate::paths::Paths;
use crate::syntax::bare_address;

/// Arguments of `knockctl explain`.
#[derive(clap::Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The source address
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// The destination port: 2222, 2222/tcp, 51820/udp, ssh
    #[arg(value_name = "PORT[/PROTO]")]
    pub port: String,
    /// The destination address (default: the interface's own)
    #[arg(long, value_name = "IP", value_parser = bare_address)]
    pub to: Option<IpAddr>,
    /// The source port
    #[arg(long, value_name = "PORT", default_value_t = 40_000)]
    pub from_port: u16,
    /// The flags of a TCP segment
    #[arg(long, value_name = "FLAG,...", value_delimiter = ',', default_value = "syn", value_parser = flag)]
    pub flags: Vec<u8>,
    /// The interface on which it comes (default: the first that fits)
    #[arg(short, long, value_name = "NAME")]
    pub interface: Option<String>,
    /// One line of JSON, for programs
    #[arg(long)]
    pub json: bool,
}

fn flag(text: &str) -> Result<u8, String> {
    let found = TcpFlags::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, bit)| *bit).ok_or_else(|| {
        let names = TcpFlags::NAMES.map(|(name, _)| name);
        format!("no TCP flag: write one of {}", names.join(", "))
    })
}

/// What is said of a packet.
#[derive(Debug, Serialize)]
struct Explanation {
    source: String,
    destination: String,
    port: String,
    interface: String,
    /// `pass`, `drop`, `reject` or `observe`.
    verdict: &'static str,
    /// Its number in `docs/rules.md`.
    rule: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    /// What comes behind the gate, of a packet that it lets pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    packet_filter: Option<Behind>,
    /// For a knock from a site that is locked out.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_out: Option<String>,
}

/// What the packet filters behind the gate make of it.
#[derive(Debug, Default, Serialize)]
struct Behind {
    /// `passes`, `drops`, `rejects` or `cannot tell`.
    verdict: &'static str,
    /// Not the packet is dropped, but the answer to it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    of_answer: bool,
    /// Where it is dropped: `nftables inet filter input, handle 12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// `nftables`, `iptables` or `ip6tables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'static str>,
    /// The table there, with its family.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    /// The chain there.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<String>,
    /// `handle 12` or `rule 3`; nothing for the policy of the chain.
    #[serde(rename = "rule", skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Why it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

impl From<Fate> for Behind {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Passes => Self { verdict: "passes", ..Self::default() },
            Fate::Dropped { place, is_answered, is_reply } => Self {
                of_answer: is_reply,
                verdict: if is_answered { "rejects" } else { "drops" },
                place: Some(place.to_string()),
                tool: Some(place.tool),
                table: Some(place.table),
                chain: Some(place.chain),
                name: place.rule,
                because: None,
            },
            Fate::Depends(why) | Fate::Unknown(why) => {
                Self { verdict: "cannot tell", because: Some(why), ..Self::default() }
            }
        }
    }
}

/// Asks the program and says what it says. A denial is a negative answer, and so is a packet that ends behind the gate.
///
/// # Errors
///
/// No address, no port, nothing loaded, not root.
pub fn run(args: &ExplainArgs, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    need_root()?;
    let addr = source::parse(&args.source, paths)?;
    let source = IpAddr::from(addr);
    let port = Port::parse(&args.port, &PortNames::of_host())
        .map_err(|error| anyhow::anyhow!("{}: {error}: write it as 2222/tcp or 51820/udp", args.port))?;
    let state = State::open(paths)?;
    let question = Question {
        source,
        from: args.from_port,
        to: args.to,
        port: port.number,
        transport: port.transport,
        flags: args.flags.iter().fold(0, |all, flag| all | flag),
        interface: interface(args, addr, paths)?,
        scope: addr.interface(),
    };
    let answer = ask(paths, &question)?;
    let (passes, rule, reason) = match (answer.counter, port.transport) {
        (Some(Counter::PassConnected), Transport::Udp) => ANSWER,
        (counter, _) => counter.map_or(NOTHING, meaning),
    };
    let verdict = match (passes, state.observes()?, state.rejects()?) {
        (true, ..) => "pass",
        (false, true, _) => "observe",
        (false, false, true) => "reject",
        (false, false, false) => "drop",
    };
    let service = service_of(&state, port)?;
    let grant = match (answer.counter, &service) {
        (Some(Counter::PassGranted), Some(service)) => grant_of(&state, service, addr)?,
        _ => None,
    };
    let is_knock = answer.counter == Some(Counter::KnockPacket);
    // A knock has done its work whatever comes behind.
    let behind = if passes && !is_knock { behind_gate(&question, &answer).map(Behind::from) } else { None };
    let arrives = passes && behind.as_ref().is_none_or(|behind| behind.place.is_none());
    let explanation = Explanation {
        source: format_source(addr, HOST_BITS),
        destination: answer.to.to_string(),
        port: format!("{}/{}", port.number, transport_name(port.transport)),
        interface: answer.interface,
        verdict,
        rule,
        reason,
        service: service.map(|service| service.name.as_str().to_owned()),
        grant,
        packet_filter: behind,
        locked_out: if is_knock { lockout_of(&state, addr)? } else { None },
    };
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&explanation)?)?;
    } else {
        write!(out, "{}", text(&explanation, args, port))?;
    }
    Ok(if arrives { Exit::Done } else { Exit::Negative })
}

/// Where the packet comes, if that is said: a link-local source is asked for where it is.
fn interface(args: &ExplainArgs, source: Addr, paths: &Paths) -> Result<Option<String>> {
    let (own, Some(named)) = (source.interface(), &args.interface) else { return Ok(None) };
    if own == 0 {
        return Ok(Some(named.clone()));
    }
    // By any name that it has.
    match scope::index_of(named) {
        Ok(index) if scope_meant(index, paths)? == own => Ok(Some(scope::name_of(index))),
        _ => {
            let own = scope::name_of(own);
            bail!("{} is on {own}, and --interface names {named}: leave one of them out", args.source)
        }
    }
}

/// A datagram that passes as one of a connection.
const ANSWER: (bool, &str, &str) = (true, "11", "a socket here is connected to the source, which answers it");

const NOTHING: (bool, &str, &str) = (true, "14", "no service protects this port: it is none of the gate's business");

/// Whether it passes, the rule of the gate by its number in `docs/rules.md`, and what it says.
fn meaning(counter: Counter) -> (bool, &'static str, &'static str) {
    match counter {
        Counter::PassGranted => (true, "8", "the source holds a live grant"),
        Counter::PassTrusted => (true, "8", "the source is in a trusted network"),
        Counter::PassFlow => (true, "19", "it belongs to a connection that was let in before"),
        Counter::PassConnected => (true, "10", "it belongs to a connection that a socket here owns"),
        Counter::PassNoSocket => {
            (true, "10", "nothing here waits for it: it is forwarded, or the stack answers as for any closed port")
        }
        Counter::PassUnchecked => (true, "10", "it asks for no connection, and stealth = false does not look further"),
        Counter::DenyNew => (false, "9", "it asks for a new connection, and the source holds no grant"),
        Counter::DenyUdp => (false, "11", "a datagram to a protected port, and the source holds no grant"),
        Counter::DenyProbe => {
            (false, "10", "it belongs to no connection: a probe of a port on which something listens")
        }
        Counter::KnockPacket => {
            (true, "6", "a knock: it goes on to the stack like any packet to a port without a service")
        }
        Counter::TokenUnknown => (true, "22", "a token port: no key of this gate has made this"),
        Counter::TokenRefused => {
            (true, "22", "a token of a version, or with a flag or a lane, that this gate does not know")
        }
        Counter::TokenStale => (true, "22", "a token older than the last one of its key"),
        Counter::TokenRepeated => (true, "22", "a token that was used before"),
        Counter::TokenForged => (true, "22", "a token with a wrong MAC"),
        Counter::TokenClock => (true, "23", "a token made too long ago, or too far ahead of this clock"),
        Counter::TokenEarly => (true, "24", "a token made before the gate noted when keys were last used"),
        Counter::TokenSource => (true, "26", "a token of a key that may not be used so"),
        Counter::TokenExpired => (true, "28", "a token of an expired key"),
        Counter::TokenDoor => (true, "27", "a token for a door that its key does not list"),
        Counter::TokenFull => (true, "27", "a token for which the table of grants has no room"),
        Counter::TokenOpened | Counter::TokenExtended => (true, "27", "a token that opens its door"),
        Counter::TokenClosed => (true, "27", "a token that closes its door"),
        other => (!other.name().starts_with("deny"), "13", other.what()),
    }
}

fn text(explanation: &Explanation, args: &ExplainArgs, port: Port) -> String {
    let Explanation { source, destination, port: name, interface, .. } = explanation;
    let flags: Vec<_> =
        TcpFlags::NAMES.iter().filter(|(_, bit)| args.flags.contains(bit)).map(|(name, _)| *name).collect();
    let kind = match port.transport {
        Transport::Tcp => format!(" ({})", flags.join(", ")),
        Transport::Udp => String::new(),
    };
    let verdict = match (explanation.verdict, &explanation.packet_filter) {
        ("pass", Some(Behind { verdict, place: Some(place), of_answer, .. })) => {
            let what = if *of_answer { "the answer to it" } else { "it" };
            format!("passes the gate; then {place}, {verdict} {what}")
        }
        ("pass", _) => "passes".to_owned(),
        ("observe", _) => "passes, because the gate only observes; it would be denied".to_owned(),
        ("reject", _) => "is denied, and answered as by a closed port".to_owned(),
        _ => "is denied, without an answer".to_owned(),
    };
    let mut text = format!("{source} -> {destination}:{name}{kind} on {interface}: {verdict}\n");
    text += &format!("rule {0}: {1} (`knockctl rules {0}`)\n", explanation.rule, explanation.reason);
    if let Some(service) = &explanation.service {
        text += &format!("service: {service}\n");
    }
    if let Some(grant) = &explanation.grant {
        text += &format!("grant: {grant}\n");
    }
    match &explanation.packet_filter {
        Some(Behind { verdict: "passes", .. }) => text += "packet filter: passes\n",
        Some(Behind { because: Some(why), .. }) => text += &format!("packet filter: cannot tell: {why}\n"),
        _ => {}
    }
    if let Some(left) = &explanation.locked_out {
        text += &format!(
            "locked out: {left}: no first knock is heard from there, unless it is trusted or holds a grant of the \
             door's service (`knockctl unlock {source}`)\n"
        );
    }
    text
}

/// The service that protects the port.
fn service_of(state: &State, port: Port) -> Result<Option<Service>> {
    let Some(tag) = state.owners()?.get(&port).copied() else { return Ok(None) };
    Ok(state.services()?.into_iter().find(|service| service.tag == tag))
}

/// How long the source is locked out.
fn lockout_of(state: &State, source: Addr) -> Result<Option<String>> {
    let found = state.lockout_of(source)?;
    Ok(found.map(|entry| {
        let left = entry.until.saturating_sub(boot_now()).div_ceil(1_000_000_000);
        format!("{} left", humantime::format_duration(std::time::Duration::from_secs(left)))
    }))
}

/// The grant that covers the source: its source, and the time left.
fn grant_of(state: &State, service: &Service, source: Addr) -> Result<Option<String>> {
    let now = boot_now();
    let found = state.covering(service, source)?.into_iter().max_by_key(|entry| entry.key.bits);
    Ok(found.map(|entry| {
        let left = entry.left(now).map_or_else(
            || "for good".to_owned(),
            |left| format!("{} left", humantime::format_duration(std::time::Duration::from_secs(left.as_secs() + 1))),
        );
        format!("{} by {}, {left}", entry.source(), entry.origin())
    }))
}

#[cfg(test)]
mod tests {
    use super::super::rules;
    use super::super::source::tests::{no_pins, parse};
    use super::*;

    #[test]
    fn every_denial_denies_and_everything_else_passes() {
        for counter in Counter::ALL {
            assert_eq!(meaning(*counter).0, !counter.name().starts_with("deny"), "{}", counter.name());
        }
    }

    #[test]
    fn every_rule_that_is_named_can_be_read() {
        let meanings = Counter::ALL.iter().map(|counter| meaning(*counter)).chain([NOTHING, ANSWER]);
        for (_, number, reason) in meanings {
            let explanation = Explanation {
                source: "192.0.2.7".to_owned(),
                destination: "192.0.2.1".to_owned(),
                port: "2222/tcp".to_owned(),
                interface: "eth0".to_owned(),
                verdict: "pass",
                rule: number,
                reason,
                service: None,
                grant: None,
                packet_filter: None,
                locked_out: None,
            };
            let text = text(&explanation, &asked(), Port { number: 2222, transport: Transport::Tcp });
            let line = format!("rule {number}: {reason} (`knockctl rules {number}`)\n");
            assert!(text.contains(&line), "{text}");
            assert!(number.parse().is_ok_and(|number| rules::rule(number).is_some()), "{number}");
        }
    }

    fn asked() -> ExplainArgs {
        ExplainArgs {
            source: "192.0.2.7".to_owned(),
            port: "2222".to_owned(),
            to: None,
            from_port: 40_000,
            flags: vec![TcpFlags::SYN],
            interface: None,
            json: false,
        }
    }

    #[test]
    fn a_link_local_source_comes_on_its_interface_alone() {
        let source = parse("fe80::7%lo").unwrap();
        let asked = |interface: Option<&str>| ExplainArgs {
            source: "fe80::7%lo".to_owned(),
            interface: interface.map(str::to_owned),
            ..asked()
        };
        for named in [Some("lo"), Some("1")] {
            assert_eq!(interface(&asked(named), source, &no_pins()).unwrap().as_deref(), Some("lo"));
        }
        assert_eq!(interface(&asked(None), source, &no_pins()).unwrap(), None);
        let error = interface(&asked(Some("eth9")), source, &no_pins()).unwrap_err().to_string();
        assert_eq!(error, "fe80::7%lo is on lo, and --interface names eth9: leave one of them out");
        let elsewhere = parse("192.0.2.7").unwrap();
        assert_eq!(interface(&asked(Some("eth9")), elsewhere, &no_pins()).unwrap().as_deref(), Some("eth9"));
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(flag("SYN"), Ok(TcpFlags::SYN));
        assert!(flag("sin").unwrap_err().contains("syn"));
    }
}
