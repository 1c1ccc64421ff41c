//! The bytes of the frame: the one place that turns an offset into a packet access.

use aya_ebpf::helpers::bpf_csum_diff;
use knock_common::packet::frame::{Frame, FrameMut, MAX_OFFSET, View};

use crate::hook::Hook;
use crate::maps::{self, COPIED};

/// The linear part of a frame: all of it, but for a multi-buffer frame.
pub struct Linear<H> {
    hook: H,
}

impl<H: Hook> Linear<H> {
    #[inline(always)]
    pub const fn new(hook: H) -> Self {
        Self { hook }
    }

    /// True if there is no other buffer.
    #[inline(always)]
    pub fn is_all(&self) -> bool {
        let first = one_register(self.hook.end() - self.hook.begin()) as u64;
        self.hook.length() == first
    }

    /// Lets the frame begin so many octets later, or earlier; false if it cannot. Every view made before is gone, since each
    /// borrows nothing but an address that is checked anew at its next use.
    #[inline(always)]
    pub fn move_begin(&mut self, by: i32) -> bool {
        self.hook.move_begin(by)
    }
}

impl<H: Hook> Frame for Linear<H> {
    type View<const N: usize> = Loaded;

    #[inline(always)]
    fn view<const N: usize>(&self, offset: u32) -> Option<Loaded> {
        // The verifier follows a packet pointer only below 64 KiB.
        let offset = one_register(offset as usize);
        if offset > MAX_OFFSET as usize {
            return None;
        }
        let begin = one_register(self.hook.begin() + offset);
        (begin + N <= self.hook.end()).then_some(Loaded(begin))
    }

    #[inline(always)]
    fn start<const N: usize>(&self, skipped: u32) -> Option<Loaded> {
        let begin = self.hook.begin() + skipped as usize;
        (begin + N <= self.hook.end()).then_some(Loaded(begin))
    }

    #[inline(always)]
    fn forget(value: u32) -> u32 {
        forget(value)
    }

    #[inline(always)]
    fn reaches(&self, length: u32) -> bool {
        // Bounded for the verifier: no IP packet is longer than this behind its link header.
        length <= 0x1_0100 && self.hook.begin() + length as usize <= self.hook.end()
    }
}

impl<H: Hook> FrameMut for Linear<H> {
    #[inline(always)]
    fn resize(&mut self, added: u32, length: u32) -> bool {
        if added != 0 && !self.move_begin(-(added as i32)) {
            return false;
        }
        // In one piece: the verifier allows no 32-bit arithmetic with packet pointers.
        let now = one_register(self.hook.end() - self.hook.begin()) as i32;
        self.hook.move_end(length as i32 - now)
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, offset: u32, bytes: &[u8; N]) -> Option<()> {
        let place = self.view::<N>(offset)?.0 as *mut u8;
        let mut index = 0;
        while index < N {
            // SAFETY: the view was checked to hold N bytes, and the verifier checks it again. Each byte is
            // really read, so that none of them is kept on the stack.
            unsafe { place.add(index).write((&raw const bytes[index]).read_volatile()) };
            index += 1;
        }
        Some(())
    }
}

/// A checked place in the packet or in its copy.
pub struct Loaded(usize);

/// One load of the packet, however it is aligned: the kernel allows it where the machine does,
/// while Rust's own loads would be taken apart into octets.
macro_rules! load {
    ($kind:literal, $most:expr, $address:expr, $at:expr) => {{
        let value: u64;
        // SAFETY: the view was checked to hold the bytes, and the verifier checks it again; what is loaded
        // has no more bits than its kind.
        unsafe {
            core::arch::asm!(
                concat!("{value} = *(", $kind, " *)({address} + {at})"),
                value = out(reg) value,
                address = in(reg) $address,
                at = const $at,
                options(pure, readonly, nostack, preserves_flags),
            );
            core::hint::assert_unchecked(value <= u64::from($most));
        }
        value
    }};
}

