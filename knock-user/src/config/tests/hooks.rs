//! Hooks, and doors without a service.

use super::*;

fn bare(keys: &str) -> String {
    format!("{OPTIONS}{SERVICE}[doors.d]\n{keys}\n")
}

fn config(text: &str) -> Config {
    let host = Host::default();
    parse(text, "k.toml", Path::new("k.toml"), &host).unwrap_or_else(|error| panic!("{error}")).0
}

const SEQUENCE: &str = "sequence = [7, 9, 8]";

#[test]
fn hooks_are_read_for_both_families() {
    let hooks = |keys: &str| config(&with_door(&format!("{SEQUENCE}\n{keys}"))).doors.remove(0).hooks;
    let text = |text: &str| Some(text.to_owned());
    assert!(hooks("").is_empty());
    let one = hooks("start_command = \"a %IP%\"");
    assert_eq!((one.start.v4, one.start.v6), (text("a %IP%"), text("a %IP%")));
    assert!(one.stop.is_empty());
    let two = hooks("start_command = \"a\"\nstart_command_6 = \"b\"\nstop_command = \"c\"\nstop_command_6 = \"\"");
    assert_eq!((two.start.command(true), two.start.command(false)), (Some("a"), Some("b")));
    assert_eq!((two.stop.command(true), two.stop.command(false)), (Some("c"), None));
    let six = hooks("start_command_6 = \"b\"");
    assert_eq!((six.start.command(true), six.start.command(false)), (None, Some("b")));
    // A script of several lines is one command.
    assert!(hooks("start_command = '''a\nb'''").start.v4.is_some_and(|command| command.contains('\n')));
}

#[test]
fn errors_in_hooks_are_named() {
    let long = "x".repeat(65_537);
    for (keys, message) in [
        ("start_command = 1", "8:17: error: doors.d.start_command: must be a string, not a number"),
        ("start_command = \"\"", "8:17: error: doors.d.start_command: an empty command"),
        ("stop_command = \"  \"", "8:16: error: doors.d.stop_command: an empty command"),
        ("start_command_6 = \" \"", "8:19: error: doors.d.start_command_6: an empty command"),
        ("stop_command = \"a\\u0000\"", "8:16: error: doors.d.stop_command: a command with a NUL character"),
        (&format!("stop_command_6 = \"{long}\""), "8:18: error: doors.d.stop_command_6: a command of 65537 octets"),
        ("stop_comand = \"a\"", "8:1: error: doors.d.stop_comand: unknown key"),
    ] {
        assert_said(&with_door(&format!("{SEQUENCE}\n{keys}")), &[&format!("k.toml:{message}")]);
    }
    for (line, message) in [
        ("hook_timeout = 0", "3:16: error: options.hook_timeout: no time at all"),
        ("hook_timeout = \"2h\"", "3:16: error: options.hook_timeout: longer than 1h"),
        ("max_hooks = 0", "3:13: error: options.max_hooks: must be from 1 to 256"),
    ] {
        assert_said(&with_option(line), &[&format!("k.toml:{message}")]);
    }
}

#[test]
fn a_closing_door_has_no_stop_command() {
    assert_said(
        &with_door(&format!("{SEQUENCE}\naction = \"close\"\nstart_command = \"a\"")),
        &["k.toml:3:11: warning: services.s: no door opens this service, they only close it"],
    );
    assert_said(
        &with_door(&format!("{SEQUENCE}\naction = \"close\"\nstop_command = \"a\"")),
        &["k.toml:9:16: error: doors.d.stop_command: a door that closes writes no grant, so none ends"],
    );
}

#[test]
fn a_name_for_a_hook_is_no_shell_syntax() {
    let refused = "a name that hooks cannot be given: it would be more than a word to a shell";
    for name in ["$(id)", "a;b", "a|b", "ü", "%IP%", "a&b", "a*"] {
        let text = format!("{OPTIONS}{SERVICE}[doors.\"{name}\"]\nservice = \"s\"\n{SEQUENCE}\n");
        assert_said(&text, &[]);
        assert_said(
            &format!("{text}start_command = \"a\"\n"),
            &[&format!("k.toml:5:8: error: doors.{name}: {refused}")],
        );
    }
    let text = format!("{OPTIONS}[services.\"a;b\"]\nports = [22]\n[doors.d]\nservice = \"a;b\"\n{SEQUENCE}\n");
    assert_said(&text, &[]);
    assert_said(
        &format!("{text}stop_command = \"a\"\n"),
        &[
            "k.toml:3:11: error: services.a;b: a name that the hooks of its doors cannot be given: it would be more than a \
         word to a shell",
        ],
    );
}

#[test]
fn a_door_without_a_service_has_one_of_its_own() {
    let text = bare(&format!(
        "{SEQUENCE}\nstart_command = \"a\"\n[doors.e]\nsequence = [1, 3, 2]\nservice = \"s\"\n\
        [doors.f]\nsequence = [11, 13, 12]\nstart_command = \"b\"\ncmd_timeout = 60"
    ));
    assert_said(&text, &[]);
    let config = config(&text);
    let of_door = |index: usize| {
        let door = &config.doors[index];
        let service = config.service_of(door);
        (service.name.as_str().to_owned(), service.ports.len(), door.cmd_timeout.map(|span| span.as_secs()))
    };
    assert_eq!(of_door(0), ("d".to_owned(), 0, Some(10)));
    assert_eq!(of_door(1), ("s".to_owned(), 1, None));
    assert_eq!(of_door(2), ("f".to_owned(), 0, Some(60)));
    assert_eq!(config.protecting().count(), 1);
}

#[test]
fn a_door_with_neither_service_nor_hook_only_logs() {
    assert_said(
        &bare(SEQUENCE),
        &[
            "k.toml:3:11: warning: services.s: no door for this service",
            "k.toml:5:8: warning: doors.d: neither a service nor a hook: it only logs",
        ],
    );
}

#[test]
fn a_door_that_closes_needs_a_service() {
    assert_said(
        &bare(&format!("{SEQUENCE}\naction = \"close\"\nstart_command = \"a\"")),
        &["k.toml:5:8: error: doors.d: a door that closes, without a service to close"],
    );
}

#[test]
fn the_service_of_a_bare_door_needs_its_name() {
    let text = format!("{OPTIONS}{SERVICE}[doors.s]\n{SEQUENCE}\nstart_command = \"a\"\n");
    assert_said(&text, &["k.toml:5:8: error: doors.s: names no service, and services.s has its name"]);
}

#[test]
fn services_and_bare_doors_fill_the_table_together() {
    let mut text = format!("{OPTIONS}{SERVICE}");
    for index in 0..64 {
        let first = 1000 + index;
        text += &format!("[doors.d{index}]\nsequence = [{first}, 3, 2]\nstart_command = \"a\"\n");
    }
    let said = said(&text, &Host::default());
    assert_eq!(said, ["k.toml:194:8: error: doors.d63: more than 64 services and doors without one"]);
}
