//! By what a config file is known again: whether it is the one that the rules in force came from.

use std::io;
use std::path::Path;

use knock_common::hash::fnv1a_64;

/// The hash of a file: a slip or an edit is seen; nobody is held off by it, and it lies where the file itself could lie.
///
/// # Errors
///
/// If it cannot be read, or is no file.
pub fn of_file(path: &Path) -> io::Result<u64> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    Ok(fnv1a_64(&super::read(path)?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_has_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of_file(folder.path()).is_err());
        assert_eq!(of_file(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
