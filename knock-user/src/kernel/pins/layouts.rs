//! Pins of another version: whether their grants can be taken over, and how their records become ours.

use std::fmt;
use std::mem::MaybeUninit;
use std::path::Path;

use anyhow::{Result, anyhow};
use aya::maps::{Array, Map, MapData, MapError};
use knock_common::abi::layout::{LAYOUT_VERSION, OLDEST_KNOWN, READABLE_FROM, name};

use crate::kernel::pod::InMap;
use crate::paths::Paths;

/// The layout of what is pinned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// This version's; also where nothing is pinned.
    Ours,
    /// Another one's, with grants that this version can take over.
    Known(u64),
    /// Another one's, of which nothing is known.
    Unknown(u64),
}

impl Layout {
    /// What the pins say of themselves.
    ///
    /// # Errors
    ///
    /// If the pin that says so is not what it should be.
    pub fn of(paths: &Paths) -> Result<Self> {
        let path = paths.map(name::LAYOUT);
        if !path.exists() {
            return Ok(Self::Ours);
        }
        let map = MapData::from_pin(&path).map_err(|error| unlike(&path, error))?;
        let words = map.info().map_err(|error| unlike(&path, error))?.max_entries();
        let Ok(array) = Array::<_, u64>::try_from(Map::Array(map)) else {
            return Err(foreign(&path, "is not an array of 64-bit words"));
        };
        let word = |index| array.get(&index, 0).map_err(|error| unlike(&path, error));
        Ok(Self::told(word(0)?, if words > 1 { word(1)? } else { 0 }))
    }

    /// By the version, and the oldest one that may read its grants; 0 if it does not say.
    const fn told(version: u64, readable_from: u64) -> Self {
        let older = version >= OLDEST_KNOWN && version < LAYOUT_VERSION;
        let newer = version > LAYOUT_VERSION && readable_from != 0 && readable_from <= LAYOUT_VERSION;
        match version {
            LAYOUT_VERSION => Self::Ours,
            _ if older || newer => Self::Known(version),
            _ => Self::Unknown(version),
        }
    }

    /// For commands, which work on our layout alone.
    ///
    /// # Errors
    ///
    /// If it is another one, with the remedy.
    pub fn need_ours(self, paths: &Paths) -> Result<()> {
        let place = paths.map(name::LAYOUT);
        match self {
            Self::Ours => Ok(()),
            Self::Known(version) => Err(anyhow!(
                "{}: is of layout {version}, this knockctl has layout {LAYOUT_VERSION}: restart the daemon (`systemctl \
                 restart knockctl`): this version then takes the gate over with its grants",
                place.display()
            )),
            Self::Unknown(version) => Err(unknown(&place, version)),
        }
    }
}

/// A layout that cannot be taken over.
pub fn unknown(path: &Path, version: u64) -> anyhow::Error {
    foreign(
        path,
        format!("is of layout {version}, this knockctl knows the layouts {OLDEST_KNOWN} to {LAYOUT_VERSION} only"),
    )
}

/// A pin that is not of this version, with what can be done.
pub fn foreign(path: &Path, what: impl fmt::Display) -> anyhow::Error {
    anyhow!(
        "{}: {what}: these pins are not of this version: the gate goes on as it is; install the version that made them \
         again, or take them away with `knockctl unload` (this ends grants, established connections go on)",
        path.display()
    )
}

/// A pin that is not what it should be, or that the kernel did not show: the first calls for another version, the
/// second for another try. (EACCES is what bpf(2) says of a file that is no pin.)
pub fn unlike(path: &Path, error: MapError) -> anyhow::Error {
    let error = anyhow!(error);
    let refused = |cause: &std::io::Error| {
        matches!(cause.raw_os_error(), Some(libc::ENOMEM | libc::EPERM | libc::EMFILE | libc::ENFILE | libc::EINTR))
    };
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(refused) {
        return error.context(format!("{}: cannot be looked at: try again", path.display()));
    }
    foreign(path, error)
}

/// A record of another layout as ours: fields that it has not are zero, fields that we do not know are
/// left out. See [`LAYOUT_VERSION`].
pub fn record<T: InMap>(octets: &[u8]) -> T {
    let mut value = MaybeUninit::<T>::zeroed();
    let length = octets.len().min(size_of::<T>());
    // SAFETY: both have at least that many octets, and do not overlap; any octets are a value, by `InMap`.
    unsafe {
        std::ptr::copy_nonoverlapping(octets.as_ptr(), value.as_mut_ptr().cast::<u8>(), length);
        value.assume_init()
    }
}

const _: () = assert!(OLDEST_KNOWN <= LAYOUT_VERSION && READABLE_FROM <= LAYOUT_VERSION && READABLE_FROM > 0);

#[cfg(test)]
mod tests {
    use aya::sys::SyscallError;
    use knock_common::abi::grant::Grant;

    use super::*;

    #[test]
    fn older_layouts_are_known_and_newer_ones_that_say_so() {
        const NEWER: u64 = LAYOUT_VERSION + 1;
        assert_eq!(Layout::told(LAYOUT_VERSION, READABLE_FROM), Layout::Ours);
        assert_eq!(Layout::told(OLDEST_KNOWN, 0), Layout::Known(OLDEST_KNOWN));
        assert_eq!(Layout::told(NEWER, LAYOUT_VERSION), Layout::Known(NEWER));
        assert_eq!(Layout::told(NEWER, NEWER), Layout::Unknown(NEWER));
        assert_eq!(Layout::told(NEWER, 0), Layout::Unknown(NEWER));
        assert_eq!(Layout::told(0, 0), Layout::Unknown(0));
    }

    #[test]
    fn a_pin_that_the_kernel_did_not_show_is_not_called_foreign() {
        let said = |number| {
            let io_error = std::io::Error::from_raw_os_error(number);
            format!("{:#}", unlike(Path::new("grants"), SyscallError { call: "bpf_obj_get", io_error }.into()))
        };
        for number in [libc::ENOMEM, libc::EPERM, libc::EMFILE] {
            assert!(said(number).starts_with("grants: cannot be looked at: try again: "));
        }
        assert!(said(libc::EACCES).contains("these pins are not of this version"));
    }

    #[test]
    fn a_longer_record_is_cut_and_a_shorter_one_filled_with_zeroes() {
        let mut octets: Vec<u8> = [7_u64, 5, 3].iter().flat_map(|word| word.to_ne_bytes()).collect();
        octets.extend([1_u32, 2].iter().flat_map(|word| word.to_ne_bytes()));
        let grant = Grant { until: 7, since: 5, window: 3, door: 1, origin: 2, ..Grant::NONE };
        assert_eq!(record::<Grant>(&octets), grant);
        assert_eq!(record::<Grant>(&octets[..24]), Grant { door: 0, origin: 0, ..grant });
        octets.resize(size_of::<Grant>(), 0);
        octets.extend([0xff; 8]);
        assert_eq!(record::<Grant>(&octets), grant);
    }
}
