//! Whole hosts: the real daemon, `knockctl`, an ssh server and clients, on real interfaces.

mod answers;
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

use tests::lab::Ran;
use tests::trial::Trial;

/// The trials.
pub fn trials() -> Vec<Trial> {
    [
        // Those that wait for the longest time begin first.
        import::trials(),
        scan::trials(),
        lab::trials(),
        machine::trials(),
        sandbox::trials(),
        network::trials(),
        traffic::trials(),
        options::trials(),
        oracle::trials(),
        client::trials(),
        commands::trials(),
        config::trials(),
        daemon::trials(),
        exhaust::trials(),
        explain::trials(),
        logging::trials(),
        fail2ban::trials(),
        hooks::trials(),
        host::trials(),
        notify::trials(),
        privileges::trials(),
        service::trials(),
        onetime::trials(),
        reload::trials(),
        interfaces::trials(),
        links::trials(),
        lock::trials(),
        lockout::trials(),
        paths::trials(),
        packet_filter::trials(),
        kinds::trials(),
        pins::trials(),
        reject::trials(),
        answers::trials(),
        faults::trials(),
        flows::trials(),
        devices::trials(),
        trial::trials(),
        wireguard::trials(),
        upgrade::trials(),
        viewers::trials(),
        soak::trials(),
        story::trials(),
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
