//! Rules 8 to 11: the gate.

use super::mutant::{Mutant, mutants};

/// Bugs of these rules.
pub(super) const MUTANTS: &[Mutant] = mutants! {
    "may_hold" {
        8 "the filter in front of the trusted networks knows no IPv4":
            "if source.is_v4() { self.v4 } else { self.v6 }" => "self.v6";
        8 "the filter in front of the trusted networks holds everybody":
            "cells >> cell_of(source) & 1 != 0" => "true";
    }
    "add" {
        8 "the filter in front of the trusted networks knows the first cell of a short one":
            "for number in 0..1_u32 << free {" => "for number in 0..1_u32 {";
    }
    "overlap" {
        8 "the filter in front of the trusted networks knows no network that is longer than its cells":
            "let bits = bits.min(other_bits);" => "let bits = bits.max(other_bits);";
    }
    "admits" {
        8 "a grant lets nobody in":
            "} else if is_granted(env, &key.source, service) {" => "} else if false {";
        8 "a trusted network has to knock":
            "} else if env.trusts(&key.source) {" => "} else if false {";
        11 "every service is under keepalive":
            "if key.is_udp() && service.keepalive != 0 {" => "if key.is_udp() {";
        11 "no service is under keepalive":
            "if key.is_udp() && service.keepalive != 0 {" => "if false {";
        11 "TCP keeps a grant alive":
            "if key.is_udp() && service.keepalive != 0 {" => "if service.keepalive != 0 {";
        11 "a question keeps a grant alive":
            "if decide(env, counter) { return 1; }" => "decide(env, counter);", kernel();
    }
    "act" {
        9 "a verdict of deny lets pass":
            "Verdict::Deny => program.drop()," => "Verdict::Deny => program.pass(),";
        12 "what is to be answered is dropped":
            "Verdict::Reject => program.answer()," => "Verdict::Reject => program.drop(),";
        9 "what would be answered is, where nothing is denied":
            "Verdict::Deny | Verdict::Reject if is_lenient(program.env())" => "Verdict::Deny if is_lenient(program.env())";
    }
    "is_lenient" {
        9 "a gate that only observes denies":
            "env.observes() || (" => "(";
        9 "a gate on trial denies nothing":
            "until != 0 && env.now() > until" => "until != 0";
        9 "a gate that is not on trial denies nothing":
            "until != 0 && env.now() > until" => "env.now() > until";
        9 "a trial ends a nanosecond too early":
            "env.now() > until" => "env.now() >= until";
    }
    "guard" {
        9 "a new connection passes":
            "Transport::Tcp if packet.opens() => Counter::DenyNew,"
            => "Transport::Tcp if packet.opens() => return pass(env, Counter::PassNoSocket),";
        10 "a connection is cut":
            "Socket::Connected => return pass(env, Counter::PassConnected),"
            => "Socket::Connected => Counter::DenyProbe,";
        10 "a probe reaches the listener":
            "Socket::Listening if env.is_own(&key.dest) => Counter::DenyProbe,"
            => "Socket::Listening if false => Counter::DenyProbe,";
        10 "what no socket here waits for is denied":
            "Socket::Listening | Socket::Nothing => return pass(env, Counter::PassNoSocket),"
            => "Socket::Listening | Socket::Nothing => Counter::DenyProbe,";
        10 "connections are looked up without stealth":
            "Transport::Tcp if !env.stealth() =>" => "Transport::Tcp if false =>";
        10 "nothing is looked up under stealth":
            "Transport::Tcp if !env.stealth() =>" => "Transport::Tcp if true =>";
        11 "a datagram passes":
            "Transport::Udp => Counter::DenyUdp," => "Transport::Udp => return pass(env, Counter::PassNoSocket),";
    }
    "is_granted" {
        8 "a grant lets in after its end":
            "&& until > env.now() {" => "{",
            quick("gate::a_grant_lets_one_source_to_one_service_until_its_end");
        8 "a grant lets in a nanosecond too long":
            "until > env.now()" => "until >= env.now()";
        8 "a grant of a wider prefix lets nobody in":
            "if prefix.bits() == 0 {" => "if prefix.bits() == 0 || index > 0 {";
    }
    "Service::prefixes" {
        8 "grants are looked up under the prefixes of the other family":
            "{ &self.prefixes_v4 } else { &self.prefixes_v6 }"
            => "{ &self.prefixes_v6 } else { &self.prefixes_v4 }";
    }
    "deny" {
        9 "what is denied passes":
            "Verdict::Deny }" => "Verdict::Pass }";
    }
    "keep_alive" {
        11 "every datagram writes the grant":
            "&& end - grant.until >= grant.window / 8 {" => "{";
        11 "traffic adds to the end of a grant":
            "(now.saturating_add(grant.window), grant" => "(grant.until.saturating_add(grant.window), grant";
        11 "traffic makes a grant one for good":
            "grant.until = end;" => "grant.until = FOR_GOOD;";
        11 "an extended grant is not counted":
            "env.count(Counter::GrantExtended);" => "";
    }
    "GrantKey::new" {
        8 "a grant is for every service":
            "source.and(&prefix.mask), service, bits" => "source.and(&prefix.mask), service: service & 0, bits";
        8 "a grant is for every source":
            "source: source.and(&prefix.mask)" => "source: source.and(&Addr::ANY)";
    }
    "Grant::is_live" {
        8 "a grant lets in at its end":
            "self.until > now" => "self.until >= now";
        15 "a grant lives a millisecond too long":
            "self.until > now" => "self.until.saturating_add(1_000_000) > now && self.until != 0";
    }
    "Prefix::new" {
        15 "a grant to a prefix is one to an address":
            "masked(bits), bits }" => "masked(HOST_BITS), bits }";
    }
    "TcpFlags::opens" {
        9 "a segment without SYN, ACK and RST is none that opens":
            "syn_ack == Self::SYN || self.0 & (Self::SYN | Self::ACK | Self::RST) == 0" => "syn_ack == Self::SYN";
        9 "a SYN with other flags is none":
            "syn_ack == Self::SYN ||" => "self.0 == Self::SYN ||",
            quick("gate::what_asks_for_a_connection_or_belongs_to_none_is_denied");
        9 "an answer opens":
            "syn_ack == Self::SYN ||" => "syn_ack & Self::SYN != 0 ||";
        9 "a reset opens":
            "(Self::SYN | Self::ACK | Self::RST) == 0" => "(Self::SYN | Self::ACK) == 0";
    }
};
