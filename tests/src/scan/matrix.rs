//! The matrix: every scan, and the words of its tool.
//!
//! What an open and a closed port look like is what this kernel makes of the scan, and is looked at in every scan
//! again: on ports of the same host that nobody protects.

use super::row::Tool::{Hping, Nmap, Scapy};
use super::row::{Row, Words};

const fn words(open: &'static str, closed: &'static str, silent: &'static str) -> Words {
    Words { open, closed, silent }
}

/// The stack says what is wrong with the packet, whatever its port.
const fn problem(error: &'static str) -> Words {
    words(error, error, "silent")
}

const FILTERED: &str = "filtered no-response";
const OPEN_OR_FILTERED: &str = "open|filtered no-response";
const RESET: &str = "closed reset 64";

/// A scan that asks for a connection.
const SYN: Words = words("open syn-ack 64", RESET, FILTERED);
const CONNECT: Words = words("open syn-ack", "closed conn-refused", FILTERED);
const ACK: Words = words("unfiltered reset 64", "unfiltered reset 64", FILTERED);
/// A segment of a connection that there is not: both ports reset.
const WINDOW: Words = words(RESET, RESET, FILTERED);
const MAIMON: Words = words(RESET, RESET, OPEN_OR_FILTERED);
/// A listener ignores what has neither SYN nor ACK nor RST.
const NULL: Words = words(OPEN_OR_FILTERED, RESET, OPEN_OR_FILTERED);
/// A listener ignores it, a scan for SYNs waits for an answer.
const IGNORED: Words = words(FILTERED, RESET, FILTERED);
/// Nobody answers to it.
const NOTHING: Words = words(FILTERED, FILTERED, FILTERED);
const UDP: Words = words("open udp-response 64", "closed port-unreach 64", OPEN_OR_FILTERED);
const UDP_NOTHING: Words = words(OPEN_OR_FILTERED, OPEN_OR_FILTERED, OPEN_OR_FILTERED);

/// The same for hping3 and scapy, which say what came.
const ANSWER: Words = words("SA 64", "RA 64", "silent");
/// A listener that speaks ECN (RFC 3168 6.1.1).
const ECN: Words = words("SAX 64", "RA 64", "silent");
/// The answer carries options of IPv4 back.
const WITH_OPTIONS: Words = words("SA 64 options", "RA 64 options", "silent");
const RESETS: Words = words("R 64", "R 64", "silent");
const IGNORES: Words = words("silent", "RA 64", "silent");
const SILENT: Words = words("silent", "silent", "silent");
/// A first fragment of IPv6 without the whole header of TCP (RFC 7112).
const INCOMPLETE: Words = problem("icmp 4/3 64");
const DATAGRAM: Words = words("udp 64", "icmp 3/3 64", "silent");
const HPING_DATAGRAM: Words = words("udp 64", "icmp 3/3", "silent");
const DATAGRAM_V6: Words = words("udp 64", "icmp 1/4 64", "silent");

