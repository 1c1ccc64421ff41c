//! The ports of a rule as a packet has them where the gate stands: its own, those that lead to where it stands, or
//! those before DNAT.

use std::collections::HashMap;

use super::commands::{Container, Families, Note, Rule};
use super::grammar::Refusal;
use super::rules::{Filters, Rules, Whose};
use super::{Listing, Request};
use crate::config::PortRange;

/// Why the ports of a rule are not known.
pub enum Trouble {
    /// Somebody has to say them.
    Unknown(Refusal),
    /// The rule is not about ports of this host; why.
    Elsewhere(String),
}

/// Ports that were looked up, and for which place.
#[derive(Default)]
pub struct Lookup {
    known: HashMap<Container, Vec<PortRange>>,
    /// The first place with these ports.
    places: HashMap<Vec<PortRange>, Container>,
    /// The first of all.
    first: Option<Container>,
    /// What the host's packet filter has, by who was asked: as it was printed, all of it for questions about ports, and
    /// what that program alone lists.
    texts: HashMap<Listing, Result<Option<String>, String>>,
    listed: HashMap<Listing, Result<Rules, String>>,
    parts: HashMap<Listing, Result<Rules, String>>,
}

impl Lookup {
    /// The ports of the rules of a command on `line`. What there is to say of them is added to `notes`.
    ///
    /// # Errors
    ///
    /// If a rule names none, and nothing says which are meant; or if it is about other hosts' ports.
    pub fn of(
        &mut self,
        rules: &[Rule],
        line: usize,
        request: &Request<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Vec<PortRange>, Trouble> {
        let mut ports = Vec::new();
        for rule in rules {
            let forwarded = self.forwarded(rule, request, notes)?;
            if let Some(before) = forwarded {
                ports.extend(before);
                continue;
            }
            if let Some(address) = rule.destination {
                let text =
                    format!("it was for the address {address} only; the service is shut, and opened, on all addresses");
                say(notes, Note::look(text));
            }
            if rule.ports.is_empty() {
                ports.extend(self.at(rule, line, request).map_err(Trouble::Unknown)?);
            } else {
                ports.extend(rule.ports.iter().copied());
            }
        }
        Ok(PortRange::joined(&ports))
    }

    /// The name of the chain or set that stands for these ports, if one does.
    pub fn name(&self, ports: &[PortRange]) -> Option<&str> {
        self.places.get(ports)?.name().filter(|name| !name.eq_ignore_ascii_case("input"))
    }

    /// What the host's packet filter has, asked once.
    pub fn listed(&mut self, listing: Listing, request: &Request<'_>) -> Result<&Rules, String> {
        let text = self.texts.entry(listing).or_insert_with(|| (request.rules)(listing));
        let parse = || match text {
            Ok(Some(text)) => Rules::parse(text, &request.names, listing),
            Ok(None) => Err(format!("{} lists nothing", listing.program())),
            Err(why) => Err(why.clone()),
        };
        self.listed.entry(listing).or_insert_with(parse).as_ref().map_err(Clone::clone)
    }

    /// What each of the host's packet filters has, and what is not known of it.
    pub fn all(&mut self, request: &Request<'_>) -> Filters<'_> {
        for listing in Listing::ALL {
            let text = self.texts.entry(listing).or_insert_with(|| (request.rules)(listing));
            let parse = || match text {
                Ok(Some(text)) => Rules::part(text, &request.names, listing),
                Ok(None) => Ok(Rules::default()),
                Err(why) => Err(why.clone()),
            };
            self.parts.entry(listing).or_insert_with(parse);
        }
        let mut filters = Filters::default();
        for listing in Listing::ALL {
            match self.parts.get(&listing) {
                Some(Ok(rules)) => filters.read.push((listing, rules)),
                Some(Err(why)) => filters.unread.push((listing, why.clone())),
                None => {}
            }
        }
        filters
    }

    /// For a rule of which only forwarded packets know: the ports to which they were sent.
    fn forwarded(
        &mut self,
        rule: &Rule,
        request: &Request<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Vec<PortRange>>, Trouble> {
        let Some((listing, table, chain)) = filter(rule) else { return Ok(None) };
        if rule.as_sent {
            return Ok(Some(rule.ports.clone()));
        }
        let is_named_so = sounds_forwarded(chain);
        let whose = self.listed(listing, request).map(|rules| {
            let whose = rules.whose(table, chain);
            let before = || rules.before_dnat(&rule.ports, rule.destination);
            (whose, if whose == Whose::Ours { Vec::new() } else { before() })
        });
        match whose {
            Ok((Whose::Ours, _)) => Ok(None),
            Ok((Whose::Nobodys, _)) | Err(_) if !is_named_so => {
                if !rule.ports.is_empty() && !chain.eq_ignore_ascii_case("input") {
                    let why = match whose {
                        Err(why) => why,
                        Ok(_) => format!("no rule leads into chain {chain}"),
                    };
                    let text = format!(
                        "taken for ports of this host, but {why}: if chain {chain} is for forwarded packets, this is \
                         wrong; `iptables-save` or `nft list ruleset` for --rules says so"
                    );
                    say(notes, Note::look(text));
                }
                Ok(None)
            }
            Ok((_, before)) if !before.is_empty() => {
                let (sent, own) = (list(&before), list(&rule.ports));
                let text = format!("forwarded: the gate sees packets before DNAT makes {sent} into {own}");
                say(notes, Note::plain(text));
                Ok(Some(before))
            }
            known => {
                let unknown = match known {
                    Err(why) => format!(" ({why})"),
                    Ok(_) => String::new(),
                };
                Err(Trouble::Elsewhere(format!(
                    "chain {chain} is about forwarded packets and not about this host's ports, and no rule of DNAT is \
                     known that says to which port they were sent{unknown}"
                )))
            }
        }
    }

    fn at(&mut self, rule: &Rule, line: usize, request: &Request<'_>) -> Result<Vec<PortRange>, Refusal> {
        if let Some(ports) = self.known.get(&rule.place) {
            return Ok(ports.clone());
        }
        let place = &rule.place;
        let ports = if request.ports.is_empty() {
            self.looked_up(rule, request).map_err(|why| {
                let message = format!("its command names no port, and {why}");
                let help = "say which ports: --ports 2222/tcp, or --rules with a file of `iptables-save` or \
                            `nft list ruleset`";
                Refusal::new(line, message, help)
            })?
        } else if let Some(other) = &self.first {
            let message = format!("--ports cannot stand for both {other} and {place}");
            let help = "give the output of `iptables-save` or `nft list ruleset` with --rules";
            return Err(Refusal::new(line, message, help));
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
        if let Container::Set(set) = &rule.place {
            // One of nftables is in its own listing, one of ipset in that of iptables.
            let nft = self.listed(Listing::Nft, request).and_then(|rules| rules.ports_of_set(set));
            let old = |this: &mut Self| {
                let listing = if rule.families == Families::V6 { Listing::Ip6tables } else { Listing::Iptables };
                this.listed(listing, request).and_then(|rules| rules.ports_of_set(set))
            };
            return nft.or_else(|why| old(self).map_err(|_| why));
        }
        let Some((listing, table, chain)) = filter(rule) else {
            return Err(format!("{} does not say which", rule.place));
        };
        if chain == "INPUT" {
            return Err("lets the source in to all of them".to_owned());
        }
        self.listed(listing, request)?.ports_into(table, chain)
    }
}

/// Who lists the chain of a rule, its table there, and its name.
fn filter(rule: &Rule) -> Option<(Listing, &str, &str)> {
    match &rule.place {
        Container::Chain(chain) if rule.families == Families::V6 => Some((Listing::Ip6tables, "ip6 filter", chain)),
        Container::Chain(chain) => Some((Listing::Iptables, "ip filter", chain)),
        Container::Nft(table, chain) => Some((Listing::Nft, table, chain)),
        Container::Set(_) | Container::Zone(_) | Container::Everything => None,
    }
}

/// True if a chain's name alone says that it is for forwarded packets.
fn sounds_forwarded(chain: &str) -> bool {
    let chain = chain.to_ascii_uppercase();
    chain.starts_with("DOCKER") || chain.contains("FORWARD") || chain.contains("FWD")
}

/// Ports with commas between them.
pub fn list(ports: &[PortRange]) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn say(notes: &mut Vec<Note>, note: Note) {
    if !notes.contains(&note) {
        notes.push(note);
    }
}
