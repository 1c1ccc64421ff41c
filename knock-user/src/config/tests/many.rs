//! Files that are wrong by the thousand: a part is listed, the rest is counted, and nothing is compared with all else.

use super::*;
use crate::syntax::report::MOST_LISTED;

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
