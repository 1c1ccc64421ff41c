//! One rule of a listing: its expressions as steps.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use knock_common::packet::flags::TcpFlags;
use serde_json::Value;

use crate::host::filter::model::{Action, Key, Name, Rule, Step, Test, Values};
use crate::host::filter::names;

/// The sets and maps of a table, by name.
pub type Sets = BTreeMap<String, Value>;

/// Reads a rule.
pub fn read(rule: &Value, sets: &Sets) -> Rule {
    let name = rule["handle"].as_u64().map_or_else(|| "a rule".to_owned(), |handle| format!("handle {handle}"));
    let mut steps = Vec::new();
    for expression in rule["expr"].as_array().into_iter().flatten() {
        let single = expression.as_object().and_then(|object| object.iter().next());
        match single {
            Some((kind, value)) => statement(kind, value, sets, &mut steps),
            None => steps.push(Step::Unread("an expression without a name".to_owned())),
        }
    }
    Rule { name, steps }
}

fn statement(kind: &str, value: &Value, sets: &Sets, steps: &mut Vec<Step>) {
    match kind {
        "counter" | "log" | "last" | "comment" | "flow" | "dup" | "ct helper" | "ct timeout" | "ct expectation"
        | "secmark" => {}
        "notrack" => steps.push(Step::Untrack),
        "match" => matching(value, sets, steps),
        "vmap" => map(value, sets, steps),
        // An element is added, unless something in it says when.
        "set" if value.get("stmt").is_none() => {}
        "mangle" => change(&value["key"], steps),
        "dnat" | "redirect" => send(kind, value, steps),
        "tproxy" | "fwd" => steps.push(Step::Act(Action::Divert)),
        // Of the packet that is a target of iptables, and of one that is a match.
        "xt" if value["type"] == "target" => {
            steps.push(Step::Act(Action::Unread(format!("the target {}", text_of(&value["name"])))));
        }
        "xt" => steps.push(Step::Unread(format!("the match {}", text_of(&value["name"])))),
        "snat" | "masquerade" => steps.push(Step::Act(Action::Hide)),
        "queue" | "synproxy" => steps.push(Step::Act(Action::Unread(kind.to_owned()))),
        _ => match verdict(kind, value) {
            Some(action) => steps.push(Step::Act(action)),
            None => steps.push(Step::Unread(kind.to_owned())),
        },
    }
}

/// What is written into a packet, or noted of it.
fn change(key: &Value, steps: &mut Vec<Step>) {
    let payload = key.get("payload");
    let part = payload.map(|payload| (text_of(&payload["protocol"]), text_of(&payload["field"])));
    match part.as_ref().map(|(protocol, field)| (protocol.as_str(), field.as_str())) {
        // What no rule is asked for here.
        Some(("ip" | "ip6", "dscp" | "ecn")) => {}
        Some((protocol, field)) if payload.is_some_and(|payload| payload.get("field").is_some()) => {
            steps.push(Step::Act(Action::Change(format!("{protocol} {field}"))));
        }
        Some(_) => steps.push(Step::Act(Action::Change("some octets".to_owned()))),
        None if key["meta"]["key"] == "mark" => steps.push(Step::Mark),
        None if key["ct"]["key"] == "zone" => steps.push(Step::Untrack),
        // It leaves address and port alone.
        None if ["meta", "ct", "tcp option"].iter().any(|kind| key.get(kind).is_some()) => {}
        None => steps.push(Step::Unread("mangle".to_owned())),
    }
}

/// DNAT to one address and port. In a table of both families it holds for its own; the other goes on.
fn send(kind: &str, value: &Value, steps: &mut Vec<Step>) {
    let version = number_of(&Key::Version, &value["family"]);
    steps.extend(version.map(|version| Step::Test(Test::new(Key::Version, Values::number(version)))));
    let port = value.get("port").map(|port| port.as_u64().and_then(|port| u16::try_from(port).ok()));
    let address = value.get("addr").map(|address| address.as_str().and_then(|text| text.parse().ok()));
    steps.push(Step::Act(match (kind, address, port) {
        (_, Some(None), _) | (_, _, Some(None)) => Action::Divert,
        ("redirect", _, port) => Action::Redirect(port.flatten()),
        (_, address, port) => Action::Send(address.flatten(), port.flatten()),
    }));
}

fn verdict(kind: &str, value: &Value) -> Option<Action> {
    let target = || value["target"].as_str().map(str::to_owned);
    Some(match kind {
        "accept" => Action::Accept,
        "drop" => Action::Drop,
        "reject" => Action::Reject,
        "return" => Action::Return,
        "continue" => Action::Continue,
        "jump" => Action::Jump(target()?),
        "goto" => Action::Goto(target()?),
        _ => return None,
    })
}

