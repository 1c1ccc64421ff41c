//! Asks the loaded program what it would do with a packet, by `BPF_PROG_TEST_RUN`. The packet changes
//! nothing: no counter, no attempt, no grant, no line in the log.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result, anyhow, bail};
use etherparse::PacketBuilder;
use futures_util::TryStreamExt as _;
use knock_common::abi::counter::Counter;
use knock_common::abi::layout::QUESTION;
use knock_common::packet::Transport;
use knock_common::packet::flags::TcpFlags;
use rtnetlink::packet_route::address::AddressAttribute;

use super::interfaces::arrival::scope_of;
use super::interfaces::links;
use super::interfaces::list::{self, Interface, Layer};
use super::sys::{self, FrameContext};
use crate::host::scope;
use crate::paths::Paths;

/// A packet that somebody might send.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its source address.
    pub source: IpAddr,
    /// Its source port.
    pub from: u16,
    /// Its destination address; `None` for the interface's own.
    pub to: Option<IpAddr>,
    /// Its destination port.
    pub port: u16,
    /// TCP or UDP.
    pub transport: Transport,
    /// The flags of a TCP segment.
    pub flags: u8,
    /// The interface on which it comes; `None` for the first with the gate and a fitting address.
    pub interface: Option<String>,
    /// Index of the interface that its source belongs to, if that is link-local; 0 for others.
    pub scope: u32,
}

/// What the program says of it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The interface that was taken.
    pub interface: String,
    /// The destination address that was taken.
    pub to: IpAddr,
    /// What decided; `None` if the packet is none of the gate's business.
    pub counter: Option<Counter>,
}

/// Asks the program that runs on an interface.
///
/// # Errors
///
/// No gate on the interface, no address of the family, or what bpf(2) says.
pub fn ask(paths: &Paths, question: &Question) -> Result<Answer> {
    let all = list::list()?;
    let links = links::read(paths, &all)?;
    let standing: Vec<_> = all.iter().filter(|interface| links.stands_on(interface)).collect();
    let names = || standing.iter().map(|interface| interface.name.as_str()).collect::<Vec<_>>().join(", ");
    let is_named = |one: &&Interface| question.interface.as_ref().is_none_or(|name| one.name == *name);
    let is_of_link = |one: &&Interface| question.scope == 0 || scope_of(one.index, &all) == question.scope;
    let wanted: Vec<&Interface> = standing.iter().copied().filter(is_named).filter(is_of_link).collect();
    if wanted.is_empty() {
        let own = (question.scope != 0).then(|| scope::name_of(question.scope));
        match question.interface.clone().or(own) {
            Some(name) => bail!("{name}: the gate does not stand there: it stands on {}", names()),
            None => bail!("no interface has the gate: see `knockctl status`"),
        }
    }
    let (interface, to) = match question.to {
        Some(to) => (wanted[0], to),
        None => own_address(&wanted, question.source, &all)?,
    };
    if to.is_ipv4() != question.source.is_ipv4() {
        bail!("{} and {to} are of two families: give --to an address of the source's", question.source);
    }
    let (id, _) = interface.xdp.with_context(|| format!("{}: its program is gone", interface.name))?;
    let program = sys::program(id).with_context(|| format!("program {id} on {}", interface.name))?;
    let frame = frame(question, to, interface)?;
    let number = put(program.as_fd(), &frame, interface.index)
        .context("the program on the interface cannot be asked: start the gate again with this knockctl")?;
    let counter = match number {
        0 => None,
        number => Some(*Counter::ALL.get(number as usize - 1).ok_or_else(|| anyhow!("unknown reason {number}"))?),
    };
    Ok(Answer { interface: interface.name.clone(), to, counter })
}

