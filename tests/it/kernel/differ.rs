//! The host build and the programs in the kernel judge mutated frames alike, and leave the same behind.

use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use knock_common::abi::counter::Counter;
use knock_common::abi::layout::name::{PROGRAM, PROGRAM_LINEAR, PROGRAM_RAW, PROGRAM_RAW_LINEAR};
use knock_common::atomic::Atomic64;
use knock_common::gate::Verdict;
use knock_common::packet::link::Link;
use tests::fuzz::mutate::Mutator;
use tests::fuzz::seeds;
use tests::harness::{Test, tests};
use tests::kernel::{Kernel, LEAST, LINEAR, RealSockets, Room, enter_network, stay_on_cpu};
use tests::memory::Memory;
use tests::model::{Port, Protocol, Sockets};
use tests::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6};
use tests::tables::Tables;

use super::gate::{NOW, datagram, pairs, syn};

/// Frames at random in all, unless the environment names a number, or seconds.
const FRAMES: u64 = 200_000;
/// Frames that a run for some seconds judges at least, however slow the machine is.
const LONG_FRAMES: u64 = 1_000_000;
/// Frames between two looks at the maps.
const BATCH: usize = 512;
/// Octets of an Ethernet header.
const HEADER: usize = 14;
/// Counters of what changes attempts or grants: a history that never does shows nothing.
const CHANGES: [Counter; 6] = [
    Counter::AttemptStarted,
    Counter::AttemptAdvanced,
    Counter::AttemptEnded,
    Counter::GrantOpened,
    Counter::GrantExtended,
    Counter::GrantClosed,
];

const RULES: &str = r#"
[options]
interfaces = ["eth0"]
OPTIONS

[services.ssh2]
ports = ["2222/tcp"]

[services.wg]
ports = ["51820/udp"]
keepalive = true

[doors.open]
service = "ssh2"
sequence = ["7000/tcp", "8000/udp", "9000/tcp"]
cmd_timeout = "3s"
grant_prefix_v4 = 24
grant_prefix_v6 = 64

[doors.other]
service = "wg"
sequence = ["8000/udp", "7000/tcp"]
cmd_timeout = "2s"

[doors.single]
service = "wg"
sequence = ["9000/tcp"]
target = "192.0.2.1"
cmd_timeout = "1s"

[doors.close]
service = "ssh2"
action = "close"
sequence = ["9000/tcp", "7000/tcp"]
"#;

/// What each round of all programs is loaded with.
const OPTIONS: [&str; 4] = [
    "trusted = [\"198.51.100.64/28\"]",
    "deny = \"reject\"\nattempt_rate = 3",
    "deny = \"reject\"\nverify_checksums = false",
    "stealth = false\nlog_denied = false",
];
const PROGRAMS: [(&str, Link, bool); 4] = [
    (PROGRAM, Link::Ethernet, true),
    (PROGRAM_LINEAR, Link::Ethernet, false),
    (PROGRAM_RAW, Link::Ip, true),
    (PROGRAM_RAW_LINEAR, Link::Ip, false),
];

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::differ"; mutated_frames_are_judged_alike_by_host_and_kernel]
}

/// A frame, and how much of it lies in the first buffer.
struct Input {
    frame: Vec<u8>,
    linear: Option<usize>,
}

