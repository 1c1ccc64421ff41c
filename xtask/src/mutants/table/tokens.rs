//! Rules 20 to 28: tokens.

use super::mutant::{Mutant, mutants};

/// Bugs of these rules.
pub(super) const MUTANTS: &[Mutant] = mutants! {
    "token::read" {
        20 "what follows a datagram in its packet goes unseen":
            "if u32::from(header.be16(4)) != packet.l4_len {" => "if false {";
    }
    "wrapped" {
        20 "any STUN message carries a token":
            "octets.be16(0) == stun::BINDING_REQUEST" => "true";
        20 "the message may say another length":
            "&& u32::from(octets.be16(2)) == message" => "";
        20 "any attribute carries a token":
            "&& octets.be16(stun::HEADER as usize) == stun::USERNAME" => "";
        20 "a name may end before the token does":
            "&& name >= stun::SHORTEST_NAME" => "";
        20 "a name may go beyond its message":
            "&& u32::from(name) + stun::ATTRIBUTE <= message" => "";
        20 "what is no base64 is read":
            "other & NOT_BASE64 == 0" => "other < u32::MAX";
    }
    "receive" {
        20 "fragments and what goes to a group are tokens":
            "if !packet.may_knock() {" => "if false {";
    }
    "judge_role" {
        21 "a datagram to a token port is dropped":
            "token::receive(env, frame, packet) => Verdict::Pass," => "token::receive(env, frame, packet) => Verdict::Deny,";
    }
    "known" {
        18 "a zeroed key is one":
            "key.sources != 0" => "true";
        28 "a key that is gone still opens":
            "&& times.gone.load() == 0" => "";
    }
    "recognise" {
        22 "an unknown flag or lane is taken":
            "if !head.is_known() {" => "if false {";
        22 "an older token is looked at as a new one":
            "if head.time() < last {" => "if false {";
        22 "a copy from elsewhere is only counted":
            "if is_from_the_last(times, scratch) {" => "if true {";
        22 "any MAC is right":
            "if is_right(key, scratch) {" => "if true {";
    }
    "is_right" {
        22 "the last word of the MAC is not compared":
            "while index < MAC_WORDS {" => "while index < MAC_WORDS - 1 {";
        26 "the source of a strict token does not count":
            "& covered" => "& 0";
    }
    "heed" {
        22 "a token with a wrong checksum counts":
            "if env.verify_checksums() && !checksum" => "if false && !checksum";
        22 "who has a grant by the key is told of":
            "&& effect::holds_grant_by(env, scratch) == 0" => "";
        24 "a token is not used up":
            "if !use_up(times, head) {" => "if false {";
    }
    "untimely" {
        23 "a token is good for ever":
            "late > env.token_window()" => "false";
        23 "a token may be made for any time to come":
            "|| ahead > env.token_ahead()" => "";
        24 "a lost map lets the tokens of before in":
            "if head.time() <= since" => "if 0 > since";
        25 "an unknown wall clock is taken for one":
            "if offset == 0 ||" => "if";
        26 "a key may be used in any way":
            "if key.sources & needed == 0 {" => "if false {";
        28 "a key never expires":
            "if is_marked || wall >= key.expires {" => "if is_marked {";
        28 "a key comes back with the clock":
            "if is_marked || wall >= key.expires {" => "if wall >= key.expires {";
    }
    "token::use_up" {
        24 "a token that is older than another CPU's counts":
            "if head.time() <= old || head.time() <= times.closed.load() {" => "if false {",
            explained("what came between is seen by the swap, and an older close before");
    }
    "listed" {
        27 "a key opens every door":
            "if !key.doors.has(index) {" => "if false {";
    }
    "open_by" {
        27 "a token that comes while its key closes leaves its door open":
            "env.remove_grant(&at);" => "";
    }
    "close_by" {
        27 "an older token opens again what was closed":
            "times.closed.raise(head.time());" => "";
        27 "a token closes what others have opened":
            "grant.key == head.id()" => "true";
    }
    "made_by" {
        27 "a time to live makes a grant longer":
            "door.cmd_timeout < ttl" => "door.cmd_timeout > ttl";
        28 "a grant outlives its key":
            "let until = if end < most { end } else { most };" => "let until = end;";
    }
    "renewed_by" {
        27 "a grant is shortened by a later token":
            "if made.until > old.until" => "if true";
    }
    "effect::open" {
        27 "a sequence moves the end and leaves the name of a key":
            "if grant.key == 0 {" => "if true {";
    }
    "end_of" {
        28 "an expired key is kept alive when the clock goes back":
            "if offset == 0 || is_expired {" => "if offset == 0 {";
    }
    "keep_alive" {
        28 "traffic moves a grant of a removed key":
            "if grant.key == 0 { FOR_GOOD }" => "if true { FOR_GOOD }";
    }
};
