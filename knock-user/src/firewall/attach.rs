//! Links: one pinned link per interface, taken over where it stands, never detached to be replaced.

use std::fs;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpLink, XdpLinkId};
use aya::programs::{self, ProgramError};
use log::warn;

use super::interfaces::{self, Interface, XdpMode};
use super::load::Program;
use super::pins::Paths;
use super::sys;
use crate::config::Mode;

/// The gate on one interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attached {
    /// The interface's name.
    pub name: String,
    /// Where the program runs.
    pub mode: XdpMode,
}

/// Refuses interfaces that carry another XDP program, by its name.
///
/// # Errors
///
/// Names the program that is there.
pub fn refuse_foreign(paths: &Paths, interfaces: &[Interface]) -> Result<()> {
    for interface in interfaces {
        let Some((id, _)) = interface.xdp else { continue };
        if link_program(paths, &interface.name) != Some(id) {
            bail!(
                "{0}: another XDP program is there: {1} (id {id}); detach it (`ip link set dev {0} xdp off`, or the \
                 program that put it there), or leave {0} out of options.interfaces",
                interface.name,
                program_name(id)
            );
        }
    }
    Ok(())
}

/// Gives every interface the new program: new links first, since only they can fail for reasons
/// that lie outside; then each standing link is moved to the new program at once.
pub fn attach(paths: &Paths, interfaces: &[Interface], mode: Mode, program: &mut Program) -> Result<Vec<Attached>> {
    let (standing, new): (Vec<_>, Vec<_>) = interfaces.iter().partition(|interface| is_standing(paths, interface));
    let mut made = Vec::new();
    for interface in new {
        if let Err(error) = attach_new(paths, interface, mode, program) {
            for name in made {
                let _ = release(paths, name);
            }
            return Err(error);
        }
        made.push(&interface.name);
    }
    for interface in standing {
        let link = PinnedLink::from_pin(paths.link(&interface.name))?;
        let link = XdpLink::try_from(FdLink::from(link))?;
        let id = program.xdp().attach_to_link(link).map_err(|error| anyhow!(error).context(interface.name.clone()))?;
        keep(program, id)?;
    }
    let wanted: Vec<_> = interfaces.iter().map(|interface| interface.name.as_str()).collect();
    let attached = interfaces::list()?
        .into_iter()
        .filter(|interface| wanted.contains(&interface.name.as_str()))
        .filter_map(|interface| interface.xdp.map(|(_, mode)| Attached { name: interface.name, mode }))
        .collect::<Vec<_>>();
    for Attached { name, mode: found } in &attached {
        if mode == Mode::Native && *found != XdpMode::Native {
            warn!("{name}: goes on in {} mode; native mode takes effect after `knockctl unload`", found.name());
        }
    }
    Ok(attached)
}

/// True if our link is pinned and the interface runs its program. A link whose interface was
/// removed stays pinned and holds nothing.
fn is_standing(paths: &Paths, interface: &Interface) -> bool {
    interface.xdp.is_some_and(|(id, _)| link_program(paths, &interface.name) == Some(id))
}

fn link_program(paths: &Paths, interface: &str) -> Option<u32> {
    let link = FdLink::from(PinnedLink::from_pin(paths.link(interface)).ok()?);
    Some(link.info().ok()?.program_id())
}

fn attach_new(paths: &Paths, interface: &Interface, mode: Mode, program: &mut Program) -> Result<()> {
    let pin = paths.link(&interface.name);
    // A pin whose interface went away and came back under the same name.
    let _ = fs::remove_file(&pin);
    let id = match mode {
        Mode::Native => try_mode(interface, programs::XdpMode::Driver, program).map_err(|error| {
            let remedy = "set options.mode = \"generic\" (slower, works everywhere) or \"auto\"";
            anyhow!("{}: native mode refused: {error}: {remedy}", interface.name)
        })?,
        Mode::Generic => try_mode(interface, programs::XdpMode::Skb, program)
            .map_err(|error| anyhow!("{}: generic mode refused: {error}", interface.name))?,
        Mode::Auto => match try_mode(interface, programs::XdpMode::Driver, program) {
            Ok(id) => id,
            Err(native) => {
                warn!("{}: native mode refused ({native}): the gate stands in GENERIC mode, slower", interface.name);
                try_mode(interface, programs::XdpMode::Skb, program)
                    .map_err(|error| anyhow!("{}: generic mode refused: {error}", interface.name))?
            }
        },
    };
    let link = program.xdp().take_link(id)?;
    // A link by netlink cannot be pinned, so the gate would fall with the daemon.
    let link = FdLink::try_from(link)
        .map_err(|_| anyhow!("{}: this kernel has no XDP links (it needs Linux 5.9)", interface.name))?;
    link.pin(&pin).with_context(|| format!("{}: cannot be pinned", pin.display()))?;
    Ok(())
}

fn try_mode(interface: &Interface, mode: programs::XdpMode, program: &mut Program) -> Result<XdpLinkId> {
    program.xdp().attach_to_if_index(interface.index, mode).map_err(|error| match error {
        ProgramError::SyscallError(error) if error.io_error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            anyhow!("the driver has no XDP")
        }
        ProgramError::SyscallError(error) => anyhow!(error.io_error),
        other => anyhow!("{:#}", anyhow!(other)),
    })
}

/// Leaves the link to its pin.
fn keep(program: &mut Program, id: XdpLinkId) -> Result<()> {
    drop(FdLink::try_from(program.xdp().take_link(id)?).map_err(|error| anyhow!("{error}"))?);
    Ok(())
}

fn release(paths: &Paths, interface: &str) -> Result<()> {
    let pin = paths.link(interface);
    if let Err(error) = sys::detach(&pin) {
        // A pin that is no link of ours goes all the same.
        warn!("{}: cannot be detached: {error}", pin.display());
    }
    fs::remove_file(&pin).with_context(|| format!("{}: cannot be removed", pin.display()))
}

/// Takes the gate off interfaces that the config no longer names.
pub fn release_others(paths: &Paths, interfaces: &[Interface]) -> Result<()> {
    for name in pinned(paths)? {
        if !interfaces.iter().any(|interface| interface.name == name) {
            release(paths, &name)?;
            warn!("{name}: the gate is taken off: no longer in options.interfaces");
        }
    }
    Ok(())
}

/// Takes the gate off every interface and returns their names.
pub fn release_all(paths: &Paths) -> Result<Vec<String>> {
    let names = pinned(paths)?;
    for name in &names {
        release(paths, name)?;
    }
    Ok(names)
}

/// Interfaces with a pinned link.
pub fn pinned(paths: &Paths) -> Result<Vec<String>> {
    let entries = match fs::read_dir(paths.links()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(anyhow!(error).context(paths.links().display().to_string())),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(Paths::interface_of(&entry?.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names)
}

fn program_name(id: u32) -> String {
    programs::loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .unwrap_or_else(|| "unnamed".to_owned())
}
