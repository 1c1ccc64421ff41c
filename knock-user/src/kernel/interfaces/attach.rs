//! Attaching: one pinned link per interface, taken over where it stands, never detached to be replaced.

use std::os::fd::{AsFd as _, OwnedFd};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::programs::links::FdLink;
use aya::programs::xdp::XdpLinkId;
use aya::programs::{self, ProgramError, Xdp};
use log::warn;

use super::kinds;
use super::links::{self, Links};
use super::list::{Interface, XdpMode};
use crate::config::Mode;
use crate::kernel::pins::swap;
use crate::kernel::program::load::Program;
use crate::kernel::sys;
use crate::paths::Paths;

/// The gate on one interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attached {
    /// The interface's name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Where the program runs.
    pub mode: XdpMode,
}

/// Refuses interfaces that carry another XDP program, by its name.
///
/// # Errors
///
/// Names the program that is there.
pub fn refuse_foreign(links: &Links, interfaces: &[Interface]) -> Result<()> {
    for interface in interfaces {
        if let Some((id, _)) = interface.xdp
            && !links.stands_on(interface)
        {
            bail!(
                "{0}: another XDP program is there: {1}; detach it (`ip link set dev {0} xdp off`, or the \
                 program that put it there), or leave {0} out of options.interfaces",
                interface.name,
                program_named(id)
            );
        }
    }
    Ok(())
}

/// Gives the chosen interfaces the new program: new links first, since only they can fail for reasons
/// that lie outside; then each standing link is moved to the new program at once.
///
/// # Errors
///
/// With the remedy; then no new link is left, and the standing ones run what they ran.
pub fn attach(
    paths: &Paths,
    links: &Links,
    chosen: &[Interface],
    all: &[Interface],
    mode: Mode,
    program: &mut Program,
) -> Result<()> {
    let (standing, new): (Vec<_>, Vec<_>) = chosen.iter().partition(|interface| links.stands_on(interface));
    let (mut made, mut moved) = (Vec::new(), Vec::new());
    let mut outcome = Ok(());
    for interface in new {
        outcome = attach_new(paths, interface, all, mode, program);
        if outcome.is_err() {
            break;
        }
        made.push(&interface.name);
    }
    for interface in standing {
        if outcome.is_ok() {
            let before = interface.xdp.and_then(|(id, _)| swap::program(paths, id));
            outcome = move_link(paths, interface, program);
            moved.extend(outcome.is_ok().then_some((interface, before)));
        }
    }
    if outcome.is_err() {
        move_back(paths, &moved);
        for name in made {
            let _ = links::release(paths, name);
        }
    }
    outcome
}

/// Moves a standing link to the new program, at once.
fn move_link(paths: &Paths, interface: &Interface, program: &mut Program) -> Result<()> {
    let fd = program.of(&interface.layer).fd()?;
    sys::move_link(&paths.link(&interface.name), fd.as_fd())
        .map_err(|error| anyhow!("{}: the link cannot be moved to the new program: {error}", interface.name))
}

/// Moves links back to what they ran, so that all interfaces have the same rules.
fn move_back(paths: &Paths, moved: &[(&Interface, Option<OwnedFd>)]) {
    for (interface, before) in moved {
        let back = before.as_ref().map(|before| sys::move_link(&paths.link(&interface.name), before.as_fd()));
        match back {
            Some(Ok(())) => {}
            Some(Err(error)) => warn!("{}: goes on with the new rules: {error}", interface.name),
            None => warn!("{}: goes on with the new rules: the old ones are not to be had", interface.name),
        }
    }
}

/// The gate as it stands on `interfaces`.
#[must_use]
pub fn attached(links: &Links, interfaces: &[Interface]) -> Vec<Attached> {
    interfaces
        .iter()
        .filter(|interface| links.stands_on(interface))
        .filter_map(|one| one.xdp.map(|(_, mode)| Attached { name: one.name.clone(), index: one.index, mode }))
        .collect()
}

/// Where the gate stands by all that was done, if nobody can look: as it did, or as was asked for.
pub fn presumed(chosen: &[Interface], mode: Mode) -> Vec<Attached> {
    let asked = if mode == Mode::Generic { XdpMode::Generic } else { XdpMode::Native };
    let of = |one: &Interface| Attached {
        name: one.name.clone(),
        index: one.index,
        mode: one.xdp.map_or(asked, |(_, mode)| mode),
    };
    chosen.iter().map(of).collect()
}

