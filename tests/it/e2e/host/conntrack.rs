//! What connection tracking tells of connections that are made for real, through real NAT.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use knock_common::packet::Transport;
use knock_user::config::Port;
use knock_user::host::conntrack::{self, Flow, TcpState, Tracked, Tuple};
use socket2::{Domain, Socket, Type};
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Lab, Mount, TIMEOUT, until};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::host::conntrack";
        a_client_is_seen_as_its_packets_arrive_before_dnat,
        answers_to_a_masqueraded_host_are_seen_as_they_arrive,
        what_nobody_answers_is_no_connection,
        what_is_cut_is_gone_and_nothing_else,
        entries_in_zones_are_told_and_taken_out,
        a_big_table_is_read_to_its_end,
        a_question_makes_nothing_tracked,
        without_connection_tracking_nothing_is_asked,
        who_may_not_ask_is_told_so,
    ]
}

/// Ports on the server that lead to one of the stranger's, and one where nothing is changed.
const FORWARDED: u16 = 2200;
const BEHIND: u16 = 22_000;
/// The source port that masqueraded hosts seem to have.
const MASQUERADED: u16 = 60_001;

/// The lab with the server as its router, which tracks and has these rules of nftables.
fn router(rules: &str) -> Result<Lab> {
    let lab = Lab::new()?;
    Host::Server.must(&["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])?;
    Host::Server.must(&["nft", &format!("table inet lab {{\n{rules}\n}}")])?;
    Ok(lab)
}

fn dnat() -> Result<Lab> {
    let rules: Vec<_> = Family::ALL
        .into_iter()
        .map(|family| {
            let (ip, to) = match family {
                Family::V4 => ("ip", format!("{}", family.address(Host::Stranger))),
                Family::V6 => ("ip6", format!("[{}]", family.address(Host::Stranger))),
            };
            let server = family.address(Host::Server);
            format!("{ip} daddr {server} meta l4proto {{ tcp, udp }} th dport {FORWARDED} dnat {ip} to {to}:{BEHIND}")
        })
        .collect();
    router(&format!("chain pre {{ type nat hook prerouting priority -100; {}\n}}", rules.join("\n")))
}

/// The entries in the server's table that are `wanted`.
fn entries(wanted: impl Fn(&Tracked) -> bool + Send) -> Result<Vec<Tracked>> {
    Host::Server.enter(|| conntrack::dump(wanted)?.context("the server tracks nothing"))
}

/// The flows of all its connections that arrive for a protected port.
fn flows(port: Port) -> Result<Vec<Flow>> {
    Ok(entries(|_| true)?.iter().flat_map(|entry| entry.to_this_gate(|one| one == port).collect::<Vec<_>>()).collect())
}

fn tuple(source: SocketAddr, destination: SocketAddr) -> Tuple {
    Tuple {
        source: source.ip(),
        destination: destination.ip(),
        source_port: source.port(),
        destination_port: destination.port(),
    }
}

/// A connection of TCP between two hosts, for as long as both ends are held.
fn connect(from: Host, to: SocketAddr, listener: &TcpListener) -> Result<(TcpStream, TcpStream)> {
    let there = from.enter(|| Ok(TcpStream::connect_timeout(&to, TIMEOUT)?))?;
    let (here, _) = listener.accept()?;
    Ok((there, here))
}

/// Sends a datagram and has it answered; both sockets.
fn exchange(from: Host, bind: SocketAddr, to: SocketAddr, behind: &UdpSocket) -> Result<UdpSocket> {
    let socket = from.enter(|| Ok(UdpSocket::bind(bind)?))?;
    for one in [&socket, behind] {
        one.set_read_timeout(Some(TIMEOUT))?;
    }
    socket.send_to(b"question", to)?;
    let mut octets = [0; 16];
    let (_, seen) = behind.recv_from(&mut octets)?;
    behind.send_to(b"answer", seen)?;
    ensure!(socket.recv_from(&mut octets)?.1 == to, "an answer of somebody else");
    Ok(socket)
}

fn a_client_is_seen_as_its_packets_arrive_before_dnat() -> Result<()> {
    let _lab = dnat()?;
    for family in Family::ALL {
        let [client, server, stranger] = [Host::Client, Host::Server, Host::Stranger].map(|host| family.address(host));
        let to = SocketAddr::new(server, FORWARDED);
        let behind = SocketAddr::new(stranger, BEHIND);
        let (listener, answering) =
            Host::Stranger.enter(|| Ok((TcpListener::bind(behind)?, UdpSocket::bind(behind)?)))?;
        let (mut there, mut here) = connect(Host::Client, to, &listener)?;
        let asking = exchange(Host::Client, SocketAddr::new(client, 0), to, &answering)?;
        for (transport, from) in [(Transport::Tcp, there.local_addr()?), (Transport::Udp, asking.local_addr()?)] {
            let original = tuple(from, to);
            let is_it = |entry: &Tracked| entry.transport == transport && entry.original == original;
            let found = entries(is_it)?;
            let [entry] = &found[..] else { panic!("{} times in the table", found.len()) };
            assert_eq!(entry.reply, tuple(behind, from));
            assert_eq!(entry.tcp_state, (transport == Transport::Tcp).then_some(TcpState::Established));
            assert!(entry.answered && !entry.dying && entry.timeout.is_some(), "{entry:?}");
            let here = Port { number: FORWARDED, transport };
            let flows: Vec<_> = entry.to_this_gate(|port| port == here).map(|flow| flow.tuple).collect();
            assert_eq!(flows, [original]);
            // The port behind NAT is not the gate's affair.
            assert!(entry.to_this_gate(|port| port.number == BEHIND).next().is_none());
        }
        // Half closed, it goes on and stands.
        there.shutdown(Shutdown::Write)?;
        here.write_all(b"still here")?;
        let mut octets = [0; 10];
        there.read_exact(&mut octets)?;
        let original = tuple(there.local_addr()?, to);
        until("a state after a FIN", TIMEOUT, || {
            let found = entries(|entry| entry.transport == Transport::Tcp && entry.original == original).ok()?;
            let state = found.first()?.tcp_state?;
            (matches!(state, TcpState::FinWait | TcpState::CloseWait) && found[0].stands()).then_some(())
        })?;
        // Reset, it does not.
        reset(here)?;
        until("the end of what was reset", TIMEOUT, || {
            let found = entries(|entry| entry.transport == Transport::Tcp && entry.original == original).ok()?;
            found.iter().all(|entry| !entry.stands()).then_some(())
        })?;
        drop(there);
    }
    Ok(())
}

/// Ends a connection without a FIN.
fn reset(stream: TcpStream) -> Result<()> {
    Ok(Socket::from(stream).set_linger(Some(Duration::ZERO))?)
}

fn answers_to_a_masqueraded_host_are_seen_as_they_arrive() -> Result<()> {
    let _lab = router(&format!(
        "chain post {{ type nat hook postrouting priority 100; oifname eth1 meta l4proto {{ tcp, udp }} masquerade to :{MASQUERADED}; }}"
    ))?;
    for family in Family::ALL {
        let [client, stranger] = [Host::Client, Host::Stranger].map(|host| family.address(host));
        let to = SocketAddr::new(stranger, 53);
        let (listener, answering) = Host::Stranger.enter(|| Ok((TcpListener::bind(to)?, UdpSocket::bind(to)?)))?;
        let (_there, here) = connect(Host::Client, to, &listener)?;
        let seen = here.peer_addr()?;
        assert_eq!(seen.port(), MASQUERADED);
        let _asking = exchange(Host::Client, SocketAddr::new(client, 5353), to, &answering)?;
        for transport in [Transport::Tcp, Transport::Udp] {
            let found = flows(Port { number: MASQUERADED, transport })?;
            let found: Vec<_> = found.iter().filter(|flow| flow.tuple.source == stranger).collect();
            let [flow] = &found[..] else { panic!("{found:?}") };
            assert_eq!((flow.transport, flow.tuple), (transport, tuple(to, seen)));
            assert!(!flow.ending);
        }
    }
    Ok(())
}

fn what_nobody_answers_is_no_connection() -> Result<()> {
    let _lab = dnat()?;
    let (server, client) = (Family::V4.address(Host::Server), Family::V4.address(Host::Client));
    let to = SocketAddr::new(server, FORWARDED);
    // It swallows what comes.
    Host::Stranger
        .must(&["nft", "table inet lab { chain in { type filter hook input priority 0; policy drop; }\n}"])?;
    let asking = Host::Client.enter(|| {
        let socket = UdpSocket::bind((client, 0))?;
        socket.send_to(b"question", to)?;
        let syn = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        syn.set_nonblocking(true)?;
        let _ = syn.connect(&to.into());
        Ok((socket, syn))
    })?;
    for transport in [Transport::Tcp, Transport::Udp] {
        let is_it = move |entry: &Tracked| entry.transport == transport && entry.original.destination_port == FORWARDED;
        let found =
            until("an entry of what nobody answers", TIMEOUT, || entries(is_it).ok().filter(|all| !all.is_empty()))?;
        assert!(found.iter().all(|entry| !entry.answered && !entry.stands()), "{found:?}");
        assert!(flows(Port { number: FORWARDED, transport })?.is_empty());
    }
    drop(asking);
    Ok(())
}

fn what_is_cut_is_gone_and_nothing_else() -> Result<()> {
    let _lab = dnat()?;
    let server = Family::V4.address(Host::Server);
    let client = Family::V4.address(Host::Client);
    let to = SocketAddr::new(server, FORWARDED);
    let behind = SocketAddr::new(Family::V4.address(Host::Stranger), BEHIND);
    let other = SocketAddr::new(server, 2300);
    let (listener, answering) = Host::Stranger.enter(|| Ok((TcpListener::bind(behind)?, UdpSocket::bind(behind)?)))?;
    let here = Host::Server.enter(|| Ok(TcpListener::bind(other)?))?;
    let _forwarded = connect(Host::Client, to, &listener)?;
    let _unprotected = connect(Host::Client, other, &here)?;
    let asking = exchange(Host::Client, SocketAddr::new(client, 4000), to, &answering)?;
    let protected = |port: Port| port.number == FORWARDED;
    let of_client = || entries(move |entry| entry.original.source == client);
    let udp = || entries(move |entry| entry.original.source_port == 4000 && entry.transport == Transport::Udp);
    let stale = udp()?;
    assert_eq!((of_client()?.len(), stale.len()), (3, 1));
    let cut = |source: IpAddr| Host::Server.enter(move || Ok(conntrack::cut(|one| one == source, protected)?.len()));
    assert_eq!(cut(Family::V4.address(Host::Stranger))?, 0);
    assert_eq!(cut(client)?, 2);
    let left = of_client()?;
    assert!(left.len() == 1 && left[0].original.destination_port == 2300, "{left:?}");
    assert_eq!(cut(client)?, 0);
    let delete = |entries: &[Tracked]| Host::Server.enter(|| Ok(conntrack::delete(entries.to_vec())?.len()));
    assert_eq!(delete(&stale)?, 0);
    // Another of the same addresses and ports is another's.
    asking.send_to(b"again", to)?;
    let new = until("a new entry", TIMEOUT, || udp().ok().filter(|all| !all.is_empty()))?;
    assert_eq!(delete(&[Tracked { id: !new[0].id, ..new[0].clone() }])?, 0);
    assert_eq!(udp()?[0].id, new[0].id);
    assert_eq!(delete(&new)?, 1);
    Ok(())
}

fn entries_in_zones_are_told_and_taken_out() -> Result<()> {
    let _lab = router(
        "chain raw { type filter hook prerouting priority -300; tcp dport 2201 ct zone set 7; tcp dport 2202 ct original zone set 8; }
         chain track { type filter hook input priority 0; ct state new accept; }",
    )?;
    let (server, client) = (Family::V6.address(Host::Server), Family::V6.address(Host::Client));
    let mut held = Vec::new();
    for port in [2201, 2202] {
        let to = SocketAddr::new(server, port);
        let listener = Host::Server.enter(|| Ok(TcpListener::bind(to)?))?;
        held.push(connect(Host::Client, to, &listener)?);
    }
    let zones = || -> Result<Vec<_>> {
        let found = entries(move |entry| entry.original.source == client && entry.original.destination_port > 2200)?;
        Ok(found.iter().map(|entry| (entry.original.destination_port, entry.zone.both, entry.zone.original)).collect())
    };
    let found = zones()?;
    assert!(found.contains(&(2201, Some(7), None)) && found.contains(&(2202, None, Some(8))), "{found:?}");
    let cut = Host::Server.enter(move || Ok(conntrack::cut(|one| one == client, |port| port.number > 2200)?.len()))?;
    assert_eq!(cut, found.len());
    assert_eq!(zones()?, []);
    Ok(())
}

/// More than fit into a datagram of netlink by far, of which one is kept.
fn a_big_table_is_read_to_its_end() -> Result<()> {
    const MANY: u16 = 4000;
    let _lab = router("chain track { type filter hook output priority 0; ct state new accept; }")?;
    Host::Server.enter(|| {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        for number in 0..MANY {
            // Nobody listens there, and a refusal is told with a later datagram.
            let _ = socket.send_to(b"x", ("127.0.0.1", 10_000 + number));
            let _ = socket.send_to(b"x", ("127.0.0.1", 10_000 + number));
        }
        let mut seen = 0;
        let wanted = |entry: &Tracked| {
            seen += 1;
            entry.original.destination_port == 10_000 + MANY - 1
        };
        let found = conntrack::dump(wanted)?.context("nothing is tracked")?;
        ensure!(found.len() == 1 && seen >= MANY, "{} of {seen}", found.len());
        let ports: BTreeSet<_> = conntrack::dump(|_| true)?
            .context("nothing is tracked")?
            .iter()
            .map(|entry| entry.original.destination_port)
            .filter(|port| (10_000..10_000 + MANY).contains(port))
            .collect();
        ensure!(ports.len() == usize::from(MANY), "{} of {MANY}", ports.len());
        Ok(())
    })
}

/// A host without rules tracks nothing, before it was asked and after.
fn a_question_makes_nothing_tracked() -> Result<()> {
    let _lab = Lab::new()?;
    for _ in 0..2 {
        assert_eq!(entries(|_| true)?, []);
        let to = SocketAddr::new(Family::V4.address(Host::Server), 2300);
        let listener = Host::Server.enter(|| Ok(TcpListener::bind(to)?))?;
        let _held = connect(Host::Client, to, &listener)?;
        assert_eq!(entries(|_| true)?, []);
    }
    assert_eq!(Host::Server.must(&["sysctl", "-n", "net.netfilter.nf_conntrack_count"])?.trim(), "0");
    Ok(())
}

/// A kernel without it, as far as it can be made from one that has it: there are entries, and nobody looks for them.
fn without_connection_tracking_nothing_is_asked() -> Result<()> {
    let _lab = dnat()?;
    let to = SocketAddr::new(Family::V4.address(Host::Server), 2300);
    let listener = Host::Server.enter(|| Ok(TcpListener::bind(to)?))?;
    let _held = connect(Host::Client, to, &listener)?;
    assert!(!entries(|_| true)?.is_empty());
    let _hidden = [Mount::new("tmpfs", "/proc/sys")?, Mount::new("tmpfs", "/sys/module")?];
    Host::Server.enter(|| {
        ensure!(!conntrack::is_there() && conntrack::dump(|_| true)?.is_none());
        ensure!(conntrack::cut(|_| true, |_| true)?.is_empty());
        Ok(())
    })
}

fn who_may_not_ask_is_told_so() -> Result<()> {
    // Of this whole process; its sandbox ends with it.
    nix::unistd::setresuid(65_534.into(), 65_534.into(), 65_534.into())?;
    let error = conntrack::dump(|_| true).expect_err("nobody may ask");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
    Ok(())
}
