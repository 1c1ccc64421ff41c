//! The ports that are scanned.

use super::row::Transport;
use crate::lab::SSH_PORT;

/// The ports that a scan looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// With a server, behind the gate.
    pub protected: u16,
    /// With a server, open to all.
    pub open: u16,
    /// With nothing.
    pub closed: u16,
}

impl Ports {
    /// Those of a protocol.
    #[must_use]
    pub const fn of(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self { protected: SSH_PORT, open: 2080, closed: 2081 },
            Transport::Udp => Self { protected: 5000, open: 5080, closed: 5081 },
        }
    }

    /// All three, in this order.
    #[must_use]
    pub const fn all(self) -> [u16; 3] {
        [self.protected, self.open, self.closed]
    }
}