fn matching(value: &Value, sets: &Sets, steps: &mut Vec<Step>) {
    let (left, right) = (&value["left"], &value["right"]);
    // A mark may choose another route: whether one is there is asked without.
    if let (Some(fib), Some(is_there)) = (left.get("fib"), right.as_bool())
        && fib["result"] == "oif"
        && matches!(words(&fib["flags"])[..], ["saddr", "iif"] | ["saddr", "mark", "iif"])
    {
        return steps.push(Step::WayBack(is_there != (value["op"] == "!=")));
    }
    // No packet that is asked for has such a header, so that it is missing in each of IPv6.
    if let (Some(exthdr), Some(is_there)) = (left.get("exthdr"), right.as_bool())
        && exthdr.get("field").is_none()
    {
        let is_wanted = is_there != (value["op"] == "!=");
        let versions = if is_wanted { Values::default() } else { Values::number(6_u8) };
        return steps.push(Step::Test(Test::new(Key::Version, versions)));
    }
    let key = key(left, steps);
    // Where none is written, nft asks for one of several bits, and compares all else.
    let implied = if matches!(key, Key::State | Key::Status | Key::Flags(_)) { "in" } else { "==" };
    let operator = value["op"].as_str().unwrap_or(implied);
    let mut values = values(&key, operator, right, sets);
    let negated = operator == "!=";
    let all = u128::MAX;
    let single = values.numbers.first().copied().filter(|_| values.numbers.len() == 1);
    match (operator, single, &key) {
        // One of several flags is enough.
        ("in", Some((flags, _)), Key::Flags(_)) => {
            return steps.push(Step::Test(Test {
                key: Key::Flags(flags as u8),
                negated: true,
                values: Values::number(0_u8),
            }));
        }
        ("==" | "!=" | "in", ..) => {}
        ("<", Some((0, _)), _) => values = Values::default(),
        ("<", Some((number, _)), _) => values.numbers = vec![(0, number - 1)],
        ("<=", Some((number, _)), _) => values.numbers = vec![(0, number)],
        (">", Some((_, number)), _) => values.numbers = vec![(number.saturating_add(1), all)],
        (">=", Some((_, number)), _) => values.numbers = vec![(number, all)],
        _ => values = Values::unread(format!("the comparison {operator}")),
    }
    steps.push(Step::Test(Test { key, negated, values }));
}

fn map(value: &Value, sets: &Sets, steps: &mut Vec<Step>) {
    let key = key(&value["key"], steps);
    let data = &value["data"];
    let named = data.as_str().and_then(|name| sets.get(name.trim_start_matches('@')));
    let elements = match (named, data.get("set")) {
        (Some(map), _) => map.get("elem").cloned().unwrap_or_else(|| Value::Array(Vec::new())),
        (None, Some(elements)) => elements.clone(),
        (None, None) => return steps.push(Step::Act(Action::Unread("a map that is not listed".to_owned()))),
    };
    let mut entries = Vec::new();
    for element in elements.as_array().into_iter().flatten() {
        let pair = element.as_array().map(Vec::as_slice);
        let decided = |value: &Value| {
            let (kind, value) = value.as_object()?.iter().next()?;
            verdict(kind, value)
        };
        let Some((from, Some(action))) = pair.and_then(|pair| Some((pair.first()?, decided(pair.get(1)?)))) else {
            return steps.push(Step::Act(Action::Unread("a map of other things than verdicts".to_owned())));
        };
        entries.push((values(&key, "==", from, sets), action));
    }
    // The kernel finds the name itself before what it begins with, in whatever order they are listed. What is not understood
    // may be the name itself.
    if matches!(key, Key::Interface | Key::Out) {
        let narrowness = |values: &Values| match values.unread {
            Some(_) => Some(usize::MAX),
            None => values.names.iter().map(Name::narrowness).max(),
        };
        entries.sort_by_key(|(values, _)| Reverse(narrowness(values)));
    }
    steps.push(Step::Map(key, entries));
}

