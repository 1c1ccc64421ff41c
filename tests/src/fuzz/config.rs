//! The config: a text becomes rules under which strangers stay out, or is refused with remedies.

use std::net::IpAddr;

use knock_common::addr::Addr;
use knock_common::gate::Verdict;
use knock_common::packet::Transport;
use knock_user::config::{Config, ConfigError, Diagnostic};
use knock_user::rules::RuleSet;

use crate::memory::Memory;
use crate::packet::{PacketBuilder, SERVER_V4, SERVER_V6, SYN};
use crate::tables::Tables;

/// Sources that a config may trust, or not.
const SOURCES: [&str; 4] = ["198.51.100.7", "203.0.113.99", "2001:db8:0:100::7", "fe80::9"];

/// Any octets are a file.
pub fn run(octets: &[u8]) {
    let Ok(text) = str::from_utf8(octets) else { return };
    // One that names a file of sequences would read any file of this machine.
    if text.contains("one_time") {
        return;
    }
    match Config::parse(text, "knock.toml") {
        Ok((config, findings)) => {
            assert!(!findings.iter().any(Diagnostic::is_error), "{findings:?}");
            let rules = RuleSet::compile(&config);
            let rules = rules.unwrap_or_else(|error| panic!("a config without an error has no rules: {error}"));
            strangers_stay_out(&Tables::new(&config, rules), &config);
        }
        Err(ConfigError::Refused(findings)) => {
            assert!(findings.iter().any(Diagnostic::is_error));
            for finding in &findings {
                assert!(!finding.message.is_empty(), "{finding}");
                assert!(!finding.is_error() || finding.help.is_some(), "no remedy: {finding}");
                let _ = format!("{finding} {finding:#}");
            }
        }
        Err(other) => panic!("{other}"),
    }
}

fn strangers_stay_out(tables: &Tables, config: &Config) {
    let host = Memory::new(tables.clone());
    for source in SOURCES.map(|text| text.parse::<IpAddr>().expect("an address")) {
        let trusted = tables.rules.trusted.iter().any(|(bits, network)| Addr::from(source).masked(*bits) == *network);
        let server: IpAddr = if source.is_ipv4() { SERVER_V4.into() } else { SERVER_V6.into() };
        for range in config.services.iter().flat_map(|service| &service.ports) {
            for port in [range.first, range.last] {
                let packet = PacketBuilder::between(source, server);
                let frame = match range.transport {
                    Transport::Tcp => packet.tcp(40_000, port, SYN),
                    Transport::Udp => packet.udp(40_000, port),
                };
                let verdict = host.judge(&frame.build());
                assert_eq!(verdict == Verdict::Pass, trusted, "{source} to {port}: {verdict:?}");
            }
        }
    }
}

/// An example with a sequence in the place of its placeholder.
pub(super) fn with_own_sequence(example: &str) -> String {
    example.replace("\"CHOOSE-YOUR-OWN\"", "\"29111/tcp\", \"13007/udp\", \"31113/tcp\"")
}

/// The examples, and configs that were made up.
pub fn seeds() -> Vec<Vec<u8>> {
    let (knock, article) =
        (include_str!("../../../examples/knock.toml"), include_str!("../../../examples/article.toml"));
    let examples = [
        knock,
        &with_own_sequence(knock),
        &with_own_sequence(article),
        include_str!("../lab/lab.toml"),
        "[options]\ninterfaces = [\"e*\"]\n[doors.a]\nsequence = [\"1-2/tcp\"]\nhook = 1\n[services]\n",
    ];
    let made = (0..64).map(|seed| crate::history::Scenario::config_of(seed * 16).to_toml());
    examples.into_iter().map(str::to_owned).chain(made).map(String::into_bytes).collect()
}
