//! From the start of a program until it guards, and how large it is.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::bench::figure::mib;
use crate::bench::peers::{Kind, build};
use crate::bench::plan::Plan;
use crate::bench::rounds::Rounds;
use crate::bench::sheet::Sheet;

pub(super) fn measure(plan: Plan<'_>, kinds: &[Kind], sheet: &mut Sheet) -> Result<()> {
    let (mut start, mut binary) = (Rounds::default(), Rounds::default());
    for _ in 0..plan.rounds() {
        for &kind in kinds {
            kind.record(&mut start, kind.start()?.took().as_secs_f64() * 1e3);
        }
    }
    for &kind in kinds {
        kind.record(&mut binary, mib(fs::metadata(program(kind)?)?.len()));
    }
    sheet.add(start.figure("daemon.start", "ms"));
    sheet.add(
        binary.exact().figure("daemon.binary", "MiB").note("ours is one program for everything, and links no libpcap"),
    );
    Ok(())
}

fn program(kind: Kind) -> Result<PathBuf> {
    let name = match kind {
        Kind::Knockd => "knockd",
        Kind::Fwknop => "fwknopd",
        _ => return build(kind),
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|dir| dir.join(name));
    candidates.find(|path| path.is_file()).with_context(|| format!("no {name}"))
}
