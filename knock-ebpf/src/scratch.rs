//! This CPU's scratch memory: functions hand a packet over in it, and the long paths work there.

use knock_common::gate::scratch::Scratch;
use knock_common::packet::{Other, Packet};

use crate::maps;

/// Puts a blank packet in scratch memory, to be written there.
#[inline(always)]
pub fn blank<'a>() -> Option<&'a mut Packet> {
    let scratch = maps::SCRATCH.get_ptr_mut(0)?;
    // SAFETY: as in `with`; the one reference to it, until `look` reads what was written.
    Some(&mut unsafe { (*scratch).0.write(Scratch::new(Packet::BLANK)) }.packet)
}

/// Puts a packet in scratch memory and returns it.
#[inline(always)]
pub fn with<'a>(packet: Packet) -> Option<&'a Scratch> {
    let scratch = maps::SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU's own value, which has its size and alignment; nobody else touches it before the verdict
    // (see `maps`).
    Some(unsafe { (*scratch).0.write(Scratch::new(packet)) })
}

/// The packet that lies there.
#[inline(always)]
pub fn look<'a>() -> Option<&'a Packet> {
    let scratch = maps::SCRATCH.get_ptr_mut(0)?;
    // SAFETY: as in `with`, which has written the scratch during this frame, or `blank`.
    Some(&unsafe { (*scratch).0.assume_init_ref() }.packet)
}

/// Takes from scratch memory the packet that somebody was to leave there, who said this.
#[inline(always)]
pub fn take(said: u32, packet: &mut Packet) -> Result<(), Other> {
    if let Some(other) = other(said) {
        return Err(other);
    }
    *packet = *look().ok_or(Other::Malformed)?;
    Ok(())
}

/// What came of reading a packet, as a number: all that a BPF function returns is one register.
#[inline(always)]
pub const fn say(outcome: Result<(), Other>) -> u32 {
    match outcome {
        Ok(()) => 0,
        Err(other) => other as u32 + 1,
    }
}

/// The [`Other`] behind a number.
#[inline(always)]
fn other(number: u32) -> Option<Other> {
    const ALL: [Other; 6] =
        [Other::Foreign, Other::LaterFragment, Other::Malformed, Other::TooDeep, Other::TinyFragment, Other::Overlap];
    ALL.get((number as usize).wrapping_sub(1)).copied()
}
