//! What the cards of this host do by themselves, as ethtool(8) shows it.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};

use super::netlink::{Dump, attributes, nonsense};

/// The feature `rx-vlan-offload`: the card takes the tag of a VLAN off a frame, and hands it on beside that.
pub const TAKES_TAGS_OFF: &str = "rx-vlan-hw-parse";

/// `GENL_ID_CTRL`: the family that knows the others.
const CONTROL: u16 = 16;
/// `CTRL_CMD_GETFAMILY`, `CTRL_ATTR_FAMILY_ID`, `CTRL_ATTR_FAMILY_NAME`.
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// `ETHTOOL_MSG_FEATURES_GET`, and attributes of the answer.
const GET_FEATURES: u8 = 11;
const HEADER: u16 = 1;
const DEVICE: u16 = 1;
const ACTIVE: u16 = 4;
const BITS: u16 = 3;
const BIT: u16 = 1;
const NAME: u16 = 2;
/// A header that names no device, as an attribute: kernels like 6.1 want to have it.
const ALL_DEVICES: [u8; 4] = {
    let [low, high] = 4_u16.to_ne_bytes();
    let [kind, nested] = (HEADER | 0x8000).to_ne_bytes();
    [low, high, kind, nested]
};
/// `struct genlmsghdr`.
const GENERIC_HEADER: usize = 4;

/// The names of the features that are on, by the index of the interface.
///
/// # Errors
///
/// If the kernel cannot be asked (ethtool has netlink since Linux 5.6), or tells nonsense.
pub fn features() -> Result<BTreeMap<u32, Vec<String>>> {
    let families = ask(CONTROL, GET_FAMILY, &[], |body| {
        let is_it = find(body, FAMILY_NAME)?.is_some_and(|name| name == b"ethtool\0");
        Ok(find(body, FAMILY_ID)?.filter(|_| is_it).and_then(|id| Some(u16::from_ne_bytes(*id.first_chunk()?))))
    })?;
    let family = families.first().ok_or_else(|| Error::new(ErrorKind::Unsupported, "ethtool has no netlink here"))?;
    Ok(ask(*family, GET_FEATURES, &ALL_DEVICES, active)?.into_iter().collect())
}

/// What `read` makes of all answers to a question of a family, behind their header.
fn ask<T>(family: u16, command: u8, about: &[u8], read: impl Fn(&[u8]) -> Result<Option<T>>) -> Result<Vec<T>> {
    let body = [&[command, 1, 0, 0], about].concat();
    let dump = Dump { protocol: libc::NETLINK_GENERIC, question: family, answer: family, body: &body };
    dump.read(|body| read(body.get(GENERIC_HEADER..).ok_or_else(|| nonsense("an answer shorter than its header"))?))
}

/// The device that an answer is about, and what is on there.
fn active(body: &[u8]) -> Result<Option<(u32, Vec<String>)>> {
    let device = find(body, HEADER)?.map(|header| find(header, DEVICE)).transpose()?.flatten();
    let Some(device) = device.and_then(|index| index.first_chunk()) else { return Ok(None) };
    let mut names = Vec::new();
    if let Some(bits) = find(body, ACTIVE)?.map(|set| find(set, BITS)).transpose()?.flatten() {
        for bit in attributes(bits) {
            if let (BIT, bit) = bit?
                && let Some(name) = find(bit, NAME)?
            {
                names.push(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned());
            }
        }
    }
    Ok(Some((u32::from_ne_bytes(*device), names)))
}

/// The first attribute of a kind.
fn find(octets: &[u8], wanted: u16) -> Result<Option<&[u8]>> {
    for attribute in attributes(octets) {
        let (kind, value) = attribute?;
        if kind == wanted {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_features_of_the_loopback_device_are_known() {
        let features = features().unwrap();
        let loopback = features.get(&1).expect("it is always there");
        // It is nothing else, and has no card.
        assert!(loopback.iter().any(|name| name == "loopback"), "{loopback:?}");
        assert!(!loopback.iter().any(|name| name == TAKES_TAGS_OFF), "{loopback:?}");
    }

    #[test]
    fn an_answer_without_a_device_is_passed_over_and_a_broken_one_is_an_error() {
        assert_eq!(active(&[]).unwrap(), None);
        assert!(active(&[9, 0, 1, 0, 0]).is_err());
    }
}
