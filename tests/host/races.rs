//! Rule 7: several CPUs take packets of one source at the very same moment.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use fastrand::Rng;
use knock_common::abi::counter::Counter::{AttemptAdvanced, AttemptEnded, AttemptStarted, GrantExtended, GrantOpened};
use knock_common::gate::Verdict;
use tests::memory::Memory;
use tests::packet::{CLIENT_V4, SERVER_V4};

use crate::common::{datagram, host_of, syn};

/// CPUs that the knocks are spread over.
const CPUS: usize = 4;

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

const ONE_DOOR: &str = r#"
[options]
interfaces = ["eth0"]

[services.ssh2]
ports = ["2222/tcp"]

[doors.open]
service = "ssh2"
sequence = ["7000/tcp", "8000/tcp", "9000/tcp", "7500/tcp"]
cmd_timeout = "60s"
"#;

fn step(port: u16) -> Vec<u8> {
    if port == 8000 { datagram(CLIENT_V4, SERVER_V4, port).build() } else { syn(CLIENT_V4, SERVER_V4, port).build() }
}

fn is_in(host: &Memory) -> bool {
    host.judge(&syn(CLIENT_V4, SERVER_V4, 2222).build()) == Verdict::Pass
}

/// Every CPU takes a copy of every knock at once; the knocks themselves are spaced.
#[test]
fn a_rightly_spaced_sequence_is_never_lost_and_never_counts_twice() {
    for _ in 0..400 {
        let host = host_of(RULES);
        let barrier = Barrier::new(CPUS);
        let cpu = || {
            for port in [7000, 8000, 9000, 7500] {
                let frame = step(port);
                barrier.wait();
                assert_eq!(host.judge(&frame), Verdict::Pass);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..CPUS {
                scope.spawn(cpu);
            }
        });
        assert!(is_in(&host));
        assert_eq!((host.counter(GrantOpened), host.counter(GrantExtended)), (1, 0));
        assert_eq!(host.counter(AttemptStarted), 3);
        // The knocks that are right for the one door are wrong for the others.
        assert_eq!((host.counter(AttemptAdvanced), host.counter(AttemptEnded)), (3, 2));
    }
}

/// Two CPUs have the same knock, and one makes the step between the other's look at the attempt and its own step.
#[test]
fn a_step_that_another_cpu_was_first_to_make_is_made_once() {
    for made in 1..4 {
        let host = host_of(ONE_DOOR);
        let knock = |step: usize| syn(CLIENT_V4, SERVER_V4, [7000, 8000, 9000, 7500][step]).build();
        (0..made).for_each(|step| assert_eq!(host.judge(&knock(step)), Verdict::Pass));
        // The first look tells what the packet may mean; then the attempt is moved.
        host.interrupt_at_door(2, move |host| assert_eq!(host.judge(&knock(made)), Verdict::Pass));
        assert_eq!(host.judge(&knock(made)), Verdict::Pass);
        assert_eq!(host.counter(AttemptAdvanced), made as u64, "step {}", made + 1);
        assert_eq!((host.counter(GrantOpened), host.counter(GrantExtended)), (u64::from(made == 3), 0));
    }
}

/// Tells the other CPUs to stop, also when the test fails.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// One CPU has the right knocks; the others send what is no wrong knock.
#[test]
fn harmless_packets_on_other_cpus_do_not_lose_a_knock() {
    let host = host_of(RULES);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 1..CPUS {
            scope.spawn(|| {
                let repeats = [step(7000), syn(CLIENT_V4, SERVER_V4, 2222).build()];
                while !over.load(Relaxed) {
                    for frame in &repeats {
                        let _ = host.judge(frame);
                    }
                }
            });
        }
        let _stop = StopAtEnd(&over);
        for _ in 0..2000 {
            let before = host.counter(GrantOpened) + host.counter(GrantExtended);
            for port in [7000, 8000, 9000, 7500] {
                let _ = host.judge(&step(port));
            }
            assert_eq!(host.counter(GrantOpened) + host.counter(GrantExtended), before + 1);
        }
    });
}

/// Every CPU sends steps in any order, but none ever sends the one that is left out.
#[test]
fn no_grant_comes_of_a_sequence_with_a_step_missing() {
    for missing in [7000, 8000, 9000, 7500] {
        let host = host_of(RULES);
        std::thread::scope(|scope| {
            for cpu in 0..CPUS {
                let host = &host;
                scope.spawn(move || {
                    let mut rng = Rng::with_seed(cpu as u64);
                    let steps: Vec<_> =
                        [7000, 8000, 9000, 7500].into_iter().filter(|port| *port != missing).map(step).collect();
                    for _ in 0..20_000 {
                        let _ = host.judge(&steps[rng.usize(..steps.len())]);
                    }
                });
            }
        });
        assert!(!is_in(&host), "without {missing}");
    }
}

/// A completed sequence uses up a knock of each step, however the CPUs race.
#[test]
fn there_are_never_more_grants_than_whole_sequences() {
    let host = host_of(RULES);
    let rounds = 5_000;
    std::thread::scope(|scope| {
        for port in [7000, 8000, 9000, 7500] {
            let host = &host;
            scope.spawn(move || {
                for _ in 0..rounds {
                    let _ = host.judge(&step(port));
                }
            });
        }
    });
    let completed = host.counter(GrantOpened) + host.counter(GrantExtended);
    assert!(completed <= rounds, "{completed} of {rounds}");
}

/// The last step comes with a wrong checksum, and while it is judged the step before it arrives.
#[test]
fn a_knock_that_overtakes_the_step_before_it_is_verified_too() {
    let host = host_of(RULES);
    for port in [7000, 8000, 7000] {
        let _ = host.judge(&step(port));
    }
    // A bystander's attempt makes the gate look for a socket between its two looks at this one.
    host.interrupt(|host| {
        let _ = host.judge(&step(9000));
    });
    let _ = host.judge(&syn(CLIENT_V4, SERVER_V4, 7500).wrong_checksum().build());
    assert!(host.grants().is_empty());
}
