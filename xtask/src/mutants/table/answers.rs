//! Rule 12: what is denied is dropped, or answered as a closed port would answer it.

use super::mutant::{Mutant, mutants};

/// Bugs of this rule.
pub(super) const MUTANTS: &[Mutant] = mutants! {
    "judge_role" {
        12 "nothing is answered":
            "Verdict::Deny if in_one && env.rejects()" => "Verdict::Deny if false && env.rejects()";
        12 "what is to be dropped is answered":
            "Verdict::Deny if in_one && env.rejects() &&" => "Verdict::Deny if in_one &&";
        12 "a packet over several buffers is answered":
            "Verdict::Deny if in_one && env.rejects()" => "Verdict::Deny if env.rejects()";
    }
    "verdict" {
        12 "a reset is answered":
            "|| packet.flags & TcpFlags::RST != 0 {" => "{";
        12 "a fragment, or a frame to a group, is answered":
            "if !packet.may_knock() || packet.flags" => "if packet.flags";
    }
    "is_answered" {
        12 "a frame to another host's MAC is answered":
            "if !is_host(&packet.src) || !is_here(env, frame, packet) {" => "if !is_host(&packet.src) {";
        12 "a source that is no host is answered":
            "if !is_host(&packet.src) || !is_here" => "if !is_here";
        12 "a packet with a wrong checksum is answered":
            "if env.verify_checksums() && !checksum::is_right(frame, packet) {" => "if false {";
        12 "a source has any number of ICMP errors":
            "Transport::Udp => may_have_error(env, packet)," => "Transport::Udp => true,";
    }
    "is_host" {
        12 "0.0.0.0/8 is answered": "first != 0 && first != 127" => "first != 127";
        12 "127.0.0.0/8 is answered": "first != 0 && first != 127" => "first != 0";
        12 "224.0.0.0/3 is answered": "&& first < 224" => "";
        12 "ff00::/8 is answered": "top != 0xff && words[0] != 0" => "words[0] != 0";
        12 "::/32 is answered": "top != 0xff && words[0] != 0" => "top != 0xff";
    }
    "may_have_error" {
        12 "who shares a budget of ICMP errors is known to everybody":
            "env.errors_key()" => "[0; 2]";
        12 "a source has seven ICMP errors at once":
            "(BURST - 1) * INTERVAL" => "BURST * INTERVAL";
        12 "ICMP errors are used up for good":
            "let from = if rested > now { rested } else { now };"
            => "let from = if rested > 0 { rested } else { now };";
        12 "what is left without an answer is not counted":
            "env.count(Counter::RejectLimited);" => "";
    }
    "reset_to" {
        12 "a reset to an ACK has no sequence number":
            "return (ack, 0, TcpFlags::RST);" => "return (0, 0, TcpFlags::RST);";
        12 "a reset does not acknowledge the SYN":
            "seq.wrapping_add(bit(TcpFlags::SYN))" => "seq";
        12 "a reset does not acknowledge the FIN":
            ".wrapping_add(bit(TcpFlags::FIN)).wrapping_add(length)" => ".wrapping_add(length)";
        12 "a reset does not acknowledge the data":
            ".wrapping_add(length);" => ";";
        12 "a reset has no ACK":
            "(0, end, TcpFlags::RST | TcpFlags::ACK)" => "(0, end, TcpFlags::RST)";
    }
    "reset" {
        12 "a reset keeps the ECN bits":
            "traffic_class(frame, packet)? & !3" => "traffic_class(frame, packet)?";
        12 "a reset comes from another port":
            "put16(tcp, 0, packet.dport);" => "put16(tcp, 0, packet.sport);";
        12 "a reset goes to another port":
            "put16(tcp, 2, packet.sport);" => "put16(tcp, 2, packet.dport);";
        12 "a reset has no checksum":
            "put16(tcp, 16, sum);" => "";
        12 "a reset may be fragmented":
            "(0, DONT_FRAGMENT)" => "(0, 0)";
        12 "an answer shows the packet's octets behind it":
            "if padded > length {" => "if false {";
        12 "an answer is shorter than a frame may be":
            "if ip >= ETHERNET && length < SHORTEST { SHORTEST } else { length }" => "length";
    }
    "turn_around" {
        12 "an answer goes to this host's MAC":
            "put8(macs, index, h.octet(index + 6));" => "put8(macs, index, h.octet(index));";
        12 "an answer comes from the other host's MAC":
            "put8(macs, index + 6, h.octet(index));" => "put8(macs, index + 6, h.octet(index + 6));";
        12 "an error loses its VLAN tags":
            "at < ETHERNET + 8 && at < link" => "at < ETHERNET && at < link";
    }
    "unreachable" {
        12 "an error over IPv4 says that the host is unreachable":
            "0x0303" => "0x0301";
        12 "an error over IPv6 says that no route leads there":
            "0x0104" => "0x0100";
        12 "an error quotes more than it may":
            "let quote = if all > room { room } else { all };" => "let quote = all;";
        12 "an error has no checksum":
            "put16(icmp, 2, sum);" => "";
        12 "an error over IPv4 has no identification":
            "let fragment = (sender.id, 0);" => "let fragment = (0, 0);";
    }
    "error_class" {
        12 "an error does not have the precedence of network control":
            "class & 0x1e | 0xc0" => "class & 0x1e";
    }
    "ipv4" {
        12 "an answer over IPv4 has another time to live":
            "put8(h, 8, ttl);" => "put8(h, 8, 255);";
        12 "an answer over IPv4 comes from who asked":
            "put_word(h, 12, packet.dst.words()[3]);" => "put_word(h, 12, packet.src.words()[3]);";
        12 "an IPv4 header of an answer has no checksum":
            "put16(h, 10, sum);" => "";
    }
    "ipv6" {
        12 "an answer over IPv6 has another hop limit":
            "put8(h, 7, sender.hop_limit);" => "put8(h, 7, 255);";
        12 "an answer over IPv6 comes from who asked":
            "put_word(h, 8 + index * 4, dst[index]);" => "put_word(h, 8 + index * 4, src[index]);";
    }
    "flow_label" {
        12 "an answer over IPv6 has no flow label":
            "(hash ^ hash >> 15) & 0xf_ffff" => "(hash ^ hash >> 15) & 0";
    }
};
