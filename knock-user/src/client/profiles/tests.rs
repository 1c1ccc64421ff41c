//! Files of profiles: those that are taken, and what is said of those that are not.

use std::fs;
use std::time::Duration;

use super::super::Family;
use super::*;

fn read(text: &str) -> Result<Vec<Profile>, Vec<String>> {
    let names = PortNames::parse("ssh 22/tcp\n");
    parse(text, "client.toml", &names).map_err(|found| found.iter().map(Diagnostic::to_string).collect())
}

#[test]
fn a_profile_says_all_that_the_command_line_can() {
    let hosts = read(
        r#"
        [hosts.myserver]
        host = "server.example"
        sequence = [7000, "8000:udp", "ssh", "9000-9001/tcp"]
        delay = "50ms"
        family = "4"
        port = "2222/tcp"
        then = ["ssh", "-p", "2222", "me@%IP%"]
        retries = 3
        open_for = "60s"
        source = "192.0.2.2"
        interface = "wlan0"
        "#,
    );
    let hosts = hosts.unwrap();
    let [profile] = &hosts[..] else { panic!("{hosts:?}") };
    let steps: Vec<_> = profile.sequence.iter().map(ToString::to_string).collect();
    assert_eq!(steps, ["7000/tcp", "8000/udp", "22/tcp", "9000/tcp", "9001/tcp"]);
    assert_eq!((&*profile.name, &*profile.host), ("myserver", "server.example"));
    assert_eq!((profile.delay, profile.family), (Duration::from_millis(50), Family::V4));
    assert_eq!((profile.port, profile.retries), (Some(2222), 3));
    assert_eq!(profile.open_for, Some(Duration::from_secs(60)));
    assert_eq!(profile.then, ["ssh", "-p", "2222", "me@%IP%"]);
    assert_eq!(profile.source, "192.0.2.2".parse().ok());
    assert_eq!(profile.interface.as_deref(), Some("wlan0"));
}

#[test]
fn a_sequence_is_enough_and_the_name_may_be_the_host() {
    let hosts =
        read("[hosts]\n\"server.example\" = { sequence = [7000] }\nb = { sequence = [1], delay = \"0s\" }").unwrap();
    assert_eq!((&*hosts[0].host, hosts[0].family, hosts[0].retries), ("server.example", Family::Any, RETRIES));
    assert_eq!((hosts[0].port, hosts[0].open_for, hosts[0].then.len()), (None, None, 0));
    assert_eq!(hosts[1].delay, Duration::ZERO);
    assert_eq!(read("").unwrap(), []);
}

#[test]
fn the_example_is_taken_once_it_has_a_sequence() {
    let example = include_str!("../../../../examples/client.toml");
    let found = read(example).unwrap_err();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("hosts.myserver.sequence[0]: a placeholder, and no port: choose your own"), "{found:?}");
    let hosts = read(&example.replace("\"CHOOSE-YOUR-OWN\"", "\"29111/tcp\", \"13007/udp\"")).unwrap();
    assert_eq!(hosts.len(), 2);
}

#[test]
fn a_file_that_was_cut_off_or_garbled_is_read_or_refused_with_a_place() {
    let example = include_str!("../../../../examples/client.toml");
    let ends = example.char_indices().map(|(index, _)| &example[..index]);
    let garbled = example.char_indices().map(|(index, old)| {
        let new = ['"', '[', '=', '\n', '0', '-', '\u{1F511}', '\0'][index % 8];
        [&example[..index], &new.to_string(), &example[index + old.len_utf8()..]].concat()
    });
    for text in ends.map(str::to_owned).chain(garbled) {
        if let Err(found) = read(&text) {
            assert!(!found.is_empty() && found.iter().all(|one| one.contains("\n  help: ")), "{text}: {found:?}");
        }
    }
}

