//! Sets and verdict maps of nftables, as far as they are listed.

use std::net::IpAddr;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};

use super::verdict::Verdict;

/// A set, or a verdict map.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Set {
    /// What is in it.
    pub elements: Vec<Element>,
    /// Packets put elements in, or elements go by themselves.
    pub changes: bool,
}

/// An element.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// What it is; `None` for several values in one.
    pub key: Option<String>,
    /// What a map does with it.
    pub verdict: Option<Verdict>,
    /// It goes by itself.
    pub ends: bool,
}

impl Element {
    /// True if a map lets no packet of this element pass.
    pub fn stops(&self) -> bool {
        self.verdict == Some(Verdict::Stop)
    }
}

impl Set {
    /// Takes in a statement of its block.
    pub fn read(&mut self, words: &[&str]) {
        match words {
            ["elements", "=", "{", inside @ .., "}"] => self.elements = elements(inside),
            ["flags", flags @ ..] => self.changes |= flags.iter().any(|flag| matches!(*flag, "dynamic" | "timeout")),
            ["timeout", ..] => self.changes = true,
            _ => {}
        }
    }
}

/// Elements from the words within braces.
pub fn elements(words: &[&str]) -> Vec<Element> {
    words.split(|word| *word == ",").filter(|words| !words.is_empty()).map(element).collect()
}

fn element(words: &[&str]) -> Element {
    let at = words.iter().position(|word| *word == ":");
    let (front, behind) = words.split_at(at.unwrap_or(words.len()));
    let verdict = behind.get(1..).map(|words| match words {
        ["accept", ..] => Verdict::Accept,
        ["return", ..] => Verdict::Return,
        ["jump", chain, ..] => Verdict::To((*chain).to_owned()),
        ["goto", chain, ..] => Verdict::Goto((*chain).to_owned()),
        ["continue", ..] => Verdict::Other,
        _ => Verdict::Stop,
    });
    let is_single = front.get(1).is_none_or(|word| matches!(*word, "timeout" | "expires" | "comment" | "counter"));
    // One for all that are not listed says not for whom it is.
    let key = front.first().filter(|key| is_single && **key != "*").map(|key| (*key).to_owned());
    let ends = front.iter().skip(1).any(|word| matches!(*word, "timeout" | "expires"));
    Element { key, verdict, ends }
}

/// A network, or one address.
pub fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The networks of an address, of a network, or of a range with a dash; `None` for anything else.
pub fn networks(text: &str) -> Option<Vec<IpNet>> {
    if let Some(one) = network(text) {
        return Some(vec![one]);
    }
    let (first, last) = text.split_once('-')?;
    Some(match (first.parse().ok()?, last.parse().ok()?) {
        (IpAddr::V4(first), IpAddr::V4(last)) => IpSubnets::V4(Ipv4Subnets::new(first, last, 0)).collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => IpSubnets::V6(Ipv6Subnets::new(first, last, 0)).collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_keys_verdicts_and_ends() {
        let said = |text: &str| -> Vec<String> {
            let words: Vec<&str> = text.split(' ').collect();
            let found = elements(&words).into_iter();
            found.map(|one| format!("{:?} {:?} {}", one.key, one.verdict, one.ends)).collect()
        };
        assert_eq!(said("22 , 80 comment web"), ["Some(\"22\") None false", "Some(\"80\") None false"]);
        assert_eq!(said("192.0.2.1 timeout 1h expires 5m : accept"), ["Some(\"192.0.2.1\") Some(Accept) true"]);
        assert_eq!(
            said("22 : jump a , 25 : drop"),
            ["Some(\"22\") Some(To(\"a\")) false", "Some(\"25\") Some(Stop) false"]
        );
        assert_eq!(said("192.0.2.1 . 22"), ["None None false"]);
    }

    #[test]
    fn a_range_is_the_networks_of_it() {
        let said =
            |text: &str| networks(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        assert_eq!(said("192.0.2.1").as_deref(), Some("192.0.2.1/32"));
        assert_eq!(said("192.0.2.0-192.0.2.2").as_deref(), Some("192.0.2.0/31 192.0.2.2/32"));
        assert_eq!(said("2001:db8::-2001:db8::1").as_deref(), Some("2001:db8::/127"));
        for text in ["office", "192.0.2.1-office", "192.0.2.1-2001:db8::1"] {
            assert_eq!(said(text), None, "{text}");
        }
    }
}
