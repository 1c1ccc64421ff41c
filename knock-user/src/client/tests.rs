//! The client against sockets of this host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;
use std::{fs, io};

use clap::Parser;
use knock_common::packet::Transport;

use super::plan::Plan;
use super::*;
use crate::syntax::{Port, PortNames};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    knock: KnockArgs,
}

fn args(line: &[&str]) -> Result<KnockArgs, clap::Error> {
    Line::try_parse_from([&["knock"], line].concat()).map(|line| line.knock)
}

fn port(number: u16, transport: Transport) -> Port {
    Port { number, transport }
}

fn tcp(number: u16) -> Port {
    port(number, Transport::Tcp)
}

fn options(verbose: bool) -> KnockOptions {
    KnockOptions { delay: Duration::ZERO, verbose, source: Source::default() }
}

fn local(ip: impl Into<IpAddr>) -> SocketAddr {
    SocketAddr::new(ip.into(), 0)
}

/// Lines of the kernel's socket table that go to `port`.
fn sockets_to(port: u16) -> Vec<String> {
    let remote = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let is_to = |line: &&str| line.split_whitespace().nth(2).is_some_and(|address| address.ends_with(&remote));
    table.lines().filter(is_to).map(str::to_owned).collect()
}

#[test]
fn a_tcp_knock_on_an_open_port_leaves_no_socket() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let number = listener.local_addr().unwrap().port();
    let failures = knock(&[local(Ipv4Addr::LOCALHOST)], &[tcp(number)], &options(false), &mut io::sink()).unwrap();
    assert!(failures.is_empty());
    listener.accept().expect("the knock arrives");
    assert_eq!(sockets_to(number), Vec::<String>::new());
}

#[test]
fn a_tcp_knock_on_a_closed_port_is_a_knock() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let number = listener.local_addr().unwrap().port();
    drop(listener);
    hit(SocketAddr::from((Ipv4Addr::LOCALHOST, number)), Transport::Tcp).unwrap();
    assert_eq!(sockets_to(number), Vec::<String>::new());
}

#[test]
fn an_unanswered_tcp_knock_leaves_no_socket() {
    // A backlog that is full drops further SYNs without an answer.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&local(Ipv4Addr::LOCALHOST).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _first = std::net::TcpStream::connect(address).unwrap();
    let before = sockets_to(address.port()).len();
    for _ in 0..3 {
        hit(address, Transport::Tcp).unwrap();
    }
    assert_eq!(sockets_to(address.port()).len(), before);
}

#[test]
fn a_udp_knock_is_one_datagram_of_one_zero() {
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let number = receiver.local_addr().unwrap().port();
    let step = port(number, Transport::Udp);
    knock(&[local(Ipv4Addr::LOCALHOST)], &[step], &options(false), &mut io::sink()).unwrap();
    let mut octets = [9; 16];
    assert_eq!(receiver.recv(&mut octets).unwrap(), 1);
    assert_eq!(octets[0], 0);
    receiver.set_nonblocking(true).unwrap();
    assert!(receiver.recv(&mut octets).is_err(), "one datagram only");
}

#[test]
fn every_address_is_hit_before_the_next_step_and_said_as_knock_says_it() {
    let addresses = [local(Ipv4Addr::LOCALHOST), local(Ipv4Addr::new(127, 0, 0, 2))];
    let steps = [port(9, Transport::Udp), tcp(9)];
    let mut out = Vec::new();
    let failures = knock(&addresses, &steps, &options(true), &mut out).unwrap();
    assert!(failures.is_empty());
    let said = "hitting udp 127.0.0.1:9\nhitting udp 127.0.0.2:9\nhitting tcp 127.0.0.1:9\nhitting tcp 127.0.0.2:9\n";
    assert_eq!(String::from_utf8(out).unwrap(), said);
}

