//! What the kernel keeps for the gate, by the size of the table of grants.

use anyhow::Result;

use super::standby::settle;
use crate::bench::figure::mib;
use crate::bench::peers::{Kind, Own};
use crate::bench::rounds::Rounds;
use crate::bench::sheet::Sheet;
use crate::lab::Config;
use crate::lab::figures;

const SIZES: [u32; 3] = [1_000, 65_536, 1_000_000];

pub(super) fn measure(ours: &[Kind], sheet: &mut Sheet) -> Result<()> {
    for size in SIZES {
        let (mut rounds, mut note) = (Rounds::default(), String::new());
        for &kind in ours {
            let own = Own::start(kind, &Config::lab().option("max_grants", &size.to_string()))?;
            let process = own.daemon.id();
            settle(process)?;
            let maps = figures::maps(process)?;
            kind.record(&mut rounds, mib(maps.values().sum()));
            if kind == Kind::Own {
                let largest = mib(maps.values().max().copied().unwrap_or_default());
                note = format!("{} maps, the largest {largest:.2} MiB, the standby program's included", maps.len());
            }
        }
        sheet.add(rounds.exact().figure(format!("daemon.maps.grants_{size}"), "MiB").note(note));
    }
    Ok(())
}
