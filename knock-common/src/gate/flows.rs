//! Rule 19: packets of flows that were let in, and the notes of them.

use crate::abi::counter::Counter;
use crate::abi::flow::{Flow, FlowKey, FlowState};
use crate::gate::env::Env;
use crate::packet::flags::TcpFlags;

/// True if a packet with these TCP flags (none for UDP) belongs to a flow that was let in. It asks for no new
/// connection.
#[inline(always)]
pub fn passes<E: Env>(env: &E, key: &FlowKey, flags: TcpFlags) -> bool {
    let Some(flow) = env.flow(key) else { return false };
    let (state, now) = (FlowState(flow.state.load()), env.now());
    if !state.is_live(key.is_udp(), now, env.flow_idle()) {
        return false;
    }
    if let Some(next) = state.moved(key.is_udp(), flags, now)
        && !env.asks()
    {
        // A lost race: another packet of the flow was noted at this moment.
        let _ = flow.state.swap(state.0, next.0);
    }
    true
}

/// Notes the flow of a packet with these TCP flags (none for UDP) that passes under a grant or trust, to the service
/// with this tag.
#[inline(always)]
pub fn note<E: Env>(env: &E, key: &FlowKey, flags: TcpFlags, service: u32) {
    let now = env.now();
    let Some(begun) = FlowState::begun(key.is_udp(), flags, now) else { return };
    let Some(flow) = env.flow(key) else {
        if !env.put_flow(key, Flow::new(begun, service)) {
            env.count(Counter::FlowLost);
        }
        return;
    };
    let old = FlowState(flow.state.load());
    let is_known = old.is_live(key.is_udp(), now, env.flow_idle()) && old.outlives_a_syn();
    let new = if is_known { old.seen_at(now) } else { begun };
    let _ = flow.state.swap(old.0, new.0);
}
