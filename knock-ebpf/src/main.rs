//! The XDP program of the gate: a table from verdict to XDP action. Everything that decides is in
//! `knock-common`; what is here are the maps and helpers that it decides with.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod answer;
mod desk;
mod explain;
mod frame;
mod kernel;
mod maps;
mod places;
mod raw;
mod settings;
mod sockets;

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use knock_common::gate::{self, Glance, Verdict};
use knock_common::packet::{self, Other, Packet};
use knock_common::rules::Role;

use frame::{Copied, Linear};
use kernel::Kernel;

/// For kernels that hand over multi-buffer frames (5.18).
#[expect(clippy::needless_pass_by_value, reason = "the macro calls it so")]
#[xdp(frags)]
fn knock_gate(ctx: XdpContext) -> u32 {
    let world = Kernel::new(&ctx);
    let frame = Linear::new(&ctx);
    let mut packet = Packet::BLANK;
    let (role, in_one) = match gate::glance(&world, &frame, &mut packet) {
        Glance::Unrelated => return action(&ctx, Verdict::Pass),
        // A copy of its own: what a flood hits does not share its registers with the long paths.
        Glance::Concerns(role) if matches!(role.role(), Role::Protected(_)) => {
            return action(&ctx, gate::judge_role(&world, &frame, &packet, role, true));
        }
        Glance::Concerns(role) => (role, true),
        Glance::NotPlain => {
            let in_one = match desk::take(read(&ctx), &mut packet) {
                Ok(()) => true,
                // What the first buffer does not hold may lie in the next.
                Err(Other::Malformed | Other::TinyFragment) => match desk::take(read_scattered(&ctx), &mut packet) {
                    Ok(()) => false,
                    Err(other) => return action(&ctx, gate::judge_other(&world, other)),
                },
                Err(other) => return action(&ctx, gate::judge_other(&world, other)),
            };
            (gate::role_of(&world, &mut packet), in_one)
        }
    };
    action(&ctx, gate::judge_role(&world, &frame, &packet, role, in_one))
}

/// For older kernels, whose frames are always linear.
#[expect(clippy::needless_pass_by_value, reason = "the macro calls it so")]
#[xdp]
fn knock_linear(ctx: XdpContext) -> u32 {
    let world = Kernel::new(&ctx);
    let frame = Linear::new(&ctx);
    let mut packet = Packet::BLANK;
    // As `gate::judge`, but with a way out for each verdict: with one for all, the verifier goes beyond what
    // `kernel::cost` allows.
    let role = match gate::glance(&world, &frame, &mut packet) {
        Glance::Unrelated => return linear_action(&ctx, Verdict::Pass),
        Glance::Concerns(role) => role,
        Glance::NotPlain => match desk::take(read(&ctx), &mut packet) {
            Ok(()) => gate::role_of(&world, &mut packet),
            Err(other) => return linear_action(&ctx, gate::judge_other(&world, other)),
        },
    };
    linear_action(&ctx, gate::judge_role(&world, &frame, &packet, role, true))
}

/// Reads the headers of what is not plain. What that takes of the stack is free again when the judging begins: a BPF
/// call chain has 512 octets of it, and the long paths take most of them.
#[inline(never)]
fn read(ctx: &XdpContext) -> u32 {
    desk::say(match desk::blank() {
        Some(packet) => packet::parse(&Linear::new(ctx), packet),
        None => Err(Other::Malformed),
    })
}

/// Reads the headers across buffers and leaves the packet on the desk. Returns 0, or the number of
/// what the frame is instead. It ends before the judging begins, because both have large frames and
/// a BPF call chain has 512 bytes of stack; so is the packet made on the desk.
#[inline(never)]
fn read_scattered(ctx: &XdpContext) -> u32 {
    let Some(frame) = Copied::new(ctx) else { return desk::say(Err(Other::Malformed)) };
    let Some(packet) = desk::blank() else { return desk::say(Err(Other::Malformed)) };
    desk::say(packet::parse(&frame, packet))
}

/// What becomes of a frame.
#[inline(always)]
fn action(ctx: &XdpContext, verdict: Verdict) -> u32 {
    act(ctx, verdict, answer::send)
}

/// What becomes of a frame of one buffer, where the kernel has no others.
#[inline(always)]
fn linear_action(ctx: &XdpContext, verdict: Verdict) -> u32 {
    act(ctx, verdict, answer::send_linear)
}

#[inline(always)]
fn act(ctx: &XdpContext, verdict: Verdict, reject: impl Fn(&XdpContext) -> u32) -> u32 {
    aya_log_ebpf::trace!(ctx, "verdict {}", verdict as u32);
    match verdict {
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Deny | Verdict::Reject if is_lenient() => xdp_action::XDP_PASS,
        Verdict::Deny => xdp_action::XDP_DROP,
        Verdict::Reject => reject(ctx),
    }
}

/// True if nothing is denied: the gate only observes, or nobody has confirmed its trial.
#[inline(always)]
fn is_lenient() -> bool {
    let until = settings::trial_until();
    // SAFETY: takes nothing and reads a clock (kernel 5.8).
    settings::observe() || (until != 0 && unsafe { bpf_ktime_get_boot_ns() } > until)
}

/// Some helpers are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never returns, so that the verifier refuses a program in which a panic can be reached.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
