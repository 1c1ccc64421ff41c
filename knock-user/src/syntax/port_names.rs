//! Names of ports, from `/etc/services` (see services(5)).

use std::collections::HashMap;
use std::fs;

use knock_common::packet::Transport;

/// What the host calls its ports.
#[derive(Clone, Default, Debug)]
pub struct PortNames {
    tcp: Names,
    udp: Names,
}

/// The names of one transport's ports, and the ports with their first names.
#[derive(Clone, Default, Debug)]
struct Names {
    ports: HashMap<String, u16>,
    names: HashMap<u16, String>,
}

impl PortNames {
    /// The names this host knows; none if it has no `/etc/services`.
    #[must_use]
    pub fn of_host() -> Self {
        fs::read("/etc/services").map(|octets| Self::parse(&String::from_utf8_lossy(&octets))).unwrap_or_default()
    }

    /// Reads the text of `/etc/services`. Lines that make no sense are skipped, as the C library does.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let (Some(name), Some(port)) = (words.next(), words.next()) else { continue };
            let transport = match port.split_once('/') {
                Some((_, "tcp")) => Transport::Tcp,
                Some((_, "udp")) => Transport::Udp,
                _ => continue,
            };
            let Some(number) = port.split('/').next().and_then(|port| port.parse().ok()).filter(|&port| port != 0)
            else {
                continue;
            };
            let names = found.of_mut(transport);
            names.names.entry(number).or_insert_with(|| name.to_owned());
            for name in std::iter::once(name).chain(words) {
                names.ports.entry(name.to_owned()).or_insert(number);
            }
        }
        found
    }

    const fn of(&self, transport: Transport) -> &Names {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        }
    }

    const fn of_mut(&mut self, transport: Transport) -> &mut Names {
        match transport {
            Transport::Tcp => &mut self.tcp,
            Transport::Udp => &mut self.udp,
        }
    }

    /// The port with this name.
    #[must_use]
    pub fn get(&self, name: &str, transport: Transport) -> Option<u16> {
        self.of(transport).ports.get(name).copied()
    }

    /// What a port is called, if it has a name.
    #[must_use]
    pub fn name_of(&self, port: u16, transport: Transport) -> Option<&str> {
        self.of(transport).names.get(&port).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_found_and_nonsense_is_skipped() {
        let names =
            PortNames::parse("# c\nssh\t22/tcp # x\n\nnone\nbad 99999/tcp\nzero 0/tcp\nq 1/sctp\ndomain 53/udp ns\n");
        assert_eq!(names.get("ssh", Transport::Tcp), Some(22));
        assert_eq!(names.get("ssh", Transport::Udp), None);
        assert_eq!(names.get("ns", Transport::Udp), Some(53));
        assert_eq!(names.name_of(53, Transport::Udp), Some("domain"));
        assert_eq!(names.name_of(53, Transport::Tcp), None);
        for name in ["none", "bad", "zero", "q", "x", "c"] {
            assert_eq!(names.get(name, Transport::Tcp), None, "{name}");
        }
    }
}