impl View for Loaded {
    #[inline(always)]
    fn octet(&self, index: usize) -> u8 {
        load!("u8", u8::MAX, self.0 + index, 0) as u8
    }

    #[inline(always)]
    fn be16(&self, index: usize) -> u16 {
        u16::from_be(load!("u16", u16::MAX, self.0 + index, 0) as u16)
    }

    #[inline(always)]
    fn word(&self, index: usize) -> u32 {
        load!("u32", u32::MAX, self.0 + index, 0) as u32
    }

    #[inline(always)]
    fn octet_at<const AT: usize>(&self) -> u8 {
        load!("u8", u8::MAX, self.0, AT) as u8
    }

    #[inline(always)]
    fn be16_at<const AT: usize>(&self) -> u16 {
        u16::from_be(load!("u16", u16::MAX, self.0, AT) as u16)
    }

    #[inline(always)]
    fn word_at<const AT: usize>(&self) -> u32 {
        load!("u32", u32::MAX, self.0, AT) as u32
    }

    #[inline(always)]
    fn sum(&self, sum: u64, length: usize) -> u64 {
        // SAFETY: the view was checked to hold the bytes, and the verifier checks it again; nothing
        // is compared with.
        let part = unsafe { bpf_csum_diff(core::ptr::null_mut(), 0, self.0 as *mut u32, length as u32, 0) };
        sum + (part as u64 & 0xffff_ffff)
    }
}

/// Hides from the compiler how a value was made. The verifier ties what a check proves to the
/// register that was checked; made anew for the access, the value would be unchecked.
#[inline(always)]
fn one_register(mut value: usize) -> usize {
    // SAFETY: a move of a register to itself. (No instruction at all would leave two line records
    // at one offset in the BTF, which the kernel refuses.)
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(pure, nomem, nostack, preserves_flags)) };
    value
}

/// Writes a number as the upper half of a word and reads that half: of a part that does not begin where the word
/// does the verifier knows nothing. (The processor reads it from what it is about to write; of a word that was
/// written in halves it would have to wait for both.)
#[inline(always)]
fn forget(value: u32) -> u32 {
    let mut word = 0_u64;
    let place = &raw mut word;
    // SAFETY: a word, written as a whole, and a half of it.
    unsafe {
        place.write_volatile(u64::from(value) << 32);
        place.cast::<u32>().add(1).read_volatile()
    }
}

/// A frame of several buffers, its headers copied together. Slow, and right for every frame.
pub struct Copied<H> {
    hook: H,
    begin: *const u8,
    length: usize,
}

/// Shorter than any frame that holds an IP header.
const SHORTEST: usize = 14;

impl<H: Hook> Copied<H> {
    /// Copies the start of the frame; `None` if the kernel refuses.
    #[inline(always)]
    pub fn new(hook: H) -> Option<Self> {
        let buffer = maps::COPY.get_ptr_mut(0)?;
        let total = hook.length() as usize;
        let length = one_register(if total > COPIED { COPIED } else { total });
        // Of a comparison with 0 a verifier before 6.8 learns nothing.
        if length < SHORTEST {
            return None;
        }
        if length > COPIED {
            return None;
        }
        // SAFETY: the buffer is this CPU's own and holds COPIED bytes, which `length` does not pass.
        let is_copied = unsafe { hook.copy(buffer.cast(), length as u32) };
        is_copied.then_some(Self { hook, begin: buffer.cast_const().cast(), length })
    }
}

impl<H: Hook> Frame for Copied<H> {
    type View<const N: usize> = Loaded;

    #[inline(always)]
    fn view<const N: usize>(&self, offset: u32) -> Option<Loaded> {
        let offset = one_register(offset as usize);
        if offset > COPIED - N || offset + N > self.length {
            return None;
        }
        Some(Loaded(one_register(self.begin as usize + offset)))
    }

    #[inline(always)]
    fn forget(value: u32) -> u32 {
        forget(value)
    }

    #[inline(always)]
    fn reaches(&self, length: u32) -> bool {
        self.hook.length() >= u64::from(length)
    }
}
