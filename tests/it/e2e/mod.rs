//! Whole hosts: the real daemon, `knockctl`, an ssh server and clients, on real interfaces.

mod answers;
mod bench;
mod client;
mod commands;
mod config;
mod daemon;
mod devices;
mod exhaust;
mod explain;
mod fail2ban;
mod faults;
mod flows;
mod hooks;
mod host;
mod import;
mod interfaces;
mod kinds;
mod lab;
mod links;
mod lock;
mod lockout;
mod logging;
mod machine;
mod network;
mod notify;
mod onetime;
mod options;
mod oracle;
mod packet_filter;
mod paths;
mod pins;
mod privileges;
mod reject;
mod reload;
mod sandbox;
mod scan;
mod service;
mod soak;
mod story;
mod traffic;
mod trial;
mod upgrade;
mod viewers;
mod wireguard;

use tests::harness::Test;
use tests::lab::Ran;

/// The tests.
pub fn tests() -> Vec<Test> {
    [
        // Those that wait for the longest time begin first.
        import::tests(),
        scan::tests(),
        lab::tests(),
        machine::tests(),
        sandbox::tests(),
        network::tests(),
        traffic::tests(),
        options::tests(),
        oracle::tests(),
        client::tests(),
        commands::tests(),
        config::tests(),
        daemon::tests(),
        exhaust::tests(),
        explain::tests(),
        logging::tests(),
        fail2ban::tests(),
        hooks::tests(),
        host::tests(),
        notify::tests(),
        privileges::tests(),
        service::tests(),
        onetime::tests(),
        reload::tests(),
        interfaces::tests(),
        links::tests(),
        lock::tests(),
        lockout::tests(),
        paths::tests(),
        packet_filter::tests(),
        kinds::tests(),
        pins::tests(),
        reject::tests(),
        answers::tests(),
        faults::tests(),
        flows::tests(),
        devices::tests(),
        trial::tests(),
        wireguard::tests(),
        upgrade::tests(),
        viewers::tests(),
        soak::tests(),
        story::tests(),
        bench::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Checks how a command ended, and that it said all of `words`.
#[track_caller]
fn assert_says(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{ran}");
    for word in words {
        assert!(ran.stdout.contains(word) || ran.stderr.contains(word), "{word:?} is missing: {ran}");
    }
}

/// Checks that a command failed, and that it said so with all of `words` behind its name.
#[track_caller]
fn assert_fails(ran: &Ran, words: &[&str]) {
    assert_says(ran, 2, words);
    let errors = ran.stderr.lines().filter(|line| line.starts_with("knockctl: ")).count();
    assert_eq!(errors, 1, "{ran}");
    assert_eq!(ran.stdout, "", "{ran}");
}