/// A wrong line of a profile, where it is found, and what is said of it and of its remedy.
const WRONG: [(&str, &str, &str, &str); 34] = [
    ("hots = \"a\"", "hosts.a.hots", "unknown key", "did you mean host?"),
    ("colour = 1", "hosts.a.colour", "unknown key", "known here: host, sequence"),
    ("host = \"\"", "hosts.a.host", "neither a name nor an address", "server.example"),
    ("host = \"a b\"", "hosts.a.host", "neither a name nor an address", "server.example"),
    ("host = 5", "hosts.a.host", "must be a string, not a number", "quotes"),
    ("delay = 10", "hosts.a.delay", "must be a string, not a number", "quotes"),
    ("delay = \"10\"", "hosts.a.delay", "\"10\" is no span of time", "10ms"),
    ("delay = \"soon\"", "hosts.a.delay", "\"soon\" is no span of time", "10ms"),
    ("delay = \"2m\"", "hosts.a.delay", "longer than a minute", "1m"),
    ("family = \"5\"", "hosts.a.family", "\"5\" is not known here", "\"any\" or \"4\" or \"6\" or \"both\""),
    ("family = 4", "hosts.a.family", "must be a string", "quotes"),
    ("port = 0", "hosts.a.port", "port 0 is no port", "1 to 65535"),
    ("port = 65536", "hosts.a.port", "port 65536 does not exist", "1 to 65535"),
    ("port = \"51820/udp\"", "hosts.a.port", "a UDP port does not accept connections", "TCP port"),
    ("port = \"1-2\"", "hosts.a.port", "a range of ports", "one port"),
    ("port = true", "hosts.a.port", "must be a string, not true or false", "quotes"),
    ("then = \"ssh me@b\"", "hosts.a.then", "\"ssh me@b\" is one text", "[\"ssh\", "),
    ("then = []", "hosts.a.then", "no program", "[\"ssh\", "),
    ("then = [\"\"]", "hosts.a.then", "no program", "[\"ssh\", "),
    ("then = [\"ssh\", 22]", "hosts.a.then[1]", "must be a string", "quotes"),
    ("then = [\"ssh\", \"a\\u0000b\"]", "hosts.a.then[1]", "a zero octet", "leave it out"),
    ("retries = -1", "hosts.a.retries", "must be from 0 to 100", "whole number"),
    ("retries = \"1\"", "hosts.a.retries", "must be a number, not a string", "whole number"),
    ("open_for = \"0s\"", "hosts.a.open_for", "no time at all", "how long the door stays open"),
    ("open_for = \"400ms\"", "hosts.a.open_for", "the door closes again", "longer"),
    ("open_for = \"9 parsecs\"", "hosts.a.open_for", "no span of time", "\"10s\""),
    ("source = \"192.0.2\"", "hosts.a.source", "\"192.0.2\" is no address", "address of this host"),
    ("source = \"::1\"\nfamily = \"4\"", "hosts.a.source", "family = \"4\" cannot be reached", "one family"),
    ("source = \"::1\"\nfamily = \"both\"", "hosts.a.source", "family = \"both\" cannot", "leave one of them out"),
    ("interface = \"a/b\"", "hosts.a.interface", "no name of an interface", "wlan0"),
    ("interface = \"\"", "hosts.a.interface", "no name of an interface", "wlan0"),
    ("[options]", "options", "unknown key", "known here: hosts"),
    ("[hosts.\"-v\"]\nsequence = [1]", "hosts.-v", "begins like an option", "letters"),
    ("[hosts.\"a b\"]\nsequence = [1]", "hosts.a b", "a blank", "letters"),
];

#[test]
fn every_mistake_is_named_with_line_key_and_remedy() {
    for (line, key, message, help) in WRONG {
        let found = read(&format!("[hosts.a]\nsequence = [7000]\n{line}\n")).unwrap_err();
        let [text] = &found[..] else { panic!("{line}: {found:?}") };
        assert!(text.starts_with("client.toml:3:"), "{line}: {text}");
        assert!(text.contains(&format!(" error: {key}: ")) && text.contains(message), "{line}: {text}");
        assert!(text.split("help: ").nth(1).is_some_and(|remedy| remedy.contains(help)), "{line}: {text}");
    }
}

