//! Rules 1 to 7: what a packet does to the attempts and grants of its source.

use knock_common::abi::counter::Counter;

use super::config::{Action, Network, Protocol};
use super::gate::{covers, visible_flags};
use super::spec::{Fragment, PacketSpec};
use super::{Attempt, Grant, GrantPlace, Model, Nanos, Source};
use crate::links::LO;

/// What a packet means to one door.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning {
    /// Step 1, and no attempt is under way.
    Begins,
    /// The next step.
    Next,
    /// A step already made.
    Repeat,
    /// A wrong knock.
    Wrong,
    /// Nothing.
    Nothing,
}

impl Model {
    /// A packet to a port that is not protected.
    pub(super) fn take_knock(&mut self, now: Nanos, packet: &PacketSpec) {
        if self.config.is_knock_port(packet.to) {
            self.count(Counter::KnockPacket);
        }
        let meanings: Vec<_> = (0..self.config.doors.len()).map(|door| self.meaning(now, packet, door)).collect();
        // Who is locked out is decided before the packet changes anything.
        let locked: Vec<_> =
            self.config.doors.iter().map(|door| self.is_locked_out(now, packet.sender(), door.service)).collect();
        let sound = packet.is_sound() || !self.config.verify_checksums;
        if !sound && meanings.iter().any(|meaning| matches!(meaning, Meaning::Begins | Meaning::Next)) {
            self.count(Counter::BadChecksum);
        }
        // First the doors that are under way, then those that begin.
        for (door, meaning) in meanings.iter().enumerate() {
            match meaning {
                Meaning::Next if sound => self.advance(now, packet, door),
                Meaning::Wrong => {
                    self.attempts.remove(&(packet.sender(), door));
                    self.count(Counter::AttemptEnded);
                }
                _ => {}
            }
        }
        for (door, meaning) in meanings.iter().enumerate() {
            if sound && *meaning == Meaning::Begins {
                self.begin(now, packet, door, locked[door]);
            }
        }
    }

    fn meaning(&self, now: Nanos, packet: &PacketSpec, index: usize) -> Meaning {
        let steps = self.steps(packet, index);
        let attempt = self.attempts.get(&(packet.sender(), index)).filter(|attempt| self.is_alive(index, attempt, now));
        let Some(attempt) = attempt else {
            return if steps.contains(&0) { Meaning::Begins } else { Meaning::Nothing };
        };
        if steps.contains(&attempt.made) {
            Meaning::Next
        } else if steps.iter().any(|&step| step < attempt.made) {
            Meaning::Repeat
        } else if !steps.is_empty() || (self.could_be_a_knock(packet, index) && self.does_harm(packet)) {
            Meaning::Wrong
        } else {
            Meaning::Nothing
        }
    }

    /// The steps of the door that the packet is, counted from 0.
    fn steps(&self, packet: &PacketSpec, index: usize) -> Vec<usize> {
        let door = &self.config.doors[index];
        let knock = packet.fragment == Fragment::Whole
            && !packet.group
            && !packet.jumbo
            && !packet.is_zoneless()
            && (packet.to.1 == Protocol::Udp || door.flags.fit(packet.flags))
            && door.target.is_none_or(|target| target == packet.dest);
        if !knock {
            return Vec::new();
        }
        (0..door.sequence.len()).filter(|&step| door.sequence[step] == packet.to).collect()
    }

    /// True if the packet opens a flow, or has the flags of a knock of the door.
    fn could_be_a_knock(&self, packet: &PacketSpec, index: usize) -> bool {
        let door = &self.config.doors[index];
        let takes_segments = door.sequence.iter().any(|step| step.1 == Protocol::Tcp);
        let has_its_flags =
            packet.to.1 == Protocol::Tcp && packet.fragment != Fragment::PortsOnly && door.flags.fit(packet.flags);
        PacketSpec { flags: visible_flags(packet), ..packet.clone() }.opens() || (takes_segments && has_its_flags)
    }

    /// True if the packet is for this host, and no socket takes it.
    fn does_harm(&self, packet: &PacketSpec) -> bool {
        let flow = (packet.source, packet.from, packet.dest, packet.to.0);
        let connected = match packet.to.1 {
            Protocol::Tcp => self.sockets.connections.contains(&flow),
            Protocol::Udp => self.sockets.questions.contains(&flow),
        };
        let is_taken = connected || self.sockets.listening.contains(&packet.to);
        !packet.group && !is_taken && !self.sockets.guests.contains(&packet.dest)
    }

    fn advance(&mut self, now: Nanos, packet: &PacketSpec, door: usize) {
        self.count(Counter::AttemptAdvanced);
        let key = (packet.sender(), door);
        let last = self.config.doors[door].sequence.len();
        let Some(attempt) = self.attempts.get_mut(&key) else { return };
        attempt.made += 1;
        if attempt.made == last {
            self.attempts.remove(&key);
            self.complete(now, packet, door);
        }
    }

    fn begin(&mut self, now: Nanos, packet: &PacketSpec, door: usize, is_locked_out: bool) {
        if is_locked_out {
            self.count(Counter::KnockLockedOut);
        } else if self.config.doors[door].sequence.len() == 1 {
            self.complete(now, packet, door);
        } else {
            if !self.take_budget(now) {
                self.count(Counter::AttemptUntold);
            }
            self.attempts.insert((packet.sender(), door), Attempt { made: 1, started: now });
            self.count(Counter::AttemptStarted);
        }
    }

    /// Those in the config are locked out on loopback.
    fn is_locked_out(&self, now: Nanos, source: Source, service: usize) -> bool {
        let is_in = |(place, grant): (&GrantPlace, &Grant)| covers(place, service, source) && grant.is_live(now);
        let is_there = |network: &Network| network.holds(source.ip) && Source::on(network.base, LO).link == source.link;
        self.config.lockout
            && self.config.locked.iter().any(|(network, &until)| is_there(network) && now < until)
            && !self.config.trusted.iter().any(|network| network.holds(source.ip))
            && !self.grants.iter().any(is_in)
    }

    fn take_budget(&mut self, now: Nanos) -> bool {
        let second = now / (1 << 30);
        if self.begun.0 != second {
            self.begun = (second, 0);
        }
        let left = self.begun.1 < self.config.attempt_rate;
        self.begun.1 += u32::from(left);
        left
    }

    fn complete(&mut self, now: Nanos, packet: &PacketSpec, index: usize) {
        let door = &self.config.doors[index];
        let service = door.service;
        if door.once && !self.used.insert(index) {
            self.count(Counter::GrantSpent);
            return;
        }
        if door.action == Action::Close {
            self.grants.retain(|place, _| !covers(place, service, packet.sender()));
            self.count(Counter::GrantClosed);
            return;
        }
        let bits = if packet.source.is_ipv4() { door.prefix_v4 } else { door.prefix_v6 };
        let key = (service, Network::of(packet.source, bits), packet.sender().link);
        let window = door.cmd_timeout;
        let end = window.map(|window| now + window);
        match self.grants.get_mut(&key) {
            Some(grant) if grant.is_live(now) => {
                grant.until = match (grant.until, end) {
                    (Some(until), Some(end)) => Some(until.max(end)),
                    _ => None,
                };
                grant.renewed = now;
                self.count(Counter::GrantExtended);
            }
            _ => {
                self.grants.insert(key, Grant { until: end, since: now, window, renewed: now });
                self.count(Counter::GrantOpened);
            }
        }
    }
}
