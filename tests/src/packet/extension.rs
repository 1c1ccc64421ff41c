//! Headers between the IP header and the transport: the IPv6 extension headers, and the
//! authentication header of both families.

/// Hop-by-hop options (RFC 8200, 4.3).
pub const HOP_BY_HOP: u8 = 0;
/// Routing (RFC 8200, 4.4).
pub const ROUTING: u8 = 43;
/// Fragment (RFC 8200, 4.5).
pub const FRAGMENT: u8 = 44;
/// Encapsulating security payload (RFC 4303).
pub const ESP: u8 = 50;
/// Authentication (RFC 4302).
pub const AUTHENTICATION: u8 = 51;
/// No next header (RFC 8200, 4.7).
pub const NO_NEXT: u8 = 59;
/// Destination options (RFC 8200, 4.6).
pub const DESTINATION: u8 = 60;
/// Mobility (RFC 6275).
pub const MOBILITY: u8 = 135;
/// Host identity protocol (RFC 7401).
pub const HIP: u8 = 139;
/// Shim6 (RFC 5533).
pub const SHIM6: u8 = 140;

/// One header of the chain. Its first octet, the next header, is filled in when the chain is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The protocol number by which the header before it names this one.
    pub kind: u8,
    /// All octets from the second one on.
    pub rest: Vec<u8>,
}

impl Extension {
    /// A header of `kind` whose length field counts 8-octet units less one, `units` units long.
    ///
    /// Options headers are filled with `PadN`, which every host skips.
    ///
    /// # Panics
    ///
    /// If `units` is not 1 to 256.
    #[must_use]
    pub fn generic(kind: u8, units: u16) -> Self {
        assert!((1..=256).contains(&units), "an extension header has 1 to 256 units");
        let mut rest = vec![0; usize::from(units) * 8 - 1];
        rest[0] = (units - 1) as u8;
        if kind == HOP_BY_HOP || kind == DESTINATION {
            let mut at = 1;
            while at < rest.len() {
                let data = (rest.len() - at - 2).min(255);
                rest[at] = 1;
                rest[at + 1] = data as u8;
                at += 2 + data;
                if at + 1 == rest.len() {
                    break;
                }
            }
        }
        Self { kind, rest }
    }

    /// An authentication header of `words` 4-octet words (its length field counts them less two).
    ///
    /// # Panics
    ///
    /// If `words` is not 3 to 257.
    #[must_use]
    pub fn authentication(words: u16) -> Self {
        assert!((3..=257).contains(&words), "an authentication header has 3 to 257 words");
        let mut rest = vec![0; usize::from(words) * 4 - 1];
        rest[0] = (words - 2) as u8;
        Self { kind: AUTHENTICATION, rest }
    }

    /// A fragment header: offset in 8-octet units, and whether more fragments follow.
    #[must_use]
    pub fn fragment(offset: u16, more: bool) -> Self {
        let field = (offset << 3 | u16::from(more)).to_be_bytes();
        Self { kind: FRAGMENT, rest: vec![0, field[0], field[1], 0, 0, 0x12, 0x34] }
    }

    /// Puts `value` into the length field, whatever the header's true length is.
    #[must_use]
    pub fn claiming(mut self, value: u8) -> Self {
        self.rest[0] = value;
        self
    }

    /// Cuts the header after `octets` octets.
    #[must_use]
    pub fn cut(mut self, octets: usize) -> Self {
        self.rest.truncate(octets.saturating_sub(1));
        self
    }
}

/// The octets of `chain`, the last of which is followed by `protocol`, and the number by which the
/// IP header names the first.
pub(super) fn bytes(chain: &[Extension], protocol: u8) -> (u8, Vec<u8>) {
    let mut bytes = Vec::new();
    for (index, header) in chain.iter().enumerate() {
        bytes.push(chain.get(index + 1).map_or(protocol, |next| next.kind));
        bytes.extend(&header.rest);
    }
    (chain.first().map_or(protocol, |first| first.kind), bytes)
}
