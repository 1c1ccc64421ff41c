//! The transports that have ports to gate.

/// Its IP protocol number.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// RFC 9293.
    Tcp = 6,
    /// RFC 768.
    Udp = 17,
}
