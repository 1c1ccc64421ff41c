//! One address type for both families: an IPv6 address, IPv4 mapped into it (RFC 4291, 2.5.5.2).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Sixteen octets in network order, as four words so that BPF compares and copies them in four
/// steps. An IPv4 address is stored v4-mapped (`::ffff:a.b.c.d`), so one key serves both families.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug)]
pub struct Addr([u32; 4]);

/// Where IPv4 addresses begin in the mapped form, in bits.
pub const V4_BEGINS: u32 = 96;

const LINK_LOCAL: u32 = 0xfe80_0000_u32.to_be();
/// ff80::/10: addresses of groups, from which no stack takes a packet.
const ZONELESS: u32 = 0xff80_0000_u32.to_be();
const TEN_BITS: u32 = 0xffc0_0000_u32.to_be();
/// The bit in which the two differ.
const MARK: u32 = LINK_LOCAL ^ ZONELESS;

const V4_MARK: u32 = 0x0000_ffff_u32.to_be();

impl Addr {
    /// The unset address, `::`. In a rule it means "any".
    pub const ANY: Self = Self([0; 4]);

    /// Builds the v4-mapped address from four octets as they stand in an IPv4 header.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4(octets: [u8; 4]) -> Self {
        Self([0, 0, V4_MARK, u32::from_ne_bytes(octets)])
    }

    /// Builds the v4-mapped address from four octets as one word in memory order.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4_word(word: u32) -> Self {
        Self([0, 0, V4_MARK, word])
    }

    /// Builds the address from sixteen octets as four words in memory order.
    #[inline(always)]
    #[must_use]
    pub const fn from_words(words: [u32; 4]) -> Self {
        Self(words)
    }

    /// Builds the address from sixteen octets as they stand in an IPv6 header.
    #[inline(always)]
    #[must_use]
    pub const fn from_v6(o: [u8; 16]) -> Self {
        Self([
            u32::from_ne_bytes([o[0], o[1], o[2], o[3]]),
            u32::from_ne_bytes([o[4], o[5], o[6], o[7]]),
            u32::from_ne_bytes([o[8], o[9], o[10], o[11]]),
            u32::from_ne_bytes([o[12], o[13], o[14], o[15]]),
        ])
    }

    /// The four words, each in network order in memory.
    #[inline(always)]
    #[must_use]
    pub const fn words(&self) -> [u32; 4] {
        self.0
    }

    /// The same as two words in memory order.
    #[inline(always)]
    #[must_use]
    pub const fn halves(&self) -> [u64; 2] {
        let [a, b, c, d] = self.0;
        [a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32]
    }

    /// The sixteen octets in network order.
    #[must_use]
    pub const fn octets(&self) -> [u8; 16] {
        self.to_ip6().octets()
    }

    /// True for a v4-mapped address.
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        // One comparison: of three, the verifier follows every outcome.
        self.0[0] | self.0[1] | (self.0[2] ^ V4_MARK) == 0
    }

    /// True for the unset address.
    #[inline(always)]
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.0[0] == 0 && self.0[1] == 0 && self.0[2] == 0 && self.0[3] == 0
    }

    /// True for a group's address: 224.0.0.0/4 (RFC 5771), ff00::/8 (RFC 4291, 2.7).
    #[inline(always)]
    #[must_use]
    pub const fn is_multicast(&self) -> bool {
        if self.is_v4() { self.0[3].to_ne_bytes()[0] >> 4 == 14 } else { self.0[0].to_ne_bytes()[0] == 0xff }
    }

    /// True for an address that means something on its link alone: fe80::/10 (RFC 4291, 2.5.6).
    #[inline(always)]
    #[must_use]
    pub const fn is_link_local(&self) -> bool {
        self.0[0] & TEN_BITS == LINK_LOCAL
    }

    /// The source of a packet with the index of the interface that a link-local one belongs to, in the second word, which
    /// is zero on the wire (RFC 4291, 2.5.6; RFC 4007, 6). Where it is not, there is no room for the interface: such a
    /// source becomes [zoneless](Self::is_zoneless), so that it is not taken for another. Others stay as they are.
    #[inline(always)]
    #[must_use]
    pub const fn scoped(self, interface: u32) -> Self {
        let [first, second, third, fourth] = self.0;
        if !self.is_link_local() {
            self
        } else if second == 0 {
            Self([first, interface.to_be(), third, fourth])
        } else {
            Self([first ^ MARK, second, third, fourth])
        }
    }

    /// True for a link-local source of which cannot be said on which interface it is. Nothing may be granted to it: on
    /// each link somebody else may have its address.
    #[inline(always)]
    #[must_use]
    pub const fn is_zoneless(&self) -> bool {
        self.0[0] & TEN_BITS == ZONELESS
    }

    /// True for a link-local address, and for what [`Self::scoped`] may make of one: in a packet that is an address of a
    /// group, from which no stack sends.
    #[inline(always)]
    #[must_use]
    pub const fn is_near(&self) -> bool {
        self.0[0] & (TEN_BITS & !MARK) == LINK_LOCAL
    }

    /// The source as it stands in packets: what [`Self::scoped`] has made of it is undone.
    #[inline(always)]
    #[must_use]
    pub const fn on_wire(self) -> Self {
        let [first, second, third, fourth] = self.0;
        // One comparison for all others.
        if !self.is_near() {
            self
        } else if self.is_zoneless() {
            Self([first ^ MARK, second, third, fourth])
        } else {
            Self([first, 0, third, fourth])
        }
    }

    /// The address of a destination, which is never scoped.
    #[must_use]
    pub fn destination(self) -> IpAddr {
        self.to_ip6().to_canonical()
    }

    /// The interface that a link-local address belongs to; 0 for others, and for none.
    #[inline(always)]
    #[must_use]
    pub const fn interface(&self) -> u32 {
        if self.is_link_local() { u32::from_be(self.0[1]) } else { 0 }
    }

    /// Where the source is: an IPv4 address, or the /64 of an IPv6 address, which is the least that a
    /// host may have to itself and choose its addresses from (RFC 7934, RFC 4291 2.5.1).
    #[inline(always)]
    #[must_use]
    pub const fn site(&self) -> Self {
        if self.is_v4() { *self } else { Self([self.0[0], self.0[1], 0, 0]) }
    }

    /// The bits that both have; the interface of a link-local address always.
    #[inline(always)]
    #[must_use]
    pub const fn and(&self, mask: &Self) -> Self {
        let (a, m) = (self.0, mask.0);
        let second = if self.is_link_local() { a[1] } else { a[1] & m[1] };
        Self([a[0] & m[0], second, a[2] & m[2], a[3] & m[3]])
    }

    /// Keeps the first `bits` bits (0 to 128, counted over the mapped form) and clears the rest.
    #[must_use]
    pub fn masked(&self, bits: u32) -> Self {
        let mut words = self.0;
        let mut index = 0;
        while index < 4 {
            words[index] &= word_mask(bits, index as u32);
            index += 1;
        }
        Self(words)
    }

    const fn to_ip6(self) -> Ipv6Addr {
        let w = self.0;
        Ipv6Addr::from_bits(
            ((u32::from_be(w[0]) as u128) << 96)
                | ((u32::from_be(w[1]) as u128) << 64)
                | ((u32::from_be(w[2]) as u128) << 32)
                | (u32::from_be(w[3]) as u128),
        )
    }
}

