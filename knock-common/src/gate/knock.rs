//! What a packet is to a door, by what it is and not by its port: a knock, or what could be a wrong one.

use crate::abi::rules::Door;
use crate::packet::flags::{Segments, TcpFlags};
use crate::packet::{Packet, Shape, Transport};

/// True if `packet` has the flags and target of a knock on `door` (rule 1). The port was matched before.
#[inline(always)]
pub fn fits_door(packet: &Packet, door: &Door) -> bool {
    (door.target.is_any() || door.target == packet.dst)
        && match packet.transport {
            Transport::Tcp => door.flags.accepts(TcpFlags(packet.flags)),
            Transport::Udp => true,
        }
}

/// True if `packet`, sent to a port that is no step of `door`, is a wrong knock of it by what it is (rule 4): it opens
/// a flow, or it could be one of the door's knocks by its flags.
#[inline(always)]
pub const fn may_try_door(packet: &Packet, door: &Door) -> bool {
    // In words, so that there is one branch for the verifier to follow, and not one for each condition.
    let flags = TcpFlags(packet.flags);
    let unlike = door.flags.unlike(flags) as u64 | packet.shape as u64 & Shape::Flagless as u64;
    unlike & !Segments::OPENING.mask(flags) == 0
}
