//! What the answer of a closed port takes from its interface: MAC, time to live, hop limit.

use std::fs;

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, MapData};
use knock_common::layout::{Place, name};

use super::interfaces::Interface;
use super::load::Program;
use super::plain::Plain;

/// What both families start with where nothing is set.
const DEFAULT_HOPS: u8 = 64;

/// Tells the program of the interface, or tells it anew after its MAC has changed.
///
/// # Errors
///
/// Of bpf(2).
pub fn put(program: &mut Program, interface: &Interface) -> Result<()> {
    let mut places: HashMap<&mut MapData, u32, Plain<Place>> = program.map(name::PLACES).try_into()?;
    places.insert(interface.index, Plain(of(interface)), 0).context("map PLACES")
}

fn of(interface: &Interface) -> Place {
    Place {
        mac: interface.mac,
        ttl: hops("/proc/sys/net/ipv4/ip_default_ttl"),
        hop_limit: hops(&format!("/proc/sys/net/ipv6/conf/{}/hop_limit", interface.name)),
    }
}

/// A host without the family has no such file, and sends no such answer.
fn hops(path: &str) -> u8 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_HOPS)
}
