//! Every error and every warning, by what the user sees: a small config and what is said of it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use knock_common::abi::rules::Action;
use knock_common::packet::Transport;

use super::model::FLOW_IDLE;
use super::*;

mod advice;
mod contradictions;
mod door;
mod file;
mod hooks;
mod lockout;
mod log;
mod many;
mod onetime;
mod options;
mod service;

const OPTIONS: &str = "[options]\ninterfaces = [\"eth0\"]\n";
const SERVICE: &str = "[services.s]\nports = [\"22/tcp\"]\n";

/// What is said of a config: its findings, one line each, without remedies.
fn said(text: &str, host: &Host) -> Vec<String> {
    let findings = match parse(text, "k.toml", Path::new("k.toml"), host) {
        Ok((_, warnings)) => {
            assert!(warnings.iter().all(|finding| !finding.is_error()), "{warnings:?}");
            warnings
        }
        Err(ConfigError::Refused(findings)) => {
            assert!(findings.iter().any(Diagnostic::is_error), "{findings:?}");
            findings
        }
        Err(error) => panic!("{error}"),
    };
    for finding in &findings {
        assert!(finding.help.as_deref().is_some_and(|help| !help.is_empty()), "no remedy: {finding}");
    }
    findings.iter().map(|finding| finding.to_string().lines().next().unwrap_or_default().to_owned()).collect()
}

fn assert_said(text: &str, expected: &[&str]) {
    assert_eq!(said(text, &Host::default()), expected, "of\n{text}");
}

/// The lines of `[options]` after the two that every config has.
fn with_option(line: &str) -> String {
    format!("{OPTIONS}{line}\n{SERVICE}[doors.d]\nservice = \"s\"\nsequence = [7, 9, 8]\n")
}

/// A door on line 5 whose keys begin on line 7.
fn with_door(keys: &str) -> String {
    format!("{OPTIONS}{SERVICE}[doors.d]\nservice = \"s\"\n{keys}\n")
}

/// Doors on one service, from line 5 on, three lines each: service, and one line of keys.
fn with_doors(doors: &[&str]) -> String {
    let mut text = format!("{OPTIONS}{SERVICE}");
    for (index, keys) in doors.iter().enumerate() {
        text += &format!("[doors.d{index}]\nservice = \"s\"\n{keys}\n");
    }
    text
}

#[test]
fn a_good_config_raises_nothing() {
    assert_said(&with_option(""), &[]);
    for line in [
        "trusted = []",
        "log = \"/var/log/knock.log\"",
        "mode = \"auto\"",
        "stealth = false",
        "verify_checksums = false",
        "on_exit = \"detach\"",
        "deny = \"drop\"",
        "max_grants = 1",
        "max_attempts = 16777216",
        "max_flows = 16777216",
        "flow_idle = \"1s\"",
        "flow_idle = \"1d\"",
        "attempt_rate = 4294967295",
    ] {
        assert_said(&with_option(line), &[]);
    }
}

