//! Rules 15 to 18: what is stored, counted and told.

use super::mutant::{Mutant, mutants};

/// Bugs of these rules.
pub(super) const MUTANTS: &[Mutant] = mutants! {
    "open" {
        15 "a grant for which there is no room is told as one":
            "{ (Kind::Refused, end) }" => "{ (Kind::Opened, end) }";
        15 "a grant says that it was written before":
            "Grant::new(end, now, door.cmd_timeout" => "Grant::new(end, now - 1, door.cmd_timeout";
    }
    "complete" {
        15 "a refused grant is counted as one":
            "_ => Counter::GrantRefused," => "_ => Counter::GrantOpened,";
        17 "what a completed door did is not told":
            "tell(env, scratch, Event { until," => "let _ = (env, scratch, Event { until,";
        17 "the end of a grant is not told":
            "until, door: door.tag," => "until: until & 0, door: door.tag,";
        17 "the prefix of a grant is not told":
            "bits: prefix.bits() as u8," => "bits: 0,";
    }
    "start_door" {
        16 "what is over the budget does not begin":
            "env.count(Counter::AttemptUntold);" => "env.count(Counter::AttemptUntold); return;";
        16 "what is over the budget is told":
            "if is_told {" => "if true {";
        16 "what is within the budget is not told":
            "if is_told {" => "if false {";
        16 "an attempt without room is not counted":
            "env.count(Counter::AttemptLost);" => "";
        18 "a zeroed door can be begun":
            "if door.steps == 0 || !fits_door" => "if !fits_door";
    }
    "advance_slot" {
        17 "a step is not told":
            "report(env, scratch, door, next, Kind::Stage);" => "";
        17 "a knock of another door that ends an attempt is not told":
            "report(env, scratch, door, attempt, Kind::Wrong); return false;" => "return false;";
    }
    "end_all" {
        17 "a wrong knock is not told":
            "report(env, scratch, door, attempt, Kind::Wrong); scratch.used" => "scratch.used";
    }
    "report" {
        17 "the end of an attempt is not told":
            "until: now + Ticks::span_ns(door.seq_ticks.saturating_sub(age))," => "until: now + (age & 0),";
        17 "the steps of an attempt are not told":
            "step: attempt.made() as u8," => "step: 0,";
    }
    "start" {
        17 "a knock with a wrong checksum is not counted":
            "env.count(Counter::BadChecksum);" => "";
        18 "a zeroed start of a knock names a door":
            "if number == 0 {" => "if false {";
    }
    "visit" {
        17 "a packet to a knock port is not counted":
            "env.count(Counter::KnockPacket); scratch" => "scratch";
    }
    "live" {
        18 "a zeroed word is looked at":
            "if attempt.0 == 0 { return None; }" => "",
            explained("it has no step made, so it is no live attempt either way: the line saves the look-up of a door");
    }
    "guard" {
        17 "a denial has another reason":
            "Transport::Tcp if packet.opens() => Counter::DenyNew,"
            => "Transport::Tcp if packet.opens() => Counter::DenyProbe,";
    }
    "decide" {
        17 "a verdict is not counted":
            "env.count(counter); false" => "false";
    }
    "deny" {
        17 "denials are logged where the config says not to":
            "!decide(env, reason) && env.log_denied()" => "!decide(env, reason)";
        17 "denials are not logged":
            "!decide(env, reason) && env.log_denied()" => "!decide(env, reason) && false";
    }
    "log_denial" {
        17 "any number of denials is logged":
            "let _ = tokens.swap(left, left - 1);" => "";
        17 "a denial that is left out of the log is not counted":
            "env.count(Counter::DenialUnlogged);" => "";
    }
    "judge_role" {
        18 "a port of a zeroed service is protected":
            "Some(service) if service.tag != 0 =>" => "Some(service) =>";
        18 "a port of a service that is not there is denied":
            "_ => Verdict::Pass," => "_ => Verdict::Deny,";
    }
    "take" {
        16 "one more than the budget is told":
            "spent >= u64::from(limit)" => "spent > u64::from(limit)";
        16 "a budget is never used up":
            "window | (spent + 1)" => "window | spent";
        16 "a budget never comes back":
            "let window = (now >> 30) << 32;" => "let window = (now >> 62) << 32;";
    }
    "from_v4_word" {
        15 "an IPv4 source is not v4-mapped":
            "Self([0, 0, V4_MARK, word])" => "Self([0, 0, 0, word])";
    }
    "word_mask" {
        15 "the mask of a prefix is in the order of the host":
            "(u32::MAX << (32 - (bits - begin))).to_be()" => "u32::MAX << (32 - (bits - begin))";
    }
    "Attempt::is_live" {
        18 "a zeroed word is an attempt":
            "self.made() != 0" => "true";
    }
    "role" {
        18 "a zeroed port is a knock port":
            "if self.0 == 0 { Role::Unrelated" => "if self.0 == 0 { Role::Knock(0)";
    }
    "Grant::is_live" {
        18 "a zeroed grant lets in":
            "self.until > now" => "self.until > now || self.until == 0";
    }
};
