//! Rules 1 to 7: knocks.

use super::mutant::{Mutant, mutants};

/// Bugs of these rules.
pub(super) const MUTANTS: &[Mutant] = mutants! {
    "fits_door" {
        1 "the target of a door is not looked at":
            "(door.target.is_any() || door.target == packet.dst)" => "true";
        1 "a door without a target takes no knock":
            "door.target.is_any() || door.target" => "door.target";
        1 "the tcpflags of a door are not looked at":
            "door.flags.accepts(TcpFlags(packet.flags))" => "true";
        1 "a datagram is no knock":
            "Transport::Udp => true" => "Transport::Udp => false";
    }
    "may_try_door" {
        4 "a segment that a door takes ends nothing at another port":
            "unlike & !Segments::OPENING.mask(flags) == 0" => "Segments::OPENING.mask(flags) != 0";
        4 "a fragment without its flags has those of any knock":
            "| packet.shape as u64 & Shape::Flagless as u64" => "";
        4 "an answer ends the attempt at any door":
            "door.flags.unlike(flags) as u64 |" => "";
        4 "what opens a flow ends nothing at a door that does not take it":
            "unlike & !Segments::OPENING.mask(flags) == 0" => "unlike == 0";
    }
    "Segments::and" {
        4 "segments that a door takes are not looked at elsewhere":
            "if test.accepts(TcpFlags(flags)) {" => "if false {";
        4 "segments with other flags than a door names are not looked at elsewhere":
            "set: test.set & Self::FLAGS" => "set: test.set";
    }
    "Door::grant_end" {
        5 "a door without cmd_timeout writes a grant that has ended":
            "{ crate::abi::grant::FOR_GOOD }" => "{ now }";
        5 "a grant lasts as long as a sequence may":
            "now.saturating_add(self.cmd_timeout)" => "now.saturating_add(self.seq_ticks << 16)";
    }
    "FlagTest::unlike" {
        1 "a flag that must be clear may be set":
            "& (self.set | self.clear)" => "& self.set";
    }
    "FlagTest::accepts" {
        1 "one of several flags is enough":
            "self.unlike(flags) == 0"
            => "(self.set == 0 || flags.0 & self.set != 0) && flags.0 & self.clear == 0";
    }
    "FlagTest::SYN" {
        1 "an answer is a knock where no tcpflags are named":
            "Self = Self { set: TcpFlags::SYN, clear: TcpFlags::ACK }"
            => "Self = Self { set: TcpFlags::SYN, clear: 0 }";
    }
    "may_knock" {
        1 "a fragment is a knock":
            "matches!(self.shape, Shape::Whole) && !self.group" => "!self.group";
        1 "a frame to a group is a knock":
            "matches!(self.shape, Shape::Whole) && !self.group" => "matches!(self.shape, Shape::Whole)";
    }
    "read" {
        1 "on the fast path no frame goes to a group":
            "packet.group = self.link.octet_at::<0>() & 1 != 0;" => "packet.group = false;";
        1 "on the fast path the address of a tagged frame is not where it is":
            "self.link.octet_at::<0>()" => "self.link.octet_at::<4>()";
    }
    "parse" {
        1 "a merged packet is a knock":
            "network.never_knock = total == 0;" => "network.never_knock = false;";
    }
    "parse" {
        1 "a jumbogram is a knock":
            "network.never_knock = payload == 0;" => "network.never_knock = false;";
    }
    "walk" {
        1 "an atomic fragment is a knock":
            "network.never_knock = true;" => "";
    }
    "judge_role" {
        1 "a packet over several buffers is a knock":
            "Role::Knock(index) if in_one =>" => "Role::Knock(index) =>";
        6 "a knock does not reach the stack":
            "sequence::knock(env, frame, packet, index); Verdict::Pass"
            => "sequence::knock(env, frame, packet, index); Verdict::Deny";
    }
    "stray" {
        4 "a packet to a closed port ends nothing":
            "if packet.is_heeded(|flags| env.heeds(flags)) { sequence" => "if false { sequence";
        6 "a port that is none of the gate's business is shut":
            "sequence::stray(env, packet); } Verdict::Pass" => "sequence::stray(env, packet); } Verdict::Deny",
            quick("knocks::harmless_packets_beside_a_knock_do_not_end_it");
    }
    "fast_path" {
        4 "on the fast path a packet to a closed port ends nothing":
            "!(plain.is_heeded(|flags| env.heeds(flags)) && (plain.is_near() || may_attempt(env, &plain.source())))"
            => "true";
        15 "on the fast path a link-local source ends nothing":
            "(plain.is_near() || may_attempt(env, &plain.source()))" => "may_attempt(env, &plain.source())";
    }
    "is_right" {
        1 "the checksum of an IPv4 header is not looked at":
            "if v4 && !header_is_right" => "if false && !header_is_right";
        1 "UDP over IPv6 needs no checksum":
            "return v4;" => "return true;";
        1 "a knock may be longer than an Ethernet frame":
            "if length > MAX_KNOCK {" => "if false {";
        1 "what follows a datagram in its packet is summed as well":
            "length = u32::from(field.be16(0));" => "length = packet.l4_len;";
    }
    "header_is_right" {
        1 "IPv4 options are no part of the header's sum":
            "let length = u32::from(first.octet(0) & 0x0f) * 4;" => "let length = IPV4_HEADER;";
    }
    "sum" {
        1 "a last odd octet is not summed":
            "if left == 1 {" => "if false {";
    }
    "pseudo" {
        1 "the addresses are no part of a sum":
            "sum += u64::from(src[index]) + u64::from(dst[index]);" => "sum += 0;";
    }
    "visit" {
        1 "no checksum is verified":
            "scratch.sound.set(u32::from(checksum::is_right(frame, packet)));"
            => "let _ = checksum::is_right(frame, packet);", quick("checksums::a_wrong_checksum_makes_a_knock_none");
        1 "checksums are verified where the config says not to":
            "if env.verify_checksums() && packet.may_knock()" => "if packet.may_knock()";
        1 "only first knocks are verified":
            "(attempts.is_some() || knock.starts[0] != 0)" => "knock.starts[0] != 0";
        1 "only later knocks are verified":
            "(attempts.is_some() || knock.starts[0] != 0)" => "attempts.is_some()";
    }
    "start_door" {
        1 "a first knock with a wrong checksum begins":
            "if scratch.sound.get() == 0 { scratch.spoilt.set(1); return; }"
            => "if scratch.sound.get() == 0 { scratch.spoilt.set(1); }";
        2 "a door of one step is not completed by it":
            "note_done(scratch, index); return;" => "return;";
        2 "a door of one step is under way as well":
            "note_done(scratch, index); return;" => "note_done(scratch, index);";
        2 "all doors of a source are one attempt":
            "let cell = &attempts.slots[slot]; let mut tries" => "let cell = &attempts.slots[0]; let mut tries";
        2 "an attempt that is too old keeps a new one from beginning":
            "if old.0 != 0 && old.door() == index && old.is_live(door, Ticks::at(now)) {" => "if old.0 != 0 {";
        2 "a packet that a door took begins it as well":
            "|| scratch.used.get() >> slot & 1 != 0 {" => "{";
        4 "the filter forgets an attempt at once":
            "filter.raise(now.saturating_add(Ticks::span_ns(door.seq_ticks)));" => "filter.raise(now);";
        4 "the filter is not told of an attempt":
            "filter.raise(now.saturating_add(Ticks::span_ns(door.seq_ticks)));" => "";
        7 "two CPUs begin one attempt twice":
            "if old.0 != 0 && old.door() == index && old.is_live(door, Ticks::at(now)) {" => "if false {";
    }
    "advance_slot" {
        1 "a later knock with a wrong checksum counts":
            "Meaning::Next if scratch.sound.get() == 0 =>" => "Meaning::Next if false =>";
        3 "a step is not made":
            "let next = attempt.advanced();" => "let next = attempt;";
        3 "the last step is not needed":
            "let done = next.made() >= u32::from(door.steps);"
            => "let done = next.made() + 1 >= u32::from(door.steps);";
        3 "the last step does not complete the door":
            "let done = next.made() >= u32::from(door.steps);" => "let done = next.made() > u32::from(door.steps);";
        3 "a repeated step ends the attempt":
            "Meaning::Repeat => return true," => "Meaning::Repeat => return cell.swap(attempt.0, 0),";
        4 "a step out of turn does not end the attempt":
            "Meaning::Stray | Meaning::OutOfTurn => {"
            => "Meaning::OutOfTurn => return false, Meaning::Stray => {",
            quick("knocks::a_step_out_of_turn_ends_the_attempt");
        4 "the knock of another door does not end an attempt":
            "Meaning::Stray if scratch.stray.get() == 0 => return false," => "Meaning::Stray => return false,";
        4 "a first step does not start afresh":
            "report(env, scratch, door, attempt, Kind::Wrong); return false;"
            => "report(env, scratch, door, attempt, Kind::Wrong); return true;";
        7 "a step is made whatever another CPU did":
            "if cell.swap(attempt.0, if done" => "if cell.swap(cell.load(), if done";
    }
    "knock" {
        2 "no door begins":
            "start(env, scratch, knock);" => "";
    }
    "start" {
        2 "of the doors that a port begins only the first does":
            "start_door(env, scratch, u32::from(number) - 1);"
            => "start_door(env, scratch, u32::from(number) - 1); break;";
    }
    "is_wrong" {
        4 "a packet to a port on which something listens ends the attempt":
            "&& matches!(env.socket(packet), Socket::Nothing)" => "";
        4 "what is only forwarded ends the attempt":
            "&& env.is_own(&packet.dst)" => "";
        4 "a neighbour's broadcast ends the attempt":
            "!packet.group && env.is_own" => "env.is_own";
    }
    "end_all" {
        4 "only the first attempt of a source ends":
            "if cell.swap(attempt.0, 0) { env.count" => "if cell.swap(attempt.0, 0) { slot = SLOTS; env.count";
        4 "the filter is emptied before its time":
            "if now >= until {" => "if true {";
        4 "a segment that one door takes ends the attempts at all":
            "&& may_try_door(packet, door) {" => "{";
    }
    "meaning" {
        4 "a segment to the port of another door ends nothing":
            "attempt.meaning(steps, may_try_door(packet, door))" => "attempt.meaning(steps, packet.opens())";
    }
    "complete_all" {
        5 "a door that was completed does nothing":
            "complete(env, scratch, door);" => "";
        5 "of several completed doors one acts":
            "scratch.done.set(done >> 8);" => "scratch.done.set(0);";
    }
    "complete" {
        5 "a close door opens":
            "door.closes() {" => "false {";
        5 "a one-time sequence opens twice":
            "door.once != 0 && !use_up(env, packet, door, now)" => "door.once != 0 && false";
        5 "the prefixes of a door are those of the other family":
            "{ &door.prefix_v4 } else { &door.prefix_v6 }" => "{ &door.prefix_v6 } else { &door.prefix_v4 }";
    }
    "close" {
        5 "a close door leaves the grant":
            "env.remove_grant(&GrantKey" => "let _ = (&GrantKey";
        5 "a close door leaves the grants of wider prefixes":
            "env.remove_grant(&GrantKey::new(service.tag, &packet.src, prefix));"
            => "env.remove_grant(&GrantKey::new(service.tag, &packet.src, prefix)); return;";
    }
    "open" {
        5 "a shorter door moves the end back":
            "grant.until = if end > grant.until { end } else { grant.until };" => "grant.until = end;";
        5 "sequence again does not move the end":
            "grant.until = if end > grant.until { end } else { grant.until };" => "grant.until = grant.until;";
        5 "a live grant is begun anew":
            "&& grant.is_live(now) {" => "&& !grant.is_live(now) {";
        5 "a grant that has ended is extended":
            "&& grant.is_live(now) {" => "{";
    }
    "advanced" {
        3 "a step counts twice":
            "Self(self.0 + (1 << 40))" => "Self(self.0 + (2 << 40))";
    }
    "Attempt::is_live" {
        3 "an attempt lives a tick too long":
            "now.since(self.started()) < door.seq_ticks" => "now.since(self.started()) <= door.seq_ticks";
        3 "an attempt is never too old":
            "now.since(self.started()) < door.seq_ticks" => "door.seq_ticks > 0";
        3 "an attempt outlives a change of its door":
            "self.check() == door.check" => "true";
        3 "an attempt with all its steps is under way":
            "self.made() < door.steps as u32" => "true";
    }
    "since" {
        3 "the age of an attempt is wrong across the wrap of its clock":
            "self.0.wrapping_sub(earlier.0) & Self::MASK" => "self.0.saturating_sub(earlier.0)";
    }
    "meaning" {
        3 "a repeat is seen before the next step":
            "if steps & next != 0 {" => "if steps & (next - 1) != 0 { Meaning::Repeat } else if steps & next != 0 {";
        3 "a step already made is one out of turn":
            "Meaning::Repeat" => "Meaning::OutOfTurn";
        4 "a step out of turn is none of the door's":
            "Meaning::OutOfTurn" => "Meaning::Repeat";
    }
    "swap" {
        7 "a swap does not compare":
            "self.atomic().compare_exchange(old, new, SeqCst, SeqCst).is_ok()"
            => "self.atomic().store(new, SeqCst); let _ = old; true";
        7 "in the kernel a swap that was lost is taken for won":
            "(self.0.get(), old, new) }; swapped" => "(self.0.get(), old, new) }; swapped | true", kernel(),
            explained("two CPUs must meet within a few instructions of the program, which its races need not come to: \
                a race that is always lost can be made on the host alone");
        7 "in the kernel a swap writes nothing":
            "(self.0.get(), old, new)" => "(self.0.get(), old, { let _ = new; old })", kernel();
    }
    "raise" {
        7 "a word that is to be raised is lowered":
            "if old >= floor {" => "if old == floor {";
    }
};
