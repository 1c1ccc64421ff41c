//! Tokens, made by other implementations of what they are made of.

use std::net::IpAddr;

use blake2::Blake2sMac;
use blake2::digest::consts::U16;
use blake2::digest::{KeyInit as _, Mac as _};
use knock_common::addr::Addr;
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use std::hash::Hasher as _;

/// A token under construction. Everything in it is right unless a test says otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenBuilder {
    mac: [u8; 32],
    mask: [u8; 16],
    body: [u8; 32],
    source: Option<IpAddr>,
}

impl TokenBuilder {
    /// A token by a key: what makes its MACs, what the gate's masks are made with, and its id. It is made at `time`, in ns
    /// since 1970, for the door with this tag, and comes from anywhere.
    pub fn new(mac: [u8; 32], mask: [u8; 16], id: u32, door: u32, time: u64) -> Self {
        let mut body = [0; 32];
        body[..4].copy_from_slice(&id.to_le_bytes());
        body[4] = 1;
        body[8..16].copy_from_slice(&time.to_le_bytes());
        body[16..20].copy_from_slice(&door.to_le_bytes());
        body[24..].copy_from_slice(&[0xf0, 0xe1, 0xd2, 0xc3, 0xb4, 0xa5, 0x96, 0x87]);
        Self { mac, mask, body, source: None }
    }

    /// It comes from this address alone.
    pub fn from(mut self, source: impl Into<IpAddr>) -> Self {
        self.body[5] |= 1;
        self.source = Some(source.into());
        self
    }

    /// It closes.
    pub fn close(mut self) -> Self {
        self.body[5] |= 2;
        self
    }

    /// In this lane.
    pub fn lane(mut self, lane: u8) -> Self {
        self.body[6] = lane;
        self
    }

    /// It opens for so many seconds at most.
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.body[20..24].copy_from_slice(&seconds.to_le_bytes());
        self
    }

    /// These eight octets at its end.
    pub fn random(mut self, octets: [u8; 8]) -> Self {
        self.body[24..].copy_from_slice(&octets);
        self
    }

    /// Another octet of the body, as it is before the MAC is made.
    pub fn octet(mut self, at: usize, value: u8) -> Self {
        self.body[at] = value;
        self
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> [u8; 32] {
        self.body
    }

    /// The MAC of the body.
    #[must_use]
    pub fn tag(&self) -> [u8; 16] {
        let mut mac = Blake2sMac::<U16>::new_from_slice(&self.mac).expect("a key of 32 octets");
        mac.update(&self.body);
        mac.update(&self.source.map_or([0; 16], |source| Addr::from(source).octets()));
        mac.finalize().into_bytes().into()
    }

    /// The token.
    #[must_use]
    pub fn build(&self) -> [u8; 48] {
        self.masked(self.tag())
    }

    /// A token with another MAC, under the mask that it makes.
    #[must_use]
    pub fn masked(&self, tag: [u8; 16]) -> [u8; 48] {
        let mut token = [0; 48];
        token[..16].copy_from_slice(&tag);
        token[16..].copy_from_slice(&self.body);
        let (head, body) = token.split_at_mut(16);
        for (half, count) in body.chunks_mut(16).zip(0_u64..) {
            let mut hash = SipHasher24::new_with_key(&self.mask);
            hash.write(head);
            hash.write(&count.to_le_bytes());
            let mask = hash.finish128().as_bytes();
            half.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
        }
        token
    }
}

/// A STUN Binding request as a browser sends it, whose name begins with a token.
#[must_use]
pub fn stun(token: &[u8; 48]) -> Vec<u8> {
    stun_of(format!("{}:4f2A", base64(token)).as_bytes())
}

/// The same with any name.
#[must_use]
pub fn stun_of(name: &[u8]) -> Vec<u8> {
    let mut attributes = vec![0, 6];
    attributes.extend((name.len() as u16).to_be_bytes());
    attributes.extend(name);
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    // PRIORITY.
    attributes.extend([0, 0x24, 0, 4, 0x6e, 0x7f, 0x1e, 0xff]);
    let mut request = vec![0, 1];
    request.extend((attributes.len() as u16).to_be_bytes());
    request.extend([0x21, 0x12, 0xa4, 0x42]);
    request.extend(*b"transaction.");
    request.extend(attributes);
    request
}

/// Base64 with `+` and `/`.
#[must_use]
pub fn base64(token: &[u8; 48]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextets = token.chunks(3).flat_map(|three| {
        let word = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        [18, 12, 6, 0].map(|shift| ALPHABET[(word >> shift) as usize & 63])
    });
    String::from_utf8(sextets.collect()).expect("letters")
}
