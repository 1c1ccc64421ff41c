//! The network stack itself as the judge: frames go over a raw socket and a wire to a server that listens,
//! and it is seen whether a socket comes of them.
//!
//! Without the gate, many do; with it, none. And frames of an established connection, changed in whatever
//! way a path may change them, are never denied.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use fastrand::Rng;
use socket2::{Domain, Socket, Type};
use tests::fuzz::edit::set_source_port;
use tests::fuzz::mutate::Mutator;
use tests::fuzz::reading::{Segment, read};
use tests::fuzz::seeds;
use tests::harness::{Test, tests};
use tests::lab::{
    Config, Daemon, Family, Host, Lab, SERVER_INTERFACES, Status, TIMEOUT, Wire, accepted, knockctl, until,
};
use tests::packet::extension::{DESTINATION, HOP_BY_HOP};
use tests::packet::{ACK, CWR, ECE, Extension, FIN, PSH, PacketBuilder, RST, SERVICE_VLAN, SYN, URG, VLAN};

const TCP_PORT: u16 = 2222;
const UDP_PORT: u16 = 51820;
/// Frames of each kind without the gate; with it, that often so many, or as many as the time allows.
const EACH: usize = 400;
const TIMES: usize = 4;
/// Frames of established connections, unless the environment names seconds.
const OWN_FRAMES: usize = 20_000;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::oracle";
        no_frame_makes_a_socket_behind_the_gate,
        no_frame_of_a_connection_is_denied_whatever_a_path_makes_of_it,
    ]
}

/// Knocks that no frame at random makes: those of the example are among the frames.
fn config() -> Config {
    Config::lab()
        .with("ports = [\"2222/tcp\"]", "ports = [\"2222/tcp\", \"51820/udp\"]")
        .with("[\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]", "[\"38211/tcp\", \"9407/udp\", \"52630/tcp\"]")
}

/// Until when to go on, if the environment says how long: each test has half of it.
fn end() -> Result<Option<Instant>> {
    let Ok(text) = env::var("KNOCK_SECONDS") else { return Ok(None) };
    let seconds: u64 = text.parse().context("KNOCK_SECONDS")?;
    Ok(Some(Instant::now() + Duration::from_secs(seconds / 2)))
}

fn seed() -> Result<u64> {
    env::var("KNOCK_SEED").map_or(Ok(1), |text| text.parse().context("KNOCK_SEED"))
}

