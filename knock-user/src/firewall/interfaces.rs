//! Network interfaces, by netlink: which there are, of what kind, and what XDP program they carry.

use anyhow::{Context as _, Result, bail};
use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::link::{LinkAttribute, LinkInfo, LinkMessage, LinkXdp, XdpAttached};

use crate::config::InterfacePattern;

/// An interface of this network namespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// `IFLA_INFO_KIND` (`veth`, `bridge`, ...); `None` for a physical device.
    pub kind: Option<String>,
    /// The XDP program on it: id and mode.
    pub xdp: Option<(u32, XdpMode)>,
    /// The loopback device.
    pub loopback: bool,
}

impl Interface {
    /// True where frames of the same host arrive with checksums not filled in yet.
    #[must_use]
    pub fn leaves_checksums_open(&self) -> bool {
        self.loopback || self.kind.as_deref() == Some("veth")
    }
}

/// Where an XDP program runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// Behind the driver.
    Generic,
    /// In the device.
    Offload,
}

impl XdpMode {
    /// The name in the config and in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offload => "offload",
        }
    }
}

/// All interfaces, by name.
///
/// # Errors
///
/// If netlink cannot be used.
pub fn list() -> Result<Vec<Interface>> {
    // A thread of its own, so that it can be called from within and from without a runtime.
    std::thread::scope(|scope| scope.spawn(dump).join().expect("the netlink dump does not panic"))
        .context("interfaces cannot be listed by netlink")
}

/// The interfaces that the patterns mean.
///
/// # Errors
///
/// A plain name that does not exist, or patterns that match nothing.
pub fn choose(patterns: &[InterfacePattern]) -> Result<Vec<Interface>> {
    let all = list()?;
    let names = || all.iter().map(|interface| interface.name.as_str()).collect::<Vec<_>>().join(", ");
    for pattern in patterns {
        if let Some(name) = pattern.name()
            && !all.iter().any(|interface| interface.name == name)
        {
            bail!("no such interface: {name}: there are {}; set options.interfaces", names());
        }
    }
    let chosen: Vec<_> = all
        .iter()
        .filter(|interface| patterns.iter().any(|pattern| pattern.matches(&interface.name)))
        .cloned()
        .collect();
    if chosen.is_empty() {
        let patterns: Vec<_> = patterns.iter().map(InterfacePattern::as_str).collect();
        bail!("no interface matches {}: there are {}; set options.interfaces", patterns.join(", "), names());
    }
    Ok(chosen)
}

fn dump() -> Result<Vec<Interface>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let messages: Vec<_> = handle.link().get().execute().try_collect().await?;
        connection.abort();
        let mut interfaces: Vec<_> = messages.iter().filter_map(read).collect();
        interfaces.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(interfaces)
    })
}

fn read(message: &LinkMessage) -> Option<Interface> {
    let mut interface = Interface {
        name: String::new(),
        index: message.header.index,
        kind: None,
        xdp: None,
        loopback: message.header.flags.contains(rtnetlink::packet_route::link::LinkFlags::Loopback),
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::LinkInfo(infos) => {
                interface.kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            LinkAttribute::Xdp(parts) => interface.xdp = read_xdp(parts),
            _ => {}
        }
    }
    (!interface.name.is_empty()).then_some(interface)
}

fn read_xdp(parts: &[LinkXdp]) -> Option<(u32, XdpMode)> {
    let id = parts.iter().find_map(|part| match part {
        LinkXdp::ProgId(id) => Some(*id),
        _ => None,
    });
    let mode = parts.iter().find_map(|part| match part {
        LinkXdp::Attached(XdpAttached::Driver) => Some(XdpMode::Native),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(XdpMode::Generic),
        LinkXdp::Attached(XdpAttached::Hardware) => Some(XdpMode::Offload),
        _ => None,
    });
    Some((id?, mode?))
}
