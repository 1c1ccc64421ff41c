//! The client's profiles: a file becomes profiles that can be knocked, or is refused with line and remedy.

use knock_user::client::profiles::{Profiles, ProfilesError};
use knock_user::syntax::Diagnostic;

use super::scratch;

/// Any octets are a file.
pub fn run(octets: &[u8]) {
    scratch::with_file(octets, |path| match Profiles::load(path) {
        Ok(profiles) => {
            for profile in &profiles.hosts {
                assert!((1..=32).contains(&profile.sequence.len()), "{profile:?}");
                assert!(profile.sequence.iter().all(|port| port.number != 0), "{profile:?}");
                assert!(!profile.name.is_empty() && !profile.host.is_empty(), "{profile:?}");
                assert_eq!(profiles.get(&profile.name), Some(profile));
            }
        }
        Err(ProfilesError::Refused(findings)) => {
            assert!(findings.iter().any(Diagnostic::is_error));
            for finding in &findings {
                assert!(!finding.message.is_empty() && finding.help.is_some(), "{finding}");
                let _ = format!("{finding} {finding:#}");
            }
        }
        Err(other) => assert!(octets.len() > 1 << 20, "{other}"),
    });
}

/// The example that comes with the program, and what is wrong with it.
pub fn seeds() -> Vec<Vec<u8>> {
    let example = &super::config::with_own_sequence(include_str!("../../../examples/client.toml"));
    let plain: String = example.lines().map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
    let own = "[hosts.a]\nhost = \"192.0.2.1\"\nsequence = [\"7000/tcp\", \"8000/udp\"]\nport = 2222\n\
               delay = \"5ms\"\nfamily = \"both\"\nretries = 2\nopen_for = \"60s\"\nthen = [\"ssh\", \"%IP%\"]\n";
    let wrong = "[hosts.a]\nsequence = [\"0/tcp\", 7]\nport = 70000\nnope = 1\n[hosts.b]\n[hots]\n";
    [example.as_str(), &plain, own, wrong, "[hosts\n"].map(|text| text.as_bytes().to_vec()).to_vec()
}
