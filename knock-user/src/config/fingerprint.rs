//! By what a config file is known again: whether it is the one that the rules in force came from.

use std::io;
use std::path::Path;

/// FNV-1a of 64 bits: a slip or an edit is seen; nobody is held off by it, and it lies where the file itself could lie.
#[must_use]
pub(super) fn of(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
}

/// The same of a file.
///
/// # Errors
///
/// If it cannot be read, or is no file.
pub fn of_file(path: &Path) -> io::Result<u64> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    Ok(of(&super::read(path)?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_counts() {
        // From the reference (draft-eastlake-fnv).
        assert_eq!(of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn what_is_no_file_has_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of_file(folder.path()).is_err());
        assert_eq!(of_file(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
