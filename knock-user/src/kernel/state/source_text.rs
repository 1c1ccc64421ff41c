//! Sources as people write them.

use std::net::IpAddr;

use knock_common::abi::grant::{GrantKey, HOST_BITS, Prefix};
use knock_common::addr::{Addr, V4_BEGINS};

use crate::host::scope;

/// The [site](Addr::site) of a source, as people write it.
#[must_use]
pub fn format_site(source: Addr) -> String {
    format_source(source.site(), if source.is_v4() { HOST_BITS } else { 64 })
}

/// A source and its prefix length over the mapped form, as people write it: a link-local one with its interface.
#[must_use]
pub fn format_source(source: Addr, bits: u32) -> String {
    format_source_as(source, bits, scope::name_of)
}

/// What a prefix length over the mapped form covers of a source, as people write it.
#[must_use]
pub fn format_network(source: Addr, bits: u32) -> String {
    format_source(GrantKey::new(0, &source, &Prefix::new(bits)).source, bits)
}

/// The same as [`format_source`] with another name of an interface, by its index.
#[must_use]
pub fn format_source_as(source: Addr, bits: u32, name: impl FnOnce(u32) -> String) -> String {
    let mut ip = IpAddr::from(source).to_string();
    if source.interface() != 0 {
        ip = format!("{ip}%{}", name(source.interface()));
    }
    if bits == HOST_BITS || bits == 0 {
        return ip;
    }
    let is_ipv4 = source.is_v4();
    format!("{ip}/{}", if is_ipv4 { bits.saturating_sub(V4_BEGINS) } else { bits })
}