/// The mask, in network order, of word `index` under a prefix of `bits` bits.
fn word_mask(bits: u32, index: u32) -> u32 {
    let begin = index * 32;
    if bits >= begin + 32 {
        u32::MAX
    } else if bits <= begin {
        0
    } else {
        (u32::MAX << (32 - (bits - begin))).to_be()
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => v6.into(),
        }
    }
}

impl From<Ipv4Addr> for Addr {
    fn from(ip: Ipv4Addr) -> Self {
        Self::from_v4(ip.octets())
    }
}

impl From<Ipv6Addr> for Addr {
    fn from(ip: Ipv6Addr) -> Self {
        Self::from_v6(ip.octets())
    }
}

impl From<Addr> for IpAddr {
    /// The address of a source as it stands in packets: a v4-mapped one comes back as IPv4, a link-local one without its
    /// interface.
    fn from(addr: Addr) -> Self {
        addr.on_wire().to_ip6().to_canonical()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_survive_a_round_trip() {
        for text in ["192.0.2.7", "2001:db8::7", "::1", "0.0.0.0"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(IpAddr::from(Addr::from(ip)), ip);
        }
    }

    #[test]
    fn memory_holds_the_octets_in_network_order() {
        let octets = Ipv6Addr::from_bits(0x2001_0db8_0102_0304_0506_0708_090a_0b0c).octets();
        let addr = Addr::from_v6(octets);
        assert_eq!(addr.octets(), octets);
        assert_eq!(addr.words()[0].to_ne_bytes(), [0x20, 0x01, 0x0d, 0xb8]);
        assert!(Addr::from_v4([192, 0, 2, 7]).is_v4());
        assert!(!addr.is_v4());
    }

    #[test]
    fn groups_are_known_by_their_addresses() {
        let is_multicast = |text: &str| Addr::from(text.parse::<IpAddr>().unwrap()).is_multicast();
        assert!(["224.0.0.1", "239.255.255.255", "ff02::1"].into_iter().all(is_multicast));
        assert!(!["223.255.255.255", "240.0.0.1", "192.0.2.7", "fe80::1"].into_iter().any(is_multicast));
    }

    #[test]
    fn link_local_addresses_differ_by_interface_and_others_do_not() {
        let scoped = |text: &str, interface| Addr::from(text.parse::<IpAddr>().unwrap()).scoped(interface);
        for text in ["fe80::1", "febf::1"] {
            assert_ne!(scoped(text, 2), scoped(text, 3));
            assert_eq!((scoped(text, 2).interface(), scoped(text, 2).on_wire().interface()), (2, 0));
            assert_eq!(IpAddr::from(scoped(text, 2)), text.parse::<IpAddr>().unwrap());
            // However wide what is granted: to the link of this interface.
            let wide = Addr::from(IpAddr::from([0xffff_u16; 8])).masked(16);
            assert_ne!(scoped(text, 2).and(&wide), scoped(text, 3).and(&wide));
            assert_ne!(scoped(text, 2).site(), scoped(text, 3).site());
        }
        for text in ["192.0.2.7", "2001:db8::1", "fec0::1", "::1"] {
            assert_eq!(scoped(text, 2), scoped(text, 3));
            assert_eq!(scoped(text, 2).interface(), 0);
        }
    }

    /// In fe80::/10 and outside of fe80::/64, or of another such network with a second word of zeros.
    #[test]
    fn a_link_local_address_without_room_for_its_interface_is_taken_for_no_other() {
        let source = |text: &str| Addr::from(text.parse::<IpAddr>().unwrap());
        let zoneless = ["fe80:0:1:2::7", "fe80:0:0:1::7", "fe80:0:1::7", "fe80:0:ffff:ffff::7", "febf:1:0:2::7"];
        let all: Vec<_> = zoneless.into_iter().chain(["fe80::7", "febf:1::7"]).collect();
        // Of every interface, 0x1_0002 among them.
        let interfaces = [1, 2, 0x1_0002, u32::MAX];
        for text in zoneless {
            let one = source(text).scoped(2);
            assert!(one.is_zoneless() && one.interface() == 0, "{text}");
            assert_eq!(IpAddr::from(one), text.parse::<IpAddr>().unwrap());
            assert_eq!(one.on_wire(), source(text));
            for other in all.iter().filter(|other| **other != text) {
                assert!(interfaces.iter().all(|index| source(other).scoped(*index) != one), "{text} {other}");
            }
            // Nor is it in a network that was granted to another.
            for bits in [10, 16, 32, 48, 64, 128] {
                let wide = Addr::from(IpAddr::from([0xffff_u16; 8])).masked(bits);
                assert!(interfaces.iter().all(|index| source("fe80::7").scoped(*index).and(&wide) != one.and(&wide)));
            }
        }
        for text in ["fe80::7", "192.0.2.7", "2001:db8::7", "fec0:0:1:2::7"] {
            assert!(!source(text).scoped(2).is_zoneless(), "{text}");
        }
        // A destination is what it is.
        for text in ["fe80:0:1:2::7", "ff85:0:1:2::7", "192.0.2.7"] {
            assert_eq!(source(text).destination(), text.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn a_mask_keeps_exactly_its_bits() {
        let addr = Addr::from(IpAddr::from([0xffff_u16; 8]));
        for bits in 0..=128_u32 {
            let kept: u32 = addr.masked(bits).octets().iter().map(|o| o.count_ones()).sum();
            assert_eq!(kept, bits);
        }
        let net = Addr::from_v4([192, 0, 2, 77]).masked(96 + 24);
        assert_eq!(IpAddr::from(net), IpAddr::from([192, 0, 2, 0]));
    }
}
