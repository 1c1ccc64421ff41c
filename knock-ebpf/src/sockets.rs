//! Socket look-up in the network namespace of the interface.

use aya_ebpf::bindings::{BPF_F_CURRENT_NETNS, bpf_sock_tuple};
use aya_ebpf::helpers::{bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp};
use knock_common::abi::flow::FlowKey;
use knock_common::gate::env::Socket;

use crate::hook::Hook;

/// `TCP_ESTABLISHED` of `include/net/tcp_states.h`, which a connected UDP socket has as well.
const ESTABLISHED: u32 = 1;
/// `TCP_LISTEN`.
const LISTEN: u32 = 10;

/// The IPv4 arm of `struct bpf_sock_tuple`.
#[repr(C)]
struct Tuple4 {
    saddr: u32,
    daddr: u32,
    sport: u16,
    dport: u16,
}

/// The IPv6 arm of `struct bpf_sock_tuple`.
#[repr(C)]
struct Tuple6 {
    saddr: [u32; 4],
    daddr: [u32; 4],
    sport: u16,
    dport: u16,
}

/// Finds the socket that packets of `flow` would reach. The TCP look-up also returns request sockets and
/// TIME_WAIT (kernel 5.2), so that no packet of a handshake or of a close is taken for a probe.
#[inline(never)]
pub fn find<H: Hook>(hook: H, flow: &FlowKey) -> Socket {
    let (sport, dport) = (flow.sport.to_be(), flow.dport.to_be());
    if flow.source.is_v4() {
        let mut tuple = Tuple4 { saddr: flow.source.words()[3], daddr: flow.dest.words()[3], sport, dport };
        find_by(hook, (&raw mut tuple).cast(), size_of::<Tuple4>() as u32, flow.is_udp())
    } else {
        let mut tuple = Tuple6 { saddr: flow.source.on_wire().words(), daddr: flow.dest.words(), sport, dport };
        find_by(hook, (&raw mut tuple).cast(), size_of::<Tuple6>() as u32, flow.is_udp())
    }
}

#[inline(always)]
fn find_by<H: Hook>(hook: H, tuple: *mut bpf_sock_tuple, size: u32, is_udp: bool) -> Socket {
    let netns = u64::from(BPF_F_CURRENT_NETNS as u32) | 0xffff_ffff_0000_0000;
    // SAFETY: the tuple is `size` bytes of one arm of the union, which is how the helper tells the
    // family; a socket that is found is released exactly once.
    unsafe {
        let socket = if is_udp {
            bpf_sk_lookup_udp(hook.context(), tuple, size, netns, 0)
        } else {
            bpf_skc_lookup_tcp(hook.context(), tuple, size, netns, 0)
        };
        if socket.is_null() {
            return Socket::Nothing;
        }
        let state = (*socket).state;
        bpf_sk_release(socket.cast());
        // A socket of UDP that is connected to somebody else is not found.
        let takes_any = if is_udp { state != ESTABLISHED } else { state == LISTEN };
        if takes_any { Socket::Listening } else { Socket::Connected }
    }
}
