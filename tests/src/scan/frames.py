"""Sends packets that were put together by hand, and says what came back.

frames.py INTERFACE MAC SOURCE SERVER OTHER-PORT

Reads lines `CASE PORT SECONDS`, sends the packets of the case to the port, and writes one line for each: what the
server answered, or `silent`. OTHER-PORT is one that nobody protects: overlapping fragments begin with it.
"""

import logging
import random
import socket
import sys
import time

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import (IP, TCP, UDP, ICMP, IPOption_LSRR, IPOption_NOP, IPOption_RR,
                               IPOption_Router_Alert, IPOption_SSRR, fragment, overlap_frag)
from scapy.layers.inet6 import (IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
                                IPv6ExtHdrSegmentRouting, PadN, HBHOptUnknown, fragment6)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

interface, mac, source, server, other = sys.argv[1:6]
other = int(other)
V6 = ":" in server
OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)]


def ip(**fields):
    fields = {"src": source, "dst": server, **fields}
    return IPv6(**fields) if V6 else IP(**fields)


def syn(own, port, flags="S", options=OPTIONS):
    return TCP(sport=own, dport=port, flags=flags, seq=random.getrandbits(32), options=options)


def udp(own, port, length=5):
    return UDP(sport=own, dport=port) / Raw(b"k" * length)


