//! The rules as the kernel reads them: what a config becomes. They travel with the program, so a
//! reload never changes them under a packet. A zeroed slot of any of them means "not configured".

use crate::abi::flags::FlagTest;
use crate::abi::grant::Prefix;
use crate::abi::protocol::Transport;
use crate::addr::Addr;

/// Doors that one source can be under way in at once. Doors that one packet starts, or that can
/// be under way together, are given different slots when a config is compiled.
pub const SLOTS: usize = 8;
/// Doors in one config: as many as six bits of an attempt can name.
pub const MAX_DOORS: usize = 64;
/// Steps in one sequence: one bit each in [`Knock::steps`], and knockd's own limit.
pub const MAX_STEPS: usize = 32;
/// Services in one config.
pub const MAX_SERVICES: usize = 64;
/// Octets of a door's or service's name.
pub const MAX_NAME: usize = 32;
/// Different grant prefix lengths per service and family: one hash look-up each.
pub const MAX_PREFIXES: usize = 4;
/// Different knock ports, as many as 64 doors of 32 steps can name.
pub const MAX_KNOCKS: usize = MAX_DOORS * MAX_STEPS;

/// What the ports of one number are, TCP and UDP. Indexed by port number: one array look-up
/// classifies a packet.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PortRoles {
    /// The role of the TCP port.
    pub tcp: PortRole,
    /// The role of the UDP port.
    pub udp: PortRole,
}

impl PortRoles {
    /// The role for one transport.
    #[inline(always)]
    #[must_use]
    pub const fn of(self, transport: Transport) -> PortRole {
        match transport {
            Transport::Tcp => self.tcp,
            Transport::Udp => self.udp,
        }
    }
}

/// The role of one port, in 16 bits: nothing, a knock port, a protected port, or a token port.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PortRole(u16);

/// A [`PortRole`] taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// None of our business.
    Unrelated,
    /// A step of some door; the index of its [`Knock`].
    Knock(u32),
    /// Protected; the index of its [`Service`].
    Protected(u32),
    /// Takes tokens.
    Token,
}

impl PortRole {
    /// None of our business: the zeroed slot.
    pub const UNRELATED: Self = Self(0);
    const PROTECTED: u16 = 0x8000;
    /// The role "takes tokens".
    pub const TOKEN: Self = Self(0x4000);

    /// The role "step of some door" with the index of the [`Knock`] (below [`MAX_KNOCKS`]).
    #[must_use]
    pub const fn knock(index: u16) -> Self {
        Self(index + 1)
    }

    /// The role "protected" with the index of the [`Service`] (below [`MAX_SERVICES`]).
    #[must_use]
    pub const fn protected(service: u16) -> Self {
        Self(Self::PROTECTED | service)
    }

    /// True if the port is none of our business.
    #[inline(always)]
    #[must_use]
    pub const fn is_unrelated(self) -> bool {
        self.0 == 0
    }

    /// Takes the role apart.
    #[inline(always)]
    #[must_use]
    pub const fn role(self) -> Role {
        if self.0 == 0 {
            Role::Unrelated
        } else if self.0 & Self::PROTECTED != 0 {
            Role::Protected((self.0 & !Self::PROTECTED) as u32)
        } else if self.0 == Self::TOKEN.0 {
            Role::Token
        } else {
            Role::Knock((self.0 - 1) as u32)
        }
    }
}

/// A set of protected ports.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    /// The name, zero-padded.
    pub name: Name,
    /// [`Name::tag`], the service's identity in grants across reloads; 0: not configured.
    pub tag: u32,
    /// Prefixes of grants to IPv4 sources, the host first, ended by [`Prefix::NONE`].
    pub prefixes_v4: [Prefix; MAX_PREFIXES],
    /// Prefixes of grants to IPv6 sources, the host first, ended by [`Prefix::NONE`].
    pub prefixes_v6: [Prefix; MAX_PREFIXES],
    /// 1: UDP traffic under a grant extends it.
    pub keepalive: u32,
}

impl Service {
    /// Prefixes of grants to sources of this one's family.
    #[inline(always)]
    #[must_use]
    pub const fn prefixes(&self, source: &Addr) -> &[Prefix; MAX_PREFIXES] {
        if source.is_v4() { &self.prefixes_v4 } else { &self.prefixes_v6 }
    }
}

