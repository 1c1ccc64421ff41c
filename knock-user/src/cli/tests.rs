//! Command lines that are taken, and those that are not.

use std::path::Path;
use std::time::Duration;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::*;
use crate::config::DEFAULT_CONFIG;
use crate::paths::Paths;

fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([&["knockctl"], line].concat())
}

fn command(line: &[&str]) -> Command {
    parse(line).unwrap().command.unwrap()
}

fn refused(line: &[&str]) -> ErrorKind {
    parse(line).unwrap_err().kind()
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn no_command_is_status() {
    let cli = parse(&[]).unwrap();
    assert!(cli.command.is_none());
    let paths = Paths::from(cli.places);
    assert_eq!((paths.pins, paths.run), (Paths::default().pins, Paths::default().run));
}

#[test]
fn help_lists_every_command_and_no_inner_option() {
    let help = Cli::command().render_long_help().to_string();
    for name in [
        "run",
        "status",
        "allow",
        "revoke",
        "check",
        "reload",
        "unload",
        "events",
        "explain",
        "rules",
        "sequence",
        "knock",
        "import",
        "completions",
        "man",
    ] {
        assert!(help.lines().any(|line| line.trim_start().split(' ').next() == Some(name)), "{name} in:\n{help}");
    }
    assert!(!help.contains("run-dir") && !help.contains("KNOCK_"), "{help}");
}

#[test]
fn places_are_taken_before_and_behind_the_command() {
    for line in [["--pins", "/p", "status", "--run-dir", "/r"], ["status", "--pins", "/p", "--run-dir", "/r"]] {
        let paths = Paths::from(parse(&line).unwrap().places);
        assert_eq!((paths.pins.as_path(), paths.run.as_path()), (Path::new("/p"), Path::new("/r")));
    }
}

#[test]
fn the_daemon_counts_v_wherever_it_stands() {
    let cli = parse(&["-v", "run", "-v", "--config", "knock.toml"]).unwrap();
    let Some(Command::Gate(GateCommand::Run(run))) = cli.command else { panic!("{cli:?}") };
    assert_eq!((cli.verbose, run.verbose, run.args.config.as_path()), (1, 1, Path::new("knock.toml")));
    let Command::Gate(GateCommand::Run(run)) = command(&["run"]) else { panic!() };
    assert_eq!((run.verbose, run.args.config.as_path()), (0, Path::new(DEFAULT_CONFIG)));
}

#[test]
fn knock_keeps_its_own_v() {
    let Command::Knock(knock) = command(&["knock", "-v", "host.example", "7000", "8000/udp"]) else { panic!() };
    assert!(knock.verbose);
    assert_eq!(knock.ports, ["7000", "8000/udp"]);
}

#[test]
fn watch_takes_its_seconds_with_an_equals_sign_only() {
    let watch = |line: &[&str]| match command(line) {
        Command::Gate(GateCommand::Status(status)) => status.args.watch,
        other => panic!("{other:?}"),
    };
    assert_eq!(watch(&["status"]), None);
    assert_eq!(watch(&["status", "--watch"]), Some(1));
    assert_eq!(watch(&["status", "--watch=5", "--json"]), Some(5));
    assert_eq!(refused(&["status", "--watch=0"]), ErrorKind::ValueValidation);
    assert_eq!(refused(&["status", "--watch", "5"]), ErrorKind::UnknownArgument);
}

#[test]
fn allow_takes_a_span() {
    let Command::Gate(GateCommand::Allow(allow)) =
        command(&["allow", "192.0.2.7", "--service", "ssh2", "--for", "1m30s"])
    else {
        panic!()
    };
    assert_eq!((allow.args.ip.as_str(), allow.args.service.as_deref()), ("192.0.2.7", Some("ssh2")));
    assert_eq!(allow.args.span, Some(Duration::from_secs(90)));
    assert_eq!(refused(&["allow"]), ErrorKind::MissingRequiredArgument);
    for span in ["0", "0s", "soon", "-1", "20y"] {
        assert_eq!(refused(&["allow", "192.0.2.7", &format!("--for={span}")]), ErrorKind::ValueValidation, "{span}");
    }
}

#[test]
fn revoke_takes_an_address_or_all() {
    assert!(
        matches!(command(&["revoke", "192.0.2.7"]), Command::Gate(GateCommand::Revoke(revoke)) if !revoke.args.all)
    );
    assert!(
        matches!(command(&["revoke", "--all", "--service", "ssh2"]), Command::Gate(GateCommand::Revoke(revoke)) if revoke.args.all)
    );
    assert_eq!(refused(&["revoke"]), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused(&["revoke", "--all", "192.0.2.7"]), ErrorKind::ArgumentConflict);
}

#[test]
fn commands_of_other_programs_are_answered_with_the_one_that_is_meant() {
    for (word, meant) in [
        ("stop", "`knockctl unload`"),
        ("start", "`knockctl run`"),
        ("list", "`knockctl status`"),
        ("open", "`knockctl allow ADDRESS`"),
        ("close", "`knockctl revoke ADDRESS`"),
        ("restart", "`knockctl reload`"),
    ] {
        let said = answer(&parse(&[word]).unwrap_err()).unwrap_or_default();
        assert!(said.starts_with(&format!("there is no command {word}\n  help: ")) && said.contains(meant), "{said}");
        // Every command that is named is one.
        for named in said.split("`knockctl ").skip(1) {
            let name = named.split([' ', '`']).next().unwrap_or_default();
            assert!(Cli::command().get_subcommands().any(|command| command.get_name() == name), "{name}");
        }
    }
    assert_eq!(answer(&parse(&["frobnicate"]).unwrap_err()), None);
    assert_eq!(answer(&parse(&["status", "extra"]).unwrap_err()), None);
}

#[test]
fn wrong_usage_is_an_error() {
    for line in [&["frobnicate"][..], &["status", "extra"], &["completions", "no-shell"], &["knock"]] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line:?}");
    }
}
