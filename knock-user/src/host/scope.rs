//! Interfaces that link-local addresses belong to, by name and by index (RFC 4007).

use std::io::Result;
use std::os::unix::net::UnixDatagram;

use rustix::net::netdevice;

/// The index of an interface, by its name or by its index in figures.
///
/// # Errors
///
/// If there is none.
pub fn index_of(name: &str) -> Result<u32> {
    let socket = any()?;
    match (netdevice::name_to_index(&socket, name), name.parse()) {
        (Err(_), Ok(index)) => Ok(netdevice::index_to_name(&socket, index).map(|_| index)?),
        (found, _) => Ok(found?),
    }
}

/// The name of an interface; its index in figures, if it is gone.
#[must_use]
pub fn name_of(index: u32) -> String {
    let name = any().and_then(|socket| Ok(netdevice::index_to_name(socket, index)?));
    name.unwrap_or_else(|_| index.to_string())
}

/// The kernel wants some socket to be asked by.
fn any() -> Result<UnixDatagram> {
    UnixDatagram::unbound()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_found_by_name_and_by_index() {
        assert_eq!(index_of("lo").unwrap(), 1);
        assert_eq!(index_of("1").unwrap(), 1);
        assert_eq!(name_of(1), "lo");
        assert_eq!(name_of(u32::MAX), u32::MAX.to_string());
        for gone in ["nothing-here", "0", "4294967295", ""] {
            assert!(index_of(gone).is_err(), "{gone}");
        }
    }
}
