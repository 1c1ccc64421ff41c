//! Ports as people write them: `7000/tcp`, `7000:tcp` (as knockd has it), `7000`, `ssh/tcp`,
//! `6000-6010/udp`.

use std::fmt;

use knock_common::packet::Transport;

use super::port_names::PortNames;

/// One port of one transport. Never port 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// TCP or UDP.
    pub transport: Transport,
}

/// Ports next to each other, of one transport.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PortRange {
    /// The first number.
    pub first: u16,
    /// The last number, not below `first`.
    pub last: u16,
    /// TCP or UDP.
    pub transport: Transport,
}

/// Why a text is no port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortError {
    /// Port 0.
    Zero,
    /// A number over 65535, or below 0.
    NoSuchPort(String),
    /// Neither a number nor a name in `/etc/services`.
    NoSuchName(String, Transport),
    /// Something else than tcp or udp.
    Protocol(String),
    /// A range whose end is below its beginning.
    Backwards,
    /// A range where one port is asked for.
    Range,
    /// What stands in an example in place of ports.
    Placeholder,
}

/// What stands in an example in place of ports, so that nobody uses a sequence that everybody can read.
pub(crate) const PLACEHOLDER: &str = "CHOOSE-YOUR-OWN";

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("port 0 is no port"),
            Self::NoSuchPort(text) => write!(f, "port {text} does not exist"),
            Self::NoSuchName(text, transport) => {
                write!(
                    f,
                    "\"{}\" is neither a port number nor a {} service in /etc/services",
                    text.escape_debug(),
                    transport_name(*transport)
                )
            }
            Self::Protocol(text) => write!(f, "unknown protocol \"{}\"", text.escape_debug()),
            Self::Backwards => f.write_str("the range ends before it begins"),
            Self::Range => f.write_str("a range of ports where one port is needed"),
            Self::Placeholder => f.write_str("a placeholder, and no port: choose your own sequence"),
        }
    }
}

impl std::error::Error for PortError {}

impl PortError {
    /// The remedy.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Zero | Self::NoSuchPort(_) => "choose a port from 1 to 65535",
            Self::NoSuchName(..) => "write a port from 1 to 65535, such as 7000/tcp",
            Self::Protocol(_) => "write tcp or udp, such as 7000/udp",
            Self::Backwards => "write the lower port first, such as 6000-6010/tcp",
            Self::Range => "write one port, such as 7000/tcp",
            Self::Placeholder => {
                "`knockctl sequence` on the server makes one at random: server and clients get the same"
            }
        }
    }
}

/// `tcp` or `udp`.
#[must_use]
pub const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

impl Port {
    /// Reads one port. TCP if the text names no protocol.
    ///
    /// # Errors
    ///
    /// [`PortError`] for anything that is not exactly one port.
    pub fn parse(text: &str, names: &PortNames) -> Result<Self, PortError> {
        let range = PortRange::parse(text, names)?;
        if range.first == range.last { Ok(range.ports().next().ok_or(PortError::Zero)?) } else { Err(PortError::Range) }
    }

    /// The TCP port with a number as TOML has it.
    ///
    /// # Errors
    ///
    /// [`PortError`] for 0 and for numbers that are no port.
    pub fn tcp(number: i64) -> Result<Self, PortError> {
        match u16::try_from(number) {
            Ok(0) => Err(PortError::Zero),
            Ok(number) => Ok(Self { number, transport: Transport::Tcp }),
            Err(_) => Err(PortError::NoSuchPort(number.to_string())),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, transport_name(self.transport))
    }
}

impl From<Port> for PortRange {
    fn from(port: Port) -> Self {
        Self { first: port.number, last: port.number, transport: port.transport }
    }
}

impl PortRange {
    /// Reads one port or a range. TCP if the text names no protocol.
    ///
    /// # Errors
    ///
    /// [`PortError`] for anything else.
    pub fn parse(text: &str, names: &PortNames) -> Result<Self, PortError> {
        if text.trim() == PLACEHOLDER {
            return Err(PortError::Placeholder);
        }
        let (port, transport) = match text.split_once(['/', ':']) {
            Some((port, protocol)) => (port.trim(), parse_transport(protocol.trim())?),
            None => (text.trim(), Transport::Tcp),
        };
        // A name may hold a dash, a number cannot.
        let (first, last) = match port.split_once('-').map(|(first, last)| (first.trim(), last.trim())) {
            Some((first, last)) if is_digits(first) && is_digits(last) => (parse_number(first)?, parse_number(last)?),
            _ if is_digits(port) => (parse_number(port)?, parse_number(port)?),
            _ => {
                let unknown = || PortError::NoSuchName(port.to_owned(), transport);
                let number = names.get(port, transport).ok_or_else(unknown)?;
                (number, number)
            }
        };
        if first > last { Err(PortError::Backwards) } else { Ok(Self { first, last, transport }) }
    }

