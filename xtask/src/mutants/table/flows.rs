//! Rule 19: connections that were let in.

use super::mutant::{Mutant, mutants};

/// Bugs of this rule.
pub(super) const MUTANTS: &[Mutant] = mutants! {
    "admits" {
        19 "no packet is asked for its flow":
            "let by_flow = may_belong && flow" => "let by_flow = false && flow",
            quick("flows::a_connection_to_a_container_goes_on_when_its_grant_has_ended");
        19 "a new connection passes by the flow of another":
            "(shows_flags && !flags.opens())" => "shows_flags";
        19 "a fragment that hides its flags passes by a flow":
            "(shows_flags && !flags.opens())" => "!flags.opens()",
            explained("without flags it reads as a segment that opens");
        19 "datagrams have no flow":
            "let may_belong = key.is_udp() ||" => "let may_belong = !key.is_udp() &&";
        19 "a connection that was let in is not noted":
            "flow::note(env, key, flags, service.tag);" => "";
        19 "what hides its flags begins a flow":
            "!by_flow && shows_flags {" => "!by_flow {",
            explained("without flags it reads as a segment that begins none");
    }
    "passes" {
        19 "a flow that has ended lets in":
            "if !state.is_live(key.is_udp(), now, env.flow_idle()) {" => "if state.0 == 0 {";
        19 "it is not noted when a flow was last seen":
            "let _ = flow.state.swap(state.0, next.0);" => "let _ = next;";
    }
    "note" {
        19 "a flow that has ended is not begun anew":
            "let new = if is_known" => "let new = if true";
        19 "a SYN under a grant begins a flow anew that stands":
            "let new = if is_known" => "let new = if false";
        19 "a port that a client uses again goes on with the flow that ends":
            "&& old.outlives_a_syn();" => ";";
        19 "a flow that is not noted is not counted":
            "env.count(Counter::FlowLost);" => "";
    }
    "begun" {
        19 "a reset begins a flow":
            "} else if flags.has(TcpFlags::RST) {" => "} else if false {";
        19 "a bare segment begins a flow":
            "} else if flags.has(TcpFlags::SYN) {" => "} else if true {";
        19 "a SYN makes a connection that stands":
            "Phase::Opening" => "Phase::Open";
    }
    "moved" {
        19 "each packet of a stream is noted":
            "== before && is_fresh {" => "== before && false {";
        19 "only a change of the phase is noted":
            "== before && is_fresh {" => "== before {";
        19 "a flow of datagrams closes":
            "_ if is_udp => Phase::Open," => "",
            explained("a datagram has no flags, and its phase decides nothing");
        19 "what ends is open again with the next segment":
            "_ if stays_closed => Phase::Closing," => "";
        19 "a forged end is believed":
            "(is_fresh || !flags.has(TcpFlags::PSH));" => "true;";
        19 "the last ACK opens a connection again":
            "(is_fresh || !flags.has(TcpFlags::PSH));" => "is_fresh;";
        19 "data that was late opens a connection again":
            "(is_fresh || !flags.has(TcpFlags::PSH));" => "!flags.has(TcpFlags::PSH);";
    }
    "FlowState::is_live" {
        19 "a connection is kept for as long as datagrams":
            "_ if is_udp => flow_idle," => "_ if is_udp || self.0 & 3 == 2 => flow_idle,";
        19 "datagrams are kept for as long as a connection":
            "_ if is_udp => flow_idle," => "_ if is_udp => IDLE,";
        19 "a handshake may take five days":
            "1 => OPENING," => "1 => IDLE,";
        19 "a connection that ends is kept for five days":
            "_ => CLOSING," => "_ => IDLE,";
        19 "a flow ends up to a second too early":
            "limit.saturating_add(GRAIN)" => "limit";
        18 "a zeroed flow lets in":
            "self.0 & Self::PHASE != 0 &&" => "";
    }
    "after" {
        19 "a FIN does not end a flow":
            "|| flags.has(TcpFlags::FIN)" => "";
        19 "a reset does not end a flow":
            "if flags.has(TcpFlags::RST) ||" => "if";
    }
    "Packet::flow_key" {
        19 "a flow is every source port's":
            "sport: self.sport," => "sport: 0,";
        19 "a flow is every source's":
            "source: self.src," => "source: Addr::ANY,";
        19 "a flow is to every address":
            "dest: self.dst," => "dest: Addr::ANY,";
        19 "a flow is to every port":
            "dport: self.dport," => "dport: 0,";
        19 "a flow of TCP is one of UDP":
            "transport: self.transport as u32," => "transport: 6,";
    }
    "guard" {
        11 "an answer to a question of this host is denied":
            "Transport::Udp if matches!(env.socket_of(key), Socket::Connected) =>" => "Transport::Udp if false =>";
        11 "what any socket takes is an answer":
            "matches!(env.socket_of(key), Socket::Connected) =>" => "!matches!(env.socket_of(key), Socket::Nothing) =>";
        10 "what is forwarded is a probe of the listener":
            "Socket::Listening if env.is_own(&key.dest) =>" => "Socket::Listening if true =>";
    }
    "kept_alive_until" {
        11 "datagrams keep a grant alive for good":
            "self.window > FOR_GOOD / KEEPALIVE_WINDOWS" => "true";
        11 "datagrams keep a grant alive for one window":
            "self.window * KEEPALIVE_WINDOWS" => "self.window";
    }
    "scoped" {
        15 "a link-local source is the same on every interface":
            "interface.to_be(), third" => "0, third";
        15 "a link-local source without room for its interface is another one":
            "} else if second == 0 {" => "} else if true {";
    }
    "role_of" {
        15 "a link-local source in what is read the long way is on any link":
            "packet.came_on(|| env.scope());" => "packet.came_on(|| 0);";
    }
    "fast_path" {
        15 "a link-local source in a plain packet is on any link":
            "plain.read(packet, || env.scope());" => "plain.read(packet, || 0);";
    }
    "came_on" {
        15 "who cannot be told from others on other links knocks":
            "self.group |= self.src.is_zoneless();" => "";
    }
    "is_near" {
        15 "who has the address under which another is stored knocks for him":
            "self.0[0] & (TEN_BITS & !MARK) == LINK_LOCAL" => "self.0[0] & TEN_BITS == LINK_LOCAL";
    }
    "on_wire" {
        15 "another address is trusted than the one that came":
            "} else if self.is_zoneless() {" => "} else if false {";
    }
    "Addr::and" {
        15 "a grant to a prefix is for the links of all interfaces":
            "if self.is_link_local() { a[1] } else" => "if false { a[1] } else";
    }
};
