//! Accounts of people on this host: who listens on a port reads the knocks at it.

use std::fs;

use super::Severity;
use super::model::Config;
use crate::syntax::Diagnostic;

/// Where a host has its accounts. Those of a directory service are not looked for.
const ACCOUNTS: &str = "/etc/passwd";
/// The first port on which everybody may listen (ip(7)).
const FIRST_FREE: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
/// The same where the kernel does not say.
const USUAL_FIRST: u16 = 1024;

/// What a host lets its users do.
struct Users {
    /// There are accounts that people log in to.
    any: bool,
    /// The first port on which they may listen.
    first_free: u32,
}

/// Doors whose knocks a user of this host could read, for `knockctl check`.
#[must_use]
pub fn remarks(config: &Config) -> Vec<Diagnostic> {
    let accounts = fs::read(ACCOUNTS).unwrap_or_default();
    let first_free = fs::read_to_string(FIRST_FREE).ok().and_then(|text| text.trim().parse().ok());
    let users = Users {
        any: String::from_utf8_lossy(&accounts).lines().any(is_person),
        first_free: first_free.unwrap_or_else(|| USUAL_FIRST.into()),
    };
    of(config, &users)
}

fn of(config: &Config, users: &Users) -> Vec<Diagnostic> {
    if !users.any {
        return Vec::new();
    }
    let help = match users.first_free {
        ..=1 => "use one_time_sequences, which nobody can use again".to_owned(),
        first => format!("use ports below {first}, on which root alone may listen, or one_time_sequences"),
    };
    let doors = config.doors.iter().filter(|door| {
        door.one_time.is_none() && door.sequence.iter().any(|step| u32::from(step.number) >= users.first_free)
    });
    let remark = |door: &super::Door| {
        let key = format!("doors.{}.sequence", door.name.as_str());
        let message = "this host has users: one who listens on thousands of ports reads the knocks at them";
        let file = config.path.display().to_string();
        Diagnostic::of_file(file, key, Severity::Warning, message).with_help(&help)
    };
    doors.map(remark).collect()
}

/// True if a line of passwd(5) is of an account that a person logs in to.
fn is_person(line: &str) -> bool {
    let fields: Vec<&str> = line.split(':').collect();
    let [_, _, number, .., shell] = fields[..] else { return false };
    let is_usual = number.parse().is_ok_and(|number: u32| (1000..65_534).contains(&number));
    let program = shell.trim().rsplit('/').next().unwrap_or_default();
    // None named is /bin/sh.
    is_usual && fields.len() == 7 && !matches!(program, "nologin" | "false" | "true" | "sync" | "shutdown" | "halt")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sequence: &str) -> Config {
        let text = format!(
            "[options]\ninterfaces = [\"eth0\"]\n[services.s]\nports = [22]\n[doors.d]\nservice = \"s\"\n{sequence}\n"
        );
        Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}")).0
    }

    #[test]
    fn people_are_told_from_services() {
        for line in ["me:x:1000:1000:Me:/home/me:/bin/bash", "me:x:65533:100::/:/usr/bin/zsh", "me::1001:1::/home/me:"]
        {
            assert!(is_person(line), "{line}");
        }
        for line in [
            "root:x:0:0:root:/root:/bin/bash",
            "sshd:x:999:65534::/run/sshd:/bin/sh",
            "nobody:x:65534:65534:nobody:/nonexistent:/bin/sh",
            "ci:x:1000:1000::/home/ci:/usr/sbin/nologin",
            "ci:x:1000:1000::/home/ci:/bin/false",
            "me:x:1000:1000",
            "me:x:many:1::/:/bin/sh",
            "",
        ] {
            assert!(!is_person(line), "{line}");
        }
    }

    #[test]
    fn a_fixed_sequence_on_free_ports_is_advised_against_where_there_are_users() {
        let said = |sequence: &str, any, first_free| -> Vec<String> {
            of(&config(sequence), &Users { any, first_free }).iter().map(ToString::to_string).collect()
        };
        let said_of = said("sequence = [700, 8000, 900]", true, 1024);
        assert_eq!(
            said_of,
            [
                "k.toml: warning: doors.d.sequence: this host has users: one who listens on thousands of ports reads the \
              knocks at them\n  help: use ports below 1024, on which root alone may listen, or one_time_sequences"
            ]
        );
        assert!(said("sequence = [700, 8000, 900]", false, 1024).is_empty());
        assert!(said("sequence = [700, 1023, 900]", true, 1024).is_empty());
        assert_eq!(said("sequence = [700, 1023, 900]", true, 1000).len(), 1);
        assert!(
            said("sequence = [7, 9, 8]", true, 0)[0]
                .ends_with("help: use one_time_sequences, which nobody can use again")
        );
        let once = tempfile::NamedTempFile::new().unwrap();
        let once = format!("one_time_sequences = \"{}\"", once.path().display());
        assert!(said(&once, true, 1024).is_empty());
    }
}
