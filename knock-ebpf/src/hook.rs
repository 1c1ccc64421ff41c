//! What a hook point of the kernel is to the gate: how a program there reaches a frame, and what it can do with it.

use core::ffi::c_void;

use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::helpers::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;
use knock_common::abi::layout::QUESTION;

/// A frame at a hook point: the kernel's context of it, in one register.
///
/// # Safety
///
/// `begin` and `end` are the bounds of memory that the verifier knows as this frame's, and `question` gives what it says.
pub unsafe trait Hook: Copy {
    /// Lets the frame go on.
    const PASS: u32;
    /// Drops it.
    const DROP: u32;

    /// The context, as helpers for any hook point take it.
    fn context(self) -> *mut c_void;
    /// Index of the interface on which the frame came.
    fn interface(self) -> u32;

    /// Address of the first octet.
    fn begin(self) -> usize;
    /// Address behind the last octet of the first buffer.
    fn end(self) -> usize;
    /// Octets in all buffers (XDP: kernel 5.18).
    fn length(self) -> u64;
    /// Copies the first `length` octets, of whatever buffers; false if the kernel refuses (XDP: kernel 5.18).
    ///
    /// # Safety
    ///
    /// There is room for them at `to`.
    unsafe fn copy(self, to: *mut c_void, length: u32) -> bool;

    /// Lets the frame begin so many octets later, or earlier; false if it cannot. What was read of it before is void.
    fn move_begin(self, by: i32) -> bool;
    /// Lets the frame end so many octets later, or earlier; false if it cannot. What was read of it before is void.
    fn move_end(self, by: i32) -> bool;
    /// Sends the frame out of the interface on which it came. Returns what the program is to return.
    fn send_back(self) -> u32;

    /// The place of a question ([`QUESTION`]) and of the answer behind it, if the frame asks what decides on it: eight
    /// octets that may be written until the frame is moved.
    fn question(self) -> Option<*mut u32>;
}

/// XDP.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Xdp(*mut xdp_md);

impl Xdp {
    #[inline(always)]
    pub fn new(ctx: &XdpContext) -> Self {
        Self(ctx.ctx)
    }
}

// SAFETY: the kernel keeps the bounds in the context, and `question` compares with them.
unsafe impl Hook for Xdp {
    const PASS: u32 = xdp_action::XDP_PASS;
    const DROP: u32 = xdp_action::XDP_DROP;

    #[inline(always)]
    fn context(self) -> *mut c_void {
        self.0.cast()
    }

    #[inline(always)]
    fn interface(self) -> u32 {
        // SAFETY: the context of this frame.
        unsafe { (*self.0).ingress_ifindex }
    }

    #[inline(always)]
    fn begin(self) -> usize {
        // SAFETY: the context of this frame.
        unsafe { (*self.0).data as usize }
    }

    #[inline(always)]
    fn end(self) -> usize {
        // SAFETY: the context of this frame.
        unsafe { (*self.0).data_end as usize }
    }

    #[inline(always)]
    fn length(self) -> u64 {
        // SAFETY: the context of this frame.
        unsafe { bpf_xdp_get_buff_len(self.0) }
    }

    #[inline(always)]
    unsafe fn copy(self, to: *mut c_void, length: u32) -> bool {
        // SAFETY: the context of this frame; the caller has room.
        unsafe { bpf_xdp_load_bytes(self.0, 0, to, length) == 0 }
    }

    #[inline(always)]
    fn move_begin(self, by: i32) -> bool {
        // SAFETY: the context of this frame; every look at its octets is checked anew.
        unsafe { bpf_xdp_adjust_head(self.0, by) == 0 }
    }

    #[inline(always)]
    fn move_end(self, by: i32) -> bool {
        // SAFETY: as in `move_begin`.
        unsafe { bpf_xdp_adjust_tail(self.0, by) == 0 }
    }

    #[inline(always)]
    fn send_back(self) -> u32 {
        xdp_action::XDP_TX
    }

    /// `BPF_PROG_TEST_RUN` brings metadata along, which no frame from a wire does.
    #[inline(always)]
    fn question(self) -> Option<*mut u32> {
        // SAFETY: the context of this frame.
        let (begin, end) = unsafe { ((*self.0).data_meta as usize, self.begin()) };
        if begin + 8 > end {
            return None;
        }
        let place = begin as *mut u32;
        // SAFETY: eight octets of metadata are there, as the verifier sees as well.
        (unsafe { place.read() } == QUESTION).then_some(place)
    }
}
