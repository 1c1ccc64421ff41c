//! SipHash-1-3 (Aumasson and Bernstein, 2012): who does not know the key cannot find two inputs with one hash.

/// The hash of 16 octets, two little-endian words, under `key`, which is two such words as well.
#[inline(always)]
#[must_use]
pub const fn of_words(key: [u64; 2], words: [u64; 2]) -> u64 {
    /// The length in octets, in the top octet of the last word.
    const LENGTH: u64 = 16 << 56;
    let [low, high] = key;
    let mut state = [
        low ^ 0x736f_6d65_7073_6575,
        high ^ 0x646f_7261_6e64_6f6d,
        low ^ 0x6c79_6765_6e65_7261,
        high ^ 0x7465_6462_7974_6573,
    ];
    state = absorb(state, words[0]);
    state = absorb(state, words[1]);
    state = absorb(state, LENGTH);
    state[2] ^= 0xff;
    state = round(round(round(state)));
    state[0] ^ state[1] ^ state[2] ^ state[3]
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
}
