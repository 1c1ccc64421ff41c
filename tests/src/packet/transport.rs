//! TCP segments, UDP datagrams and ICMP messages, right by default and wrong where asked.

use std::net::IpAddr;

use super::checksum;

/// The protocol number of `ICMP`.
pub const ICMP: u8 = 1;
/// The protocol number of TCP.
pub const TCP: u8 = 6;
/// The protocol number of UDP.
pub const UDP: u8 = 17;
/// The protocol number of `ICMPv6`.
pub const ICMP6: u8 = 58;

/// What the IP packet carries.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Tcp { ports: (u16, u16), flags: u8, offset: Option<u8>, options: Vec<u8> },
    Udp { ports: (u16, u16), length: Option<u16>, unsummed: bool },
    Icmp { kind: u8, code: u8 },
    Raw { protocol: u8 },
}

impl Transport {
    pub(super) fn protocol(&self, v4: bool) -> u8 {
        match self {
            Self::Tcp { .. } => TCP,
            Self::Udp { .. } => UDP,
            Self::Icmp { .. } if v4 => ICMP,
            Self::Icmp { .. } => ICMP6,
            Self::Raw { protocol } => *protocol,
        }
    }

    /// The message with its checksum, inverted if `corrupt`.
    pub(super) fn bytes(&self, src: IpAddr, dst: IpAddr, payload: &[u8], corrupt: bool) -> Vec<u8> {
        let (mut bytes, field) = self.unsummed_bytes(payload);
        let Some(field) = field else { return bytes };
        let mut sum = match self {
            Self::Icmp { .. } if src.is_ipv4() => checksum::internet(&bytes),
            // The sum of a datagram ends with the datagram, not with what follows it in the packet.
            Self::Udp { length: Some(length), .. } if (8..=bytes.len()).contains(&usize::from(*length)) => {
                checksum::transport(src, dst, UDP, &bytes[..usize::from(*length)])
            }
            _ => checksum::transport(src, dst, self.protocol(src.is_ipv4()), &bytes),
        };
        if sum == 0 && matches!(self, Self::Udp { .. }) {
            sum = 0xffff;
        }
        if corrupt {
            sum ^= 0x0101;
        }
        bytes[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The message with a zero checksum, and where the checksum goes.
    fn unsummed_bytes(&self, payload: &[u8]) -> (Vec<u8>, Option<usize>) {
        let mut bytes = Vec::with_capacity(60 + payload.len());
        let field = match self {
            Self::Tcp { ports, flags, offset, options } => {
                let words = offset.unwrap_or(5 + options.len().div_ceil(4) as u8);
                bytes.extend(ports.0.to_be_bytes());
                bytes.extend(ports.1.to_be_bytes());
                bytes.extend(0x1122_3344_u32.to_be_bytes());
                bytes.extend([0; 4]);
                bytes.extend([words << 4, *flags]);
                bytes.extend(64240_u16.to_be_bytes());
                bytes.extend([0; 4]);
                bytes.extend(options);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                Some(16)
            }
            Self::Udp { ports, length, unsummed } => {
                bytes.extend(ports.0.to_be_bytes());
                bytes.extend(ports.1.to_be_bytes());
                bytes.extend(length.unwrap_or(8 + payload.len() as u16).to_be_bytes());
                bytes.extend([0; 2]);
                (!unsummed).then_some(6)
            }
            Self::Icmp { kind, code } => {
                bytes.extend([*kind, *code, 0, 0, 0, 0, 0, 0]);
                Some(2)
            }
            Self::Raw { .. } => None,
        };
        bytes.extend(payload);
        (bytes, field)
    }
}
