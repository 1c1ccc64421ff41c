//! Rule 7: packets of one source on several CPUs at the very same moment.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, hint, thread};

use anyhow::{Result, ensure};
use fastrand::Rng;
use knock_common::abi::counter::Counter::{
    AttemptAdvanced, AttemptEnded, AttemptStarted, GrantClosed, GrantExtended, GrantOpened, GrantSpent,
};
use tests::harness::{Test, tests};
use tests::kernel::{Room, Run, XDP_DROP, XDP_PASS, stay_on_cpu};
use tests::lab::sandbox;
use tests::packet::{CLIENT_V4, SERVER_V4, SERVER_V6};

use super::gate::{Gate, NOW, alone, datagram, syn};

/// Three doors that begin with one knock.
const RULES: &str = r#"
[options]
interfaces = ["eth0"]
attempt_rate = 100000000

[services.ssh2]
ports = ["2222/tcp"]

[doors.open]
service = "ssh2"
sequence = ["7000/tcp", "8000/udp", "9000/tcp", "7500/tcp"]
cmd_timeout = "60s"

[doors.other]
service = "ssh2"
sequence = ["7000/tcp", "9000/tcp", "8000/udp", "7500/tcp", "8000/udp"]
cmd_timeout = "60s"

[doors.bystander]
service = "ssh2"
sequence = ["7000/tcp", "6000/tcp"]
"#;

/// The sequence of `open`.
const SEQUENCE: [u16; 4] = [7000, 8000, 9000, 7500];
/// How often a CPU repeats a packet in one go, so that the goes of all CPUs overlap.
const BURST: u32 = 20;

/// How often a thread looks for the others before it lets them have its CPU.
const SPINS: u32 = 20_000;

/// The tests.
pub fn tests() -> Vec<Test> {
    let tests = tests!["kernel::races";
        a_rightly_spaced_sequence_is_never_lost_and_never_counts_twice,
        harmless_packets_on_other_cpus_do_not_lose_a_knock,
        no_grant_comes_of_a_sequence_with_a_step_missing,
        there_are_never_more_grants_than_whole_sequences,
        thousands_of_sources_at_once_each_get_what_they_knocked_for,
        of_thousands_with_one_and_the_same_one_time_sequence_one_gets_in,
        doors_completed_at_the_same_moment_leave_the_later_end,
        a_door_that_opens_and_one_that_closes_at_once_leave_one_grant_or_none,
    ];
    // They race on all CPUs.
    tests.into_iter().map(Test::alone).collect()
}

fn step(port: u16) -> Vec<u8> {
    if port == 8000 { datagram(CLIENT_V4, SERVER_V4, port).build() } else { syn(CLIENT_V4, SERVER_V4, port).build() }
}

/// Sends a packet that nothing keeps from the stack. One run for each time: to repeat one, the kernel
/// waits for all CPUs first.
fn send(program: BorrowedFd<'_>, frame: &[u8], times: u32) {
    for _ in 0..times {
        let ran = Run::new(frame).on(program).expect("the kernel runs it");
        assert_eq!(ran.action, XDP_PASS);
    }
}

fn is_in(program: BorrowedFd<'_>) -> Result<bool> {
    let ran = Run::new(&syn(CLIENT_V4, SERVER_V4, 2222).build()).on(program)?;
    ensure!([XDP_PASS, XDP_DROP].contains(&ran.action));
    Ok(ran.action == XDP_PASS)
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Where threads wait for one another without going to sleep.
#[derive(Default)]
struct Gathering(AtomicUsize);

impl Gathering {
    fn wait(&self, parties: usize) {
        let ticket = self.0.fetch_add(1, Ordering::SeqCst);
        let all = (ticket / parties + 1) * parties;
        let mut spins = 0;
        while self.0.load(Ordering::SeqCst) < all {
            // Not at once, so that all go on at the same moment where each has its CPU.
            if spins < SPINS {
                spins += 1;
                hint::spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

/// Calls `work` on every CPU at once, with its number.
fn on_every_cpu(work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for cpu in 0..cpus() {
            let work = &work;
            scope.spawn(move || {
                stay_on_cpu(cpu).expect("the CPU is there");
                work(cpu);
            });
        }
    });
}

/// Every CPU takes copies of every knock at once; the knocks themselves are spaced.
fn a_rightly_spaced_sequence_is_never_lost_and_never_counts_twice() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(RULES)?;
        let frames = SEQUENCE.map(step);
        for _ in 0..300 {
            gate.0.reset();
            let program = gate.0.fd();
            let gathering = Gathering::default();
            on_every_cpu(|_| {
                for frame in &frames {
                    gathering.wait(cpus());
                    send(program, frame, BURST);
                }
                // Knocking goes on at the last step, which is the first of nothing.
                gathering.wait(cpus());
            });
            assert!(is_in(gate.0.fd())?);
            let counters = gate.0.all_counters();
            assert_eq!((counters[GrantOpened as usize], counters[GrantExtended as usize]), (1, 0));
            assert_eq!(counters[AttemptStarted as usize], 3);
            // The knocks that are right for the one door are wrong for the others.
            assert_eq!((counters[AttemptAdvanced as usize], counters[AttemptEnded as usize]), (3, 2));
            assert_eq!((gate.0.all_grants().len(), gate.0.all_attempts().len()), (1, 1));
        }
        Ok(())
    })
}

