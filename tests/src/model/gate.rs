//! Rules 8 to 14: what passes.

use knock_common::abi::counter::Counter;
use knock_common::gate::Verdict;

use super::config::Protocol;
use super::spec::{Fragment, PacketSpec};
use super::{GrantPlace, Model, Nanos, Source};
use crate::packet::{ACK, RST};

const MAX_TAGS: usize = 2;
const MAX_EXTENSIONS: usize = 8;

impl Model {
    pub(super) fn judge(&mut self, now: Nanos, packet: &PacketSpec) -> Verdict {
        if let Some((verdict, counter)) = by_frame(packet) {
            self.counted.extend(counter);
            return verdict;
        }
        if let Some(service) = self.config.service_of(packet.to) {
            let (verdict, counter) = self.guard(now, packet, service);
            self.count(counter);
            if verdict == Verdict::Deny {
                self.log_denial();
                return self.answer(now, packet);
            }
            return verdict;
        }
        self.take_knock(now, packet);
        Verdict::Pass
    }

    /// Rules 8 to 11, and 19.
    fn guard(&mut self, now: Nanos, packet: &PacketSpec, service: usize) -> (Verdict, Counter) {
        let grant = self.covering(now, packet, service);
        if self.is_of_a_flow(now, packet) {
            self.see_flow(now, packet);
            if let Some(grant) = grant {
                self.keep_alive(now, packet, grant);
            }
            return (Verdict::Pass, Counter::PassFlow);
        }
        if let Some(grant) = grant {
            self.keep_alive(now, packet, grant);
            self.note_flow(now, packet);
            return (Verdict::Pass, Counter::PassGranted);
        }
        if self.config.trusted.iter().any(|network| network.holds(packet.source)) {
            self.note_flow(now, packet);
            return (Verdict::Pass, Counter::PassTrusted);
        }
        if packet.fragment == Fragment::PortsOnly {
            return (Verdict::Deny, Counter::DenyTinyFragment);
        }
        let flow = (packet.source, packet.from, packet.dest, packet.to.0);
        if packet.to.1 == Protocol::Udp {
            if self.sockets.questions.contains(&flow) {
                return (Verdict::Pass, Counter::PassConnected);
            }
            return (Verdict::Deny, Counter::DenyUdp);
        }
        if packet.opens() {
            return (Verdict::Deny, Counter::DenyNew);
        }
        if !self.config.stealth {
            return (Verdict::Pass, Counter::PassUnchecked);
        }
        if self.sockets.connections.contains(&flow) {
            (Verdict::Pass, Counter::PassConnected)
        } else if self.sockets.listening.contains(&packet.to) && !self.sockets.guests.contains(&packet.dest) {
            (Verdict::Deny, Counter::DenyProbe)
        } else {
            (Verdict::Pass, Counter::PassNoSocket)
        }
    }

    /// The live grant that covers the source; of several, that for the smallest network.
    fn covering(&self, now: Nanos, packet: &PacketSpec, service: usize) -> Option<GrantPlace> {
        let live = self.grants.iter().filter(|(_, grant)| grant.is_live(now)).map(|(place, _)| *place);
        live.filter(|place| covers(place, service, packet.sender())).max_by_key(|(_, network, _)| network.bits)
    }

    /// Traffic moves the end of its grant, once it would move by an eighth of the window.
    fn keep_alive(&mut self, now: Nanos, packet: &PacketSpec, place: GrantPlace) {
        if !self.config.services[place.0].keepalive || packet.to.1 != Protocol::Udp {
            return;
        }
        let Some(grant) = self.grants.get_mut(&place) else { return };
        let (Some(until), Some(window)) = (grant.until, grant.window) else { return };
        let end = (now + window).min(grant.renewed + 12 * window);
        if end > until && end - until >= window / 8 {
            grant.until = Some(end);
            self.count(Counter::GrantExtended);
        }
    }

    /// Rule 12: what a closed port would answer is answered.
    fn answer(&mut self, now: Nanos, packet: &PacketSpec) -> Verdict {
        let whole = packet.fragment == Fragment::Whole && !packet.jumbo && !packet.group && !packet.is_zoneless();
        let reset = packet.to.1 == Protocol::Tcp && packet.flags & RST != 0;
        let sound = packet.is_sound() || !self.config.verify_checksums;
        if !self.config.reject || !whole || reset || !sound {
            return Verdict::Deny;
        }
        if packet.to.1 == Protocol::Udp && !self.may_have_error(now, packet.sender()) {
            self.count(Counter::RejectLimited);
            return Verdict::Deny;
        }
        Verdict::Reject
    }

    /// A bucket of six errors that fills up by one a second.
    fn may_have_error(&mut self, now: Nanos, source: Source) -> bool {
        const SECOND: Nanos = 1_000_000_000;
        let (at, left) = self.errors.get(&source).copied().unwrap_or((now, 6 * SECOND));
        let left = (left + (now - at)).min(6 * SECOND);
        let may = left >= SECOND;
        self.errors.insert(source, (now, if may { left - SECOND } else { left }));
        may
    }

    fn log_denial(&mut self) {
        if !self.config.log_denied {
            return;
        }
        if self.tokens == 0 {
            self.count(Counter::DenialUnlogged);
        } else {
            self.tokens -= 1;
        }
    }
}

/// True if a grant in this place is for the service and covers the source.
pub(super) fn covers(place: &GrantPlace, service: usize, source: Source) -> bool {
    let (of, network, link) = place;
    *of == service && network.holds(source.ip) && *link == source.link
}

/// Rules 13 and 14: what is decided without the port.
fn by_frame(packet: &PacketSpec) -> Option<(Verdict, Option<Counter>)> {
    let deny = |counter| Some((Verdict::Deny, Some(counter)));
    // Tags are read from the outside, so that an unknown one hides what is inside it.
    if packet.tags.len() > MAX_TAGS && !foreign_within(packet, MAX_TAGS) {
        return deny(Counter::DenyTooDeep);
    }
    if packet.is_foreign() {
        return Some((Verdict::Pass, None));
    }
    if packet.cut {
        return deny(Counter::DenyMalformed);
    }
    if packet.depth() > MAX_EXTENSIONS {
        return deny(Counter::DenyTooDeep);
    }
    match (packet.fragment, packet.to.1) {
        (Fragment::Second, Protocol::Tcp) => deny(Counter::DenyOverlap),
        (Fragment::Second | Fragment::Later, _) => Some((Verdict::Pass, Some(Counter::PassLaterFragment))),
        (Fragment::Tiny, _) | (Fragment::PortsOnly, Protocol::Udp) => deny(Counter::DenyTinyFragment),
        _ => None,
    }
}

fn foreign_within(packet: &PacketSpec, tags: usize) -> bool {
    PacketSpec { tags: packet.tags[..=tags].to_vec(), ..packet.clone() }.is_foreign()
}

/// A first fragment without the flags asks for nothing that anybody could see.
pub(super) fn visible_flags(packet: &PacketSpec) -> u8 {
    if packet.fragment == Fragment::PortsOnly { ACK } else { packet.flags }
}
