//! What knockd takes and what it refuses. A trial of whole hosts holds the same against knockd itself.

use super::*;

fn read(text: &str) -> Result<File, Refusal> {
    let one_time = |path: &[u8]| match path {
        b"/full" => Ok(2),
        b"/used" => Ok(0),
        _ => Err("No such file or directory".to_owned()),
    };
    parse(text.as_bytes(), &one_time)
}

/// All that one door says, without comments.
fn door(lines: &str) -> Vec<Says> {
    let file = read(&format!("[d]\nsequence=1\n{lines}")).unwrap_or_else(|refusal| panic!("{lines}: {refusal}"));
    let entries = file.sections.into_iter().flat_map(|section| section.entries).skip(1);
    entries.map(|entry| entry.says).collect()
}

#[track_caller]
fn assert_refused(text: &str, line: usize, message: &str) {
    let refusal = read(text).expect_err(text);
    assert_eq!((refusal.line, refusal.message.as_str()), (line, message), "{text}");
    assert!(!refusal.help.is_empty());
}

#[test]
fn keys_have_any_case_and_two_of_them_another_name() {
    assert_eq!(door("timeout = 7"), [Says::SeqTimeout(7)]);
    assert_eq!(door("SEQ_Timeout=7s"), [Says::SeqTimeout(7)]);
    assert_eq!(door("cmd_timeout = -1"), [Says::CmdTimeout(-1)]);
    assert_eq!(door("COMMAND = a = b # c"), [Says::Start(b"a = b # c".to_vec())]);
    assert_eq!(door("start_command ="), [Says::Start(Vec::new())]);
    assert_eq!(door("Command_6 = a"), [Says::Start6(b"a".to_vec())]);
    assert_eq!(door("stop_command=a\nstop_command_6=b"), [Says::Stop(b"a".to_vec()), Says::Stop6(b"b".to_vec())]);
    assert_eq!(door("target = 192.0.2.1"), [Says::Target(b"192.0.2.1".to_vec())]);
    assert_eq!(door("One_Time_Sequences = /full"), [Says::OneTime(b"/full".to_vec())]);
    assert_eq!(door("useSYSLOG"), [Says::UseSyslog]);
}

#[test]
fn flags_are_negated_with_a_mark() {
    let flags = vec![(TcpFlags::SYN, true), (TcpFlags::ACK, false)];
    assert_eq!(door("tcpflags = SYN,!ack"), [Says::TcpFlags(flags)]);
}

#[test]
fn only_lower_case_options_are_options() {
    let file = read("[options]\nLogFile=/l\npidfile=/p\ninterface=eth1\nusesyslog\n[Options]\nsequence=1\n").unwrap();
    assert!(file.sections[0].is_options() && !file.sections[1].is_options());
    let says: Vec<_> = file.sections[0].entries.iter().map(|entry| entry.says.clone()).collect();
    assert_eq!(
        says,
        [Says::LogFile(b"/l".to_vec()), Says::PidFile, Says::Interface(b"eth1".to_vec()), Says::UseSyslog]
    );
}

#[test]
fn sections_may_come_again_and_have_any_name() {
    let file = read("[a]\nsequence=1\n[options]\n[a]\nsequence=2\n[ b]=c ]\nsequence=3\n[options]").unwrap();
    let names: Vec<_> = file.sections.iter().map(|section| section.name.as_slice()).collect();
    assert_eq!(names, [&b"a"[..], b"options", b"a", b" b]=c ", b"options"]);
    assert_eq!(read(&format!("[{}]\nsequence=1", "x".repeat(300))).unwrap().sections[0].name.len(), 127);
}

#[test]
fn comments_are_kept() {
    let file = read("# one\n\n[a] \n  # two\nsequence = 1").unwrap();
    assert_eq!(file.head, [Entry { line: 1, text: "# one".into(), says: Says::Comment }]);
    assert_eq!(file.sections[0].entries[0], Entry { line: 4, text: "# two".into(), says: Says::Comment });
    assert_eq!(read("").unwrap(), File { head: vec![], sections: vec![] });
}

#[test]
fn what_knockd_refuses_is_refused_with_its_line() {
    for (text, line, message) in [
        ("sequence = 1", 1, "a line before the first section"),
        ("# c\nUseSyslog", 2, "a line before the first section"),
        ("[]", 1, "a section without a name"),
        ("[options\n", 1, "a line before the first section"),
        ("[options]\nfoo", 2, "\"FOO\" is no directive without a value"),
        ("[options]\nUseSyslog = yes", 2, "UseSyslog takes no value"),
        ("[options]\nsequence = 1", 2, "\"SEQUENCE\" is no directive of [options]"),
        ("[options]\n= 1", 2, "\"\" is no directive of [options]"),
        ("[d]\nlogfile = /l", 2, "\"LOGFILE\" is no directive of a door"),
        ("[d]\nUseSyslog = 1", 2, "\"USESYSLOG\" is no directive of a door"),
        ("[d]\n; comment = 1", 2, "\"; COMMENT\" is no directive of a door"),
        ("[d]\nsequence = 1,65536", 2, "port 65536 does not exist"),
        ("[d]\nsequence = 1:icmp", 2, "unknown protocol \"icmp\""),
        ("[d]\ntcpflags = syn, ack", 2, "unknown flag \" ack\""),
        ("[d]\ntcpflags =", 2, "unknown flag \"\""),
        ("[d]\none_time_sequences = /used", 2, "no sequence is left in \"/used\""),
        ("[d]\none_time_sequences = /none", 2, "\"/none\": No such file or directory"),
        ("[a]\nsequence=1\n[d]\ntarget = x\n", 3, "door \"d\" has no sequence"),
    ] {
        assert_refused(text, line, message);
    }
    assert_refused(&format!("[d]\nsequence = {}1", "1,".repeat(32)), 2, "a sequence of more than 32 ports");
}