/// One CPU has the right knocks; the others send what is no wrong knock.
fn harmless_packets_on_other_cpus_do_not_lose_a_knock() -> Result<()> {
    alone(|| {
        let gate = Gate::of(RULES)?;
        let (over, program) = (AtomicBool::new(false), gate.0.fd());
        let completed = || {
            let counters = gate.0.all_counters();
            counters[GrantOpened as usize] + counters[GrantExtended as usize]
        };
        let lost = thread::scope(|scope| {
            for cpu in 1..cpus() {
                let over = &over;
                scope.spawn(move || {
                    stay_on_cpu(cpu).expect("the CPU is there");
                    let repeat = step(7000);
                    while !over.load(Ordering::Relaxed) {
                        send(program, &repeat, BURST);
                        // Denied or granted, it is no business of the attempt.
                        is_in(program).expect("the kernel runs it");
                    }
                });
            }
            let frames = SEQUENCE.map(step);
            let lost = (0..3000).find(|_| {
                let before = completed();
                frames.iter().for_each(|frame| send(program, frame, 1));
                completed() != before + 1
            });
            over.store(true, Ordering::Relaxed);
            lost
        });
        assert_eq!(lost, None, "the round that opened nothing");
        assert_eq!(gate.0.all_grants().len(), 1);
        Ok(())
    })
}

/// Every CPU sends steps in any order, but none ever sends the one that is left out.
fn no_grant_comes_of_a_sequence_with_a_step_missing() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(RULES)?;
        for missing in SEQUENCE {
            gate.0.reset();
            let program = gate.0.fd();
            let left = SEQUENCE.into_iter().filter(|port| *port != missing);
            let frames: Vec<_> = left.chain([31337]).map(step).collect();
            on_every_cpu(|cpu| {
                let mut rng = Rng::with_seed(cpu as u64);
                for _ in 0..20_000 {
                    send(program, &frames[rng.usize(..frames.len())], 1 + rng.u32(..3));
                }
            });
            assert!(!is_in(gate.0.fd())?, "without {missing}");
            assert!(gate.0.all_grants().is_empty(), "without {missing}");
        }
        Ok(())
    })
}

/// A completed sequence uses up a knock of each step, however the CPUs race.
fn there_are_never_more_grants_than_whole_sequences() -> Result<()> {
    const ROUNDS: u64 = 20_000;
    alone(|| {
        let gate = Gate::of(RULES)?;
        let (program, number) = (gate.0.fd(), cpus());
        on_every_cpu(|cpu| {
            for port in SEQUENCE.into_iter().skip(cpu).step_by(number) {
                let frame = step(port);
                for _ in 0..ROUNDS {
                    send(program, &frame, 1);
                }
            }
        });
        let counters = gate.0.all_counters();
        let completed = counters[GrantOpened as usize] + counters[GrantExtended as usize];
        assert!(completed <= ROUNDS, "{completed} of {ROUNDS}");
        assert!(gate.0.all_grants().len() <= 1);
        Ok(())
    })
}

/// Sources of the tests with thousands, half of them from the addresses for benchmarks (RFC 2544).
const SOURCES: u32 = 4000;

fn source(number: u32) -> IpAddr {
    if number.is_multiple_of(2) {
        IpAddr::from((0xc612_0000 + number).to_be_bytes())
    } else {
        IpAddr::from((0x2001_0db8_0000_0000_0000_0000_0001_0000 + u128::from(number)).to_be_bytes())
    }
}

