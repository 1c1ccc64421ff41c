//! Constants that the loader writes before the verifier runs. What they turn off costs nothing:
//! the verifier removes it.

use aya_ebpf::Global;
use knock_common::packet::flags::{Segments, TcpFlags};

#[unsafe(no_mangle)]
static STEALTH: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
static FLOW_IDLE: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static VERIFY: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
static HAS_TRUSTED: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
static ATTEMPT_RATE: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static SEGMENTS: Global<u64> = Global::new(Segments::OPENING.0);
#[unsafe(no_mangle)]
static LOG_DENIED: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
static LOCKOUT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static REJECT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static ERRORS_KEY: Global<[u64; 2]> = Global::new([0; 2]);
#[unsafe(no_mangle)]
static OBSERVE: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static TRIAL_UNTIL: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static HAS_TOKENS: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static TOKEN_MASK: Global<[u64; 2]> = Global::new([0; 2]);
#[unsafe(no_mangle)]
static TOKEN_WINDOW: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static TOKEN_AHEAD: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static TEST_CLOCK: Global<u32> = Global::new(0);

#[inline(always)]
pub fn stealth() -> bool {
    STEALTH.load() != 0
}

/// In ns.
#[inline(always)]
pub fn flow_idle() -> u64 {
    FLOW_IDLE.load()
}

#[inline(always)]
pub fn verify() -> bool {
    VERIFY.load() != 0
}

#[inline(always)]
pub fn has_trusted() -> bool {
    HAS_TRUSTED.load() != 0
}

#[inline(always)]
pub fn attempt_rate() -> u32 {
    ATTEMPT_RATE.load()
}

#[inline(always)]
pub fn heeds(flags: TcpFlags) -> bool {
    let mut word = SEGMENTS.load();
    // SAFETY: a shift of a register. As the machine does it, by the lower six bits of the other: what Rust makes of it takes
    // these out first.
    unsafe {
        core::arch::asm!("{word} <<= {flags}", word = inout(reg) word, flags = in(reg) flags.0,
            options(pure, nomem, nostack, preserves_flags));
    }
    (word as i64) < 0
}

#[inline(always)]
pub fn log_denied() -> bool {
    LOG_DENIED.load() != 0
}

#[inline(always)]
pub fn lockout() -> bool {
    LOCKOUT.load() != 0
}

/// 0: what is denied is dropped. Otherwise the key of the answers.
#[inline(always)]
pub fn reject() -> u32 {
    REJECT.load()
}

#[inline(always)]
pub fn errors_key() -> [u64; 2] {
    ERRORS_KEY.load()
}

#[inline(always)]
pub fn observe() -> bool {
    OBSERVE.load() != 0
}

/// 0: the gate is not on trial. Otherwise the boot time in ns at which its trial ends.
#[inline(always)]
pub fn trial_until() -> u64 {
    TRIAL_UNTIL.load()
}

#[inline(always)]
pub fn has_tokens() -> bool {
    HAS_TOKENS.load() != 0
}

#[inline(always)]
pub fn token_mask() -> [u64; 2] {
    TOKEN_MASK.load()
}

/// In ns.
#[inline(always)]
pub fn token_window() -> u64 {
    TOKEN_WINDOW.load()
}

/// In ns.
#[inline(always)]
pub fn token_ahead() -> u64 {
    TOKEN_AHEAD.load()
}

#[inline(always)]
pub fn test_clock() -> bool {
    TEST_CLOCK.load() != 0
}