/// What is tested, and before it whether the packet has such a thing.
fn key(left: &Value, steps: &mut Vec<Step>) -> Key {
    // Of what no packet has that is asked for.
    if left.get("exthdr").is_some_and(|exthdr| exthdr.get("field").is_some()) {
        steps.push(Step::Test(Test::new(Key::Version, Values::default())));
        return Key::Version;
    }
    let unread = || Key::Unread(describe(left));
    let mut needs = |key, number: u8| steps.push(Step::Test(Test::new(key, Values::number(number))));
    if let Some(payload) = left.get("payload") {
        let (protocol, field) = (text_of(&payload["protocol"]), text_of(&payload["field"]));
        match protocol.as_str() {
            "ip" => needs(Key::Version, 4),
            "ip6" => needs(Key::Version, 6),
            "th" => {}
            other => match names::protocol(other) {
                Some(number) => needs(Key::Protocol, number),
                None => return unread(),
            },
        }
        return match (protocol.as_str(), field.as_str()) {
            ("tcp" | "udp" | "th", "dport") => Key::Port,
            ("tcp" | "udp" | "th", "sport") => Key::SourcePort,
            ("ip" | "ip6", "saddr") => Key::Source,
            ("ip" | "ip6", "daddr") => Key::Dest,
            ("ip", "protocol") | ("ip6", "nexthdr") => Key::Protocol,
            ("tcp", "flags") => Key::Flags(0xff),
            _ => unread(),
        };
    }
    if let Some([flags, mask]) = left.get("&").and_then(Value::as_array).map(Vec::as_slice)
        && flags["payload"]["protocol"] == "tcp"
        && flags["payload"]["field"] == "flags"
        && let Some(mask) = flags_of(mask)
    {
        needs(Key::Protocol, 6);
        return Key::Flags(mask);
    }
    let meta = left.get("meta").map(|meta| text_of(&meta["key"]));
    match meta.as_deref() {
        Some("l4proto") => return Key::Protocol,
        Some("nfproto" | "protocol") => return Key::Version,
        Some("iif" | "iifname") => return Key::Interface,
        Some("oif" | "oifname") => return Key::Out,
        _ => {}
    }
    let is_sent = left["ct"]["dir"] == "original";
    let tracked = left.get("ct").map(|ct| text_of(&ct["key"]));
    match tracked.as_deref().and_then(|key| key.split_once(' ')) {
        Some(("ip", _)) => needs(Key::Version, 4),
        Some(("ip6", _)) => needs(Key::Version, 6),
        _ => {}
    }
    match tracked.as_deref() {
        Some("state") => return Key::State,
        Some("status") => return Key::Status,
        Some("direction") => return Key::Direction,
        Some("proto-dst") if is_sent => return Key::SentPort,
        Some("ip daddr" | "ip6 daddr" | "daddr") if is_sent => return Key::SentDest,
        Some("proto-src") if is_sent => return Key::FirstSourcePort,
        Some("ip saddr" | "ip6 saddr" | "saddr") if is_sent => return Key::FirstSource,
        _ => {}
    }
    if left.get("fib").is_some_and(|fib| fib["result"] == "type" && words(&fib["flags"]) == ["daddr"]) {
        return Key::DestType;
    }
    unread()
}

/// The right side of a test. What is in a set is compared as a whole.
fn values(key: &Key, operator: &str, right: &Value, sets: &Sets) -> Values {
    if let Key::Flags(_) = key {
        return flags_of(right).map_or_else(|| Values::unread("TCP flags"), Values::number);
    }
    let is_tracked = matches!(key, Key::State | Key::Status);
    match right {
        Value::Array(several) if !is_tracked => all(key, several, sets),
        Value::String(name) if name.starts_with('@') => match sets.get(&name[1..]) {
            Some(set) => all(key, set["elem"].as_array().map_or(&[][..], Vec::as_slice), sets),
            None => Values::unread(format!("the set {name}, which packets change")),
        },
        Value::Object(object) => match object.iter().next().map(|(name, inner)| (name.as_str(), inner)) {
            Some(("set", Value::Array(several))) => all(key, several, sets),
            Some(("elem", element)) => values(key, operator, &element["val"], sets),
            _ if is_tracked => tracked(key, operator, right),
            Some(("|", Value::Array(several))) => all(key, several, sets),
            Some(("prefix", prefix)) => prefix_of(prefix).unwrap_or_else(|| Values::unread(describe(right))),
            Some(("range", Value::Array(ends))) => {
                match ends.iter().map(|end| number_of(key, end)).collect::<Vec<_>>()[..] {
                    [Some(first), Some(last)] => Values { numbers: vec![(first, last)], ..Values::default() },
                    _ => Values::unread(describe(right)),
                }
            }
            _ => Values::unread(describe(right)),
        },
        _ if is_tracked => tracked(key, operator, right),
        Value::String(name) if matches!(key, Key::Interface | Key::Out) => Values::name(Name::of_nft(name)),
        Value::String(name) if is_named(key) => Values::name(Name::Whole(name.clone())),
        _ => number_of(key, right).map_or_else(|| Values::unread(describe(right)), Values::number),
    }
}

