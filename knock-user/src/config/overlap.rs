//! Doors of which one packet may be a step of both.

use knock_common::packet::Transport;

use super::model::Door;
use super::tcpflags;

/// True if the same packets make both sequences, as far as the shorter one goes.
pub(super) fn same_knocks(one: &Door, other: &Door) -> bool {
    // A door whose sequence is yet to come, or will not.
    if one.sequence.is_empty() || other.sequence.is_empty() {
        return false;
    }
    let target = one.target.is_none() || other.target.is_none() || one.target == other.target;
    let steps = one.sequence.iter().zip(&other.sequence);
    target
        && steps.clone().all(|(one, other)| one == other)
        && (steps.clone().all(|(step, _)| step.transport == Transport::Udp)
            || tcpflags::overlap(one.tcpflags, other.tcpflags))
}
