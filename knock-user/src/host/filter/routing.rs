//! Where packets go on this host, as far as filters ask.

use super::packet::Packet;
use crate::host::{routes, scope};

/// Where a packet goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// To this host.
    Here,
    /// On by the interface of this name.
    Out(String),
}

/// Who knows the routes.
pub trait Routing {
    /// Where a packet goes from here; `None` if that cannot be told, or if it goes nowhere.
    fn way(&self, packet: &Packet) -> Option<Way>;

    /// True if there is a way back to the source of a packet by the interface on which it came; `None` if that cannot be told.
    fn has_way_back(&self, packet: &Packet) -> Option<bool>;
}

/// The kernel.
#[derive(Debug)]
pub struct Kernel;

impl Routing for Kernel {
    fn way(&self, packet: &Packet) -> Option<Way> {
        let on = packet.interface.as_deref().and_then(|name| scope::index_of(name).ok());
        match routes::route(packet.dest?, packet.source.zip(on)).ok()? {
            routes::Route::Here => Some(Way::Here),
            routes::Route::Out(index) => Some(Way::Out(scope::name_of(index))),
        }
    }

    fn has_way_back(&self, packet: &Packet) -> Option<bool> {
        let on = scope::index_of(packet.interface.as_deref()?).ok()?;
        // Where there is none, another kernel may see it in another way: that is left open.
        let back = routes::route_by(packet.source?, on).ok()?;
        (back == routes::Route::Out(on)).then_some(true)
    }
}
