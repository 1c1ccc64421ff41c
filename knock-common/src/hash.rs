//! FNV-1a, for tags that name a door or a service across reloads, and for one-time sequences.

/// FNV-1a over `bytes`, 32 bits. Used for names, never against an adversary.
#[must_use]
pub const fn fnv1a(bytes: &[u8]) -> u32 {
    fnv1a_from(0x811c_9dc5, bytes)
}

/// Goes on hashing from `state`.
#[must_use]
pub const fn fnv1a_from(mut state: u32, bytes: &[u8]) -> u32 {
    let mut index = 0;
    while index < bytes.len() {
        state = (state ^ bytes[index] as u32).wrapping_mul(0x0100_0193);
        index += 1;
    }
    state
}

/// FNV-1a over `bytes`, 64 bits.
#[must_use]
pub const fn fnv1a_64(bytes: &[u8]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut index = 0;
    while index < bytes.len() {
        state = (state ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    state
}

#[cfg(test)]
mod tests {
    #[test]
    fn agrees_with_the_published_vectors_of_64_bits() {
        assert_eq!(super::fnv1a_64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(super::fnv1a_64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(super::fnv1a_64(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn agrees_with_the_published_vectors() {
        assert_eq!(super::fnv1a(b""), 0x811c_9dc5);
        assert_eq!(super::fnv1a(b"a"), 0xe40c_292c);
        assert_eq!(super::fnv1a(b"foobar"), 0xbf9c_f968);
    }
}
