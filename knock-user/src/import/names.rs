//! Names that our config takes, and that a hook can be given: letters, digits, `.`, `_`, `-`.

use knock_common::abi::rules::{MAX_NAME, Name};

use crate::config::{PortNames, PortRange, transport_name};

/// Names that are taken.
#[derive(Default)]
pub struct Names(Vec<u32>);

impl Names {
    /// A name like `wanted` that is not taken yet, and is now.
    pub fn claim(&mut self, wanted: &str) -> String {
        let mut name = clean(wanted);
        let mut number = 2;
        loop {
            // Tags are 32 bits of the name: two names may share one.
            if let Some(tag) = Name::new(&name).map(|name| name.tag())
                && !self.0.contains(&tag)
            {
                self.0.push(tag);
                return name;
            }
            let end = format!("-{number}");
            name = clean(wanted);
            name.truncate(MAX_NAME - end.len());
            name += &end;
            number += 1;
        }
    }
}

/// The name with all that is not harmless replaced, and cut to length.
fn clean(wanted: &str) -> String {
    let harmless = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = wanted.chars().map(harmless).take(MAX_NAME).collect();
    if name.is_empty() { "door".to_owned() } else { name }
}

/// What to call a service with these ports: what the host calls the first of them.
pub fn of_ports(ports: &[PortRange], names: &PortNames) -> String {
    let Some(first) = ports.first() else { return "service".to_owned() };
    let mut name = match names.name_of(first.first, first.transport).filter(|_| first.first == first.last) {
        Some(name) => name.to_owned(),
        None if first.first == first.last => format!("{}-{}", transport_name(first.transport), first.first),
        None => format!("{}-{}-{}", transport_name(first.transport), first.first, first.last),
    };
    if ports.iter().any(|port| (port.first, port.last) != (first.first, first.last)) {
        name += "-and-more";
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_harmless_short_and_different() {
        let mut names = Names::default();
        assert_eq!(names.claim("openSSH"), "openSSH");
        assert_eq!(names.claim("openSSH"), "openSSH-2");
        assert_eq!(names.claim("open SSH: $(x)"), "open-SSH----x-");
        assert_eq!(names.claim("\u{fffd}"), "-");
        assert_eq!(names.claim(""), "door");
        let long = "x".repeat(40);
        assert_eq!(names.claim(&long), "x".repeat(32));
        assert_eq!(names.claim(&long), format!("{}-2", "x".repeat(30)));
    }

    #[test]
    fn services_are_called_as_the_host_does() {
        let names = PortNames::parse("ssh 22/tcp\nhttps 443/tcp\n");
        let name = |ports: &[&str]| {
            let ports: Vec<_> = ports.iter().map(|port| PortRange::parse(port, &names).unwrap()).collect();
            of_ports(&ports, &names)
        };
        assert_eq!(name(&["22"]), "ssh");
        assert_eq!(name(&["22", "22/udp"]), "ssh");
        assert_eq!(name(&["443", "22"]), "https-and-more");
        assert_eq!(name(&["2222"]), "tcp-2222");
        assert_eq!(name(&["60000-60010/udp"]), "udp-60000-60010");
    }
}