/// Sends a frame through a program as if it came to an interface, with the question in its metadata; returns
/// the word that stands behind the question afterwards (metadata in test runs: kernel 5.15).
fn put(program: BorrowedFd<'_>, frame: &[u8], interface: u32) -> io::Result<u32> {
    const METADATA: usize = 8;
    let mut data = QUESTION.to_ne_bytes().to_vec();
    data.resize(METADATA, 0);
    data.extend(frame);
    let context = FrameContext {
        data: METADATA as u32,
        data_end: data.len() as u32,
        ingress_ifindex: interface,
        ..FrameContext::default()
    };
    let mut after = vec![0_u8; data.len() + METADATA + 2048];
    sys::test_run(program, &data, &mut after, Some(&context), 1)?;
    Ok(u32::from_ne_bytes([after[4], after[5], after[6], after[7]]))
}

/// The first of the interfaces that has an address of the source's family, itself or by the bond that it is a port of, and
/// that address.
fn own_address<'a>(interfaces: &[&'a Interface], source: IpAddr, all: &[Interface]) -> Result<(&'a Interface, IpAddr)> {
    let addresses = std::thread::scope(|scope| scope.spawn(addresses).join().expect("the dump does not panic"))
        .context("addresses cannot be listed by netlink")?;
    for interface in interfaces {
        let has = [interface.index, scope_of(interface.index, all)];
        let own =
            addresses.iter().filter(|(index, address)| has.contains(index) && address.is_ipv4() == source.is_ipv4());
        // A link-local address only if there is no other.
        let own = own.map(|(_, address)| *address).min_by_key(is_link_local);
        if let Some(address) = own {
            return Ok((interface, address));
        }
    }
    let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
    bail!("no interface with the gate has an {family} address: name the destination with --to")
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// All addresses, with the index of their interface.
fn addresses() -> Result<Vec<(u32, IpAddr)>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let messages: Vec<_> = handle.address().get().execute().try_collect().await?;
        connection.abort();
        let address = |attributes: &[AddressAttribute]| {
            let local = attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(address) => Some(*address),
                _ => None,
            });
            local.or_else(|| {
                attributes.iter().find_map(|attribute| match attribute {
                    AddressAttribute::Address(address) => Some(*address),
                    _ => None,
                })
            })
        };
        Ok(messages.iter().filter_map(|one| Some((one.header.index, address(&one.attributes)?))).collect())
    })
}

/// The frame, as it would come to the interface.
fn frame(question: &Question, to: IpAddr, interface: &Interface) -> Result<Vec<u8>> {
    const SENDER: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
    const HOPS: u8 = 64;
    let ethernet = PacketBuilder::ethernet2(SENDER, interface.mac);
    let ip = match (question.source, to) {
        (IpAddr::V4(source), IpAddr::V4(to)) => ethernet.ipv4(source.octets(), to.octets(), HOPS),
        (IpAddr::V6(source), IpAddr::V6(to)) => ethernet.ipv6(source.octets(), to.octets(), HOPS),
        _ => bail!("{} and {to} are of two families", question.source),
    };
    let mut frame = Vec::new();
    match question.transport {
        Transport::Udp => ip.udp(question.from, question.port).write(&mut frame, &[])?,
        Transport::Tcp => {
            let has = |flag: u8| question.flags & flag != 0;
            let mut tcp = ip.tcp(question.from, question.port, 1, 64_240);
            for (flag, set) in [
                (TcpFlags::FIN, etherparse::PacketBuilderStep::fin as fn(_) -> _),
                (TcpFlags::SYN, etherparse::PacketBuilderStep::syn),
                (TcpFlags::RST, etherparse::PacketBuilderStep::rst),
                (TcpFlags::PSH, etherparse::PacketBuilderStep::psh),
                (TcpFlags::ECE, etherparse::PacketBuilderStep::ece),
                (TcpFlags::CWR, etherparse::PacketBuilderStep::cwr),
            ] {
                if has(flag) {
                    tcp = set(tcp);
                }
            }
            if has(TcpFlags::ACK) {
                tcp = tcp.ack(1);
            }
            if has(TcpFlags::URG) {
                tcp = tcp.urg(1);
            }
            tcp.write(&mut frame, &[])?;
        }
    }
    if interface.layer == Layer::Ip {
        frame.drain(..14);
    }
    Ok(frame)
}
