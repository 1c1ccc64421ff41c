//! What `cargo xtask test` is asked for.

use clap::Args;

/// Which tests, how often, and beside what.
#[derive(Args, Clone, Debug, Default)]
pub struct TestArgs {
    /// Unit and host tests, the frame tables in the kernel, and one story: minutes, not a quarter of an hour
    #[arg(long, conflicts_with = "args")]
    pub quick: bool,
    /// Only the tests of what differs from BASE, which is HEAD unless it is given: docs/layers.txt says which those are.
    /// Unit and host tests and the tables in the kernel are run as always
    #[arg(long, value_name = "BASE", num_args = 0..=1, default_missing_value = "HEAD", conflicts_with_all = ["args", "quick"])]
    pub changed: Option<String>,
    /// Go on after a stage that fails
    #[arg(long)]
    pub keep_going: bool,
    /// Run all of it N times. What came of each run is kept in target/repeat, and the same command goes on where it was
    /// interrupted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeat: Option<u32>,
    /// With --repeat: forget the runs that were made
    #[arg(long, requires = "repeat")]
    pub anew: bool,
    /// Keep N processes busy beside the tests
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=64))]
    pub busy: u32,
    /// Only these tests: passed to the test binaries that need root (names or parts of them, --list, --exact,
    /// --nocapture ...)
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

impl TestArgs {
    /// The words for one run of several.
    pub fn one_run(&self) -> Vec<String> {
        let mut words = vec!["test".to_owned()];
        words.extend(self.quick.then(|| "--quick".to_owned()));
        words.extend(self.changed.iter().map(|base| format!("--changed={base}")));
        words.extend(self.keep_going.then(|| "--keep-going".to_owned()));
        if self.busy > 0 {
            words.push(format!("--busy={}", self.busy));
        }
        if !self.args.is_empty() {
            words.push("--".to_owned());
            words.extend(self.args.iter().cloned());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_of_several_is_asked_for_without_their_number() {
        let args = TestArgs {
            repeat: Some(5),
            anew: true,
            busy: 2,
            keep_going: true,
            args: vec!["e2e::hooks".to_owned(), "--exact".to_owned()],
            ..TestArgs::default()
        };
        assert_eq!(args.one_run(), ["test", "--keep-going", "--busy=2", "--", "e2e::hooks", "--exact"]);
        let quick = TestArgs { quick: true, ..TestArgs::default() };
        assert_eq!(quick.one_run(), ["test", "--quick"]);
        let changed = TestArgs { changed: Some("main".to_owned()), ..TestArgs::default() };
        assert_eq!(changed.one_run(), ["test", "--changed=main"]);
    }
}
