//! The gate as a host has it: stood up by `knockctl` of its build, whichever commit that is of. Its program is kept
//! when the daemon has gone and the gate is taken down, so that several stand beside each other, on nobody's way:
//! nobody reads what they tell, and no token for the log comes back, since the log takes a few denials a second and a
//! flood has millions.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::meter;
use super::peers::{Kind, Own};
use super::rounds::order;
use super::sheet::Sheet;
use crate::kernel::crowd::{Crowd, Face, source};
use crate::kernel::{Loaded, Run, XDP_PASS};
use crate::lab::{Config, Host};
use crate::packet::PacketBuilder;

/// A gate of ours.
pub(super) struct Gate {
    /// Whose figures are its.
    pub(super) kind: Kind,
    pub(super) program: Loaded,
}

impl Gate {
    /// Stands up the gate of a config, with grants for an hour for `holders`, and takes it off the lab's server again.
    ///
    /// # Errors
    ///
    /// If it does not stand, with what the daemon says.
    pub(super) fn stand(kind: Kind, config: &str, holders: &[IpAddr]) -> Result<Self> {
        let stand = || {
            let mut own = Own::start(kind, &Config(config.to_owned()))?;
            // Grants are not to be among what is forgotten.
            for holder in holders {
                own.tell(&["allow", &holder.to_string(), "--for", "1h"])?;
            }
            // What it does behind its start, and what it tells, is nobody's.
            own.daemon.kill()?;
            Loaded::by_id(attached("eth0")?)
        };
        let program = stand().with_context(|| format!("the gate of {}", kind.name()))?;
        Ok(Self { kind, program })
    }

    /// One of each of these builds, in another order each turn: where the kernel finds room depends on who came before.
    ///
    /// # Errors
    ///
    /// As [`Self::stand`].
    pub(super) fn of_each(kinds: &[Kind], turn: usize, config: &str, holders: &[IpAddr]) -> Result<Vec<Self>> {
        order(kinds.len(), turn).map(|index| Self::stand(kinds[index], config, holders)).collect()
    }

    /// The program.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.program.fd()
    }

    /// Lets the sources with these numbers in, by knocks alone: how another commit writes a grant only it knows.
    ///
    /// # Errors
    ///
    /// If one of them is not in afterwards.
    pub(super) fn let_in(
        &mut self,
        numbers: impl Iterator<Item = u32>,
        sequence: &[fn(Ipv4Addr) -> PacketBuilder],
        entry: fn(Ipv4Addr) -> PacketBuilder,
    ) -> Result<()> {
        /// So many are under way at once: far fewer than the table of attempts holds.
        const CHUNK: usize = 4096;
        let numbers: Vec<u32> = numbers.collect();
        for chunk in numbers.chunks(CHUNK) {
            // A crowd is a power of two of them; whoever knocks again is let in again.
            let crowd: Vec<u32> =
                (0..chunk.len().next_power_of_two()).map(|index| chunk[index % chunk.len()]).collect();
            for make in sequence {
                let faces: Vec<_> = crowd.iter().map(|&number| Face::of(&make(source(number)).build())).collect();
                let frame = make(source(0)).build();
                let crowd = Crowd::before(self.fd(), true, &frame, &faces)?;
                meter::mean(crowd.fd(), &frame, XDP_PASS, chunk.len() as u32)?;
            }
            self.program.take_events();
            for &number in chunk {
                let ran = Run::new(&entry(source(number)).build()).on(self.fd())?;
                ensure!(ran.action == XDP_PASS, "{}: {} is not in behind its knocks", self.kind.name(), source(number));
            }
        }
        Ok(())
    }
}

/// Those of these builds whose gates stand and do what `works` asks for. Of the other commit the sheet says why not.
///
/// # Errors
///
/// If the present one does not.
pub(super) fn usable(
    kinds: &[Kind],
    config: &str,
    holders: &[IpAddr],
    id: &str,
    sheet: &mut Sheet,
    works: impl Fn(&mut Gate) -> Result<()>,
) -> Result<Vec<Kind>> {
    let mut usable = Vec::new();
    for &kind in kinds {
        match Gate::stand(kind, config, holders).and_then(|mut gate| works(&mut gate)) {
            Ok(()) => usable.push(kind),
            Err(error) if kind == Kind::Before => sheet.cannot_compare(id, format!("{error:#}")),
            Err(error) => return Err(error),
        }
    }
    Ok(usable)
}

/// The number of the XDP program on an interface of the lab's server.
fn attached(interface: &str) -> Result<u32> {
    let links = Host::Server.must(&["ip", "-json", "-details", "link", "show", "dev", interface])?;
    let links: Value = serde_json::from_str(&links)?;
    let id = links[0]["xdp"]["prog"]["id"].as_u64();
    Ok(u32::try_from(id.with_context(|| format!("no XDP program on {interface}"))?)?)
}
