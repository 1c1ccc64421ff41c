//! Section `growth`: what a packet costs as the tables grow, beside a program that only passes. Frames come from
//! one source, whose part of the tables the processor has at hand, or from many, whose part it has not.

mod attempts;
mod grants;
mod rules;
mod sources;

use std::net::IpAddr;

use anyhow::Result;

use super::plan::Plan;
use super::sheet::Sheet;
use crate::kernel;
use crate::lab::Lab;
use crate::packet::{SERVER_V4, SERVER_V6};

/// Measures.
pub(super) fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let addresses: [IpAddr; 2] = [SERVER_V4.into(), SERVER_V6.into()];
    // Gates stand on its server until they have their programs.
    let _lab = Lab::new()?;
    kernel::alone(&addresses, || {
        grants::measure(plan, sheet)?;
        rules::measure(plan, sheet)?;
        attempts::measure(plan, sheet)
    })
}
