//! What the kernel keeps for the gate, by the size of the table of grants.

use anyhow::Result;

use super::{mib, settle};
use crate::bench::peers::Own;
use crate::bench::{Plan, Rounds, Sheet};
use crate::lab::Config;
use crate::lab::figures;

const SIZES: [u32; 3] = [1_000, 65_536, 1_000_000];

pub(super) fn measure(_plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    for size in SIZES {
        let own = Own::start(&Config::lab().option("max_grants", &size.to_string()))?;
        let process = own.daemon.id();
        settle(process)?;
        let maps = figures::maps(process)?;
        let mut rounds = Rounds::default();
        rounds.own(mib(maps.values().sum()));
        let largest = maps.values().max().copied().unwrap_or_default();
        let note = format!("{} maps, the largest {:.2} MiB, the spare program's included", maps.len(), mib(largest));
        sheet.add(rounds.figure(format!("daemon.maps.grants_{size}"), "MiB").note(note));
    }
    Ok(())
}
