//! What a frame is that is no packet to judge by its port.

/// A frame that is not a TCP or UDP packet to judge by its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Other {
    /// Not IP, or not TCP or UDP: passes untouched.
    Foreign,
    /// A fragment other than the first: nothing without its first, passes.
    LaterFragment,
    /// A header that contradicts its own length, or ends before it should: denied.
    Malformed,
    /// More than two VLAN tags or eight extension headers: denied.
    TooDeep,
    /// A first fragment without the ports: denied.
    TinyFragment,
    /// A TCP fragment at offset 8, which could overwrite the flags (RFC 3128): denied.
    Overlap,
}
