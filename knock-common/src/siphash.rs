//! SipHash (Aumasson and Bernstein, 2012): who does not know the key cannot find two inputs with one hash, nor tell a hash
//! from random octets.

/// SipHash-1-3 of 16 octets, two little-endian words, under `key`, which is two such words as well.
#[inline(always)]
#[must_use]
pub const fn of_words(key: [u64; 2], words: [u64; 2]) -> u64 {
    /// The length in octets, in the top octet of the last word.
    const LENGTH: u64 = 16 << 56;
    let mut state = keyed(key);
    state = absorb(state, words[0]);
    state = absorb(state, words[1]);
    state = absorb(state, LENGTH);
    state[2] ^= 0xff;
    state = round(round(round(state)));
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

/// SipHash-2-4 with 128 bits, of 24 octets: three little-endian words, under `key`, which is two such words. So is the hash.
#[inline(always)]
#[must_use]
pub const fn wide(key: [u64; 2], words: [u64; 3]) -> [u64; 2] {
    /// The length in octets, in the top octet of the last word.
    const LENGTH: u64 = 24 << 56;
    let mut state = keyed(key);
    state[1] ^= 0xee;
    state = absorb_twice(state, words[0]);
    state = absorb_twice(state, words[1]);
    state = absorb_twice(state, words[2]);
    state = absorb_twice(state, LENGTH);
    state[2] ^= 0xee;
    state = round(round(round(round(state))));
    let low = state[0] ^ state[1] ^ state[2] ^ state[3];
    state[1] ^= 0xdd;
    state = round(round(round(round(state))));
    [low, state[0] ^ state[1] ^ state[2] ^ state[3]]
}

#[inline(always)]
const fn keyed([low, high]: [u64; 2]) -> [u64; 4] {
    [
        low ^ 0x736f_6d65_7073_6575,
        high ^ 0x646f_7261_6e64_6f6d,
        low ^ 0x6c79_6765_6e65_7261,
        high ^ 0x7465_6462_7974_6573,
    ]
}

#[inline(always)]
const fn absorb_twice(mut state: [u64; 4], word: u64) -> [u64; 4] {
    state[3] ^= word;
    state = round(round(state));
    state[0] ^= word;
    state
}

#[inline(always)]
const fn absorb(mut state: [u64; 4], word: u64) -> [u64; 4] {
    state[3] ^= word;
    state = round(state);
    state[0] ^= word;
    state
}

#[inline(always)]
const fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;

    use siphasher::sip::SipHasher13;
    use siphasher::sip128::{Hasher128 as _, SipHasher24};

    use super::*;

    #[test]
    fn agrees_with_another_implementation() {
        let next = |word: u64| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ 0x5bd1_e995;
        let mut word = 0;
        let mut take = || {
            word = next(word);
            word
        };
        for _ in 0..1000 {
            let [key, words] = [[take(), take()], [take(), take()]];
            let mut other = SipHasher13::new_with_keys(key[0], key[1]);
            other.write(&words[0].to_le_bytes());
            other.write(&words[1].to_le_bytes());
            assert_eq!(of_words(key, words), other.finish(), "{key:x?} {words:x?}");
        }
    }

    #[test]
    fn the_wide_hash_agrees_with_another_implementation_and_the_published_vector() {
        let word = |octets: &[u8]| u64::from_le_bytes(octets.try_into().unwrap());
        let counted: Vec<u8> = (0..24).collect();
        let key = [word(&counted[..8]), word(&counted[8..16])];
        let hash = wide(key, [word(&counted[..8]), word(&counted[8..16]), word(&counted[16..])]);
        assert_eq!(hash, [0xd850_bd78_ae79_b42d, 0xad32_618a_178a_2a88]);
        let mut state = 3_u64;
        let mut take = || {
            state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ 0x5bd1_e995;
            state
        };
        for _ in 0..1000 {
            let (key, words) = ([take(), take()], [take(), take(), take()]);
            let mut other = SipHasher24::new_with_keys(key[0], key[1]);
            words.iter().for_each(|word| other.write(&word.to_le_bytes()));
            let hash = other.finish128();
            assert_eq!(wide(key, words), [hash.h1, hash.h2], "{key:x?} {words:x?}");
        }
    }
}