fn step_from(source: IpAddr, port: u16) -> Vec<u8> {
    let server: IpAddr = if source.is_ipv4() { SERVER_V4.into() } else { SERVER_V6.into() };
    if port == 8000 { datagram(source, server, port).build() } else { syn(source, server, port).build() }
}

/// How often to do a thing: once, or for as long as the environment says.
fn rounds() -> impl Iterator<Item = u64> {
    let seconds = env::var("KNOCK_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    let end = seconds.map(|seconds: u64| Instant::now() + Duration::from_secs(seconds / 4));
    (0..).take_while(move |round| *round == 0 || end.is_some_and(|end| Instant::now() < end))
}

/// The knocks of all sources are mixed and spread over the CPUs; each source's own are spaced. One in
/// four leaves a step out, one in four has copies of its knocks on all CPUs.
fn thousands_of_sources_at_once_each_get_what_they_knocked_for() -> Result<()> {
    alone(|| {
        let room = Room { grants: 2 * SOURCES, attempts: 16 * SOURCES, ..Room::default() };
        let mut gate = Gate::with_room(RULES, room)?;
        let mut completed = 0;
        for round in rounds() {
            gate.0.reset();
            let program = gate.0.fd();
            let (gathering, number) = (Gathering::default(), cpus());
            on_every_cpu(|cpu| {
                for (index, port) in SEQUENCE.into_iter().enumerate() {
                    gathering.wait(number);
                    // Each CPU another order, and each round and step other CPUs for a source.
                    let mut rng = Rng::with_seed(round << 16 | (index as u64) << 8 | cpu as u64);
                    let mut mine: Vec<u32> = (0..SOURCES)
                        .filter(|one| one % 4 == 3 || (*one as usize * 7 + index + round as usize) % number == cpu)
                        .collect();
                    rng.shuffle(&mut mine);
                    for one in mine {
                        let left_out = one % 4 == 1 && (one / 4) as usize % SEQUENCE.len() == index;
                        if !left_out {
                            send(program, &step_from(source(one), port), 1);
                        }
                    }
                }
                gathering.wait(number);
            });
            let grants = gate.0.all_grants();
            let granted = |one: u32| grants.keys().filter(|key| IpAddr::from(key.source) == source(one)).count();
            let lost: Vec<u32> = (0..SOURCES).filter(|one| one % 4 != 1 && granted(*one) != 1).collect();
            let unearned: Vec<u32> = (0..SOURCES).filter(|one| one % 4 == 1 && granted(*one) != 0).collect();
            ensure!(lost.is_empty(), "{} sources have no grant for their knock: {:?}", lost.len(), lost.first());
            ensure!(unearned.is_empty(), "{} sources have a grant for no knock", unearned.len());
            let counters = gate.0.all_counters();
            let expected = u64::from(SOURCES) * 3 / 4;
            assert_eq!((counters[GrantOpened as usize], counters[GrantExtended as usize]), (expected, 0));
            completed += expected;
        }
        println!("[figures] races: sources={SOURCES} knocked_in={completed} lost=0 unearned=0");
        Ok(())
    })
}

/// All sources come to the last step of the sequence in the same moment.
fn of_thousands_with_one_and_the_same_one_time_sequence_one_gets_in() -> Result<()> {
    alone(|| {
        let path = Path::new(sandbox::DIR).join("thousands.once");
        fs::write(&path, "7000/tcp, 8000/udp, 9000/tcp\n")?;
        let door = format!("service = \"ssh2\"\none_time_sequences = {path:?}\ncmd_timeout = \"60s\"\n");
        let rules = format!(
            "[options]\ninterfaces = [\"eth0\"]\nattempt_rate = 100000000\n\
             [services.ssh2]\nports = [\"2222/tcp\"]\n[doors.open]\n{door}"
        );
        let room = Room { grants: 2 * SOURCES, attempts: 16 * SOURCES, ..Room::default() };
        let mut gate = Gate::with_room(&rules, room)?;
        for _ in rounds() {
            gate.0.reset();
            let program = gate.0.fd();
            let (gathering, number) = (Gathering::default(), cpus());
            on_every_cpu(|cpu| {
                for port in [7000, 8000, 9000] {
                    gathering.wait(number);
                    (0..SOURCES)
                        .filter(|one| *one as usize % number == cpu)
                        .for_each(|one| send(program, &step_from(source(one), port), 1));
                }
            });
            let counters = gate.0.all_counters();
            assert_eq!((gate.0.all_grants().len(), gate.0.all_used().len()), (1, 1));
            let came = (counters[GrantOpened as usize], counters[GrantSpent as usize]);
            assert_eq!(came, (1, u64::from(SOURCES) - 1));
        }
        Ok(())
    })
}

/// One of two CPUs is a little late, each time by another while, so that all orders come about.
fn stagger(cpu: usize, round: u32) {
    let late = (round / 2) % 256 * 16;
    if cpu == round as usize % 2 {
        (0..late).for_each(|_| std::hint::spin_loop());
    }
}

/// Two doors of one step and one service.
const SHORT_AND_LONG: &str = r#"
[options]
interfaces = ["eth0"]

[services.ssh2]
ports = ["2222/tcp"]

[doors.short]
service = "ssh2"
sequence = ["6000/tcp"]
cmd_timeout = "30s"

[doors.long]
service = "ssh2"
sequence = ["6001/tcp"]
cmd_timeout = "60s"

[doors.close]
service = "ssh2"
action = "close"
sequence = ["6002/tcp"]
"#;

/// Rule 5: the end is the later of the two, also where two CPUs write it at once.
fn doors_completed_at_the_same_moment_leave_the_later_end() -> Result<()> {
    const ROUNDS: u32 = 20_000;
    alone(|| {
        let mut gate = Gate::of(SHORT_AND_LONG)?;
        let frames = [step(6000), step(6001)];
        let program = gate.0.fd();
        let (gathering, parties) = (Gathering::default(), 2);
        let shortened = AtomicUsize::new(0);
        let kernel = &gate.0;
        thread::scope(|scope| {
            for (cpu, frame) in frames.iter().enumerate() {
                let (gathering, shortened) = (&gathering, &shortened);
                scope.spawn(move || {
                    stay_on_cpu(cpu % cpus()).expect("the CPU is there");
                    for round in 0..ROUNDS {
                        gathering.wait(parties);
                        stagger(cpu, round);
                        send(program, frame, 1);
                        gathering.wait(parties);
                        if cpu == 0 {
                            let ends: Vec<u64> = kernel.all_grants().values().map(|grant| grant.until).collect();
                            assert_eq!(ends.len(), 1);
                            if ends[0] != NOW + 60_000_000_000 {
                                shortened.fetch_add(1, Ordering::Relaxed);
                            }
                            send(program, &step(6002), 1);
                        }
                    }
                });
            }
        });
        assert_eq!(shortened.load(Ordering::Relaxed), 0, "of {ROUNDS} ends are the earlier one");
        gate.0.reset();
        Ok(())
    })
}

/// Either order is right; half a grant, or two, is not.
fn a_door_that_opens_and_one_that_closes_at_once_leave_one_grant_or_none() -> Result<()> {
    const ROUNDS: u32 = 10_000;
    alone(|| {
        let gate = Gate::of(SHORT_AND_LONG)?;
        let (program, kernel) = (gate.0.fd(), &gate.0);
        let (gathering, left) = (Gathering::default(), AtomicUsize::new(0));
        let frames = [step(6000), step(6002)];
        thread::scope(|scope| {
            for (cpu, frame) in frames.iter().enumerate() {
                let (gathering, left) = (&gathering, &left);
                scope.spawn(move || {
                    stay_on_cpu(cpu % cpus()).expect("the CPU is there");
                    for round in 0..ROUNDS {
                        gathering.wait(2);
                        stagger(cpu, round);
                        send(program, frame, 1);
                        gathering.wait(2);
                        if cpu == 0 {
                            let grants = kernel.all_grants();
                            assert!(grants.len() <= 1);
                            assert!(grants.values().all(|grant| grant.until == NOW + 30_000_000_000));
                            left.fetch_add(grants.len(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let counters = gate.0.all_counters();
        let opened = counters[GrantOpened as usize] + counters[GrantExtended as usize];
        assert_eq!((opened, counters[GrantClosed as usize]), (u64::from(ROUNDS), u64::from(ROUNDS)));
        println!("of {ROUNDS} races the opening door was last {} times", left.load(Ordering::Relaxed));
        Ok(())
    })
}
