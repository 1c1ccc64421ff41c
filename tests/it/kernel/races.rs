//! Rule 7: packets of one source on several CPUs at the very same moment.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use fastrand::Rng;
use knock_common::counter::Counter::{AttemptStarted, GrantExtended, GrantOpened};
use libtest_mimic::Trial;
use tests::kernel::{Run, XDP_DROP, XDP_PASS, stay_on_cpu};
use tests::packet::{CLIENT_V4, SERVER_V4};

use super::gate::{Gate, alone, datagram, syn};
use crate::trials::trials;

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

/// The trials.
pub fn trials() -> Vec<Trial> {
    trials!["kernel::races";
        a_rightly_spaced_sequence_is_never_lost_and_never_counts_twice,
        harmless_packets_on_other_cpus_do_not_lose_a_knock,
        no_grant_comes_of_a_sequence_with_a_step_missing,
        there_are_never_more_grants_than_whole_sequences,
    ]
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
        while self.0.load(Ordering::SeqCst) < all {
            thread::yield_now();
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
