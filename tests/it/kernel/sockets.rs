//! Rules 4 and 10 with sockets that are real, in every state that a segment can meet.

use std::io::Read as _;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use knock_common::abi::counter::Counter::{
    AttemptAdvanced, AttemptEnded, AttemptStarted, DenyNew, DenyProbe, DenyUdp, KnockPacket, PassConnected,
    PassNoSocket, PassUnchecked,
};
use knock_common::gate::Verdict::{Deny, Pass};
use socket2::{Domain, SockFilter, SockRef, Socket, Type};
use tests::harness::{Test, tests};
use tests::kernel::{DEFER_ACCEPT, set_tcp_option};
use tests::lab::{TIMEOUT, until};
use tests::packet::{ACK, FIN, PSH, PacketBuilder, RST, SYN};

use super::gate::{CONFIG, Gate, alone, datagram, pairs, syn};

/// Flags of a segment that asks for nothing new.
const GOING_ON: [u8; 6] = [ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, SYN | ACK];
const SERVICE: u16 = 2222;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::sockets";
        a_port_on_which_nothing_listens_needs_no_gate,
        a_listening_socket_is_not_shown_to_a_probe,
        a_connection_goes_on_in_every_state,
        a_handshake_under_way_goes_on,
        without_stealth_nothing_is_looked_up,
        a_udp_socket_gets_datagrams_of_whom_it_is_connected_to,
        what_listens_keeps_a_visit_to_it_from_ending_an_attempt,
    ]
}

/// A segment from the client's `port` to the service.
fn segment(client: IpAddr, server: IpAddr, port: u16, flags: u8) -> Vec<u8> {
    PacketBuilder::between(client, server).tcp(port, SERVICE, flags).build()
}

/// A connection from the client to what listens at the server.
fn connect(client: IpAddr, server: IpAddr) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address((client, 0).into()), Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((client, 0)).into())?;
    socket.connect(&SocketAddr::from((server, SERVICE)).into())?;
    Ok(socket.into())
}

fn a_port_on_which_nothing_listens_needs_no_gate() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(CONFIG)?;
        for (client, server) in pairs() {
            for flags in GOING_ON {
                gate.judges("no socket", &segment(client, server, 40_000, flags), Pass, &[PassNoSocket]);
            }
            gate.judges("new", &segment(client, server, 40_000, SYN), Deny, &[DenyNew]);
        }
        Ok(())
    })
}

fn a_listening_socket_is_not_shown_to_a_probe() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(CONFIG)?;
        for (client, server) in pairs() {
            let unspecified: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
            for address in [server, unspecified] {
                let _listener = TcpListener::bind((address, SERVICE))?;
                for flags in GOING_ON {
                    gate.judges("probe", &segment(client, server, 40_000, flags), Deny, &[DenyProbe]);
                }
                gate.judges("new", &segment(client, server, 40_000, SYN), Deny, &[DenyNew]);
            }
        }
        Ok(())
    })
}

/// A client that does not hear anything any more: whatever comes for it is not acknowledged.
fn make_deaf(stream: &TcpStream) -> Result<()> {
    // BPF_RET | BPF_K: keep no octet of it.
    let nothing = SockFilter::new(0x06, 0, 0, 0);
    SockRef::from(stream).attach_filter(&[nothing]).context("no filter on the client's socket")
}

/// The state of the server's end of the connection with the client's `port`, as `ss` calls it.
fn state(port: u16) -> Result<String> {
    let filter = format!("( sport = :{SERVICE} and dport = :{port} )");
    let output = Command::new("ss").args(["-H", "-t", "-a", "-n", &filter]).output().context("ss (iproute2)")?;
    ensure!(output.status.success(), "ss: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().next().unwrap_or("none").to_owned())
}

/// The server's end comes to this state, and what belongs to the connection passes; what does not is denied.
fn goes_on(gate: &mut Gate, client: IpAddr, server: IpAddr, port: u16, wanted: &str) -> Result<()> {
    let mut last = String::new();
    let is_there = || {
        last = state(port).unwrap_or_else(|error| format!("{error:#}"));
        (last == wanted).then_some(())
    };
    until(wanted, TIMEOUT, is_there).with_context(|| format!("the connection is in {last}"))?;
    for flags in GOING_ON {
        gate.judges(wanted, &segment(client, server, port, flags), Pass, &[PassConnected]);
    }
    gate.judges(wanted, &segment(client, server, port, SYN), Deny, &[DenyNew]);
    gate.judges(wanted, &segment(client, server, port, FIN | PSH), Deny, &[DenyNew]);
    gate.judges(wanted, &segment(client, server, port ^ 1, ACK), Deny, &[DenyProbe]);
    let now = state(port)?;
    ensure!(now == wanted, "from {wanted} to {now} while it was looked at");
    Ok(())
}

fn a_connection_goes_on_in_every_state() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(CONFIG)?;
        for (client, server) in pairs() {
            let listener = TcpListener::bind((server, SERVICE))?;
            let connected = || -> Result<(TcpStream, u16)> {
                let stream = connect(client, server)?;
                let port = stream.local_addr()?.port();
                Ok((stream, port))
            };
            let mut goes_on = |port: u16, state: &str| goes_on(&mut gate, client, server, port, state);

            // The server ends first.
            let (mut stream, port) = connected()?;
            goes_on(port, "ESTAB").context("waiting to be accepted")?;
            let (accepted, _) = listener.accept()?;
            goes_on(port, "ESTAB")?;
            drop(accepted);
            assert_eq!(stream.read(&mut [0])?, 0);
            goes_on(port, "FIN-WAIT-2")?;
            drop(stream);
            goes_on(port, "TIME-WAIT")?;

            // Its end is not acknowledged; then the client ends as well. The sockets stay: one without a
            // program gives up soon.
            let (stream, port) = connected()?;
            let (accepted, _) = listener.accept()?;
            make_deaf(&stream)?;
            accepted.shutdown(Shutdown::Write)?;
            goes_on(port, "FIN-WAIT-1")?;
            stream.shutdown(Shutdown::Write)?;
            goes_on(port, "CLOSING")?;
            drop((accepted, stream));

            // The client ends first, and does not acknowledge the server's end.
            let (stream, port) = connected()?;
            let (mut accepted, _) = listener.accept()?;
            stream.shutdown(Shutdown::Write)?;
            assert_eq!(accepted.read(&mut [0])?, 0);
            goes_on(port, "CLOSE-WAIT")?;
            make_deaf(&stream)?;
            accepted.shutdown(Shutdown::Write)?;
            goes_on(port, "LAST-ACK")?;
        }
        Ok(())
    })
}

