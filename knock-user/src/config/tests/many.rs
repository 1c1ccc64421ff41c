//! Files that are wrong by the thousand: a part is listed, the rest is counted, and nothing is compared with all else.

use super::*;
use crate::syntax::report::MOST_LISTED;
use crate::syntax::work;

/// What is found in a config that is refused.
fn refused(text: &str) -> Vec<Diagnostic> {
    match parse(text, "k.toml", Path::new("k.toml"), &Host::default()) {
        Err(ConfigError::Refused(findings)) => findings,
        other => panic!("{other:?}"),
    }
}

/// How many errors that are.
fn errors(findings: &[Diagnostic]) -> usize {
    findings.iter().filter(|finding| finding.is_error()).map(|finding| finding.stands_for).sum()
}

/// A line for each number.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(|number| line(number) + "\n").collect()
}

#[test]
fn of_thousands_of_unknown_keys_some_are_listed_and_all_are_counted() {
    let text = with_option(&lines(5000, |n| format!("key{n} = 1")));
    let findings = refused(&text);
    assert_eq!((findings.len(), errors(&findings)), (MOST_LISTED + 1, 5000));
    assert_eq!((findings[0].line, findings[99].line), (3, 102));
    assert_eq!(
        findings[MOST_LISTED].to_string(),
        "k.toml: error: and 4900 more errors\n  help: mend what is listed, and look again"
    );
}

#[test]
fn of_thousands_of_wrong_lines_some_are_listed_and_all_are_counted() {
    let findings = refused(&lines(5000, |n| format!("a{n}")));
    assert_eq!((findings.len(), errors(&findings)), (MOST_LISTED + 1, 5000));
}

#[test]
fn of_thousands_of_warnings_some_are_listed_and_the_config_is_taken() {
    let trusted = lines(5000, |_| "\"0.0.0.0/0\",".to_owned());
    let text = with_option(&format!("trusted = [{trusted}]"));
    let (config, findings) = parse(&text, "k.toml", Path::new("k.toml"), &Host::default()).unwrap();
    assert_eq!((config.options.trusted.len(), findings.len()), (1, MOST_LISTED + 1));
    assert!(findings.iter().all(|finding| !finding.is_error()));
    assert_eq!(findings[MOST_LISTED].stands_for, 4900);
}

/// How many findings a config has, and how much work it is to read it. It is as large as a file may be.
fn work_of(text: &str) -> (usize, u64) {
    assert!(text.len() as u64 <= document::MAX_FILE, "{} octets", text.len());
    let before = work::done();
    let findings = match parse(text, "k.toml", Path::new("k.toml"), &Host::default()) {
        Ok((_, findings)) | Err(ConfigError::Refused(findings)) => findings,
        Err(error) => panic!("{error}"),
    };
    (findings.iter().map(|finding| finding.stands_for).sum(), work::done() - before)
}

#[test]
fn four_times_as_much_that_is_wrong_is_four_times_as_much_work() {
    let options = |n: usize| with_option(&lines(n, |n| format!("k{n}=1")));
    let door = |n: usize| with_door(&format!("sequence = [7, 9, 8]\n{}", lines(n, |n| format!("k{n}=1"))));
    let wrong = |n: usize| lines(n, |n| format!("a{n}"));
    let trusted = |n: usize| with_option(&format!("trusted = [{}]", "\"0.0.0.0/0\",".repeat(n)));
    // How many there are at most, and the config with as many.
    type Case<'a> = (&'a str, usize, &'a dyn Fn(usize) -> String);
    let cases: [Case<'_>; 4] = [
        ("unknown options", 100_000, &options),
        ("unknown keys of a door", 100_000, &door),
        ("lines that are no TOML", 100_000, &wrong),
        ("warnings", 80_000, &trusted),
    ];
    for (what, most, text) in cases {
        let ((few, some), (many, more)) = (work_of(&text(most / 4)), work_of(&text(most)));
        assert_eq!((few, many), (most / 4, most), "{what}: findings");
        // Nobody looks at them without being counted.
        assert!(some >= few as u64, "{what}: {some} for {few}");
        assert!(more <= 5 * some, "{what}: {some} for {few}, {more} for {many}");
    }
}

#[test]
fn thousands_of_patterns_for_interfaces_are_refused_with_their_number() {
    let patterns: Vec<_> = (0..5000).map(|n| format!("\"a{n}*\"")).collect();
    let text = with_option("").replace("\"eth0\"", &patterns.join(", "));
    let said: Vec<_> = refused(&text).iter().map(|finding| finding.message.clone()).collect();
    assert_eq!(said, ["5000 names and patterns, more than 256"]);
}

#[test]
fn thousands_of_doors_and_services_are_refused_before_they_are_compared() {
    // Each names a service that is not there, which is then looked for among all.
    let doors = lines(3000, |n| format!("[doors.d{n}]\nservice = \"x{n}\"\nsequence = [7, 9, 8]"));
    let services = lines(3000, |n| format!("[services.s{n}]\nports = [\"1-65535\"]"));
    let said: Vec<_> =
        refused(&format!("{OPTIONS}{services}{doors}")).iter().map(|finding| finding.message.clone()).collect();
    assert_eq!(said, ["3000 services, more than 64", "3000 doors, more than 64"]);
}

#[test]
fn a_long_name_is_not_repeated_as_a_whole_in_each_key_below_it() {
    let name = "n".repeat(5000);
    let ports: Vec<_> = (0..3000).map(|_| "0").collect();
    let findings = refused(&format!("{OPTIONS}[services.{name}]\nports = [{}]\n", ports.join(", ")));
    // One for the name, and the ports.
    assert_eq!(errors(&findings), 3001);
    assert!(findings.iter().all(|finding| finding.key.len() < 100), "{}", findings[0].key.len());
}

#[test]
fn a_list_of_overlapping_ports_is_one_set_of_ports() {
    let ports: Vec<_> = (0..3000).map(|_| "\"1-65535\"").collect();
    let text = format!("{OPTIONS}[services.a]\nports = [{0}]\n[services.b]\nports = [{0}]\n", ports.join(", "));
    let findings = refused(&text);
    assert_eq!(errors(&findings), 3000);
    assert_eq!(findings[0].message, "port 1/tcp is in service a as well");
}
