//! The ports of a rule: its own, or those that lead to where it stands.

use std::collections::HashMap;

use super::Request;
use super::commands::{Families, Place, Rule};
use super::grammar::Refusal;
use super::rules::Rules;
use crate::config::PortRange;

/// Ports that were looked up, and for which place.
#[derive(Default)]
pub struct Lookup {
    known: HashMap<Place, Vec<PortRange>>,
    /// The first place with these ports.
    places: HashMap<Vec<PortRange>, Place>,
    /// The first of all.
    first: Option<Place>,
    /// What the host's packet filter has, for each family that was asked for.
    saved: HashMap<Families, Result<Rules, String>>,
}

impl Lookup {
    /// The ports of the rules of a command on `line`.
    ///
    /// # Errors
    ///
    /// If a rule names none, and nothing says which are meant.
    pub fn of(&mut self, rules: &[Rule], line: usize, request: &Request<'_>) -> Result<Vec<PortRange>, Refusal> {
        let mut ports = Vec::new();
        for rule in rules {
            if rule.ports.is_empty() {
                ports.extend(self.at(rule, line, request)?);
            } else {
                ports.extend(rule.ports.iter().copied());
            }
        }
        Ok(PortRange::joined(&ports))
    }

    /// The name of the chain or set that stands for these ports, if one does.
    pub fn name(&self, ports: &[PortRange]) -> Option<&str> {
        self.places.get(ports).and_then(|place| match place {
            Place::Chain(name) if name == "INPUT" => None,
            Place::Chain(name) | Place::Set(name) => Some(name.as_str()),
            Place::Everything => None,
        })
    }

    fn at(&mut self, rule: &Rule, line: usize, request: &Request<'_>) -> Result<Vec<PortRange>, Refusal> {
        if let Some(ports) = self.known.get(&rule.place) {
            return Ok(ports.clone());
        }
        let place = &rule.place;
        let ports = if request.ports.is_empty() {
            self.looked_up(rule, request).map_err(|why| {
                let message = format!("its command names no port, and {why}");
                let help = "say which ports: --ports 2222/tcp, or --rules with a file of `iptables-save`";
                Refusal::new(line, message, help)
            })?
        } else if let Some(other) = &self.first {
            let message = format!("--ports cannot stand for both {other} and {place}");
            return Err(Refusal::new(line, message, "give the output of `iptables-save` with --rules"));
        } else {
            request.ports.clone()
        };
        let ports = PortRange::joined(&ports);
        self.known.insert(place.clone(), ports.clone());
        self.places.entry(ports.clone()).or_insert_with(|| place.clone());
        self.first.get_or_insert_with(|| place.clone());
        Ok(ports)
    }

    fn looked_up(&mut self, rule: &Rule, request: &Request<'_>) -> Result<Vec<PortRange>, String> {
        let Place::Chain(chain) = &rule.place else { return Err(format!("{} does not say which", rule.place)) };
        if chain == "INPUT" {
            return Err("lets the source in to all of them".to_owned());
        }
        let families = if rule.families == Families::V6 { Families::V6 } else { Families::V4 };
        let ask = || Rules::parse(&(request.rules)(families)?, &request.names);
        self.saved.entry(families).or_insert_with(ask).as_ref().map_err(Clone::clone)?.ports_into(chain)
    }
}
