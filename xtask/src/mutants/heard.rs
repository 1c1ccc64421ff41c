//! What a run of tests says of those that were asked for by name.

/// What became of a test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// It has failed.
    Failed,
    /// It has passed.
    Passed,
    /// The run says nothing of it, or did not run it.
    Missing,
}

/// What became of the test with this path.
pub fn heard(text: &str, name: &str) -> Heard {
    match text.lines().filter_map(said).find(|(said, _)| *said == name) {
        Some((_, "FAILED")) => Heard::Failed,
        Some((_, "ok")) => Heard::Passed,
        _ => Heard::Missing,
    }
}

/// The name of a test, if the line says that it has failed.
pub fn failed(line: &str) -> Option<&str> {
    said(line).and_then(|(name, how)| how.starts_with("FAILED").then_some(name))
}

/// A test, and how it ended, if the line says it.
fn said(line: &str) -> Option<(&str, &str)> {
    let (name, how) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.trim(), how.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_failed_tests_are_read() {
        assert_eq!(failed("test gate::a_grant ... FAILED"), Some("gate::a_grant"));
        assert_eq!(failed("test gate::a_grant ... FAILED (3.2s)"), Some("gate::a_grant"));
        assert_eq!(failed("test gate::a_grant ... ok"), None);
        assert_eq!(failed("test result: FAILED. 1 passed; 1 failed"), None);
    }

    #[test]
    fn of_each_test_it_is_heard_whether_it_failed_passed_or_is_missing() {
        const TEXT: &str = "\nrunning 4 tests\ntest gate::a_grant ... ok\ntest knocks::a_step ... FAILED\n\
            test gate::a_grant_of_another ... FAILED\ntest knocks::a_long_one ... ignored\n\nfailures:\n\n\
            ---- knocks::a_step stdout ----\nassertion failed\n\nfailures:\n    knocks::a_step\n    gate::gone\n\n\
            test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 99 filtered out; finished in 0.00s\n";
        assert_eq!(heard(TEXT, "gate::a_grant"), Heard::Passed);
        assert_eq!(heard(TEXT, "knocks::a_step"), Heard::Failed);
        for name in ["gate::gone", "a_step", "knocks", "knocks::a_long_one", "result:"] {
            assert_eq!(heard(TEXT, name), Heard::Missing, "{name}");
        }
    }
}
