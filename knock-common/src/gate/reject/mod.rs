//! Rule 12: a denied packet is answered as a closed port would answer it, where `deny = "reject"`
//! says so.
//!
//! What the stack would not answer stays unanswered here as well: a group frame, a frame to another
//! host's MAC, a reset, a wrong checksum, a fragment, a source that is no host; and more ICMP
//! errors to one source than the stack sends.

pub mod answer;
pub mod cells;

use core::borrow::Borrow as _;

use crate::abi::counter::Counter;
use crate::addr::Addr;
use crate::gate::Verdict;
use crate::gate::env::Env;
use crate::gate::scratch::Scratch;
use crate::packet::checksum;
use crate::packet::flags::TcpFlags;
use crate::packet::frame::{Frame, View as _};
use crate::packet::{Packet, Transport};

/// Between two ICMP errors to one source once its burst is used up: `net.ipv4.icmp_ratelimit` and
/// `net.ipv6.icmp.ratelimit`, at their default of 1000 ms.
const INTERVAL: u64 = 1_000_000_000;
/// How many it may have at once: `XRLIM_BURST_FACTOR` of `net/ipv4/icmp.c`.
const BURST: u64 = 6;

/// What becomes of a packet that the gate denies: [`Verdict::Reject`] if it is to be answered.
#[inline(always)]
pub fn verdict<E: Env, F: Frame + ?Sized>(env: &E, frame: &F, packet: &Packet) -> Verdict {
    if !packet.may_knock() || packet.flags & TcpFlags::RST != 0 {
        return Verdict::Deny;
    }
    match env.scratch(packet) {
        Some(scratch) if is_answered(env, frame, scratch.borrow()) => Verdict::Reject,
        _ => Verdict::Deny,
    }
}

#[inline(never)]
fn is_answered<E: Env, F: Frame + ?Sized>(env: &E, frame: &F, scratch: &Scratch) -> bool {
    let packet = &scratch.packet;
    if !is_host(&packet.src) || !is_here(env, frame, packet) {
        return false;
    }
    if env.verify_checksums() && !checksum::is_right(frame, packet) {
        return false;
    }
    match packet.transport {
        Transport::Tcp => true,
        Transport::Udp => may_have_error(env, packet),
    }
}

/// True if the frame was sent to this host's MAC. A device without Ethernet headers has none.
#[inline(always)]
fn is_here<E: Env, F: Frame + ?Sized>(env: &E, frame: &F, packet: &Packet) -> bool {
    if packet.ip == 0 {
        return true;
    }
    frame.view::<6>(0).is_some_and(|mac| env.is_addressed(mac.word(0), mac.be16(4)))
}

/// True for an address that one host can have: not unspecified, loopback, multicast or reserved.
#[inline(always)]
const fn is_host(source: &Addr) -> bool {
    let words = source.words();
    if source.is_v4() {
        let first = words[3].to_ne_bytes()[0];
        first != 0 && first != 127 && first < 224
    } else {
        let top = words[0].to_ne_bytes()[0];
        // No address of ::/32 is a host's: unspecified, loopback, mapped, compatible.
        top != 0xff && words[0] != 0
    }
}

/// Takes one ICMP error of those that the source may have. A race that is lost is an error unsent.
#[inline(always)]
fn may_have_error<E: Env>(env: &E, packet: &Packet) -> bool {
    let Some(cell) = env.errors(cells::cell_of(&packet.src, env.errors_key())) else { return false };
    // When the source will have its whole burst again.
    let rested = cell.load();
    let now = env.now();
    let from = if rested > now { rested } else { now };
    if from - now > (BURST - 1) * INTERVAL || !cell.swap(rested, from + INTERVAL) {
        env.count(Counter::RejectLimited);
        return false;
    }
    true
}
