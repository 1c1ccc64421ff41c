//! Rules 13 and 14: how frames are read.

use super::mutant::{Mutant, mutants};

/// Bugs of these rules.
pub(super) const MUTANTS: &[Mutant] = mutants! {
    "parse" {
        13 "a third VLAN tag is read":
            "if tags == MAX_TAGS {" => "if tags == MAX_TAGS + 1 {";
        13 "a second VLAN tag is too many":
            "if tags == MAX_TAGS {" => "if tags + 1 == MAX_TAGS {";
        13 "too many VLAN tags make a frame foreign":
            "return Err(Other::TooDeep);" => "return Err(Other::Foreign);";
        13 "a frame that ends within its tags is foreign":
            "ok_or(Other::Malformed)?.be16(2)" => "ok_or(Other::Foreign)?.be16(2)";
        14 "a frame that is too short for Ethernet is denied":
            "ok_or(Other::Foreign)?;" => "ok_or(Other::Malformed)?;";
    }
    "is_tag" {
        13 "802.1ad is no VLAN": "|| kind == TAGS[1]" => "";
        13 "the tag from before the standard is no VLAN": "|| kind == TAGS[2]" => "";
    }
    "FRAGMENT" {
        13 "on the fast path a first fragment is a whole packet":
            "const FRAGMENT: u16 = 0x3fff;" => "const FRAGMENT: u16 = 0x1fff;";
        13 "on the fast path a later fragment is a packet":
            "const FRAGMENT: u16 = 0x3fff;" => "const FRAGMENT: u16 = 0x2000;";
    }
    "behind" {
        13 "on the fast path IPv4 has no options":
            "h.octet_at::<IP>() == PLAIN_V4 &&" => "h.octet_at::<IP>() >> 4 == PLAIN_V4 >> 4 &&";
        13 "on the fast path an IPv4 packet may be longer than its frame":
            "|| !frame.reaches(tag + IP as u32 + total)" => "";
        13 "on the fast path an IPv6 packet may be longer than its frame":
            "|| !frame.reaches(tag + L4_V6 as u32 + l4_len)" => "";
        13 "on the fast path a frame is as long with a tag as without":
            "!frame.reaches(tag + IP as u32 + total)" => "!frame.reaches(IP as u32 + total)";
        13 "on the fast path an IPv6 frame is as long with a tag as without":
            "!frame.reaches(tag + L4_V6 as u32 + l4_len)" => "!frame.reaches(L4_V6 as u32 + l4_len)";
        13 "on the fast path the version of an IPv6 header is not looked at":
            "h.octet_at::<IP>() >> 4 != 6 || is_mapped" => "is_mapped";
        13 "on the fast path a v4-mapped address passes for the IPv4 host":
            "h.octet_at::<IP>() >> 4 != 6 || is_mapped" => "h.octet_at::<IP>() >> 4 != 6";
    }
    "read" {
        13 "on the fast path the segment over IPv6 behind a tag is where it is without":
            "packet.l4 = self.tag as u16 + L4_V6 as u16;" => "packet.l4 = L4_V6 as u16;";
        13 "on the fast path the headers behind a tag are where they are without":
            "packet.ip = self.tag as u16 + IP as u16;" => "packet.ip = IP as u16;";
        13 "on the fast path the segment behind a tag is where it is without":
            "packet.l4 = self.tag as u16 + L4_V4 as u16;" => "packet.l4 = L4_V4 as u16;";
    }
    "look" {
        13 "on the fast path a tagged packet is read where its tag is":
            "link.be16_at::<16>(), TAG, link)" => "link.be16_at::<16>(), 0, link)";
    }
    "transport!" {
        13 "on the fast path a TCP header may be longer than its segment":
            "header >= TCP_HEADER && header <= $l4_len" => "header >= TCP_HEADER";
        13 "on the fast path a TCP header may be shorter than 20 octets":
            "header >= TCP_HEADER && header <= $l4_len" => "header <= $l4_len";
        13 "on the fast path a UDP header may be shorter than eight octets":
            "length >= UDP_HEADER && length <= $l4_len" => "length <= $l4_len";
        13 "on the fast path a UDP datagram may be longer than its packet":
            "length >= UDP_HEADER && length <= $l4_len" => "length >= UDP_HEADER";
    }
    "parse" {
        13 "IPv4 options are not stepped over":
            "let header = u32::from(first & 0x0f) * 4;" => "let header = HEADER.min(u32::from(first & 0x0f) * 4);";
        13 "the version of an IPv4 header is not looked at":
            "first >> 4 != 4 || header < HEADER" => "header < HEADER";
        13 "an IPv4 header may be shorter than 20 octets":
            "first >> 4 != 4 || header < HEADER" => "first >> 4 != 4";
        13 "an IPv4 packet may be shorter than its header":
            "(total < header || !frame.reaches(offset + total))" => "!frame.reaches(offset + total)";
        13 "an IPv4 packet may be longer than its frame":
            "(total < header || !frame.reaches(offset + total))" => "total < header";
        13 "a later fragment over IPv4 is read as a packet":
            "if fragment & OFFSET_MASK != 0 {" => "if false {";
        13 "a first fragment over IPv4 is a whole packet":
            "network.fragment = fragment & MORE_FRAGMENTS != 0;" => "network.fragment = false;";
        13 "what is behind an authentication header over IPv4 is foreign":
            "if !is_gated(protocol) && protocol != AUTHENTICATION {" => "if !is_gated(protocol) {";
        14 "another protocol over IPv4 is denied":
            "return Err(Other::Foreign); } let first" => "return Err(Other::Malformed); } let first";
    }
    "authenticated" {
        13 "an authentication header over IPv4 is shorter than it says":
            "(u32::from(h.octet(1)) + 2) * 4" => "(u32::from(h.octet(1)) + 1) * 4";
        13 "one authentication header in another is foreign":
            "if network.protocol == AUTHENTICATION { Other::TooDeep }"
            => "if network.protocol == AUTHENTICATION { Other::Foreign }";
    }
    "MAX_EXTENSIONS" {
        13 "a ninth extension header is read":
            "const MAX_EXTENSIONS: u32 = 8;" => "const MAX_EXTENSIONS: u32 = 9;";
        13 "an eighth extension header is too many":
            "const MAX_EXTENSIONS: u32 = 8;" => "const MAX_EXTENSIONS: u32 = 7;";
    }
    "walk" {
        13 "too many extension headers make a packet foreign":
            "Err(Other::TooDeep)" => "Err(Other::Foreign)";
        13 "an extension header is shorter than it says":
            "_ => (units + 1) * 8," => "_ => (units + 1) * 8 - 8 * (units / 255),";
        13 "an authentication header counts in units of eight octets":
            "AUTHENTICATION => (units + 2) * 4," => "AUTHENTICATION => (units + 1) * 8,";
        13 "a later fragment over IPv6 is read as a packet":
            "if field >> 3 != 0 {" => "if false {";
        13 "a first fragment over IPv6 is a whole packet":
            "network.fragment |= field & MORE_FRAGMENTS != 0;" => "";
        13 "an options header may end behind its packet":
            "if network.length < 8 {" => "if false {";
        14 "another protocol behind extension headers is denied":
            "if !is_extension(network.protocol) { return Err(Other::Foreign);"
            => "if !is_extension(network.protocol) { return Err(Other::Malformed);";
    }
    "is_extension" {
        13 "the routing header is none": "| ROUTING" => "";
        13 "the mobility header is none": "| MOBILITY" => "";
        13 "the HIP header is none": "| HIP" => "";
        13 "the Shim6 header is none": "| SHIM6)" => ")";
    }
    "parse" {
        13 "a v4-mapped source passes for the IPv4 host":
            "packet.src.is_v4() || packet.dst.is_v4()" => "packet.dst.is_v4()";
        13 "a v4-mapped destination passes for the IPv4 host":
            "packet.src.is_v4() || packet.dst.is_v4()" => "packet.src.is_v4()";
        13 "the version of an IPv6 header is not looked at":
            "h.octet(0) >> 4 != 6 ||" => "";
        13 "an IPv6 packet may be longer than its frame":
            "(payload != 0 && !frame.reaches(offset + HEADER + payload))" => "false";
        14 "another protocol over IPv6 is denied":
            "if !is_gated(next) && !is_extension(next) { return Err(Other::Foreign);"
            => "if !is_gated(next) && !is_extension(next) { return Err(Other::Malformed);";
    }
    "short" {
        13 "a header that is cut short is foreign":
            "{ Other::TinyFragment } else { Other::Malformed }" => "{ Other::TinyFragment } else { Other::Foreign }";
        13 "a first fragment that hides its ports is foreign":
            "{ Other::TinyFragment } else { Other::Malformed }" => "{ Other::Foreign } else { Other::Malformed }";
    }
    "step" {
        13 "a header may be longer than its packet":
            "if size > self.length {" => "if false {";
    }
    "parse_ip" {
        13 "without link headers nothing goes to a group":
            "packet.group = packet.dst.is_multicast();" => "packet.group = false;";
        13 "without link headers what is no IP is foreign":
            "_ => return Err(Other::Malformed)," => "_ => return Err(Other::Foreign),";
    }
    "parse" {
        14 "a frame of another protocol is denied":
            "_ => return Err(Other::Foreign)," => "_ => return Err(Other::Malformed),";
    }
    "later_fragment" {
        13 "a TCP fragment at offset 8 passes":
            "if protocol == TCP && offset == 1 {" => "if false {";
        13 "a UDP fragment at offset 8 is denied":
            "if protocol == TCP && offset == 1 {" => "if offset == 1 {";
    }
    "tcp" {
        13 "a TCP header may be shorter than 20 octets":
            "header < TCP_HEADER ||" => "";
        13 "a TCP header may be longer than its segment":
            "(header > network.length && !network.fragment)" => "false";
        13 "a first fragment may hold less of a TCP header than it says":
            "(header > network.length && !network.fragment)" => "header > network.length";
    }
    "flagless" {
        13 "a first fragment without the flags is judged by them":
            "packet.shape = Shape::Flagless;" => "";
        13 "a first fragment without the flags is a wrong knock":
            "packet.flags = TcpFlags::ACK;" => "packet.flags = 0;";
    }
    "udp" {
        13 "a UDP header may be shorter than eight octets":
            "(length < UDP_HEADER && !jumbo) ||" => "false ||";
        13 "a UDP datagram may be longer than its packet":
            "(length > network.length && !network.fragment)" => "false";
        13 "a first fragment holds its whole datagram":
            "(length > network.length && !network.fragment)" => "length > network.length";
        13 "UDP over IPv4 has jumbograms":
            "let jumbo = length == 0 && !packet.dst.is_v4();" => "let jumbo = length == 0;";
        13 "UDP over IPv6 has no jumbograms":
            "let jumbo = length == 0 && !packet.dst.is_v4();" => "let jumbo = false;";
    }
    "judge_other" {
        13 "a header that contradicts itself passes":
            "Other::Malformed => (Verdict::Deny," => "Other::Malformed => (Verdict::Pass,",
            quick("frames::network::an_ipv4_header_that_contradicts_itself_is_denied");
        13 "what is nested too deep passes":
            "Other::TooDeep => (Verdict::Deny," => "Other::TooDeep => (Verdict::Pass,";
        13 "a first fragment without its ports passes":
            "Other::TinyFragment => (Verdict::Deny," => "Other::TinyFragment => (Verdict::Pass,";
        13 "a fragment that overlaps the TCP flags passes":
            "Other::Overlap => (Verdict::Deny," => "Other::Overlap => (Verdict::Pass,";
        13 "a later fragment is denied":
            "Other::LaterFragment => (Verdict::Pass," => "Other::LaterFragment => (Verdict::Deny,";
        14 "what is foreign is denied":
            "Other::Foreign => return Verdict::Pass," => "Other::Foreign => return Verdict::Deny,";
    }
    "guard" {
        13 "a first fragment without the flags belongs to a connection":
            "Transport::Tcp if is_flagless => Counter::DenyTinyFragment,"
            => "Transport::Tcp if is_flagless => return pass(env, Counter::PassNoSocket),";
    }
};