#[derive(Clone, Copy)]
struct Job {
    options: &'static str,
    program: (&'static str, Link, bool),
    seed: u64,
}

/// How long the random part of a job lasts: until both are over.
#[derive(Clone, Copy)]
struct Length {
    frames: u64,
    end: Instant,
}

impl Length {
    fn is_over(self, frames: u64) -> bool {
        frames >= self.frames && Instant::now() >= self.end
    }
}

fn mutated_frames_are_judged_alike_by_host_and_kernel() -> Result<()> {
    let first = number("KNOCK_SEED")?.unwrap_or(1);
    let mut jobs: Vec<Job> = Vec::new();
    for (index, options) in OPTIONS.into_iter().enumerate() {
        jobs.extend(PROGRAMS.map(|program| Job { options, program, seed: first * 1000 + index as u64 }));
    }
    let cpus = thread::available_parallelism()?.get();
    let begun = Instant::now();
    let parts = jobs.len() as u64;
    let share = |all: u64| all.div_ceil(parts);
    let (frames, seconds) = (number("KNOCK_FRAMES")?, number("KNOCK_SECONDS")?);
    let span = seconds.map_or(Duration::ZERO, |seconds| Duration::from_secs(share(seconds * cpus as u64).max(1)));
    let least = match seconds {
        Some(_) => LONG_FRAMES.max(frames.unwrap_or(0)),
        None => frames.unwrap_or(FRAMES),
    };
    let waiting = Mutex::new(jobs);
    let judged = AtomicU64::new(0);
    let counted = Mutex::new([0; Counter::COUNT]);
    let worker = |cpu: usize| -> Result<()> {
        enter_network(&[SERVER_V4.into(), SERVER_V6.into(), CLIENT_V4.into(), CLIENT_V6.into()])?;
        stay_on_cpu(cpu)?;
        let mut sockets = RealSockets::default();
        sockets.become_like(&the_sockets())?;
        loop {
            let Some(job) = waiting.lock().expect("nobody panicked").pop() else { return Ok(()) };
            let length = Length { frames: share(least), end: Instant::now() + span };
            let (more, changes) = job.run(length)?;
            judged.fetch_add(more, Relaxed);
            counted.lock().expect("nobody panicked").iter_mut().zip(changes).for_each(|(sum, one)| *sum += one);
        }
    };
    thread::scope(|scope| {
        let worker = &worker;
        let workers: Vec<_> = (0..cpus).map(|cpu| scope.spawn(move || worker(cpu))).collect();
        for one in workers {
            one.join().map_err(|_| anyhow!("a worker panicked"))??;
        }
        anyhow::Ok(())
    })?;
    let (judged, counted) = (judged.into_inner(), counted.into_inner().expect("nobody panicked"));
    let rate = judged as f64 / begun.elapsed().as_secs_f64();
    let wanted = if seconds.is_some() { format!(" (at least {LONG_FRAMES})") } else { String::new() };
    println!("[figures] differ: frames={judged}{wanted} unlike=0 from seed {first}, {rate:.0} a second");
    for counter in Counter::ALL {
        println!("  {} = {}", counter.name(), counted[*counter as usize]);
    }
    ensure!(judged >= least, "only {judged} frames were judged, and not {least}");
    for counter in CHANGES {
        ensure!(counted[counter as usize] > 100, "the frames hardly ever come to {}", counter.name());
    }
    Ok(())
}

fn number(variable: &str) -> Result<Option<u64>> {
    env::var(variable).ok().map(|text| text.parse().with_context(|| format!("{variable}={text}"))).transpose()
}

/// The services listen, and the client of each family has a connection.
fn the_sockets() -> Sockets {
    let listening = [Port(2222, Protocol::Tcp), Port(51820, Protocol::Udp), Port(22, Protocol::Tcp)];
    let connections = pairs().map(|(client, server)| (client, 40_000, server, 2222));
    Sockets { listening: listening.into(), connections: connections.into(), ..Sockets::default() }
}

impl Job {
    /// Returns how many frames were judged, and what the kernel counted.
    fn run(&self, length: Length) -> Result<(u64, [u64; Counter::COUNT])> {
        let tables = Tables::from_toml(&RULES.replace("OPTIONS", self.options));
        let (program, ..) = self.program;
        let mut kernel = Kernel::load_as(program, &tables, Room::default())?;
        let mut mutator = Mutator::new(self.seed);
        let mut judged = 0;
        let mut sum = [0; Counter::COUNT];
        let mut batch = |inputs: &[Input]| -> Result<()> {
            let counters = self.compare(&mut kernel, &tables, inputs)?;
            sum.iter_mut().zip(counters).for_each(|(sum, one)| *sum += one);
            judged += inputs.len() as u64;
            Ok(())
        };
        let systematic = self.systematic();
        systematic.chunks(BATCH).try_for_each(&mut batch)?;
        let mut random = 0;
        loop {
            if length.is_over(random) {
                return Ok((judged, sum));
            }
            let inputs = self.random(&mut mutator);
            batch(&inputs)?;
            random += inputs.len() as u64;
        }
    }

    /// Every frame of the tables cut after every octet, and split into two buffers after every octet.
    fn systematic(&self) -> Vec<Input> {
        let (_, _, takes_buffers) = self.program;
        let mut inputs = Vec::new();
        for frame in seeds::frames().into_iter().filter_map(|frame| self.fitting(frame)) {
            inputs.extend((LEAST..frame.len()).map(|end| Input { frame: frame[..end].to_vec(), linear: None }));
            if takes_buffers {
                let splits = LEAST..frame.len().min(200);
                inputs.extend(splits.map(|linear| Input { frame: frame.clone(), linear: Some(linear) }));
            }
            inputs.push(Input { frame, linear: None });
        }
        inputs
    }

