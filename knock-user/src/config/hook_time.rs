//! How long hooks sleep: one that sleeps for longer than `options.hook_timeout` is killed before it is done.

use std::time::Duration;

use super::Severity;
use super::model::{Config, Door};
use crate::syntax::Diagnostic;

/// Doors with a hook that sleeps for longer than a hook may run, for `knockctl check`.
#[must_use]
pub fn remarks(config: &Config) -> Vec<Diagnostic> {
    let limit = config.options.hook_timeout;
    config.doors.iter().flat_map(|door| of_door(door, limit, config)).collect()
}

fn of_door(door: &Door, limit: Duration, config: &Config) -> Vec<Diagnostic> {
    let hooks = [
        ("start_command", &door.hooks.start.v4),
        ("start_command_6", &door.hooks.start.v6),
        ("stop_command", &door.hooks.stop.v4),
        ("stop_command_6", &door.hooks.stop.v6),
    ];
    let mut told = Vec::new();
    let mut remarks = Vec::new();
    for (key, command) in hooks {
        let Some(command) = command.as_deref().filter(|command| !told.contains(command)) else { continue };
        let Some(message) = too_long(command, limit) else { continue };
        told.push(command);
        let key = format!("doors.{}.{key}", door.name.as_str());
        let remark = Diagnostic::of_file(config.path.display().to_string(), key, Severity::Warning, message);
        remarks.push(remark.with_help("leave the end to cmd_timeout and stop_command, or raise options.hook_timeout"));
    }
    remarks
}

/// What is wrong with a command that sleeps for longer than it may run.
#[must_use]
pub fn too_long(command: &str, limit: Duration) -> Option<String> {
    let time = sleeps(command);
    let word = |time| humantime::format_duration(time);
    (time > limit).then(|| {
        format!(
            "sleeps for {}, and is killed after hook_timeout ({}), with what comes behind it not done",
            word(time),
            word(limit)
        )
    })
}

/// How long a command sleeps in all, as far as its text says.
fn sleeps(command: &str) -> Duration {
    let cut = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')' | '{' | '}' | '\'' | '"' | '`');
    let ends = |c: char| matches!(c, ';' | '&' | '|' | ')' | '}' | '\'' | '"' | '`' | '\n');
    let mut total = Duration::ZERO;
    for (at, _) in command.match_indices("sleep") {
        let (before, behind) = (&command[..at], &command[at + "sleep".len()..]);
        // A program of this name, with its folder or without, and not a part of another word.
        let is_program =
            before.chars().next_back().is_none_or(|c| cut(c) || c == '/') && behind.starts_with([' ', '\t']);
        if is_program {
            let arguments = behind.split(ends).next().unwrap_or_default();
            total = total.saturating_add(slept(arguments.split_whitespace()).unwrap_or_default());
        }
    }
    total
}

/// How long sleep(1) sleeps with these arguments: numbers, each with `s`, `m`, `h`, `d` or nothing behind it.
pub(crate) fn slept<'a>(arguments: impl Iterator<Item = &'a str>) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut any = false;
    for argument in arguments {
        let (number, unit) = match argument.strip_suffix(['s', 'm', 'h', 'd']) {
            Some(number) => (number, &argument[number.len()..]),
            None => (argument, "s"),
        };
        let seconds = match unit {
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => 1.0,
        };
        let number: f64 = number.parse().ok()?;
        total = total.saturating_add(Duration::try_from_secs_f64(number * seconds).ok()?);
        any = true;
    }
    any.then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_sleeps_as_often_as_it_says() {
        for (command, seconds) in [
            ("echo x", 0.0),
            ("sleep 60; echo x", 60.0),
            ("a; /bin/sleep 1m && b; (sleep 1.5 2s; c) &", 63.5),
            ("sh -c 'sleep 5'", 5.0),
            ("usleep 60; asleep 3; echo sleepy 9; sleep $N", 0.0),
        ] {
            assert_eq!(sleeps(command), Duration::from_secs_f64(seconds), "{command}");
        }
    }

    #[test]
    fn a_hook_that_sleeps_longer_than_it_may_run_is_told_of_once() {
        let config = |timeout: &str, hooks: &str| {
            let text = format!(
                "[options]\ninterfaces = [\"eth0\"]\n{timeout}\n[services.s]\nports = [22]\n[doors.d]\nservice = \"s\"\n\
                 sequence = [7, 9, 8]\n{hooks}\n"
            );
            Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}")).0
        };
        let said = remarks(&config("", "start_command = \"a; sleep 31; b\"\nstop_command = \"sleep 30\""));
        let keys: Vec<_> = said.iter().map(|finding| finding.key.as_str()).collect();
        assert_eq!(keys, ["doors.d.start_command"]);
        assert!(said[0].message.contains("31s") && said[0].message.contains("hook_timeout (30s)"), "{said:?}");
        assert_eq!(remarks(&config("hook_timeout = \"2m\"", "start_command = \"sleep 31\"")), []);
        let six =
            remarks(&config("hook_timeout = \"5s\"", "start_command = \"sleep 4\"\nstart_command_6 = \"sleep 6\""));
        assert_eq!(six[0].key, "doors.d.start_command_6");
    }
}