#[test]
fn errors_of_syntax_are_named_and_come_alone() {
    for (text, messages) in [
        ("a b\n", &["1:3: error: key with no value, expected `=`"][..]),
        ("a = \"x\n", &["1:7: error: invalid basic string, expected `\"`"]),
        ("a = 1\na = 2\n", &["2:1: error: duplicate key"]),
        (
            "[options\ninterfaces = ]\n",
            &["1:9: error: unclosed table, expected `]`", "2:14: error: missing array opening, expected `[`"],
        ),
    ] {
        let said = said(text, &Host::default());
        let heads: Vec<&str> = said.iter().map(|line| line.trim_start_matches("k.toml:")).collect();
        assert_eq!(heads, messages, "of\n{text}");
    }
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() {
    let text = format!("{}[door.x]\n", with_door("Sequnce = 1\nsequence = [7, 9, 8]"));
    let Err(error) = parse(&text, "k.toml", Path::new("k.toml"), &Host::default()) else { panic!("refused") };
    let expected = "k.toml:7:1: error: doors.d.Sequnce: unknown key\n  help: did you mean sequence?\n\
                    k.toml:9:2: error: door: unknown key\n  help: did you mean doors?";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn names_order_and_defaults_are_kept() {
    let text = format!(
        "{OPTIONS}[services.z]\nports = [\"domain/udp\", 5]\n[services.a]\nports = [\"6-9\"]\nkeepalive = true\n\
        [doors.y]\nservice = \"a\"\nsequence = [70, \"90:udp\", 80]\n[doors.b]\nservice = \"z\"\naction = \"close\"\n\
        sequence = [\"domain\", 80, 81, 20]\nseq_timeout = \"1m30s\"\n"
    );
    let host = Host { names: PortNames::parse("domain 53/udp\ndomain 53/tcp\n"), ..Host::default() };
    let (config, warnings) = parse(&text, "k.toml", Path::new("/etc/k.toml"), &host).unwrap();
    assert_eq!(warnings.len(), 1, "z has no door that opens: {warnings:?}");
    assert_eq!(config.path, Path::new("/etc/k.toml"));
    let names: Vec<&str> = config.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["z", "a"]);
    let names: Vec<&str> = config.doors.iter().map(|door| door.name.as_str()).collect();
    assert_eq!(names, ["y", "b"]);
    assert_eq!(config.services[0].ports[0].to_string(), "53/udp");
    assert!(config.service("a").unwrap().keepalive);

    let door = config.door("y").unwrap();
    assert_eq!(config.service_of(door).name.as_str(), "a");
    assert_eq!(door.sequence.iter().map(Port::to_string).collect::<Vec<_>>(), ["70/tcp", "90/udp", "80/tcp"]);
    assert_eq!((door.action, door.seq_timeout, door.cmd_timeout), (Action::Open, SEQ_TIMEOUT, None));
    assert_eq!((door.grant_prefix_v4, door.grant_prefix_v6, door.target), (32, 128, None));
    assert_eq!(config.door("b").unwrap().seq_timeout.as_secs(), 90);
    assert_eq!(config.door_by_tag(door.name.tag()), Some(door));

    let options = &config.options;
    assert_eq!(
        (&options.log, options.mode, options.on_exit, options.deny),
        (&LogTarget::Stderr, Mode::Native, OnExit::Keep, Deny::Drop)
    );
    assert_eq!((options.log_denied, options.stealth, options.verify_checksums), (true, true, None));
    assert_eq!((options.max_grants, options.max_attempts, options.attempt_rate), (65_536, 65_536, None));
    assert_eq!((options.max_flows, options.flow_idle), (65_536, FLOW_IDLE));
}

#[test]
fn the_examples_are_good() {
    // The lab shows that even a sweep in its order opens nothing.
    let lab = [
        "lab.toml:16:13: warning: doors.opencloseSSH.sequence: ascending ports: the order in which scanners go",
        "lab.toml:23:13: warning: doors.closeSSH.sequence: descending ports: the order in which scanners go",
    ];
    for (name, text, expected) in [
        ("knock.toml", &*own(include_str!("../../../examples/knock.toml")), &[][..]),
        ("article.toml", &own(include_str!("../../../examples/article.toml")), &[]),
        ("lab.toml", include_str!("../../../tests/src/lab/lab.toml"), &lab),
    ] {
        let (_, warnings) = Config::parse(text, name).unwrap_or_else(|error| panic!("{error}"));
        let heads: Vec<String> =
            warnings.iter().map(|one| one.to_string().lines().next().unwrap_or_default().to_owned()).collect();
        assert_eq!(heads, expected);
    }
}

/// An example with a sequence of one's own.
fn own(example: &str) -> String {
    example.replace("\"CHOOSE-YOUR-OWN\"", "\"29111/tcp\", \"13007/udp\", \"31113/tcp\"")
}

#[test]
fn the_examples_cannot_be_loaded_as_they_are() {
    for (text, line) in
        [(include_str!("../../../examples/knock.toml"), 49), (include_str!("../../../examples/article.toml"), 16)]
    {
        let Err(ConfigError::Refused(findings)) = Config::parse(text, "k.toml") else { panic!("it is loaded") };
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        let said = finding.to_string();
        assert!(said.starts_with(&format!("k.toml:{line}:13: error: doors.")), "{said}");
        let rest = "sequence[0]: a placeholder, and no port: choose your own sequence\n  help: `knockctl sequence` on the server \
                    makes one at random: server and clients get the same";
        assert!(said.ends_with(rest), "{said}");
    }
}

#[test]
fn no_cut_of_a_config_makes_the_reader_fall() {
    let text = include_str!("../../../examples/knock.toml");
    for end in 0..text.len() {
        let _ = parse(&text[..text.floor_char_boundary(end)], "k.toml", Path::new("k.toml"), &Host::default());
    }
}
