//! What floods: packets from as many forged sources as a network of /16 has.

use anyhow::Result;

use crate::bench::ground::forged;
use crate::bench::server::guarded;
use crate::lab::{Host, SSH_PORT, Volley};
use crate::packet::{ACK, PacketBuilder, SYN};

/// Their source port.
const FROM: u16 = 40_000;

/// SYNs to the guarded port.
pub fn syns() -> Result<Volley> {
    volley(|_, packet| packet.tcp(FROM, SSH_PORT, SYN))
}

/// By turns a SYN and an ACK to the guarded port, a SYN to a port on which nothing listens, and a datagram to one.
pub fn mixed() -> Result<Volley> {
    volley(|number, packet| {
        let closed = 20_000 + number % 10_000;
        match number % 4 {
            0 => packet.tcp(FROM, SSH_PORT, SYN),
            1 => packet.tcp(FROM, SSH_PORT, ACK),
            2 => packet.tcp(FROM, closed, SYN),
            _ => packet.udp(FROM, closed),
        }
    })
}

fn volley(packet: impl Fn(u16, PacketBuilder) -> PacketBuilder) -> Result<Volley> {
    let frame = |number| packet(number, PacketBuilder::between(forged(number), guarded().ip())).build();
    Volley::of(Host::Client, (0..=u16::MAX).map(frame))
}