/// Says where a wish for native mode is not met by links that stood before.
pub fn warn_of_modes(attached: &[Attached], mode: Mode) {
    for Attached { name, mode: found, .. } in attached {
        if mode == Mode::Native && *found != XdpMode::Native {
            warn!("{name}: goes on in {} mode; native mode takes effect after `knockctl unload`", found.name());
        }
    }
}

/// Attaches the program to an interface without a link, and pins the link.
///
/// # Errors
///
/// With the remedy.
pub fn attach_new(
    paths: &Paths,
    interface: &Interface,
    all: &[Interface],
    mode: Mode,
    program: &mut Program,
) -> Result<()> {
    let name = &interface.name;
    let pin = paths.link(name);
    let xdp = program.of(&interface.layer);
    let generic = |xdp: &mut Xdp| {
        try_mode(interface, programs::XdpMode::Skb, xdp)
            .map_err(|error| anyhow!("{name}: generic mode refused: {error}"))
    };
    let made = match mode {
        Mode::Native => try_mode(interface, programs::XdpMode::Driver, xdp).map_err(|error| {
            anyhow!("{name}: native mode refused: {error}: {}", kinds::instead_of_native(interface, all))
        }),
        Mode::Generic => generic(xdp),
        Mode::Auto => match try_mode(interface, programs::XdpMode::Driver, xdp) {
            Ok(id) => Ok(id),
            Err(native) => generic(xdp).inspect(|_| {
                warn!("{name}: native mode refused ({native}): the gate runs in GENERIC mode, slower");
            }),
        },
    };
    let id = made.map_err(|error| match kinds::gated_above(interface, all) {
        Some(upper) => anyhow!("{name}: {}", kinds::below_another(upper)),
        None => error,
    })?;
    // A link by netlink cannot be pinned, so the gate would fall with the daemon.
    let link = FdLink::try_from(xdp.take_link(id)?)
        .map_err(|_| anyhow!("{name}: this kernel has no XDP links (it needs Linux 5.9)"))?;
    link.pin(&pin).with_context(|| format!("{}: cannot be pinned", pin.display()))?;
    Ok(())
}

fn try_mode(interface: &Interface, mode: programs::XdpMode, xdp: &mut Xdp) -> Result<XdpLinkId> {
    xdp.attach_to_if_index(interface.index, mode).map_err(|error| match error {
        ProgramError::SyscallError(error) => explain(error.io_error, interface),
        other => anyhow!("{:#}", anyhow!(other)),
    })
}

/// What the errors of drivers mean.
fn explain(error: std::io::Error, interface: &Interface) -> anyhow::Error {
    let name = &interface.name;
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => anyhow!("the driver has no XDP"),
        Some(libc::ENOMEM) => anyhow!("{error}: for want of memory, or of queues (`ethtool -l {name}` shows them)"),
        Some(libc::ENOSPC) => anyhow!(
            "{error}: the driver has too few queues for XDP, give it fewer channels (`ethtool -l {name}` shows them, \
             `ethtool -L {name} combined N` sets them)"
        ),
        Some(libc::ERANGE) => anyhow!("{error}: the driver has no XDP at an MTU of {}", interface.mtu),
        Some(libc::EBUSY | libc::EEXIST) => anyhow!("{error}: another XDP program is there"),
        _ => anyhow!(error),
    }
}

/// Takes the gate off interfaces that the config no longer means.
pub fn release_others(paths: &Paths, chosen: &[Interface]) -> Result<()> {
    for name in links::pinned(paths)? {
        if !chosen.iter().any(|interface| interface.name == name) {
            links::release(paths, &name)?;
            warn!("{name}: the gate is taken off: no longer in options.interfaces");
        }
    }
    Ok(())
}

/// Takes the gate off every interface and returns their names.
pub fn release_all(paths: &Paths) -> Result<Vec<String>> {
    let names = links::pinned(paths)?;
    for name in &names {
        links::release(paths, name)?;
    }
    Ok(names)
}

/// A daemon that has given up `CAP_SYS_ADMIN` may not list programs (`BPF_PROG_GET_NEXT_ID`), and says who may.
fn program_named(id: u32) -> String {
    programs::loaded_programs().filter_map(Result::ok).find(|program| program.id() == id).map_or_else(
        || format!("id {id} (`bpftool prog show id {id}` names it)"),
        |program| format!("{} (id {id})", program.name_as_str().unwrap_or("unnamed")),
    )
}
