//! Files of one-time sequences, as a config names them.

use std::fs;

use super::*;

/// What is said of a config whose door has a file with this text; the file is called F.
fn said_of_file(text: &str, mode: u32, keys: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door.once");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let config = with_door(&format!("one_time_sequences = {path:?}\n{keys}"));
    let name = path.display().to_string();
    let host = Host { in_place: true, ..Host::default() };
    said(&config, &host).into_iter().map(|line| line.replace(&name, "F")).collect()
}

const FOUR: &str = "7000,8000\n7001/tcp, 8001/udp\n7002:tcp,8002:udp\n7003,8003\n";

#[test]
fn a_good_file_raises_nothing() {
    assert_eq!(said_of_file(FOUR, 0o600, ""), Vec::<String>::new());
    assert_eq!(said_of_file(&format!("# a remark\n\n{FOUR}"), 0o640, ""), Vec::<String>::new());
}

#[test]
fn errors_about_the_file_are_named() {
    for (value, message) in [
        ("1", "must be a string, not a number"),
        ("\"door.once\"", "\"door.once\" is no absolute path"),
        ("\"\"", "\"\" is no absolute path"),
        ("\"/nonexistent/door.once\"", "/nonexistent/door.once: no such file"),
        ("\"/tmp\"", "/tmp: it is a directory"),
        ("\"/dev/null\"", "/dev/null: it is no regular file"),
    ] {
        let config = with_door(&format!("one_time_sequences = {value}"));
        assert_said(&config, &[&format!("k.toml:7:22: error: doors.d.one_time_sequences: {message}")]);
    }
    let both = said_of_file(FOUR, 0o600, "sequence = [7, 9, 8]");
    assert_eq!(both, ["k.toml:7:22: error: doors.d.one_time_sequences: beside a sequence"]);
}

#[test]
fn lines_that_cannot_be_used_are_named_and_not_repeated() {
    let text = format!("{FOUR}nonsense,7\n7000 , 8000\n22/tcp, 7\n7004,\n0\n");
    let key = "warning: doors.d.one_time_sequences: left out:";
    assert_eq!(
        said_of_file(&text, 0o600, ""),
        [
            format!("F:5:1: {key} a step that is no port"),
            format!("F:6:1: {key} this sequence was used, or stands further above"),
            format!("F:7:1: {key} one of its ports is protected by a service"),
            format!("F:8:1: {key} an empty step"),
            format!("F:9:1: {key} port 0 cannot be knocked"),
        ]
    );
    let told = said_of_file(&format!("{FOUR}{}", "x\n".repeat(50)), 0o600, "");
    assert_eq!(told.len(), 11, "{told:?}");
    assert!(told.contains(&"F: warning: doors.d.one_time_sequences: 40 more lines left out".to_owned()), "{told:?}");
}

#[test]
fn few_and_none_are_told_of() {
    let key = "F: warning: doors.d.one_time_sequences:";
    assert_eq!(said_of_file("1,2\n3,4\n5,6\n", 0o600, ""), [format!("{key} 3 sequences left")]);
    assert_eq!(said_of_file("1,2\n", 0o600, ""), [format!("{key} 1 sequence left")]);
    for text in ["", "# used 2026-01-01T00:00:00Z by ::1: 1,2\n", "# 1,2\n"] {
        assert_eq!(said_of_file(text, 0o600, ""), [format!("{key} no sequence left: the door is shut")]);
    }
}

#[test]
fn permissions_of_the_file_count() {
    let key = "F: error: doors.d.one_time_sequences: mode";
    let read = "everybody on this host may read this file, and its sequences";
    assert_eq!(said_of_file(FOUR, 0o644, ""), [format!("{key} 0644: {read}")]);
    assert_eq!(said_of_file(FOUR, 0o602, ""), [format!("{key} 0602: everybody on this host may change this file")]);
}

#[test]
fn a_sequence_that_a_closing_door_has_is_passed_over() {
    let close = "[doors.e]\nservice = \"s\"\naction = \"close\"\nsequence = [7000, 8000]\n";
    let told = said_of_file(FOUR, 0o600, close);
    let key = "warning: doors.d.one_time_sequences:";
    let ascends = "k.toml:11:13: warning: doors.e.sequence: ascending ports: the order in which scanners go";
    assert_eq!(
        told,
        [
            ascends.to_owned(),
            format!("F: {key} 3 sequences left"),
            format!("F:1:1: {key} left out: a door that closes has the same sequence"),
        ]
    );
}