fn a_handshake_under_way_goes_on() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(CONFIG)?;
        for (client, server) in pairs() {
            let listener = TcpListener::bind((server, SERVICE))?;
            // The connection is made with the first octet of data, so that it stays half open.
            set_tcp_option(&SockRef::from(&listener), DEFER_ACCEPT, 60)?;
            let stream = connect(client, server)?;
            let port = stream.local_addr()?.port();
            for flags in [ACK, ACK | PSH, RST] {
                gate.judges("SYN-RECEIVED", &segment(client, server, port, flags), Pass, &[PassConnected]);
            }
            gate.judges("another port", &segment(client, server, port ^ 1, ACK), Deny, &[DenyProbe]);
        }
        Ok(())
    })
}

fn without_stealth_nothing_is_looked_up() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(&CONFIG.replace("[options]", "[options]\nstealth = false"))?;
        for (client, server) in pairs() {
            let _listener = TcpListener::bind((server, SERVICE))?;
            for flags in GOING_ON {
                gate.judges("probe", &segment(client, server, 40_000, flags), Pass, &[PassUnchecked]);
            }
            gate.judges("new", &segment(client, server, 40_000, SYN), Deny, &[DenyNew]);
            gate.judges("bare", &segment(client, server, 40_000, 0), Deny, &[DenyNew]);
        }
        Ok(())
    })
}

fn a_udp_socket_gets_datagrams_of_whom_it_is_connected_to() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(CONFIG)?;
        for (client, server) in pairs() {
            let socket = UdpSocket::bind((server, 51820))?;
            gate.judges("not connected", &datagram(client, server, 51820).build(), Deny, &[DenyUdp]);
            socket.connect((client, 40_000))?;
            gate.judges("connected", &datagram(client, server, 51820).build(), Pass, &[PassConnected]);
            let other = PacketBuilder::between(client, server).udp(40_001, 51820).build();
            gate.judges("another port", &other, Deny, &[DenyUdp]);
            drop(socket);
            gate.judges("closed", &datagram(client, server, 51820).build(), Deny, &[DenyUdp]);
        }
        Ok(())
    })
}

fn what_listens_keeps_a_visit_to_it_from_ending_an_attempt() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(CONFIG)?;
        for (client, server) in pairs() {
            let begin = |gate: &mut Gate| {
                gate.0.forget();
                gate.judges("step 1", &syn(client, server, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
            };
            let (web, dns) = (TcpListener::bind((server, 80))?, UdpSocket::bind((server, 53))?);
            begin(&mut gate);
            gate.judges("web", &syn(client, server, 80).build(), Pass, &[]);
            gate.judges("DNS", &datagram(client, server, 53).build(), Pass, &[]);
            gate.judges("step 2", &datagram(client, server, 8000).build(), Pass, &[KnockPacket, AttemptAdvanced]);
            for (what, frame) in [
                ("TCP where only UDP listens", syn(client, server, 53)),
                ("UDP where only TCP listens", datagram(client, server, 80)),
                ("nothing", syn(client, server, 31337)),
            ] {
                begin(&mut gate);
                gate.judges(what, &frame.build(), Pass, &[AttemptEnded]);
                gate.judges("step 2", &datagram(client, server, 8000).build(), Pass, &[KnockPacket]);
            }
            drop((web, dns));
            for frame in [syn(client, server, 80), datagram(client, server, 53)] {
                begin(&mut gate);
                gate.judges("nothing any more", &frame.build(), Pass, &[AttemptEnded]);
            }
        }
        Ok(())
    })
}