/// Something listens on the server, on all addresses, and takes whatever comes.
struct Listening {
    _tcp: Socket,
    datagrams: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Listening {
    fn new() -> Result<Self> {
        let any = |port: u16| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let (tcp, udp) = Host::Server.enter(|| {
            // No cookies: without them a segment with ACK alone makes no socket. And room for every SYN.
            let set =
                |name: &str, value: &str| fs::write(format!("/proc/sys/net/{name}"), value).context(name.to_owned());
            set("ipv4/tcp_syncookies", "0")?;
            set("ipv4/tcp_max_syn_backlog", "1000000")?;
            set("core/somaxconn", "1000000")?;
            // A SYN with data is taken at once, cookie or not.
            set("ipv4/tcp_fastopen", "1538")?;
            // Fragments that nothing follows make room for others, or in the end none would be put together.
            set("ipv4/ipfrag_time", "1")?;
            set("ipv6/ip6frag_time", "1")?;
            let tcp = Socket::new(Domain::IPV6, Type::STREAM, None)?;
            tcp.set_only_v6(false)?;
            tcp.bind(&any(TCP_PORT).into())?;
            tcp.listen(1_000_000)?;
            let udp = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
            udp.set_only_v6(false)?;
            udp.bind(&any(UDP_PORT).into())?;
            Ok((tcp, UdpSocket::from(udp)))
        })?;
        let (datagrams, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (Arc::clone(&datagrams), Arc::clone(&stop));
        udp.set_read_timeout(Some(Duration::from_millis(20)))?;
        let reader = thread::spawn(move || {
            let mut buffer = [0; 9000];
            while !stopped.load(Relaxed) {
                if udp.recv(&mut buffer).is_ok() {
                    counted.fetch_add(1, Relaxed);
                }
            }
        });
        Ok(Self { _tcp: tcp, datagrams, stop, reader: Some(reader) })
    }

    /// How often the stack has made a socket, or answered as one, and datagrams that were read. A request
    /// makes a small socket first, which answers; the stack counts what it sends, but for resets, which
    /// come of no socket, and what it says again.
    fn came(&self) -> Result<(u64, u64)> {
        // What was sent is there: a veth pair delivers before the sender goes on, but for the last few.
        thread::sleep(Duration::from_millis(100));
        let table = Host::Server.must(&["cat", "/proc/net/snmp"])?;
        let tcp: Vec<Vec<&str>> =
            table.lines().filter(|line| line.starts_with("Tcp:")).map(|line| line.split(' ').collect()).collect();
        let count = |name: &str| -> Result<u64> {
            let at = tcp[0].iter().position(|one| *one == name).context("no such counter")?;
            Ok(tcp[1][at].parse()?)
        };
        let said = count("OutSegs")? - count("OutRsts")?;
        Ok((said + count("PassiveOpens")?, self.datagrams.load(Relaxed)))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Makes what is sent next: a frame, or all fragments of one.
type Next = dyn FnMut(&mut Mutator) -> Vec<Vec<u8>>;

/// Frames of one kind.
struct Kind {
    name: &'static str,
    /// Without the gate, some make a socket or reach one.
    reaches: bool,
    next: Box<Next>,
}

/// A source port that no frame before it had, so that each is a flow of its own.
fn next_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    1024 + NEXT.fetch_add(1, Relaxed) % 64_000
}

fn pairs() -> seeds::Pairs {
    Family::ALL.map(|family| (family.address(Host::Stranger), family.address(Host::Server)))
}

/// A kind whose frames are made of requests in either family, TCP and UDP.
fn kind(name: &'static str, reaches: bool, change: impl Fn(PacketBuilder, bool) -> PacketBuilder + 'static) -> Kind {
    let mut count = 0;
    let next = move |_: &mut Mutator| {
        count += 1;
        let (stranger, server) = pairs()[count / 2 % 2];
        let packet = PacketBuilder::between(stranger, server);
        let port = next_port();
        let packet = if count % 2 == 0 {
            packet.tcp(port, TCP_PORT, SYN).tcp_options(&[2, 4, 5, 0xb4])
        } else {
            packet.udp(port, UDP_PORT).payload(b"knock")
        };
        vec![change(packet, stranger.is_ipv4()).build()]
    };
    Kind { name, reaches, next: Box::new(next) }
}

/// SYN with all combinations of the seven other flags.
const SYN_AND_OTHERS: [u8; 128] = {
    let mut all = [SYN; 128];
    let mut others = 0;
    while others < all.len() {
        // The bits below SYN's stay where they are, the others make room for it.
        all[others] = (others as u8 & (SYN - 1)) | SYN | (others as u8 & !(SYN - 1)) << 1;
        others += 1;
    }
    all
};
// Each of them in both families.
const _: () = assert!(EACH >= 2 * SYN_AND_OTHERS.len());

/// A kind whose frames are requests in either family, TCP and UDP, cut into pieces.
fn in_fragments(name: &'static str, cut: fn(&mut Mutator, &[u8]) -> Vec<Vec<u8>>) -> Kind {
    let mut count = 0;
    let next = move |mutator: &mut Mutator| {
        count += 1;
        let (stranger, server) = pairs()[count % 2];
        let packet = PacketBuilder::between(stranger, server);
        let port = next_port();
        let packet = if (count / 2).is_multiple_of(2) {
            packet.tcp(port, TCP_PORT, SYN).tcp_options(&[1; 40])
        } else {
            packet.udp(port, UDP_PORT)
        };
        cut(mutator, &packet.payload(&vec![7; 20 + count % 100]).build())
    };
    Kind { name, reaches: true, next: Box::new(next) }
}

/// A kind of these frames in turn, each time from another port if they have ports.
fn frames_of(name: &'static str, reaches: bool, frames: impl IntoIterator<Item = Vec<u8>>) -> Kind {
    let frames: Vec<_> = frames.into_iter().filter(|frame| can_be_sent(frame)).collect();
    let mut count = 0;
    let next = move |_: &mut Mutator| {
        count += 1;
        let (frame, port) = (&frames[count % frames.len()], next_port());
        let mut other = frame.clone();
        set_source_port(&mut other, port);
        // In a later fragment, or behind headers of another kind, there was no port to set.
        let is_set = read(&other).is_some_and(|segment| segment.from == port);
        vec![if is_set { other } else { frame.clone() }]
    };
    Kind { name, reaches, next: Box::new(next) }
}

fn kinds() -> Vec<Kind> {
    let flags = |name, reaches, flags: &'static [u8]| {
        let mut count = 0;
        let next = move |_: &mut Mutator| {
            count += 1;
            let (stranger, server) = pairs()[count % 2];
            let packet = PacketBuilder::between(stranger, server);
            vec![packet.tcp(next_port(), TCP_PORT, flags[count / 2 % flags.len()]).build()]
        };
        Kind { name, reaches, next: Box::new(next) }
    };
    vec![
        kind("as usual", true, |packet, _| packet),
        kind("VLAN 0", true, |packet, _| packet.vlan(VLAN)),
        kind("VLAN 0 twice", true, |packet, _| packet.vlans(&[VLAN, VLAN])),
        kind("VLAN 0 three times", true, |packet, _| packet.vlans(&[VLAN; 3])),
        kind("802.1ad of VLAN 0", true, |packet, _| packet.vlans(&[SERVICE_VLAN, VLAN])),
        kind("IPv4 options", true, |packet, v4| if v4 { packet.options(&[1; 40]) } else { packet }),
        kind("extension headers", true, |packet, v4| match v4 {
            true => packet,
            false => packet.extension(Extension::generic(HOP_BY_HOP, 1)).extension(Extension::generic(DESTINATION, 3)),
        }),
        kind("nine extension headers", true, |packet, v4| match v4 {
            true => packet,
            false => (0..9).fold(packet, |packet, _| packet.extension(Extension::generic(DESTINATION, 1))),
        }),
        kind("atomic fragments", true, |packet, v4| if v4 { packet } else { packet.fragment(0, false) }),
        kind("padded", true, |packet, _| packet.padded(200)),
        kind("group MAC", false, |packet, _| packet.broadcast()),
        kind("wrong checksum", false, |packet, _| packet.wrong_checksum()),
        flags("SYN and more", true, &[SYN, SYN | ECE | CWR, SYN | PSH, SYN | URG, SYN | PSH | URG | ECE | CWR]),
        flags("SYN with every other flag", true, &SYN_AND_OTHERS),
        flags("SYN and FIN or RST", false, &[SYN | FIN, SYN | RST, SYN | FIN | RST]),
        flags("no SYN", false, &[0, ACK, FIN, FIN | ACK, RST, PSH, URG, FIN | PSH | URG, SYN | ACK]),
        in_fragments("fragments", Mutator::fragments),
        // Where one comes last that overlaps, the stack has put the others together before.
        in_fragments("overlapping fragments", Mutator::overlapping_fragments),
        // Stacks take no such addresses from a wire, or not all of them do.
        frames_of("v4-mapped addresses", false, seeds::mapped_between(pairs()).iter().map(PacketBuilder::build)),
        frames_of("what has broken a filter", true, seeds::cases_between(pairs())),
        Kind { name: "mutated", reaches: true, next: Box::new(|mutator| vec![mutator.frame()]) },
    ]
}

fn mutator(seed: u64) -> Mutator {
    Mutator::of(seed, seeds::frames_between(pairs())).from_many_ports()
}

/// Answers of the server find their way, and nobody at its end minds them: a stack would reset what it has
/// not begun.
fn let_answers_vanish() -> Result<()> {
    let text = Host::Stranger.must(&["ip", "-j", "link", "show", "dev", "eth0"])?;
    let json: serde_json::Value = serde_json::from_str(&text)?;
    let mac = json[0]["address"].as_str().context("no address")?.to_owned();
    for (stranger, _) in pairs() {
        let at = stranger.to_string();
        let device = SERVER_INTERFACES[1];
        Host::Server.must(&["ip", "neigh", "replace", &at, "lladdr", &mac, "dev", device, "nud", "permanent"])?;
    }
    Host::Stranger.must(&["ip", "addr", "flush", "dev", "eth0"]).map(drop)
}

fn no_frame_makes_a_socket_behind_the_gate() -> Result<()> {
    let (seed, end) = (seed()?, end()?);
    let _lab = Lab::new()?;
    let wire = Wire::tap(Host::Stranger)?;
    let_answers_vanish()?;
    // The stack without the gate.
    let mut reached = (0_u64, 0_u64);
    {
        let listening = Listening::new()?;
        let mut mutator = mutator(seed);
        for mut kind in kinds() {
            let before = listening.came()?;
            for _ in 0..EACH {
                send_all(&wire, &(kind.next)(&mut mutator))?;
            }
            let after = listening.came()?;
            let (sockets, datagrams) = (after.0 - before.0, after.1 - before.1);
            println!("  without the gate, {}: {sockets} sockets, {datagrams} datagrams of {EACH}", kind.name);
            ensure!(!kind.reaches || sockets > 0, "{}: the stack takes none, so this shows nothing", kind.name);
            reached = (reached.0 + sockets, reached.1 + datagrams);
        }
        ensure!(reached.0 > EACH as u64 && reached.1 > EACH as u64, "the stack takes too few: {reached:?}");
        ensure!(nothing_but_listening().is_err(), "what came of it is not seen among the sockets");
    }
    let _daemon = Daemon::start(&config(), None)?;
    let listening = Listening::new()?;
    // Half-open connections of a socket that has been closed go with their timers.
    until("the sockets of before are gone", TIMEOUT, || nothing_but_listening().ok())?;
    let opened = accepted(Host::Server)?;
    let already = listening.came()?;
    let (mut asked, mut sent) = (0_u64, 0);
    let mut round = 0;
    while end.map_or(round < TIMES, |end| round == 0 || Instant::now() < end) {
        let mut mutator = mutator(seed + round as u64);
        for mut kind in kinds() {
            for _ in 0..EACH {
                let frames = (kind.next)(&mut mutator);
                send_all(&wire, &frames)?;
                asked += 1;
                sent += frames.len();
            }
            if round == 0 {
                // So that a failure says of what kind it comes.
                let came = listening.came()?;
                ensure!(
                    came == already,
                    "{}: {came:?} and not {already:?} sockets and datagrams, seed {seed}",
                    kind.name
                );
                nothing_but_listening().context(kind.name)?;
            }
        }
        round += 1;
        nothing_but_listening().with_context(|| format!("seed {}", seed + round as u64 - 1))?;
        ensure!(listening.came()? == already, "a socket, or a datagram, from seed {}", seed + round as u64 - 1);
    }
    ensure!(accepted(Host::Server)? == opened, "a connection was opened");
    let status = Status::read()?;
    ensure!(status.grants().is_empty(), "a grant: {:?}", status.grants());
    let denied = ["new", "udp", "probe", "malformed", "too_deep", "tiny_fragment", "overlap"];
    let denied: u64 = denied.iter().map(|name| status.counter(&format!("deny_{name}"))).sum();
    // Later fragments of what was denied pass, and are never put together.
    ensure!(denied > asked / 2, "the gate saw too little: {denied} denials of {asked} requests");
    println!(
        "[figures] oracle: frames={sent} denied={denied} let_in=0 (without the gate {} sockets, {} datagrams of {})",
        reached.0,
        reached.1,
        EACH * kinds().len()
    );
    Ok(())
}

/// Fails unless the server shows what listens on the two ports, and no other socket in any state.
fn nothing_but_listening() -> Result<()> {
    for (which, port, state) in [("-tan", TCP_PORT, "LISTEN"), ("-uan", UDP_PORT, "UNCONN")] {
        let text = Host::Server.must(&["ss", "-H", which, &format!("sport = :{port}")])?;
        let sockets: Vec<_> = text.lines().collect();
        let others: Vec<_> = sockets.iter().filter(|line| !line.starts_with(state)).take(5).collect();
        ensure!(sockets.len() == 1 && others.is_empty(), "{} sockets on {port}, among them {others:?}", sockets.len());
    }
    Ok(())
}

/// The device takes what fits its MTU; the rest has been judged elsewhere.
fn can_be_sent(frame: &[u8]) -> bool {
    (15..1500).contains(&frame.len())
}

fn send_all(wire: &Wire, frames: &[Vec<u8>]) -> Result<()> {
    frames.iter().filter(|frame| can_be_sent(frame)).try_for_each(|frame| wire.send(frame))
}

/// A connection, and the state that the server has brought it to.
struct Connection {
    state: &'static str,
    family: Family,
    port: u16,
    ends: Vec<TcpStream>,
}

/// Connections of a client that was granted for a moment, one in each state that lasts, and what still
/// listens: a segment that belongs to none of them would be denied.
fn connections() -> Result<(Vec<Connection>, Vec<TcpListener>)> {
    let (mut connections, mut listeners) = (Vec::new(), Vec::new());
    // The client resets what is answered out of TIME-WAIT, and would end it (RFC 1337).
    Host::Server.enter(|| fs::write("/proc/sys/net/ipv4/tcp_rfc1337", "1").context("tcp_rfc1337"))?;
    for family in Family::ALL {
        let client = family.address(Host::Client).to_string();
        knockctl(Host::Server, &["allow", &client])?.success()?;
        let server = SocketAddr::from((family.address(Host::Server), TCP_PORT));
        let listener = Host::Server.enter(|| Ok(TcpListener::bind(server)?))?;
        for state in ["ESTAB", "CLOSE-WAIT", "FIN-WAIT-2", "TIME-WAIT"] {
            let there = Host::Client.enter(|| Ok(TcpStream::connect_timeout(&server, TIMEOUT)?))?;
            let (here, _) = listener.accept()?;
            let port = there.local_addr()?.port();
            let ends = match state {
                "ESTAB" => vec![here, there],
                "CLOSE-WAIT" => {
                    there.shutdown(Shutdown::Write)?;
                    vec![here, there]
                }
                "FIN-WAIT-2" => {
                    here.shutdown(Shutdown::Write)?;
                    vec![here, there]
                }
                _ => {
                    drop(here);
                    drop(there);
                    Vec::new()
                }
            };
            connections.push(Connection { state, family, port, ends });
        }
        knockctl(Host::Server, &["revoke", &client])?.success()?;
        listeners.push(listener);
    }
    thread::sleep(Duration::from_millis(100));
    for connection in &connections {
        ensure!(connection.is_there()?, "no connection in {}", connection.state);
    }
    Ok((connections, listeners))
}

impl Connection {
    fn is_there(&self) -> Result<bool> {
        let filter = format!("( sport = :{TCP_PORT} and dport = :{} )", self.port);
        let ran = Host::Server.must(&["ss", "-H", "-t", "-a", "-n", &filter])?;
        Ok(ran.lines().any(|line| line.starts_with(self.state)))
    }

    /// A segment of the client's, as a path may bring it: tagged, with options, in fragments, again.
    fn frames(&self, rng: &mut Rng, mutator: &mut Mutator) -> Vec<Vec<u8>> {
        let (client, server) = (self.family.address(Host::Client), self.family.address(Host::Server));
        let asks = |flags: u8| flags & (SYN | ACK) == SYN || flags & (SYN | ACK | RST) == 0;
        let flags = loop {
            let flags = rng.u8(..);
            if !asks(flags) {
                break flags;
            }
        };
        let mut packet = PacketBuilder::between(client, server).tcp(self.port, TCP_PORT, flags);
        if rng.bool() {
            packet = packet.tcp_options(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
        }
        packet = packet.payload(&vec![7; rng.usize(..200)]).hops(rng.u8(1..)).class(rng.u8(..));
        for _ in 0..rng.usize(..3) {
            packet = packet.vlan(rng.choice([VLAN, SERVICE_VLAN]).unwrap_or(VLAN));
        }
        packet = match (rng.u8(..4), client.is_ipv4()) {
            (0, true) => packet.options(&vec![1; rng.usize(1..11) * 4]),
            (0, false) => packet.extension(Extension::generic(HOP_BY_HOP, rng.u16(1..5))),
            (1, false) => packet.fragment(0, false),
            (2, _) => packet.padded(rng.usize(60..300)),
            (3, _) => packet.wrong_checksum(),
            _ => packet,
        };
        let plain = PacketBuilder::between(client, server).tcp(self.port, TCP_PORT, flags);
        let mut frames = match rng.u8(..5) {
            // No path has so small an MTU that the flags would not be in the first one (RFC 791, 3.2).
            0 => {
                let payload = vec![7; rng.usize(40..400)];
                fragments(rng, mutator, &plain.payload(&payload).build())
            }
            _ => vec![packet.build()],
        };
        if rng.u8(..10) == 0 {
            frames.extend(frames.clone());
        }
        frames
    }
}

/// Fragments of which the first holds all of the TCP header.
fn fragments(rng: &mut Rng, mutator: &mut Mutator, frame: &[u8]) -> Vec<Vec<u8>> {
    loop {
        let pieces = mutator.fragments(frame);
        let firsts: Vec<_> = pieces.iter().filter_map(|piece| read(piece)).collect();
        let second = |piece: &&Vec<u8>| piece.len() > 22 && piece[12] == 8 && piece[20] & 0x1f == 0 && piece[21] == 1;
        let second_v6 =
            |piece: &&Vec<u8>| piece.len() > 58 && piece[12] == 0x86 && piece[56] == 0 && piece[57] >> 3 == 1;
        let whole = !firsts.is_empty() && firsts.iter().all(Segment::may_belong);
        if whole && !pieces.iter().any(|piece| second(&piece) || second_v6(&piece)) {
            return pieces;
        }
        if rng.u8(..) == 0 {
            return vec![frame.to_vec()];
        }
    }
}

fn no_frame_of_a_connection_is_denied_whatever_a_path_makes_of_it() -> Result<()> {
    let (seed, end) = (seed()?, end()?);
    let _lab = Lab::new()?;
    let wire = Wire::tap(Host::Client)?;
    let _daemon = Daemon::start(&config(), None)?;
    let (mut connections, _listeners) = connections()?;
    let (mut rng, mut mutator) = (Rng::with_seed(seed), Mutator::new(seed));
    let before = Status::read()?;
    let mut sent = 0;
    while end.map_or(sent < OWN_FRAMES, |end| sent < 1000 || Instant::now() < end) {
        let connection = &connections[rng.usize(..connections.len())];
        let frames = connection.frames(&mut rng, &mut mutator);
        send_all(&wire, &frames)?;
        sent += frames.len();
        if sent % 4096 < frames.len() {
            // What is no connection any more is none of this test's.
            let mut there = Vec::new();
            for connection in connections {
                if connection.is_there()? {
                    there.push(connection);
                }
            }
            connections = there;
            ensure!(connections.iter().any(|one| one.state == "ESTAB"), "no connection is left, seed {seed}");
        }
    }
    thread::sleep(Duration::from_millis(100));
    let after = Status::read()?;
    let grown = |name: &str| after.counter(name) - before.counter(name);
    for name in ["new", "udp", "probe", "malformed", "too_deep", "tiny_fragment", "overlap"] {
        let name = format!("deny_{name}");
        ensure!(grown(&name) == 0, "{} frames of a connection: {name}, seed {seed}", grown(&name));
    }
    let passed = grown("pass_flow") + grown("pass_connected") + grown("pass_later_fragment");
    ensure!(passed >= sent as u64 * 9 / 10, "the gate saw {passed} of {sent} frames");
    // They still carry data, both ways.
    let mut carried = 0;
    for connection in connections.iter_mut().filter(|one| one.state == "ESTAB") {
        let [here, there] = connection.ends.as_mut_slice() else { return Err(anyhow!("two ends")) };
        for (from, to) in [(0, 1), (1, 0)] {
            let ends = [&*here, &*there];
            let (mut from, mut to) = (ends[from], ends[to]);
            from.write_all(b"still here")?;
            to.set_read_timeout(Some(TIMEOUT))?;
            let mut buffer = [0; 10];
            to.read_exact(&mut buffer).context("the connection does not carry data any more")?;
            ensure!(&buffer == b"still here");
        }
        carried += 1;
    }
    ensure!(carried == 2, "{carried} connections are left");
    println!("[figures] connections: frames={sent} passed={passed} denied=0");
    Ok(())
}
