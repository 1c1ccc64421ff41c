//! A filter in front of the trusted networks: most sources learn from one word that none of them holds them, without a
//! look-up in a trie.

use crate::abi::grant::HOST_BITS;
use crate::addr::{Addr, V4_BEGINS};

/// Leading bits of an IPv4 source that are looked at, over the mapped form.
const V4_LOOKED_AT: u32 = V4_BEGINS + 8;
/// Leading bits of an IPv6 source that are looked at.
const V6_LOOKED_AT: u32 = 16;
/// Leading bits of an IPv6 source on which its cell does not depend.
const V6_PASSED_OVER: u32 = 4;

/// For each family 64 cells, by the leading bits of a source. A cell is set if a trusted network has a source in it, so
/// a source with an unset cell is in none. A zeroed filter holds nobody.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TrustFilter {
    v4: u64,
    v6: u64,
}

impl TrustFilter {
    /// The filter of networks, each as its prefix length over the mapped form (0 to 128) and its address.
    #[must_use]
    pub fn of(networks: &[(u32, Addr)]) -> Self {
        let mut filter = Self::default();
        for (bits, network) in networks {
            filter.add((*bits).min(HOST_BITS), network);
        }
        filter
    }

    /// False if the source is in none of the networks.
    #[inline(always)]
    #[must_use]
    pub const fn may_hold(&self, source: &Addr) -> bool {
        let cells = if source.is_v4() { self.v4 } else { self.v6 };
        cells >> cell_of(source) & 1 != 0
    }

    fn add(&mut self, bits: u32, network: &Addr) {
        for first in 0..=u8::MAX {
            let source = Addr::from_v4([first, 0, 0, 0]);
            if overlap(bits, network, V4_LOOKED_AT, &source) {
                self.v4 |= 1 << cell_of(&source);
            }
        }
        if bits >= V4_BEGINS && network.is_v4() {
            return;
        }
        if bits <= V6_PASSED_OVER {
            self.v6 = u64::MAX;
            return;
        }
        let [first, second, ..] = network.octets();
        let free = V6_LOOKED_AT.saturating_sub(bits);
        let begin = u16::from_be_bytes([first, second]);
        for number in 0..1_u32 << free {
            let mut octets = [0; 16];
            octets[..2].copy_from_slice(&(begin | number as u16).to_be_bytes());
            self.v6 |= 1 << cell_of(&Addr::from_v6(octets));
        }
    }
}

/// True if the networks have an address in common.
fn overlap(bits: u32, network: &Addr, other_bits: u32, other: &Addr) -> bool {
    let bits = bits.min(other_bits);
    network.masked(bits) == other.masked(bits)
}

/// The cell of a source. Of IPv4 by the first octet: the low bits, which tell apart what is close together. Of IPv6 by
/// those bits of the first two octets that differ among the blocks that are given out (2000::/3), ULA and link-local.
#[inline(always)]
const fn cell_of(source: &Addr) -> u32 {
    let [high, _, _, low] = source.words();
    if source.is_v4() {
        low.to_ne_bytes()[0] as u32 & 63
    } else {
        let [first, second, ..] = high.to_ne_bytes();
        (first as u32 >> 1 & 7) << 3 | second as u32 & 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between the numbers that are tried: an interpreter is slow, and sees what is undefined behaviour at any.
    const STEP: usize = if cfg!(miri) { 17 } else { 1 };

    fn addr(text: &str) -> Addr {
        text.parse::<core::net::IpAddr>().unwrap().into()
    }

    fn filter(networks: &[(u32, &str)]) -> TrustFilter {
        let networks: Vec<_> = networks.iter().map(|(bits, text)| (*bits, addr(text).masked(*bits))).collect();
        TrustFilter::of(&networks)
    }

    #[test]
    fn who_is_in_a_network_is_never_kept_from_it() {
        for source in ["0.0.0.1", "10.255.0.1", "127.0.0.1", "192.0.2.9", "255.255.255.255", "2001:db8::1", "fe80::1"] {
            for bits in (0..=HOST_BITS).step_by(STEP) {
                let network = addr(source).masked(bits);
                assert!(TrustFilter::of(&[(bits, network)]).may_hold(&addr(source)), "{source} in {network:?}/{bits}");
            }
        }
    }

    #[test]
    fn most_others_are_kept_out() {
        let usual = filter(&[(96 + 8, "10.0.0.0"), (96 + 24, "192.0.2.0"), (10, "fe80::"), (32, "2001:db8::")]);
        for held in ["10.1.2.3", "192.0.2.9", "fe80::1", "febf::1", "2001:db8::1"] {
            assert!(usual.may_hold(&addr(held)), "{held}");
        }
        for other in ["198.51.100.1", "203.0.113.1", "172.16.0.1", "2a02::1", "2400::1", "2600::1", "fd12::1"] {
            assert!(!usual.may_hold(&addr(other)), "{other}");
        }
    }

    #[test]
    fn every_source_of_a_short_network_is_held() {
        let unique_local = filter(&[(7, "fc00::")]);
        let reserved = filter(&[(96 + 4, "240.0.0.0")]);
        for first in 0..=u8::MAX {
            for second in (0..=u8::MAX).step_by(STEP) {
                let mut octets = [0; 16];
                (octets[0], octets[1]) = (first, second);
                assert!(first & 0xfe != 0xfc || unique_local.may_hold(&Addr::from_v6(octets)), "{first} {second}");
            }
            assert!(reserved.may_hold(&Addr::from_v4([first, 1, 2, 3])) || first < 240);
        }
    }

    #[test]
    fn a_network_of_everybody_holds_both_families() {
        let all = filter(&[(0, "::")]);
        assert_eq!(all, TrustFilter { v4: u64::MAX, v6: u64::MAX });
        assert_eq!(filter(&[(96, "0.0.0.0")]).v4, u64::MAX);
        assert!(!TrustFilter::default().may_hold(&addr("192.0.2.1")));
    }
}