    /// The same ports in order, TCP before UDP, without overlaps or neighbours: two lists are of the same ports
    /// if these are equal.
    #[must_use]
    pub fn joined(ranges: &[Self]) -> Vec<Self> {
        let mut sorted = ranges.to_vec();
        sorted.sort_by_key(Self::order);
        let mut joined: Vec<Self> = Vec::new();
        for range in sorted {
            match joined.last_mut() {
                Some(last)
                    if last.transport == range.transport && u32::from(range.first) <= u32::from(last.last) + 1 =>
                {
                    last.last = last.last.max(range.last);
                }
                _ => joined.push(range),
            }
        }
        joined
    }

    /// TCP before UDP, and then by the first port.
    pub(crate) fn order(&self) -> (bool, u16) {
        (self.transport == Transport::Udp, self.first)
    }

    /// The ports, from the first to the last.
    pub fn ports(self) -> impl Iterator<Item = Port> {
        (self.first..=self.last).map(move |number| Port { number, transport: self.transport })
    }

    /// True if `port` is one of them.
    #[must_use]
    pub fn contains(self, port: Port) -> bool {
        self.transport == port.transport && (self.first..=self.last).contains(&port.number)
    }

    /// The first port that both hold.
    #[must_use]
    pub fn shared(self, other: Self) -> Option<Port> {
        let first = self.first.max(other.first);
        let shared = self.transport == other.transport && first <= self.last.min(other.last);
        shared.then_some(Port { number: first, transport: self.transport })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}/{}", self.first, transport_name(self.transport))
        } else {
            write!(f, "{}-{}/{}", self.first, self.last, transport_name(self.transport))
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

fn parse_number(digits: &str) -> Result<u16, PortError> {
    match digits.parse() {
        Ok(0) => Err(PortError::Zero),
        Ok(number) => Ok(number),
        Err(_) => Err(PortError::NoSuchPort(digits.to_owned())),
    }
}

fn parse_transport(text: &str) -> Result<Transport, PortError> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        _ => Err(PortError::Protocol(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> PortNames {
        PortNames::parse("ssh 22/tcp\nhttp-alt 8080/tcp webcache # www\nsyslog 514/udp\n")
    }

    fn read(text: &str) -> Result<String, PortError> {
        PortRange::parse(text, &names()).map(|range| range.to_string())
    }

    #[test]
    fn all_spellings_of_a_port_are_read() {
        for (text, meant) in [
            ("7000", "7000/tcp"),
            ("7000/tcp", "7000/tcp"),
            ("7000:udp", "7000/udp"),
            ("7000 / UDP", "7000/udp"),
            (" 7000 ", "7000/tcp"),
            ("ssh", "22/tcp"),
            ("ssh/TCP", "22/tcp"),
            ("http-alt", "8080/tcp"),
            ("webcache", "8080/tcp"),
            ("syslog:udp", "514/udp"),
            ("6000-6010/udp", "6000-6010/udp"),
            ("65535", "65535/tcp"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(meant), "{text}");
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for (text, why) in [
            ("0", "port 0 is no port"),
            ("0/udp", "port 0 is no port"),
            ("65536", "port 65536 does not exist"),
            ("99999999999/tcp", "port 99999999999 does not exist"),
            ("-1", "\"-1\" is neither a port number nor a tcp service in /etc/services"),
            ("+7000", "\"+7000\" is neither a port number nor a tcp service in /etc/services"),
            ("", "\"\" is neither a port number nor a tcp service in /etc/services"),
            ("ssh/udp", "\"ssh\" is neither a port number nor a udp service in /etc/services"),
            ("7000/icmp", "unknown protocol \"icmp\""),
            ("7000/", "unknown protocol \"\""),
            ("7000/tcp/udp", "unknown protocol \"tcp/udp\""),
            ("6010-6000", "the range ends before it begins"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), why, "{text}");
        }
        assert_eq!(Port::parse("1-2", &names()), Err(PortError::Range));
        assert_eq!(Port::tcp(0), Err(PortError::Zero));
        assert_eq!(Port::tcp(-1), Err(PortError::NoSuchPort("-1".into())));
    }

    #[test]
    fn ranges_share_ports_of_one_transport_only() {
        let range = |text| PortRange::parse(text, &names()).unwrap();
        assert_eq!(range("10-20").shared(range("20-30")), Some(Port { number: 20, transport: Transport::Tcp }));
        assert_eq!(range("10-20").shared(range("21")), None);
        assert_eq!(range("10-20").shared(range("10-20/udp")), None);
        assert!(range("10-20").contains(Port { number: 15, transport: Transport::Tcp }));
    }
}
