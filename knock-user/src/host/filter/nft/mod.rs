//! What `nft --json list ruleset` says, as tables (libnftables-json(5)).

mod rule;

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::{Action, Base, Chain, Family, Hook, Name, Rule, Step, Table};
use rule::Sets;

/// A listing.
#[derive(Debug)]
pub struct Listing {
    /// Its tables.
    pub tables: Vec<Table>,
    /// Rules of iptables, which the listing does not say all of: table, chain, and the place among its rules.
    pub foreign: Vec<(usize, String, usize)>,
}

/// Reads a listing.
///
/// # Errors
///
/// If it is none.
pub fn read(text: &str) -> Result<Listing, String> {
    let listing: Value = serde_json::from_str(text).map_err(|error| format!("its listing cannot be read: {error}"))?;
    let objects = listing["nftables"].as_array().ok_or("its listing cannot be read")?;
    let of_kind = |kind: &'static str| objects.iter().filter_map(move |object| object.get(kind));
    let mut tables: BTreeMap<(Family, String), Table> = BTreeMap::new();
    let mut sets: BTreeMap<(Family, String), Sets> = BTreeMap::new();
    for table in of_kind("table") {
        let Some((key, table)) = self::table(table) else { continue };
        tables.insert(key, table);
    }
    let written: Vec<&str> = of_kind("rule").flat_map(written).collect();
    for set in of_kind("set").chain(of_kind("map")) {
        let (Some(key), Some(name)) = (key_of(set), set["name"].as_str()) else { continue };
        if written.contains(&name) {
            continue;
        }
        sets.entry(key).or_default().insert(name.to_owned(), set.clone());
    }
    for chain in of_kind("chain") {
        let (Some(key), Some(name)) = (key_of(chain), chain["name"].as_str()) else { continue };
        let Some(table) = tables.get_mut(&key) else { continue };
        table.chains.insert(name.to_owned(), Chain { base: base(chain), rules: Vec::new() });
    }
    for table in of_kind("table") {
        let Some(((key, _), doubt)) = self::table(table).zip(doubt(table)) else { continue };
        let chains = tables.get_mut(&key).into_iter().flat_map(|table| table.chains.values_mut());
        chains.filter(|chain| chain.base.is_some()).for_each(|chain| chain.rules.push(doubt.clone()));
    }
    let none = Sets::default();
    let mut foreign = Vec::new();
    for rule in of_kind("rule") {
        let (Some(key), Some(chain)) = (key_of(rule), rule["chain"].as_str()) else { continue };
        let number = tables.keys().position(|known| *known == key);
        let (Some(number), Some(table)) = (number, tables.get_mut(&key)) else { continue };
        let Some(rules) = table.chains.get_mut(chain).map(|chain| &mut chain.rules) else { continue };
        if rule["expr"].as_array().is_some_and(|steps| steps.iter().any(|step| step.get("xt").is_some())) {
            foreign.push((number, chain.to_owned(), rules.len()));
        }
        rules.push(rule::read(rule, sets.get(&key).unwrap_or(&none)));
    }
    Ok(Listing { tables: tables.into_values().collect(), foreign })
}

fn family(text: &str) -> Option<Family> {
    Some(match text {
        "inet" => Family::Inet,
        "ip" => Family::Ip,
        "ip6" => Family::Ip6,
        "netdev" => Family::Netdev,
        "bridge" => Family::Bridge,
        "arp" => Family::Arp,
        _ => return None,
    })
}

fn table(table: &Value) -> Option<((Family, String), Table)> {
    let (text, name) = (table["family"].as_str()?, table["name"].as_str()?);
    let family = family(text)?;
    let made = Table { tool: "nftables", family, name: format!("{text} {name}"), chains: BTreeMap::new() };
    // A dormant table is asked by nobody.
    (!flags(table).contains(&"dormant")).then_some(((family, name.to_owned()), made))
}

fn flags(table: &Value) -> Vec<&str> {
    rule::words(&table["flags"])
}

/// What stands before the rules of a base chain if it is not certain that the table is asked: nft 1.0.6 says the name of the
/// table where its flags belong.
fn doubt(table: &Value) -> Option<Rule> {
    let is_known = flags(table).iter().all(|flag| ["owner", "persist"].contains(flag));
    let steps = vec![Step::Unread("whether it is dormant".to_owned()), Step::Act(Action::Accept)];
    (!is_known).then(|| Rule { name: "flags of the table".to_owned(), steps })
}

/// The sets that a rule adds to or takes from, so that what is in them is not for certain what a packet finds.
fn written(rule: &Value) -> impl Iterator<Item = &str> {
    rule["expr"].as_array().into_iter().flatten().filter_map(|expression| {
        let change = expression.get("set").or_else(|| expression.get("map"))?;
        change["set"].as_str().or_else(|| change["map"].as_str())?.strip_prefix('@')
    })
}

/// Which table an object is of.
fn key_of(object: &Value) -> Option<(Family, String)> {
    Some((family(object["family"].as_str()?)?, object["table"].as_str()?.to_owned()))
}

fn base(chain: &Value) -> Option<Base> {
    let hook = match chain["hook"].as_str()? {
        "ingress" => Hook::Ingress,
        "prerouting" => Hook::Prerouting,
        "input" => Hook::Input,
        "forward" => Hook::Forward,
        "output" => Hook::Output,
        "postrouting" => Hook::Postrouting,
        "egress" => Hook::Egress,
        _ => return None,
    };
    let devices = match &chain["dev"] {
        Value::String(device) => vec![Name::of_nft(device)],
        Value::Array(devices) => devices.iter().filter_map(|device| Some(Name::of_nft(device.as_str()?))).collect(),
        _ => Vec::new(),
    };
    let drops = chain["policy"].as_str() == Some("drop");
    let (priority, is_nat) = (chain["prio"].as_i64().unwrap_or(0), chain["type"] == "nat");
    Some(Base { hook, priority, drops, devices, is_nat })
}
