//! `[services.NAME]`.

use super::door::PlacedDoor;
use super::model::Service;
use super::name;
use super::port::{Port, PortError, PortRange};
use super::port_names::PortNames;
use super::report::{Report, Span};
use super::value::{Entry, Item};

/// A service and the places of what it says.
pub(super) struct PlacedService {
    pub(super) service: Service,
    pub(super) key: String,
    pub(super) span: Span,
    pub(super) ports: Vec<Span>,
}

/// Reads one section; `None` if an error in it was reported.
pub(super) fn read(entry: &Entry<'_>, names: &PortNames, report: &Report<'_>) -> Option<PlacedService> {
    let name = name::read(entry, report);
    let mut table = entry.item.table(report)?;
    let ports = table.need(report, "ports", "[\"2222/tcp\"]").and_then(|item| read_ports(&item, names, report));
    let keepalive = match table.take("keepalive") {
        Some(item) => item.boolean(report),
        None => Some(false),
    };
    table.finish(report);
    let (ports, spans) = ports?.into_iter().unzip();
    Some(PlacedService {
        service: Service { name: name?, ports, keepalive: keepalive? },
        key: entry.item.key.clone(),
        span: entry.name_span.clone(),
        ports: spans,
    })
}

/// The service without ports of a door that names none: its grants are kept under it.
pub(super) fn own(placed: &PlacedDoor) -> PlacedService {
    PlacedService {
        service: Service { name: placed.door.name, ports: Vec::new(), keepalive: false },
        key: placed.key.clone(),
        span: placed.span.clone(),
        ports: Vec::new(),
    }
}

fn read_ports(item: &Item<'_>, names: &PortNames, report: &Report<'_>) -> Option<Vec<(PortRange, Span)>> {
    let items = item.list(report)?;
    if items.is_empty() {
        item.error(report, "no port", "name what is protected, such as ports = [\"2222/tcp\"]");
        return None;
    }
    let ports: Vec<_> =
        items.iter().filter_map(|item| Some((read_port(item, names, report)?, item.span.clone()))).collect();
    (ports.len() == items.len()).then_some(ports)
}

fn read_port(item: &Item<'_>, names: &PortNames, report: &Report<'_>) -> Option<PortRange> {
    let port = match item.as_integer() {
        Some(number) => Port::tcp(number).map(PortRange::from),
        None => PortRange::parse(item.string(report)?, names),
    };
    port.inspect_err(|error| match error {
        PortError::Zero => item.error(report, "port 0 cannot be protected", error.help()),
        _ => item.error(report, error.to_string(), error.help()),
    })
    .ok()
}
