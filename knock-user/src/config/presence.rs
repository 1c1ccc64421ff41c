//! What a config names and this host must have: the folder of the log, the programs of hooks.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Severity;
use super::hooks::{PATH, is_harmless};
use super::log::LogTarget;
use super::model::{Config, Hook};
use crate::syntax::Diagnostic;

/// Why the daemon could not write its log, if it could not: a start and a reload refuse that.
#[must_use]
pub fn log_fault(config: &Config) -> Option<Diagnostic> {
    let LogTarget::File(path) = &config.options.log else { return None };
    let folder = path.parent().filter(|folder| !folder.is_dir())?;
    let message = format!("{}: there is no such directory", folder.display());
    let finding = Diagnostic::of_file(config.path.display().to_string(), "options.log", Severity::Error, message);
    Some(finding.with_help(format!("`mkdir -p {}`, or name another file", folder.display())))
}

/// Hooks whose program is not there, as far as a look at the command tells.
#[must_use]
pub fn missing_programs(config: &Config) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for door in &config.doors {
        for (hook, name) in [(&door.hooks.start, "start_command"), (&door.hooks.stop, "stop_command")] {
            for (program, why) in missing(hook) {
                let key = format!("doors.{}.{name}", door.name.as_str());
                let finding = Diagnostic::of_file(
                    config.path.display().to_string(),
                    key,
                    Severity::Warning,
                    format!("{program}: {why}"),
                );
                found.push(finding.with_help("install it, or name one that is there"));
            }
        }
    }
    found
}

/// The programs of a hook that cannot be run, each once.
fn missing(hook: &Hook) -> BTreeSet<(&str, &'static str)> {
    let commands = hook.v4.iter().chain(&hook.v6);
    commands.filter_map(|command| program(command)).filter_map(|name| Some((name, why_not(name)?))).collect()
}

/// What a shell knows without a program, or takes for the beginning of something larger (dash(1)).
const OF_THE_SHELL: [&str; 48] = [
    ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done", "echo", "elif", "else",
    "esac", "eval", "exec", "exit", "export", "false", "fg", "fi", "for", "getopts", "hash", "if", "jobs", "kill",
    "local", "printf", "pwd", "read", "readonly", "return", "set", "shift", "test", "then", "times", "trap", "true",
    "type", "ulimit", "umask", "unset", "until", "wait", "while",
];

/// The program that a command begins with, if it is plainly one.
fn program(command: &str) -> Option<&str> {
    let word = command.split_whitespace().next()?;
    let is_plain = word.bytes().all(|octet| is_harmless(octet) || octet == b'+');
    (is_plain && !OF_THE_SHELL.contains(&word)).then_some(word)
}

/// Why a shell in `/` would not find a program there.
fn why_not(name: &str) -> Option<&'static str> {
    let is_executable =
        |path: &Path| fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0);
    if name.contains('/') {
        let path = Path::new("/").join(name);
        return match path.exists() {
            false => Some("there is no such program"),
            true if is_executable(&path) => None,
            true => Some("it cannot be executed"),
        };
    }
    let is_there = PATH.split(':').any(|folder| is_executable(&Path::new(folder).join(name)));
    (!is_there).then_some("there is no such program where hooks look for one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &str, hooks: &str) -> Config {
        let text = format!(
            "[options]\ninterfaces = [\"lo\"]\n{options}\n[services]\n[doors.d]\nsequence = [7, 9, 8]\n{hooks}\n"
        );
        Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}")).0
    }

    #[test]
    fn a_log_needs_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let log = |name: &str| {
            config(&format!("log = \"{}/{name}\"", directory.path().display()), "start_command = \"true\"")
        };
        assert_eq!(log_fault(&log("knock.log")), None);
        assert_eq!(log_fault(&config("log = \"syslog\"", "start_command = \"true\"")), None);
        let fault = log_fault(&log("no/knock.log")).unwrap();
        let folder = directory.path().join("no").display().to_string();
        let expected = format!(
            "k.toml: error: options.log: {folder}: there is no such directory\n  help: `mkdir -p {folder}`, or name another file"
        );
        assert_eq!(fault.to_string(), expected);
    }

    fn said(hooks: &str) -> Vec<String> {
        let heads = |finding: &Diagnostic| finding.to_string().lines().next().unwrap_or_default().to_owned();
        missing_programs(&config("", hooks)).iter().map(heads).collect()
    }

    #[test]
    fn a_hook_needs_its_program() {
        let nowhere = "k.toml: warning: doors.d.start_command: /no/such: there is no such program";
        assert_eq!(said("start_command = \"/no/such -A %IP%\""), [nowhere]);
        let both = said(
            "start_command = \"/no/such %IP%\"\nstop_command = \"nosuch6 %IP%\"\nstop_command_6 = \"nosuch6 -6 %IP%\"",
        );
        let unfound =
            "k.toml: warning: doors.d.stop_command: nosuch6: there is no such program where hooks look for one";
        assert_eq!(both, [nowhere, unfound]);
        let shut = "k.toml: warning: doors.d.start_command: /etc/passwd: it cannot be executed";
        assert_eq!(said("start_command = \"/etc/passwd\""), [shut]);
    }

    #[test]
    fn what_only_a_shell_understands_is_left_to_it() {
        for command in [
            "/bin/sh -c true",
            "sh -c true",
            "echo %IP% >> /run/who",
            "if true; then x; fi",
            "A=1 nosuch",
            "$nosuch",
            "(nosuch)",
            "nosuch; true",
            "[ -e /x ] && y",
        ] {
            assert_eq!(said(&format!("start_command = \"{command}\"")), [""; 0], "{command}");
        }
    }
}