#[test]
fn an_address_that_fails_is_left_out_and_the_others_go_on() {
    // Limited broadcast needs leave that the client does not ask for.
    let addresses = [local(Ipv4Addr::BROADCAST), local(Ipv4Addr::LOCALHOST)];
    let steps = [port(9, Transport::Udp), tcp(9)];
    let mut out = Vec::new();
    let failures = knock(&addresses, &steps, &options(true), &mut out).unwrap();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].address.ip(), Ipv4Addr::BROADCAST);
    assert_eq!(failures[0].step, steps[0]);
    assert_eq!(String::from_utf8(out).unwrap().matches("255.255.255.255").count(), 1);
}

#[test]
fn it_is_an_error_if_no_address_could_be_knocked() {
    let error = run(&args(&["-u", "255.255.255.255", "9"]).unwrap(), &mut io::sink()).unwrap_err();
    assert!(error.to_string().starts_with("knock: 255.255.255.255: no address could be knocked"), "{error}");
}

#[test]
fn steps_wait_for_each_other() {
    let start = std::time::Instant::now();
    let slow = KnockOptions { delay: Duration::from_millis(30), ..options(false) };
    knock(&[local(Ipv4Addr::LOCALHOST)], &[tcp(9), tcp(9), tcp(9)], &slow, &mut io::sink()).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[test]
fn sequences_are_read_as_written() {
    let names = PortNames::parse("ssh 22/tcp\n");
    let read = |ports: &[&str], udp| {
        let ports: Vec<String> = ports.iter().map(|&port| port.to_owned()).collect();
        let steps = parse_sequence(&ports, udp, &names).map_err(|error| error.to_string())?;
        Ok::<_, String>(steps.iter().map(Port::to_string).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(read(&["7000", "8000:udp", "9000/TCP", "ssh"], false).unwrap(), "7000/tcp 8000/udp 9000/tcp 22/tcp");
    assert_eq!(read(&["7000", "8000:tcp"], true).unwrap(), "7000/udp 8000/udp");
    assert_eq!(read(&["7000-7002"], false).unwrap(), "7000/tcp 7001/tcp 7002/tcp");
    assert_eq!(read(&["7000,8000:udp", "9000"], false).unwrap(), "7000/tcp 8000/udp 9000/tcp");
    for (wrong, right) in [
        ("7000,", "write 7000,8000/udp"),
        ("udp/7000", "the port comes first: 7000/udp"),
        ("tcp:7000", "the port comes first: 7000/tcp"),
        ("7000;8000", "write ports with blanks or commas"),
        ("7000..7010", "a range is written 7000-7010"),
        ("server.example", "the host comes first, and once"),
    ] {
        let error = read(&[wrong], false).unwrap_err();
        assert!(error.contains(right), "{error}");
    }
    assert_eq!(read(&["0"], false).unwrap_err(), "knock: 0: port 0 is no port; choose a port from 1 to 65535");
    assert_eq!(
        read(&["7/icmp"], false).unwrap_err(),
        "knock: 7/icmp: unknown protocol \"icmp\"; write tcp or udp, such as 7000/udp"
    );
    assert!(read(&["65536"], false).unwrap_err().starts_with("knock: 65536: port 65536 does not exist"));
    assert!(read(&["nope"], false).unwrap_err().starts_with("knock: nope: \"nope\" is neither a port number"));
}

#[test]
fn the_command_line_is_that_of_knock_and_is_checked() {
    let all = args(&["-u", "-v", "-6", "-d", "50", "host", "1", "2"]).unwrap();
    assert!(all.udp && all.verbose);
    assert_eq!((all.family(), all.delay(), all.ports.len()), (Some(Family::V6), Some(Duration::from_millis(50)), 2));
    let plain = args(&["host", "1"]).unwrap();
    assert_eq!((plain.family(), plain.delay()), (None, None));
    assert_eq!(args(&["-V"]).unwrap_err().kind(), clap::error::ErrorKind::DisplayVersion);
    assert_eq!(args(&["-h"]).unwrap_err().kind(), clap::error::ErrorKind::DisplayHelp);
    for wrong in [
        &["-4", "-6", "host", "1"][..],
        &["--both", "-6", "host", "1"],
        &["-d", "-5", "host", "1"],
        &["-d", "99999", "host", "1"],
        &[],
        &["--wait", "0s", "host"],
        &["--wait", "soon", "host"],
        &["--every", "50s", "host"],
        &["--keep-open", "--stdio", "host"],
        &["--stdio", "host", "--then", "true"],
        &["--list", "host"],
        &["host", "--then"],
    ] {
        assert!(args(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_host_may_have_its_ports_behind_a_colon() {
    let plan = |line: &[&str]| {
        let none = ["--profiles", "/nonexistent/client.toml"];
        let plan = Plan::new(&args(&[&none, line].concat()).unwrap()).map_err(|error| format!("{error:#}"))?;
        let steps: Vec<_> = plan.steps.iter().map(Port::to_string).collect();
        Ok::<_, String>(format!("{} {}", plan.host, steps.join(",")))
    };
    assert_eq!(plan(&["server:7000"]).unwrap(), "server 7000/tcp");
    assert_eq!(plan(&["[2001:db8::1]:7000,8000/udp", "9000"]).unwrap(), "2001:db8::1 7000/tcp,8000/udp,9000/tcp");
    assert_eq!(plan(&["2001:db8::1", "7000"]).unwrap(), "2001:db8::1 7000/tcp");
    assert!(plan(&["2001:db8::1:7000"]).unwrap_err().contains("did you mean [2001:db8::1]:7000?"));
    assert!(plan(&["7000", "8000"]).unwrap_err().contains("the host comes first"));
    let scope = |line: &[&str]| Plan::new(&args(line).unwrap()).map(|plan| plan.options.source.scope);
    assert_eq!(scope(&["--source", "fe80::1%lo", "fe80::2%lo", "7000"]).unwrap(), 1);
    let error = scope(&["--source", "fe80::1", "fe80::2%lo", "7000"]).unwrap_err().to_string();
    assert_eq!(error, "knock: --source fe80::1: a link-local address needs its interface: --source fe80::1%eth0");
}

#[test]
fn all_behind_then_is_its_own() {
    let line = args(&["host", "1", "2", "--then", "ssh", "-v", "-p", "22", "--", "-u", "--then", "x"]).unwrap();
    assert_eq!(line.ports, ["1", "2"]);
    assert_eq!(line.then, ["ssh", "-v", "-p", "22", "--", "-u", "--then", "x"]);
    assert!(!line.verbose && !line.udp);
}

#[test]
fn literal_addresses_and_scopes_are_resolved() {
    assert_eq!(resolve("192.0.2.7", Family::Any).unwrap(), [local(Ipv4Addr::new(192, 0, 2, 7))]);
    assert_eq!(resolve("[::1]", Family::V6).unwrap(), [local(Ipv6Addr::LOCALHOST)]);
    let scoped = resolve("fe80::1%lo", Family::Any).unwrap();
    assert!(matches!(scoped[0], SocketAddr::V6(v6) if v6.scope_id() == 1), "{scoped:?}");
    for (host, family, why) in [
        ("192.0.2.7", Family::V6, "knock: 192.0.2.7: no IPv6 address"),
        ("::1", Family::V4, "knock: ::1: no IPv4 address"),
        ("::1", Family::Both, "knock: ::1: no IPv4 address"),
        ("192.0.2.7", Family::Both, "knock: 192.0.2.7: no IPv6 address"),
        ("fe80::1", Family::Any, "knock: fe80::1: a link-local address needs its interface"),
        ("", Family::Any, "knock: the host has no name"),
        ("no.such.host.invalid", Family::Any, "knock: no.such.host.invalid"),
    ] {
        let error = resolve(host, family).unwrap_err();
        assert!(error.to_string().starts_with(why), "{error}");
    }
}
