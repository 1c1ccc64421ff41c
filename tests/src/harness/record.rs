//! What a run leaves under `target` for people and for `cargo xtask`: how long each test took, why one failed, and
//! both logs of one that failed and then passed alone.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};

use super::attempt::Attempt;

/// Lines of a time, a CPU time (both in seconds) and a name, in the order in which trials ended.
const TIMES: &str = "tests/times";
/// A file for each test that failed: why.
const FAILED: &str = "tests/failed";
/// Two files for each test that failed and passed alone: all that both attempts printed.
const UNSTABLE: &str = "unstable";

/// A folder for what is recorded.
pub(super) struct Record {
    target: PathBuf,
    times: Mutex<()>,
}

impl Record {
    /// That of this workspace.
    pub fn of_workspace() -> Self {
        Self::in_folder(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"))
    }

    fn in_folder(target: PathBuf) -> Self {
        Self { target, times: Mutex::new(()) }
    }

    /// A test took so long.
    pub fn time(&self, name: &str, attempt: &Attempt) -> Result<()> {
        let _one_at_a_time = self.times.lock();
        let path = self.target.join(TIMES);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let mut file = OpenOptions::new().create(true).append(true).open(&path).context(TIMES)?;
        Ok(writeln!(file, "{:.2} {:.2} {name}", attempt.time.as_secs_f64(), attempt.cpu.as_secs_f64())?)
    }

    /// A test failed for good. Returns the text that says why, and how to make it again.
    pub fn failed(&self, name: &str, attempt: &Attempt) -> Result<String> {
        let why = attempt.why();
        let text = format!("{name}\n{why}\n\nthis test alone: cargo xtask test -- {name} --exact\n");
        self.write(FAILED, &format!("{}.txt", file_name(name)), &text)?;
        Ok(text)
    }

    /// A test failed, and passed when it was made once more, alone.
    pub fn unstable(&self, name: &str, first: &Attempt, second: &Attempt) -> Result<()> {
        for (which, attempt) in [("first", first), ("alone", second)] {
            self.write(UNSTABLE, &format!("{}.{which}.log", file_name(name)), &attempt.text)?;
        }
        Ok(())
    }

    fn write(&self, folder: &str, name: &str, text: &str) -> Result<()> {
        let folder = self.target.join(folder);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(name);
        let mut file = File::create(&path).with_context(|| path.display().to_string())?;
        Ok(file.write_all(text.as_bytes())?)
    }
}

/// A test's name as that of a file.
fn file_name(name: &str) -> String {
    name.replace("::", ".").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::attempt::{End, WHY};
    use super::*;

    fn attempt(text: &str) -> Attempt {
        Attempt {
            end: End::Broken,
            text: text.to_owned(),
            time: Duration::from_millis(1500),
            cpu: Duration::from_millis(250),
        }
    }

    #[test]
    fn what_a_run_leaves_can_be_read() {
        let folder = std::env::temp_dir().join(format!("knock-record-{}", std::process::id()));
        let record = Record::in_folder(folder.clone());
        record.time("e2e::one", &attempt("")).unwrap();
        record.time("e2e::two", &attempt("")).unwrap();
        let failed = attempt(&format!("on the way\n{WHY}\na stranger got in\n"));
        let text = record.failed("e2e::one", &failed).unwrap();
        record.unstable("e2e::two", &failed, &attempt("fine")).unwrap();
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("tests/times"), "1.50 0.25 e2e::one\n1.50 0.25 e2e::two\n");
        assert_eq!(read("tests/failed/e2e.one.txt"), text);
        assert!(text.starts_with("e2e::one\na stranger got in\n"), "{text}");
        assert!(text.ends_with("cargo xtask test -- e2e::one --exact\n"), "{text}");
        assert!(read("unstable/e2e.two.first.log").starts_with("on the way"));
        assert_eq!(read("unstable/e2e.two.alone.log"), "fine");
        fs::remove_dir_all(folder).unwrap();
    }
}