#[test]
fn sequences_are_checked_and_never_repeated() {
    for (sequence, message) in [
        ("", "hosts.a.sequence: is missing"),
        ("sequence = []", "hosts.a.sequence: an empty sequence"),
        ("sequence = 7000", "hosts.a.sequence: must be a list"),
        ("sequence = [7000, 0]", "hosts.a.sequence[1]: port 0 is no port"),
        ("sequence = [\"7000/icmp\"]", "hosts.a.sequence[0]: unknown protocol"),
        ("sequence = [\"7000-7040\"]", "hosts.a.sequence: more than 32 steps"),
        ("sequence = [\"1-65535\", \"1-65535\"]", "hosts.a.sequence: more than 32 steps"),
        ("sequence = [1.5]", "hosts.a.sequence[0]: must be a string"),
    ] {
        let found = read(&format!("[hosts.a]\n{sequence}\n")).unwrap_err();
        assert_eq!(found.len(), 1, "{sequence}: {found:?}");
        assert!(found[0].contains(message) && found[0].contains("help: "), "{sequence}: {found:?}");
        assert!(!found[0].contains("7000,"), "{sequence}: {found:?}");
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let found = read("[hosts.a]\nsequence = [0]\nport = 0\n[hosts.b]\n[hots]\n").unwrap_err();
    assert_eq!(found.len(), 4, "{found:?}");
    for text in ["", "= 5", "[hosts", "[hosts.a]\nsequence = [7000\n", "hosts = 5", "[hosts]\na = 1", "\0"] {
        let read = read(text);
        assert_eq!(read.is_ok(), text.is_empty(), "{text:?}: {read:?}");
    }
}

#[test]
fn a_file_is_read_if_it_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("client.toml");
    let error = |path: &Path| Profiles::load(path).unwrap_err().to_string();
    assert!(error(&path).contains("client.toml: error: ") && error(&path).contains("examples/client.toml"));
    fs::write(&path, "[hosts.a]\nsequence = [7000]\n").unwrap();
    permit(&path, 0o600);
    assert_eq!(Profiles::load(&path).unwrap().get("a").unwrap().host, "a");
    for mode in [0o640, 0o604, 0o620, 0o666, 0o601] {
        permit(&path, mode);
        let text = error(&path);
        assert!(text.contains(&format!("(mode {mode:03o})")), "{text}");
        assert!(text.ends_with(&format!("help: chmod 600 {}", path.display())), "{text}");
    }
    permit(&path, 0o400);
    assert!(Profiles::load(&path).is_ok());
    permit(&path, 0o600);
    fs::write(&path, b"[hosts.a]\nhost = \"\xff\"\n").unwrap();
    assert!(error(&path).contains(":2:9: error: not UTF-8"), "{}", error(&path));
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(error(&path).contains("far too large"), "{}", error(&path));
    assert!(error(directory.path()).contains("name a file in it"), "{}", error(directory.path()));
}

#[cfg(unix)]
fn permit(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn near_names_are_offered() {
    let profiles = Profiles {
        path: "client.toml".into(),
        hosts: read("[hosts.myserver]\nsequence = [1]\n[hosts.home]\nsequence = [1]").unwrap(),
    };
    assert_eq!(profiles.nearest("myservr"), Some("myserver"));
    assert_eq!(profiles.nearest("hoem"), Some("home"));
    assert_eq!(profiles.nearest("elsewhere"), None);
}

#[test]
fn of_thousands_of_mistakes_some_are_listed_and_the_rest_is_counted() {
    let keys: String = (0..5000).map(|n| format!("key{n} = 1\n")).collect();
    let found = read(&format!("[hosts.a]\nsequence = [7000]\n{keys}")).unwrap_err();
    assert_eq!(found.len(), 101);
    assert!(found[100].starts_with("client.toml: error: and 4900 more errors"), "{}", found[100]);
}