/// What a completed door does.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Writes the grant.
    Open = 1,
    /// Removes the grant.
    Close = 2,
}

/// A knock sequence, without the ports: those stand in [`Knock`], indexed by what arrives.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Door {
    /// The name, zero-padded.
    pub name: Name,
    /// [`Name::tag`], the door's identity in events and grants.
    pub tag: u32,
    /// Twelve bits over the whole definition: an attempt of a door that a reload changed is dead.
    pub check: u16,
    /// Number of steps, 1 to [`MAX_STEPS`]; 0: not configured, or shut, having no sequence left.
    pub steps: u8,
    /// An [`Action`] as its number.
    pub action: u8,
    /// Index of the service.
    pub service: u16,
    /// Which slot of a source's [`crate::abi::attempt::Attempts`] this door uses.
    pub slot: u8,
    /// What the flags of a TCP knock must be.
    pub flags: FlagTest,
    /// For `status`: 1 with a start command, 2 with a stop command, 3 with both.
    pub hooks: u8,
    /// For `status`: one-time sequences left when the rules were loaded, that in force among them.
    pub left: u16,
    /// What a grant to an IPv4 source covers.
    pub prefix_v4: Prefix,
    /// What a grant to an IPv6 source covers.
    pub prefix_v6: Prefix,
    /// The only destination address that counts, or [`Addr::ANY`].
    pub target: Addr,
    /// Time for the whole sequence from its first knock, in [`crate::abi::attempt::Ticks`].
    pub seq_ticks: u64,
    /// How long a grant lasts, in ns; 0: for good.
    pub cmd_timeout: u64,
    /// Its sequence as a number if that is good for one time only; 0: for any number of times.
    pub once: u64,
}

impl Door {
    /// True for a close door.
    #[inline(always)]
    #[must_use]
    pub const fn closes(&self) -> bool {
        self.action == Action::Close as u8
    }

    /// When a grant written at `now` ends.
    #[inline(always)]
    #[must_use]
    pub const fn grant_end(&self, now: u64) -> u64 {
        if self.cmd_timeout == 0 { crate::abi::grant::FOR_GOOD } else { now.saturating_add(self.cmd_timeout) }
    }
}

/// What one knock port means to every door.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Knock {
    /// Doors whose step 1 this port is, as index + 1, 0-terminated. No two use the same slot.
    pub starts: [u8; SLOTS],
    /// For each door the steps that this port is, bit 0 for step 1.
    pub steps: [u32; MAX_DOORS],
}

impl Knock {
    /// A port that is no step of any door.
    pub const NONE: Self = Self { starts: [0; SLOTS], steps: [0; MAX_DOORS] };
}

/// A name of at most [`MAX_NAME`] octets, zero-padded.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name([u8; MAX_NAME]);

impl Name {
    /// The empty name.
    pub const EMPTY: Self = Self([0; MAX_NAME]);

    /// Takes a name; `None` if it is empty or longer than [`MAX_NAME`] octets.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > MAX_NAME {
            return None;
        }
        let mut octets = [0; MAX_NAME];
        octets[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self(octets))
    }

    /// The name as text; empty if the octets are not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&octet| octet == 0).unwrap_or(MAX_NAME);
        core::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }

    /// A number for the name that is the same in every load: FNV-1a, never 0.
    #[must_use]
    pub fn tag(&self) -> u32 {
        crate::hash::fnv1a(self.as_str().as_bytes()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_comes_back_as_it_went_in() {
        assert_eq!(PortRole::default().role(), Role::Unrelated);
        for index in [0, 1, MAX_KNOCKS as u16 - 1] {
            assert_eq!(PortRole::knock(index).role(), Role::Knock(u32::from(index)));
        }
        for index in [0, MAX_SERVICES as u16 - 1] {
            assert_eq!(PortRole::protected(index).role(), Role::Protected(u32::from(index)));
        }
        assert_eq!(PortRole::TOKEN.role(), Role::Token);
    }

    #[test]
    fn names_keep_their_text_and_their_limit() {
        let long = "x".repeat(MAX_NAME);
        assert_eq!(Name::new(&long).unwrap().as_str(), long);
        assert_eq!(Name::new("ssh2").unwrap().as_str(), "ssh2");
        assert!(Name::new("").is_none());
        assert!(Name::new(&"x".repeat(MAX_NAME + 1)).is_none());
    }
}
