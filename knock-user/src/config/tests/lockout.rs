//! `lockout`.

use std::time::Duration;

use super::*;

fn lockout(lines: &str) -> Option<Lockout> {
    let (text, host) = (with_option(lines), Host::default());
    parse(&text, "k.toml", Path::new("k.toml"), &host).unwrap_or_else(|error| panic!("{error}")).0.options.lockout
}

#[test]
fn a_lockout_is_a_number_and_a_time() {
    assert_eq!(lockout(""), None);
    let expected = Some(Lockout { after: 5, span: Duration::from_secs(600) });
    assert_eq!(lockout("lockout = { after = 5, for = \"10m\" }"), expected);
    assert_eq!(lockout("lockout.after = 5\nlockout.for = 600"), expected);
}

#[test]
fn errors_in_a_lockout_are_named() {
    for (lines, message) in [
        ("lockout = 5", "3:11: error: options.lockout: must be a section, not a number"),
        ("lockout = { after = 5 }", "3:11: error: options.lockout.for: is missing"),
        ("lockout = { for = \"1m\" }", "3:11: error: options.lockout.after: is missing"),
        ("lockout = { after = 0, for = \"1m\" }", "3:21: error: options.lockout.after: must be from 1 to 1000"),
        ("lockout = { after = 5, for = 0 }", "3:30: error: options.lockout.for: no time at all"),
        ("lockout = { after = 5, for = \"8days\" }", "3:30: error: options.lockout.for: longer than 7days"),
        ("lockout = { after = 5, for = 9, with = 1 }", "3:33: error: options.lockout.with: unknown key"),
        ("lockout = { after = 1, for = \"1m\" }", "3:21: warning: options.lockout.after: 1 wrong knock may be a slip"),
    ] {
        assert_said(&with_option(lines), &[&format!("k.toml:{message}")]);
    }
}