/// All of it.
pub const ROWS: &[Row] = &[
    // The scans that nmap has a letter for.
    Row::new(Nmap, "-sS", SYN).quick(),
    Row::new(Nmap, "-sT", CONNECT).quick(),
    Row::new(Nmap, "-sA", ACK).quick(),
    Row::new(Nmap, "-sW", WINDOW).quick_v4(),
    Row::new(Nmap, "-sM", MAIMON).quick_v4(),
    Row::new(Nmap, "-sN", NULL).quick(),
    Row::new(Nmap, "-sF", NULL).quick_v4(),
    Row::new(Nmap, "-sX", NULL).quick(),
    Row::new(Nmap, "-sV", SYN).quick_v4(),
    Row::new(Nmap, "-sU", UDP).udp().quick(),
    // SYN with other flags, all and none.
    Row::new(Nmap, "-sS --scanflags SYNFIN", IGNORED).quick(),
    Row::new(Nmap, "-sS --scanflags SYNURG", SYN),
    Row::new(Nmap, "-sS --scanflags SYNPSH", SYN),
    Row::new(Nmap, "-sS --scanflags SYNPSHURG", SYN),
    Row::new(Nmap, "-sS --scanflags SYNRST", NOTHING),
    Row::new(Nmap, "-sS --scanflags SYNECECWR", SYN).quick(),
    Row::new(Nmap, "-sS --scanflags SYNACK", WINDOW),
    Row::new(Nmap, "-sS --scanflags 0", IGNORED),
    Row::new(Nmap, "-sS --scanflags URG", IGNORED),
    Row::new(Nmap, "-sS --scanflags PSH", IGNORED),
    Row::new(Nmap, "-sS --scanflags URGACKPSHRSTSYNFINECECWR", NOTHING),
    Row::new(Nmap, "-sA --scanflags RST", NOTHING),
    // Fragments, of which a segment with a second one at 8 octets passes nowhere.
    Row::new(Nmap, "-sS -f", NOTHING).v4().quick(),
    Row::new(Nmap, "-sS -f -f", SYN).v4().silent_if_rejected().quick(),
    Row::new(Nmap, "-sS --mtu 8", NOTHING).v4(),
    Row::new(Nmap, "-sS --mtu 24 --data-length 100", SYN).v4().silent_if_rejected(),
    Row::new(Nmap, "-sA -f -f", ACK).v4().silent_if_rejected(),
    Row::new(Nmap, "-sN -f -f", NULL).v4().silent_if_rejected(),
    Row::new(Nmap, "-sU -f --data-length 100", UDP).v4().udp().silent_if_rejected(),
    // What hides who asks, or what is asked.
    Row::new(Nmap, "-sS --badsum", NOTHING).v4().quick(),
    Row::new(Nmap, "-sU --badsum", UDP_NOTHING).v4().udp(),
    Row::new(Nmap, "-sS -D 192.0.2.77,ME,192.0.2.78", SYN).v4().quick(),
    Row::new(Nmap, "-sS -D 198.51.100.77,203.0.113.9,ME", SYN).v4(),
    Row::new(Nmap, "-sS -D 2001:db8:1::77,ME,2001:db8:9::78", SYN).v6().quick(),
    Row::new(Nmap, "-sA -D 192.0.2.77,ME", ACK).v4(),
    Row::new(Nmap, "-sS -g 53", SYN).quick(),
    Row::new(Nmap, "-sS -g 80", SYN),
    Row::new(Nmap, "-sS -g 22", SYN),
    Row::new(Nmap, "-sS -g 2222", SYN),
    Row::new(Nmap, "-sA -g 80", ACK),
    Row::new(Nmap, "-sU -g 53", UDP).udp(),
    Row::new(Nmap, "-sS --ttl 1", SYN).v4(),
    Row::new(Nmap, "-sS --data-length 50", SYN),
    Row::new(Nmap, "-sN --data-length 50", NULL),
    Row::new(Nmap, "-sU --data-length 50", UDP).udp(),
    Row::new(Nmap, "-sS --ip-options R", SYN).v4(),
    Row::new(Nmap, "-sS --ip-options T", SYN).v4(),
    Row::new(Nmap, "-sS --ip-options L", NOTHING).v4().rejected(RESET).quick(),
    Row::new(Nmap, "-sS --ip-options S", NOTHING).v4().rejected(RESET),
    // Segments that no stack sends.
    Row::new(Hping, "-S", ANSWER).quick(),
    Row::new(Hping, "-A", RESETS),
    Row::new(Hping, "-F", IGNORES),
    Row::new(Hping, "-F -P -U", IGNORES),
    Row::new(Hping, "-S -F", IGNORES),
    Row::new(Hping, "-S -A", RESETS),
    Row::new(Hping, "-S -P -U", ANSWER),
    Row::new(Hping, "-S -R", SILENT),
    Row::new(Hping, "-X -Y", IGNORES),
    Row::new(Hping, "-S -X -Y", ECN),
    Row::new(Hping, "-S -f -m 16 -d 64", ANSWER).silent_if_rejected().quick(),
    Row::new(Hping, "-S -f -m 8 -d 64", SILENT),
    Row::new(Hping, "-S -x", SILENT),
    Row::new(Hping, "-S -y", ANSWER),
    Row::new(Hping, "-S -O 15", SILENT).quick(),
    Row::new(Hping, "-S -O 4", SILENT),
    Row::new(Hping, "-S -O 0", SILENT),
    Row::new(Hping, "-S -b", SILENT).quick(),
    Row::new(Hping, "-S --tcp-timestamp", ANSWER),
    Row::new(Hping, "-S -s 0", ANSWER).quick(),
    Row::new(Hping, "-S -w 0", ANSWER),
    Row::new(Hping, "-S -M 0 -L 7", ANSWER),
    Row::new(Hping, "-S -d 100", ANSWER),
    Row::new(Hping, "-S -o 2e", ANSWER),
    Row::new(Hping, "-S -G", ANSWER),
    Row::new(Hping, "-2", HPING_DATAGRAM).udp(),
    Row::new(Hping, "-2 -d 100 -f -m 16", HPING_DATAGRAM).udp().silent_if_rejected(),
    Row::new(Hping, "-2 -b", SILENT).udp(),
    // Packets put together by hand: frames.py says how.
    Row::new(Scapy, "syn", ANSWER).quick(),
    Row::new(Scapy, "last-hop", ANSWER),
    Row::new(Scapy, "syn-data", ANSWER),
    Row::new(Scapy, "fast-open", ANSWER),
    Row::new(Scapy, "wrong-checksum", SILENT),
    Row::new(Scapy, "evil-bit", ANSWER).v4(),
    Row::new(Scapy, "short-total", SILENT).v4(),
    Row::new(Scapy, "long-total", SILENT).v4(),
    Row::new(Scapy, "tiny", SILENT).v4().quick(),
    Row::new(Scapy, "tiny", INCOMPLETE).v6().silent_if_rejected(),
    Row::new(Scapy, "tiny-reversed", SILENT).v4(),
    Row::new(Scapy, "tiny-reversed", INCOMPLETE).v6().silent_if_rejected(),
    Row::new(Scapy, "split", ANSWER).silent_if_rejected().quick(),
    Row::new(Scapy, "split-reversed", ANSWER).silent_if_rejected(),
    Row::new(Scapy, "split-twice", ANSWER).silent_if_rejected(),
    Row::new(Scapy, "split-first-only", SILENT),
    Row::new(Scapy, "split-rest-only", SILENT),
    Row::new(Scapy, "overlap-port", SILENT).quick(),
    Row::new(Scapy, "overlap-port-reversed", SILENT),
    Row::new(Scapy, "overlap-flags", SILENT).v4().quick(),
    Row::new(Scapy, "overlap-flags", INCOMPLETE).v6().silent_if_rejected(),
    Row::new(Scapy, "overlap-tail", SILENT),
    Row::new(Scapy, "overlap-all", SILENT),
    // The same by the fragment(), fragment6() and overlap_frag() of scapy.
    Row::new(Scapy, "fragment", ANSWER).silent_if_rejected().quick(),
    Row::new(Scapy, "fragment-reversed", ANSWER).silent_if_rejected(),
    Row::new(Scapy, "fragment-tiny", SILENT).v4(),
    Row::new(Scapy, "fragment-tiny", INCOMPLETE).v6().silent_if_rejected(),
    Row::new(Scapy, "fragment-overlap", SILENT).quick(),
    Row::new(Scapy, "overlap-frag", SILENT).v4(),
    Row::new(Scapy, "option-padding", ANSWER).v4(),
    Row::new(Scapy, "option-record-route", WITH_OPTIONS).v4().rejected("RA 64"),
    Row::new(Scapy, "option-timestamp", WITH_OPTIONS).v4().rejected("RA 64"),
    Row::new(Scapy, "option-loose-route", SILENT).v4().rejected("RA 64").quick(),
    Row::new(Scapy, "option-strict-route", SILENT).v4().rejected("RA 64"),
    Row::new(Scapy, "option-router-alert", ANSWER).v4(),
    Row::new(Scapy, "option-cut", problem("icmp 12/0 64")).v4().rejected("RA 64"),
    Row::new(Scapy, "atomic", ANSWER).v6().silent_if_rejected().quick(),
    Row::new(Scapy, "atomic-twice", problem("icmp 4/0 64")).v6().silent_if_rejected(),
    Row::new(Scapy, "hop-by-hop", ANSWER).v6().quick(),
    Row::new(Scapy, "destination", ANSWER).v6().quick(),
    Row::new(Scapy, "routing", ANSWER).v6(),
    Row::new(Scapy, "routing-on", problem("icmp 4/0 64")).v6().silent_if_rejected(),
    Row::new(Scapy, "segment-routing", SILENT).v6().rejected("RA 64"),
    Row::new(Scapy, "chain", ANSWER).v6().silent_if_rejected().quick(),
    Row::new(Scapy, "nine-headers", SILENT).v6(),
    Row::new(Scapy, "option-skip", ANSWER).v6(),
    Row::new(Scapy, "option-discard", SILENT).v6().rejected("RA 64"),
    Row::new(Scapy, "option-problem", problem("icmp 4/2 64")).v6().rejected("RA 64"),
    Row::new(Scapy, "no-next-header", SILENT).v6(),
    Row::new(Scapy, "mapped-source", SILENT).v6().quick(),
    Row::new(Scapy, "mapped-destination", SILENT).v6().quick(),
    Row::new(Scapy, "flow-label", ANSWER).v6(),
    Row::new(Scapy, "udp", DATAGRAM).v4().udp().quick(),
    Row::new(Scapy, "udp", DATAGRAM_V6).v6().udp().quick(),
    Row::new(Scapy, "udp-unsummed", DATAGRAM).v4().udp(),
    Row::new(Scapy, "udp-wrong-checksum", SILENT).udp(),
    Row::new(Scapy, "udp-split", DATAGRAM).v4().udp().silent_if_rejected(),
    Row::new(Scapy, "udp-split", DATAGRAM_V6).v6().udp().silent_if_rejected(),
    Row::new(Scapy, "udp-fragment", DATAGRAM).v4().udp().silent_if_rejected(),
    Row::new(Scapy, "udp-fragment", DATAGRAM_V6).v6().udp().silent_if_rejected(),
    Row::new(Scapy, "udp-tiny", DATAGRAM).v4().udp().silent_if_rejected(),
    Row::new(Scapy, "udp-tiny", DATAGRAM_V6).v6().udp().silent_if_rejected(),
    Row::new(Scapy, "udp-atomic", DATAGRAM_V6).v6().udp().silent_if_rejected(),
    Row::new(Scapy, "udp-short", SILENT).udp(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_has_every_kind_of_scan() {
        for kind in ["-sS", "-sT", "-sA", "-sW", "-sM", "-sN", "-sF", "-sX", "-sV", "-sU"] {
            let is_there = |row: &Row| row.tool == Nmap && row.args == kind && row.short().is_some();
            assert!(ROWS.iter().any(is_there), "{kind}");
        }
    }

    #[test]
    fn no_scan_is_there_twice() {
        for (index, row) in ROWS.iter().enumerate() {
            let is_same = |other: &&Row| {
                other.name() == row.name() && other.families.iter().any(|family| row.families.contains(family))
            };
            assert_eq!(ROWS[index..].iter().filter(is_same).count(), 1, "{}", row.name());
        }
    }
}