def cut(layer, own, port, *pieces):
    """Fragments of one packet: each piece is (offset in octets, octets, more follow)."""
    number = random.getrandbits(16)
    protocol = 17 if isinstance(layer, UDP) else 6
    if V6:
        return [ip() / IPv6ExtHdrFragment(nh=protocol, offset=at // 8, m=int(more), id=number) / Raw(data)
                for at, data, more in pieces]
    return [ip(id=number, flags="MF" if more else 0, frag=at // 8, proto=protocol) / Raw(data)
            for at, data, more in pieces]


def octets(layer):
    """The layer as it is on the wire, with its checksum."""
    packet = ip() / layer
    whole = bytes(packet)
    return whole[40:] if V6 else whole[20:]


def split(layer, own, port, size):
    data = octets(layer)
    return cut(layer, own, port, *[(at, data[at:at + size], at + size < len(data)) for at in range(0, len(data), size)])


def by_scapy(layer, size, number=None):
    """The same by scapy's own fragment() and fragment6(): so many octets of the layer in each."""
    number = random.getrandbits(16) if number is None else number
    if V6:
        # The size is that of the packet: both headers count.
        return fragment6(ip() / IPv6ExtHdrFragment(id=number) / layer, 40 + 8 + size)
    return fragment(ip(id=number) / layer, size)


def asked_and_decoy(own, port, decoy_port, flags="S"):
    """Two segments of a length that differ in what a gate looks at."""
    long = [("NOP", None)] * 36
    asked, decoy = syn(own, port, options=long), syn(own, decoy_port, flags, long)
    decoy.seq = asked.seq
    return asked, decoy


def overlapping_by_scapy(own, port):
    """The first of scapy's fragments to a port that nobody protects, and behind it all to the port that is meant."""
    asked, decoy = asked_and_decoy(own, port, other)
    number = random.getrandbits(16)
    return by_scapy(decoy, 24, number)[:1] + by_scapy(asked, 24, number)


def overlap_frag_of_scapy(own, port):
    """The same by scapy's own overlap_frag(), which has IPv4 only."""
    asked, decoy = asked_and_decoy(own, port, other)
    # Raw octets do not say what they are of, and fragments of another protocol are of another packet.
    packet = ip(id=random.getrandbits(16), proto=6) / asked
    return overlap_frag(packet, Raw(octets(decoy)[:24]), 24)


def overlapping(own, port, what):
    """A segment to a port that nobody protects, parts of which are then said to be others."""
    asked, decoy = asked_and_decoy(own, port, port, "A") if what == "flags" else asked_and_decoy(own, port, other)
    new, old = octets(asked), octets(decoy)
    size = len(new)
    pieces = {
        # The whole beginning again, with the port that is meant.
        "port": [(0, old[:24], True), (0, new[:24], True), (24, new[24:], False)],
        "port-reversed": [(24, new[24:], False), (0, old[:24], True), (0, new[:24], True)],
        # RFC 3128: the flags again, from a fragment at 8 octets.
        "flags": [(0, old[:16], True), (8, new[8:], False)],
        # Beyond the flags.
        "tail": [(0, new[:32], True), (16, new[16:], False)],
        # The last one covers all of it.
        "all": [(16, new[16:32], True), (24, new[24:], False), (0, new, True)],
    }[what]
    assert size == 56
    return cut(asked, own, port, *pieces)


def chain(*headers):
    """Extension headers before a SYN."""
    def packets(own, port):
        packet = ip()
        for header in headers:
            packet = packet / header.copy()
        return [packet / syn(own, port)]
    return packets


def v4_options(*options):
    return lambda own, port: [ip(options=list(options)) / syn(own, port)]


def destination(*options):
    return IPv6ExtHdrDestOpt(options=list(options))


def unknown(kind):
    return destination(HBHOptUnknown(otype=kind, optlen=2, optdata=b"\0\0"))


PAD = PadN(optdata=b"\0\0\0\0")
GATEWAY = "192.0.2.1"
CASES = {
    "syn": lambda own, port: [ip() / syn(own, port)],
    "last-hop": lambda own, port: [ip(**{"hlim" if V6 else "ttl": 1}) / syn(own, port)],
    "syn-data": lambda own, port: [ip() / syn(own, port) / Raw(b"early")],
    "fast-open": lambda own, port: [ip() / syn(own, port, options=[("TFO", (0x01020304, 0x05060708))]) / Raw(b"GET /")],
    "wrong-checksum": lambda own, port: [ip() / TCP(sport=own, dport=port, flags="S", chksum=0x1234)],
    "evil-bit": lambda own, port: [ip(flags="evil") / syn(own, port)],
    "short-total": lambda own, port: [ip(len=30) / syn(own, port)],
    "long-total": lambda own, port: [ip(len=200) / syn(own, port)],
    "tiny": lambda own, port: split(syn(own, port), own, port, 8),
    "tiny-reversed": lambda own, port: split(syn(own, port), own, port, 8)[::-1],
    "split": lambda own, port: split(syn(own, port), own, port, 24),
    "split-reversed": lambda own, port: split(syn(own, port), own, port, 24)[::-1],
    "split-twice": lambda own, port: [one for one in split(syn(own, port), own, port, 24) for _ in range(2)],
    "split-first-only": lambda own, port: split(syn(own, port), own, port, 24)[:1],
    "split-rest-only": lambda own, port: split(syn(own, port), own, port, 24)[1:],
    "fragment": lambda own, port: by_scapy(syn(own, port), 24),
    "fragment-reversed": lambda own, port: by_scapy(syn(own, port), 24)[::-1],
    "fragment-tiny": lambda own, port: by_scapy(syn(own, port), 8),
    "fragment-overlap": overlapping_by_scapy,
    "overlap-frag": overlap_frag_of_scapy,
    "option-padding": v4_options(*[IPOption_NOP()] * 8),
    "option-record-route": v4_options(IPOption_RR(length=11, routers=["0.0.0.0"] * 2), IPOption_NOP()),
    "option-timestamp": v4_options(Raw(b"\x44\x08\x05\x00\0\0\0\0")),
    "option-loose-route": v4_options(IPOption_LSRR(routers=[GATEWAY]), IPOption_NOP()),
    "option-strict-route": v4_options(IPOption_SSRR(routers=[GATEWAY]), IPOption_NOP()),
    "option-router-alert": v4_options(IPOption_Router_Alert()),
    "option-cut": v4_options(Raw(b"\x07\x30\x04\x00")),
    "atomic": chain(IPv6ExtHdrFragment(id=7)),
    "atomic-twice": chain(IPv6ExtHdrFragment(id=7), IPv6ExtHdrFragment(id=8)),
    "hop-by-hop": chain(IPv6ExtHdrHopByHop(options=[PAD])),
    "destination": chain(destination(PAD)),
    "routing": chain(IPv6ExtHdrRouting(type=0, addresses=["2001:db8:7::7"], segleft=0)),
    "routing-on": chain(IPv6ExtHdrRouting(type=0, addresses=["2001:db8:7::7"], segleft=1)),
    "segment-routing": chain(IPv6ExtHdrSegmentRouting(addresses=[server], segleft=0, lastentry=0)),
    "chain": chain(IPv6ExtHdrHopByHop(options=[PAD]), destination(PAD), IPv6ExtHdrRouting(type=0, segleft=0),
                   IPv6ExtHdrFragment(id=9), destination(PAD)),
    "nine-headers": chain(*[destination(PAD)] * 9),
    "option-skip": chain(unknown(0x1e)),
    "option-discard": chain(unknown(0x5e)),
    "option-problem": chain(unknown(0x9e)),
    "no-next-header": lambda own, port: [ip(nh=59) / Raw(octets(syn(own, port)))],
    "mapped-source": lambda own, port: [ip(src="::ffff:192.0.2.2") / syn(own, port)],
    "mapped-destination": lambda own, port: [ip(dst="::ffff:192.0.2.1") / syn(own, port)],
    "flow-label": lambda own, port: [ip(fl=0xbeef, tc=0xff) / syn(own, port)],
    "udp": lambda own, port: [ip() / udp(own, port)],
    "udp-unsummed": lambda own, port: [ip() / UDP(sport=own, dport=port, chksum=0) / Raw(b"knock")],
    "udp-wrong-checksum": lambda own, port: [ip() / UDP(sport=own, dport=port, chksum=0x1234) / Raw(b"knock")],
    "udp-split": lambda own, port: split(udp(own, port, 64), own, port, 24),
    "udp-tiny": lambda own, port: split(udp(own, port, 64), own, port, 8),
    "udp-fragment": lambda own, port: by_scapy(udp(own, port, 64), 24),
    "udp-atomic": lambda own, port: [ip() / IPv6ExtHdrFragment(id=7) / udp(own, port)],
    "udp-short": lambda own, port: [ip() / UDP(sport=own, dport=port, len=7) / Raw(b"knock")],
}
for what in ["port", "port-reversed", "flags", "tail", "all"]:
    CASES["overlap-" + what] = lambda own, port, what=what: overlapping(own, port, what)


def answer_in(frame, own, port):
    """What the frame says, if it answers us."""
    if len(frame) < 42 or frame[6:12] != bytes.fromhex(mac.replace(":", "")):
        return None
    packet = Ether(frame).payload
    if (V6 and packet.name != "IPv6") or (not V6 and packet.name != "IP") or packet.src != server:
        return None
    ttl = packet.hlim if V6 else packet.ttl
    options = "" if V6 or packet.ihl == 5 else " options"
    if TCP in packet and not (ICMP in packet) and "ICMP" not in packet.payload.name:
        tcp = packet[TCP]
        return f"{tcp.flags} {ttl}{options}" if (tcp.sport, tcp.dport) == (port, own) else None
    if packet.payload.name == "UDP":
        return f"udp {ttl}{options}" if (packet[UDP].sport, packet[UDP].dport) == (port, own) else None
    # An error quotes what it is about: our ports are in it.
    ours = own.to_bytes(2, "big") + port.to_bytes(2, "big")
    message = frame[14 + (40 if V6 else packet.ihl * 4):]
    is_error = message[0] < 128 if V6 else message[0] in (3, 4, 5, 11, 12)
    protocol = packet.nh if V6 else packet.proto
    if protocol == (58 if V6 else 1) and is_error and ours in message:
        return f"icmp {message[0]}/{message[1]} {ttl}{options}"
    return None


def ask(case, port, patience):
    own = random.randrange(20000, 60000)
    frames = [bytes(Ether(src=own_mac, dst=mac) / packet) for packet in CASES[case](own, port)]
    wire.setblocking(False)
    while True:
        try:
            wire.recv(65535)
        except BlockingIOError:
            break
    wire.setblocking(True)
    for frame in frames:
        wire.send(frame)
    end = time.monotonic() + patience
    while (left := end - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            answer = answer_in(wire.recv(65535), own, port)
        except TimeoutError:
            break
        if answer:
            return answer
    return "silent"


wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind((interface, 0))
own_mac = ":".join(f"{octet:02x}" for octet in wire.getsockname()[4])
print("ready", flush=True)
for line in sys.stdin:
    case, port, patience = line.split()
    try:
        said = ask(case, int(port), float(patience))
    except Exception as error:
        said = f"error: {error!r}".replace("\n", " ")
    print(said, flush=True)
