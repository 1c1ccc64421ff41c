//! A config as plain data.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use super::Nanos;

/// TCP or UDP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// Transmission control protocol.
    Tcp,
    /// User datagram protocol.
    Udp,
}

/// A port of one protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Port(pub u16, pub Protocol);

impl fmt::Display for Port {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.0, if self.1 == Protocol::Tcp { "tcp" } else { "udp" })
    }
}

/// A network: every address whose first `bits` bits are those of `base`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Network {
    /// The lowest address.
    pub base: IpAddr,
    /// Prefix length, as people write it.
    pub bits: u8,
}

impl Network {
    /// The network of this prefix length that holds `address`.
    #[must_use]
    pub fn of(address: IpAddr, bits: u8) -> Self {
        let base = match address {
            IpAddr::V4(v4) => {
                let host = 1_u64 << (32 - u32::from(bits));
                IpAddr::from(((u64::from(v4.to_bits()) / host * host) as u32).to_be_bytes())
            }
            IpAddr::V6(v6) if bits == 0 => IpAddr::from(v6.octets().map(|_| 0)),
            IpAddr::V6(v6) => {
                let host = 1_u128 << (128 - u32::from(bits));
                IpAddr::from((v6.to_bits() / host * host).to_be_bytes())
            }
        };
        Self { base, bits }
    }

    /// True if `address` is in the network.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        self.base.is_ipv4() == address.is_ipv4() && Self::of(address, self.bits) == *self
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.base, self.bits)
    }
}

/// What the flags of a TCP knock must be: names with and without `!`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags {
    /// Bits that must be set.
    pub set: u8,
    /// Bits that must be clear.
    pub clear: u8,
}

impl Flags {
    /// The default: a request for a connection, SYN without ACK.
    pub const SYN: Self = Self { set: 0x02, clear: 0x10 };

    /// True if a segment with these flags fits.
    #[must_use]
    pub fn fit(self, flags: u8) -> bool {
        (0..8).all(|bit| {
            let has = |octet: u8| octet >> bit & 1 == 1;
            (!has(self.set) || has(flags)) && (!has(self.clear) || !has(flags))
        })
    }
}

/// What a completed door does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Writes a grant.
    Open,
    /// Removes the grants.
    Close,
}

/// A set of protected ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its ports.
    pub ports: Vec<Port>,
    /// UDP traffic extends the grant.
    pub keepalive: bool,
}

/// A knock sequence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Door {
    /// Index of the service.
    pub service: usize,
    /// What it does.
    pub action: Action,
    /// The ports, in order.
    pub sequence: Vec<Port>,
    /// It can be completed one time only.
    pub once: bool,
    /// What the flags of its TCP knocks must be.
    pub flags: Flags,
    /// The only destination that counts.
    pub target: Option<IpAddr>,
    /// Time for the whole sequence.
    pub seq_timeout: Nanos,
    /// How long a grant lasts; `None`: for good.
    pub cmd_timeout: Option<Nanos>,
    /// Prefix length of a grant to an IPv4 source.
    pub prefix_v4: u8,
    /// Prefix length of a grant to an IPv6 source.
    pub prefix_v6: u8,
}

/// Everything that the gate is told. Service and door number N are called `sN` and `dN`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Networks that never need to knock.
    pub trusted: Vec<Network>,
    /// Look connections up.
    pub stealth: bool,
    /// How long a UDP flow may be idle.
    pub flow_idle: Nanos,
    /// Verify the checksums of knocks.
    pub verify_checksums: bool,
    /// Log denials.
    pub log_denied: bool,
    /// Sources may be locked out.
    pub lockout: bool,
    /// The networks that are locked out, and until when.
    pub locked: BTreeMap<Network, Nanos>,
    /// Answer what is denied.
    pub reject: bool,
    /// Deny nothing.
    pub observe: bool,
    /// Deny nothing any more after this time; `None`: for good.
    pub trial_until: Option<Nanos>,
    /// Denials that may be logged, for nobody refills the tokens in a history.
    pub log_tokens: u64,
    /// New attempts per second of 2^30 ns.
    pub attempt_rate: u32,
    /// The services.
    pub services: Vec<Service>,
    /// The doors.
    pub doors: Vec<Door>,
}

impl Config {
    /// The service that protects `port`.
    #[must_use]
    pub fn service_of(&self, port: Port) -> Option<usize> {
        self.services.iter().position(|service| service.ports.contains(&port))
    }

    /// True if `port` is a step of some door.
    #[must_use]
    pub fn is_knock_port(&self, port: Port) -> bool {
        self.doors.iter().any(|door| door.sequence.contains(&port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let net = Network::of("192.0.2.77".parse().unwrap(), 24);
        assert_eq!(net.to_string(), "192.0.2.0/24");
        assert!(net.holds("192.0.2.255".parse().unwrap()));
        assert!(!net.holds("192.0.3.0".parse().unwrap()));
        assert!(!net.holds("2001:db8::1".parse().unwrap()));
        assert!(Network::of("2001:db8::1".parse().unwrap(), 0).holds("::".parse().unwrap()));
    }
}