    /// Mutated frames, with rightly made knocks among them.
    fn random(&self, mutator: &mut Mutator) -> Vec<Input> {
        let (_, _, takes_buffers) = self.program;
        let mut inputs = Vec::with_capacity(BATCH + 64);
        while inputs.len() < BATCH {
            if mutator.chance(20) {
                let (client, server) = pairs()[usize::from(mutator.chance(50))];
                let (one, two) = (syn(client, server, 7000), datagram(client, server, 8000));
                let knocks = [one, two, syn(client, server, 9000), syn(client, server, 7000)];
                let skipped = if mutator.chance(30) { 2 } else { 0 };
                for knock in knocks.into_iter().skip(skipped) {
                    inputs.extend(self.fitting(knock.build()).map(|frame| Input { frame, linear: None }));
                }
            }
            let Some(frame) = self.fitting(mutator.frame()) else { continue };
            let linear = (takes_buffers && mutator.chance(25)).then(|| mutator.split(&frame).min(LINEAR));
            inputs.push(Input { frame, linear });
        }
        inputs
    }

    /// The frame as it comes on this link, if the kernel can run it.
    fn fitting(&self, mut frame: Vec<u8>) -> Option<Vec<u8>> {
        let (_, link, takes_buffers) = self.program;
        if link == Link::Ip {
            frame.drain(..HEADER.min(frame.len()));
        }
        (frame.len() >= LEAST && (takes_buffers || frame.len() <= LINEAR)).then_some(frame)
    }

    /// Both judge the frames as if they had seen nothing. Returns what the kernel counted.
    fn compare(&self, kernel: &mut Kernel, tables: &Tables, inputs: &[Input]) -> Result<[u64; Counter::COUNT]> {
        let Err(difference) = self.play(kernel, tables, inputs, false) else {
            return Ok(kernel.all_counters());
        };
        // Once more, with a look at the maps after each frame.
        let Err((at, exact)) = self.play(kernel, tables, inputs, true) else {
            bail!("unlike once and not again: {}", difference.1);
        };
        let (program, ..) = self.program;
        let Input { frame, linear } = &inputs[at];
        let digits: String = frame.iter().map(|octet| format!("{octet:02x}")).collect();
        bail!(
            "frame {at} of a batch, {linear:?} octets in the first buffer, {program} with {:?}: {exact}\n\
             as a case of tests/cases/frames:\n{digits}\n\
             replay: KNOCK_SEED={} cargo xtask test -- kernel::differ",
            self.options,
            self.seed / 1000
        )
    }

    fn play(&self, kernel: &mut Kernel, tables: &Tables, inputs: &[Input], each: bool) -> Result<(), (usize, String)> {
        kernel.reset();
        kernel.set_tokens(64);
        let host = Memory::new(tables.clone()).with_room(usize::MAX, 1024).with_sockets(the_sockets()).with_tokens(64);
        for (at, input) in inputs.iter().enumerate() {
            // A tenth of a second now and then: whole seconds in a batch.
            if at % 16 == 0 {
                let now = NOW + at as u64 / 16 * 100_000_000;
                host.set_now(now);
                kernel.set_now(now);
            }
            let expected = self.on_host(&host, input);
            let found = match input.linear {
                Some(linear) => kernel.judge_split(&input.frame, linear),
                None => kernel.judge_frame(&input.frame),
            };
            match found {
                Ok(found) if found == expected => {}
                Ok(found) => return Err((at, format!("the host says {expected:?}, the kernel {found:?}"))),
                Err(error) => return Err((at, format!("{error:#}"))),
            }
            if each {
                same(kernel, &host).map_err(|what| (at, what))?;
            }
        }
        same(kernel, &host).map_err(|what| (inputs.len() - 1, what))
    }

    fn on_host(&self, host: &Memory, input: &Input) -> Verdict {
        let (_, link, takes_buffers) = self.program;
        let length = input.frame.len();
        match input.linear {
            Some(linear) => host.judge_split(link, &input.frame, linear),
            None if takes_buffers => host.judge_split(link, &input.frame, length.min(LINEAR)),
            None => host.judge_linear(link, &input.frame),
        }
    }
}

/// Holds everything that can be seen of both against each other.
fn same(kernel: &mut Kernel, host: &Memory) -> Result<(), String> {
    let counters = kernel.all_counters();
    for counter in Counter::ALL {
        let (found, expected) = (counters[*counter as usize], host.counter(*counter));
        if found != expected && *counter != Counter::EventLost {
            return Err(format!("{}: {expected} on the host, {found} in the kernel", counter.name()));
        }
    }
    if kernel.all_grants() != host.grants() {
        return Err(format!("grants: {:?} on the host, {:?} in the kernel", host.grants(), kernel.all_grants()));
    }
    let attempts = host.all_attempts();
    let stored = kernel.all_attempts();
    let words = |slots: &knock_common::abi::attempt::Attempts| slots.slots.each_ref().map(Atomic64::load);
    if attempts.len() != stored.len() || attempts.iter().any(|(source, one)| stored.get(source) != Some(&words(one))) {
        return Err(format!("attempts: {attempts:?} on the host, {stored:?} in the kernel"));
    }
    Ok(())
}
