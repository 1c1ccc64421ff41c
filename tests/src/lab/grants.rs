//! The pinned table of grants, filled as thousands of knocks would fill it.

use std::net::Ipv6Addr;
use std::ops::Range;
use std::os::fd::AsFd as _;

use anyhow::{Context, Result, ensure};
use aya::maps::MapData;
use knock_common::abi::grant::{Grant, GrantKey, HOST_BITS, Origin, Prefix};
use knock_common::abi::rules::Name;
use knock_common::addr::Addr;
use knock_user::kernel::{boot_now, write_elements};

use crate::kernel::Plain;

const PIN: &str = "/sys/fs/bpf/knock/GRANTS";

/// The source with this number, of the range for documentation.
#[must_use]
pub fn source(number: u32) -> Ipv6Addr {
    Ipv6Addr::from(0x2001_0db8_00aa_0000_0000_0000_0000_0000_u128 + u128::from(number))
}

/// Writes grants for the sources with these numbers and a service, by the door of the lab, that end after `seconds`.
///
/// # Errors
///
/// If there is no gate, or no room.
pub fn fill(service: &str, numbers: Range<u32>, seconds: u64) -> Result<()> {
    let map = MapData::from_pin(PIN).context(PIN)?;
    let (info, sizes) = (map.info()?, (size_of::<GrantKey>(), size_of::<Grant>()));
    let other = (info.key_size() as usize, info.value_size() as usize);
    ensure!(other == sizes, "{PIN} has keys and values of {other:?} octets, and grants are of {sizes:?}");
    let (now, door) = (boot_now(), name("opencloseSSH")?.tag());
    let tag = name(service)?.tag();
    let key = |number| {
        let source = Addr::from_v6(source(number).octets());
        Plain(GrantKey::new(tag, &source, &Prefix::new(HOST_BITS)))
    };
    let grant = Grant::new(now + seconds * 1_000_000_000, now, 0, door, Origin::Knock);
    let keys: Vec<_> = numbers.map(key).collect();
    let values = vec![Plain(grant); keys.len()];
    write_elements(map.fd().as_fd(), &keys, &values).with_context(|| format!("{} grants cannot be written", keys.len()))
}

fn name(text: &str) -> Result<Name> {
    Name::new(text).context("a name that is too long")
}