/// The bits of states and statuses, as nft writes them.
const STATES: [(&str, u64); 5] =
    [("invalid", 0x1), ("established", 0x2), ("related", 0x4), ("new", 0x8), ("untracked", 0x40)];
const STATUSES: [(&str, u64); 7] = [
    ("expected", 0x1),
    ("seen-reply", 0x2),
    ("assured", 0x4),
    ("confirmed", 0x8),
    ("snat", 0x10),
    ("dnat", 0x20),
    ("dying", 0x200),
];

/// The right side of a test of what connection tracking says: one bit of several is enough, or all of them are compared.
fn tracked(key: &Key, operator: &str, right: &Value) -> Values {
    let known = if *key == Key::State { &STATES[..] } else { &STATUSES[..] };
    let Some(bits) = bits_of(right, known) else { return Values::unread(describe(right)) };
    let names = || known.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| Name::Whole((*name).to_owned()));
    let unknown = known.iter().fold(bits, |left, (_, bit)| left & !bit);
    let what = if *key == Key::State { "state" } else { "status" };
    let unread = (unknown != 0).then(|| format!("ct {what} {unknown:#x}"));
    match (operator, key) {
        ("in", _) => Values { names: names().collect(), unread, ..Values::default() },
        // What else it has done with the connection is not known.
        (_, Key::Status) => Values::unread("the whole of ct status"),
        // No packet is in two states, or in none.
        _ => Values { names: names().filter(|_| bits.count_ones() == 1).collect(), unread, ..Values::default() },
    }
}

/// Bits by names and numbers.
fn bits_of(value: &Value, known: &[(&str, u64)]) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(name) => known.iter().find(|(known, _)| known == name).map(|(_, bit)| *bit),
        Value::Array(several) => several.iter().try_fold(0, |all, one| Some(all | bits_of(one, known)?)),
        Value::Object(object) => bits_of(object.get("|")?, known),
        _ => None,
    }
}

fn all(key: &Key, several: &[Value], sets: &Sets) -> Values {
    let mut values = Values::default();
    for one in several {
        values.extend(self::values(key, "==", one, sets));
    }
    values
}

fn number_of(key: &Key, value: &Value) -> Option<u128> {
    match value {
        // Which names such numbers stand for is not known.
        Value::Number(_) if is_named(key) || matches!(key, Key::Interface | Key::Out) => None,
        Value::Number(number) => number.as_u64().map(u128::from),
        Value::String(text) => match key {
            Key::Source | Key::Dest | Key::SentDest | Key::FirstSource => address(text),
            Key::Protocol => names::protocol(text).map(u128::from),
            Key::Version => match text.as_str() {
                "ipv4" | "ip" => Some(4),
                "ipv6" | "ip6" => Some(6),
                // Of another protocol than IP.
                "arp" | "vlan" | "8021q" | "8021ad" => Some(0),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn address(text: &str) -> Option<u128> {
    Some(match text.parse().ok()? {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    })
}

fn prefix_of(prefix: &Value) -> Option<Values> {
    let net = format!("{}/{}", prefix["addr"].as_str()?, prefix["len"].as_u64()?);
    names::network(&net)
}

/// A flag, or several.
fn flags_of(value: &Value) -> Option<u8> {
    match value {
        Value::Number(number) => u8::try_from(number.as_u64()?).ok(),
        Value::String(name) => TcpFlags::NAMES.iter().find(|(known, _)| known == name).map(|(_, bit)| *bit),
        Value::Array(several) => several.iter().try_fold(0, |all, one| Some(all | flags_of(one)?)),
        Value::Object(object) => flags_of(object.get("|")?),
        _ => None,
    }
}

/// Of what the values are names.
const fn is_named(key: &Key) -> bool {
    matches!(key, Key::State | Key::Status | Key::DestType | Key::Direction)
}

/// One word, or several.
pub fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::String(word) => vec![word],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An expression in a few words: its names, from the outside.
fn describe(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let parts = object.iter().map(|(name, inner)| match inner {
                Value::Object(_) => format!("{name} {}", describe(inner)).trim_end().to_owned(),
                Value::String(text) if name == "key" || name == "field" || name == "protocol" => text.clone(),
                _ => name.clone(),
            });
            parts.collect::<Vec<_>>().join(" ")
        }
        other => text_of(other),
    }
}
