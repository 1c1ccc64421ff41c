//! BLAKE2s (RFC 7693) as a MAC of 16 octets under a key of 32, over at most one block.
//!
//! The block that holds the key comes first, and what it makes is kept for each key: a MAC then costs one block. No branch
//! and no address depends on what is worked on. All of it stays in memory ([`Note`]): with its 32 words in registers the
//! compiler would need more stack than a BPF program has.

use crate::note::Note;

/// Octets of a key.
pub const KEY: usize = 32;
/// Words of a block.
const BLOCK: usize = 16;
/// Octets of a block.
const BLOCK_OCTETS: u32 = 64;

const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The first word of the parameters: 16 octets of digest, 32 of key, no tree.
const PARAMETERS: u32 = 16 | (KEY as u32) << 8 | 1 << 16 | 1 << 24;

/// Which words of the message each round takes.
const SIGMA: [[usize; BLOCK]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
    [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
    [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
    [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
    [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

/// What a key's block makes: eight words. As secret as the key.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keyed([u32; 8]);

impl core::fmt::Debug for Keyed {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("Keyed")
    }
}

impl Keyed {
    /// No key.
    pub const NONE: Self = Self([0; 8]);

    /// Takes a key in.
    #[must_use]
    pub fn new(key: &[u8; KEY]) -> Self {
        let work = Work::new();
        for (index, octets) in key.as_chunks::<4>().0.iter().enumerate() {
            work.message[index].set(u32::from_le_bytes(*octets));
        }
        let mut state = IV;
        state[0] ^= PARAMETERS;
        compress(&work, &state, BLOCK_OCTETS, 0);
        for (index, word) in state.iter_mut().enumerate() {
            *word ^= work.state[index].get() ^ work.state[index + 8].get();
        }
        Self(state)
    }

    /// The MAC of the block in `work`, of which `length` octets (1 to 64) are the message and the others zero: four
    /// little-endian words.
    #[inline(always)]
    #[must_use]
    pub fn mac(&self, work: &Work, length: u32) -> [u32; 4] {
        compress(work, &self.0, BLOCK_OCTETS + length, u32::MAX);
        let word = |index: usize| self.0[index] ^ work.state[index].get() ^ work.state[index + 8].get();
        [word(0), word(1), word(2), word(3)]
    }
}

/// Where a block is worked on.
#[repr(C)]
#[derive(Debug)]
pub struct Work {
    /// The message: little-endian words.
    pub message: [Note<u32>; BLOCK],
    state: [Note<u32>; BLOCK],
}

impl Work {
    /// A place with a message of zeroes.
    #[must_use]
    pub const fn new() -> Self {
        Self { message: [const { Note::new(0) }; BLOCK], state: [const { Note::new(0) }; BLOCK] }
    }
}

impl Default for Work {
    fn default() -> Self {
        Self::new()
    }
}

/// The ten rounds over `work.message`, from `before` to `work.state`. `count` are the octets up to the end of this block, and
/// `last` is all ones for the last one.
#[inline(always)]
fn compress(work: &Work, before: &[u32; 8], count: u32, last: u32) {
    let v = &work.state;
    let mut index = 0;
    while index < 8 {
        v[index].set(before[index]);
        v[index + 8].set(IV[index]);
        index += 1;
    }
    v[12].set(IV[4] ^ count);
    v[14].set(IV[6] ^ last);
    round::<0>(work);
    round::<1>(work);
    round::<2>(work);
    round::<3>(work);
    round::<4>(work);
    round::<5>(work);
    round::<6>(work);
    round::<7>(work);
    round::<8>(work);
    round::<9>(work);
}

#[inline(always)]
fn round<const ROUND: usize>(work: &Work) {
    let (m, s) = (&work.message, const { SIGMA[ROUND] });
    mix(work, [0, 4, 8, 12], m[s[0]].get(), m[s[1]].get());
    mix(work, [1, 5, 9, 13], m[s[2]].get(), m[s[3]].get());
    mix(work, [2, 6, 10, 14], m[s[4]].get(), m[s[5]].get());
    mix(work, [3, 7, 11, 15], m[s[6]].get(), m[s[7]].get());
    mix(work, [0, 5, 10, 15], m[s[8]].get(), m[s[9]].get());
    mix(work, [1, 6, 11, 12], m[s[10]].get(), m[s[11]].get());
    mix(work, [2, 7, 8, 13], m[s[12]].get(), m[s[13]].get());
    mix(work, [3, 4, 9, 14], m[s[14]].get(), m[s[15]].get());
}

/// The function G of the standard, over four words of the state.
#[inline(always)]
fn mix(work: &Work, at: [usize; 4], x: u32, y: u32) {
    let v = &work.state;
    let [mut a, mut b, mut c, mut d] = [v[at[0]].get(), v[at[1]].get(), v[at[2]].get(), v[at[3]].get()];
    a = a.wrapping_add(b).wrapping_add(x);
    d = (d ^ a).rotate_right(16);
    c = c.wrapping_add(d);
    b = (b ^ c).rotate_right(12);
    a = a.wrapping_add(b).wrapping_add(y);
    d = (d ^ a).rotate_right(8);
    c = c.wrapping_add(d);
    b = (b ^ c).rotate_right(7);
    v[at[0]].set(a);
    v[at[1]].set(b);
    v[at[2]].set(c);
    v[at[3]].set(d);
}

#[cfg(test)]
mod tests {
    use blake2::Blake2sMac;
    use blake2::digest::consts::U16;
    use blake2::digest::{KeyInit as _, Mac as _};

    use super::*;

    fn ours(key: &[u8; KEY], message: &[u8]) -> [u8; 16] {
        let mut block = [0; BLOCK * 4];
        block[..message.len()].copy_from_slice(message);
        let work = Work::new();
        for (word, octets) in work.message.iter().zip(block.as_chunks().0) {
            word.set(u32::from_le_bytes(*octets));
        }
        let words = Keyed::new(key).mac(&work, message.len() as u32);
        let mut digest = [0; 16];
        for (octets, word) in digest.as_chunks_mut().0.iter_mut().zip(words) {
            *octets = word.to_le_bytes();
        }
        digest
    }

    fn theirs(key: &[u8; KEY], message: &[u8]) -> [u8; 16] {
        let mut mac = Blake2sMac::<U16>::new_from_slice(key).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    #[test]
    fn agrees_with_another_implementation_for_every_length_of_a_block() {
        let mut state = 7_u64;
        let mut take = || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 56) as u8
        };
        for length in 1..=BLOCK * 4 {
            let key: [u8; KEY] = std::array::from_fn(|_| take());
            let message: Vec<u8> = (0..length).map(|_| take()).collect();
            assert_eq!(ours(&key, &message), theirs(&key, &message), "{length} octets");
        }
    }

    #[test]
    fn a_key_says_nothing_of_itself() {
        assert_eq!(format!("{:?}", Keyed::new(&[7; KEY])), "Keyed");
    }
}
