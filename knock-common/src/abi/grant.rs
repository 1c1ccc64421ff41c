//! Grants: one source's leave to reach one service until a time.

use crate::addr::Addr;

/// The end of a grant that has none.
pub const FOR_GOOD: u64 = u64::MAX;

/// A whole address as a prefix length over the mapped form.
pub const HOST_BITS: u32 = 128;

/// How much of a source's address a grant covers. Carries its mask, so that the kernel looks a grant
/// up without a branch for every possible length.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefix {
    mask: Addr,
    bits: u32,
}

impl Prefix {
    /// The zeroed prefix: not configured.
    pub const NONE: Self = Self { mask: Addr::ANY, bits: 0 };

    /// The first `bits` bits (1 to [`HOST_BITS`]) of the mapped form.
    #[must_use]
    pub fn new(bits: u32) -> Self {
        Self { mask: Addr::from_v6([0xff; 16]).masked(bits), bits }
    }

    /// Length in bits over the mapped form; 0 for [`Self::NONE`].
    #[inline(always)]
    #[must_use]
    pub const fn bits(&self) -> u32 {
        self.bits
    }
}

/// Key of the `GRANTS` map.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GrantKey {
    /// The source, masked to `bits`.
    pub source: Addr,
    /// The service's tag.
    pub service: u32,
    /// Prefix length over the mapped form; [`HOST_BITS`] for one address.
    pub bits: u32,
}

impl GrantKey {
    /// The key under which `source` is looked up with `prefix`.
    #[inline(always)]
    #[must_use]
    pub const fn new(service: u32, source: &Addr, prefix: &Prefix) -> Self {
        Self { source: source.and(&prefix.mask), service, bits: prefix.bits }
    }
}

/// How many windows traffic may keep a grant alive behind the last knock.
pub const KEEPALIVE_WINDOWS: u64 = 12;

/// Who wrote a grant.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A completed door, in the kernel.
    Knock = 1,
    /// `knockctl allow`.
    Command = 2,
    /// A token, in the kernel.
    Token = 3,
}

impl Origin {
    /// The origin with this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Knock),
            2 => Some(Self::Command),
            3 => Some(Self::Token),
            _ => None,
        }
    }
}

/// Value of the `GRANTS` map. Always replaced as a whole, never changed in place: a hash element
/// may be given to another key while a reader still holds it.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// End, boot time in ns; [`FOR_GOOD`] for none, 0 for not configured.
    pub until: u64,
    /// When it was first written, boot time in ns.
    pub since: u64,
    /// `cmd_timeout` in ns, by which keepalive extends; 0: does not extend.
    pub window: u64,
    /// Tag of the door, 0 if no door wrote it.
    pub door: u32,
    /// An [`Origin`] as its number.
    pub origin: u32,
    /// When a door or a command last wrote it, boot time in ns; 0 in grants of layouts before 5.
    pub renewed: u64,
    /// The key that wrote its end; 0 for none.
    pub key: u32,
    /// Tag of that key's user, or 0.
    pub user: u32,
    /// What the next version might add.
    #[cfg(feature = "layout-next")]
    pub added: u64,
}

impl Grant {
    /// A grant until `until`, first written at `since`, boot times in ns; `window` and `door` as in the fields.
    #[inline(always)]
    #[must_use]
    pub const fn new(until: u64, since: u64, window: u64, door: u32, origin: Origin) -> Self {
        Self {
            until,
            since,
            window,
            door,
            origin: origin as u32,
            renewed: since,
            key: 0,
            user: 0,
            #[cfg(feature = "layout-next")]
            added: 0x6e65_7874,
        }
    }

    /// No grant: a zeroed slot.
    pub const NONE: Self = Self {
        until: 0,
        since: 0,
        window: 0,
        door: 0,
        origin: 0,
        renewed: 0,
        key: 0,
        user: 0,
        #[cfg(feature = "layout-next")]
        added: 0,
    };

    /// Until when traffic may extend it at most: so many windows behind the last knock, since what extends it may be
    /// forged. In grants of layouts before 5 there was no such time.
    #[inline(always)]
    #[must_use]
    pub const fn kept_alive_until(&self) -> u64 {
        // More windows would be beyond the end of the clock; and BPF has no multiplication that says so.
        if self.renewed == 0 || self.window > FOR_GOOD / KEEPALIVE_WINDOWS {
            return FOR_GOOD;
        }
        self.renewed.saturating_add(self.window * KEEPALIVE_WINDOWS)
    }

    /// True until the end, to the nanosecond, whether or not anybody has swept it.
    #[inline(always)]
    #[must_use]
    pub const fn is_live(&self, now: u64) -> bool {
        self.until > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_grant_admits_nobody() {
        let zero = Grant::NONE;
        assert!(!zero.is_live(0));
        assert!(!zero.is_live(u64::MAX));
    }

    #[test]
    fn a_grant_ends_at_its_end() {
        let grant = Grant { until: 100, origin: 1, ..Grant::NONE };
        assert!(grant.is_live(99));
        assert!(!grant.is_live(100));
    }
}
