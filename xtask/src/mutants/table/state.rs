//! Rules 15 to 18: what is stored, counted and told.

use super::{Mutant, mutants};

/// Bugs of these rules.
pub(super) const MUTANTS: &[Mutant] = mutants! {
    "knocking.rs" {
        15 "a grant for which there is no room is told as one":
            "{ (Kind::Refused, end) }" => "{ (Kind::Opened, end) }";
        15 "a refused grant is counted as one":
            "_ => Counter::GrantRefused," => "_ => Counter::GrantOpened,";
        15 "a grant says that it was written before":
            "Grant::new(end, now, door.cmd_timeout" => "Grant::new(end, now - 1, door.cmd_timeout";
        16 "what is over the budget does not begin":
            "        world.count(Counter::AttemptUntold);\n"
            => "        world.count(Counter::AttemptUntold);\n        return;\n";
        16 "what is over the budget is told":
            "            if is_told {\n" => "            if true {\n";
        16 "what is within the budget is not told":
            "            if is_told {\n" => "            if false {\n";
        16 "an attempt without room is not counted":
            "        world.count(Counter::AttemptLost);\n" => "";
        17 "a step is not told":
            "                        report(world, desk, door, next, Kind::Stage);\n" => "";
        17 "a knock of another door that ends an attempt is not told":
            "                    report(world, desk, door, attempt, Kind::Wrong);\n                    return false;"
            => "                    return false;";
        17 "a wrong knock is not told":
            "                report(world, desk, door, attempt, Kind::Wrong);\n                desk.used"
            => "                desk.used";
        17 "what a completed door did is not told":
            "    world.emit(desk.event(Event {\n        at: now,\n        until,"
            => "    let _ = (desk.event(Event {\n        at: now,\n        until,";
        17 "the end of a grant is not told":
            "        until,\n        source: packet.src," => "        until: until & 0,\n        source: packet.src,";
        17 "the prefix of a grant is not told":
            "bits: prefix.bits() as u8," => "bits: 0,";
        17 "the end of an attempt is not told":
            "until: now + Ticks::span_ns(door.seq_ticks.saturating_sub(age))," => "until: now + (age & 0),";
        17 "the steps of an attempt are not told":
            "step: attempt.made() as u8," => "step: 0,";
        17 "a knock with a wrong checksum is not counted":
            "        world.count(Counter::BadChecksum);\n" => "";
        17 "a packet to a knock port is not counted":
            "    world.count(Counter::KnockPacket);\n    desk" => "    desk";
        18 "a zeroed start of a knock names a door":
            "        if number == 0 {\n" => "        if false {\n";
        18 "a zeroed door can be begun":
            "if door.steps == 0 || !door.accepts" => "if !door.accepts";
        18 "a zeroed word is looked at":
            "    if attempt.0 == 0 {\n        return None;\n    }\n" => "",
            explained("it has no step made, so it is no live attempt either way: the line saves the look-up of a door");
    }
    "gate.rs" {
        17 "a denial has another reason":
            "Transport::Tcp if packet.opens() => Counter::DenyNew,"
            => "Transport::Tcp if packet.opens() => Counter::DenyProbe,";
        17 "a verdict is not counted":
            "    world.count(counter);\n    false" => "    false";
        17 "denials are logged where the config says not to":
            "!decide(world, reason) && world.log_denied()" => "!decide(world, reason)";
        17 "denials are not logged":
            "!decide(world, reason) && world.log_denied()" => "!decide(world, reason) && false";
        17 "any number of denials is logged":
            "    let _ = tokens.swap(left, left - 1);\n" => "";
        17 "a denial that is left out of the log is not counted":
            "        world.count(Counter::DenialUnlogged);\n" => "";
        18 "a port of a zeroed service is protected":
            "Some(service) if service.tag != 0 =>" => "Some(service) =>";
        18 "a port of a service that is not there is denied":
            "            _ => Verdict::Pass,\n" => "            _ => Verdict::Deny,\n";
    }
    "budget.rs" {
        16 "one more than the budget is told":
            "spent >= u64::from(limit)" => "spent > u64::from(limit)";
        16 "a budget is never used up":
            "window | (spent + 1)" => "window | spent";
        16 "a budget never comes back":
            "let window = (now >> 30) << 32;" => "let window = (now >> 62) << 32;";
    }
    "addr.rs" {
        15 "an IPv4 source is not v4-mapped":
            "Self([0, 0, V4_MARK, word])" => "Self([0, 0, 0, word])";
        15 "the mask of a prefix is in the order of the host":
            "(u32::MAX << (32 - (bits - begin))).to_be()" => "u32::MAX << (32 - (bits - begin))";
    }
    "attempt.rs" {
        18 "a zeroed word is an attempt":
            "self.made() != 0\n" => "true\n";
    }
    "rules.rs" {
        18 "a zeroed port is a knock port":
            "            Role::Unrelated\n" => "            Role::Knock(0)\n";
    }
    "grant.rs" {
        18 "a zeroed grant lets in":
            "self.until > now" => "self.until > now || self.until == 0";
    }
};
