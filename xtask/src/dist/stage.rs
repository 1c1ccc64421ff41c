//! What is generated for the packages, under `target/dist/stage`: manual pages and completions by
//! the program itself, and the notices of the crates in it.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use super::crates;
use crate::compile::Built;
use crate::{paths, shell, step};

/// The version of all of the workspace's packages.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The shells with completions, and what the files are called.
const SHELLS: [(&str, &str); 3] = [("bash", "knockctl.bash"), ("zsh", "_knockctl"), ("fish", "knockctl.fish")];

/// The directory of generated files.
pub struct Stage {
    /// Where it is. The manifest of knock-user names it too.
    pub dir: PathBuf,
    /// When all of it was made, in seconds since 1970: packages of the same commit are the same.
    pub epoch: u64,
}

impl Stage {
    /// Makes it afresh.
    pub fn make(built: &Built) -> Result<Self> {
        step::line("dist", "manual pages, completions, notices", || {
            let stage = Self { dir: paths::dist().join("stage"), epoch: epoch()? };
            if stage.dir.exists() {
                fs::remove_dir_all(&stage.dir)?;
            }
            stage.fill(built).with_context(|| stage.dir.display().to_string())?;
            Ok((stage, "ok".to_owned()))
        })
    }

    fn fill(&self, built: &Built) -> Result<()> {
        let (pages, completions) = (self.dir.join("man"), self.dir.join("completions"));
        fs::create_dir_all(&pages)?;
        fs::create_dir_all(&completions)?;
        shell::run(shell::command(&built.knockctl).args(["man", "--to"]).arg(&pages))?;
        for (name, file) in SHELLS {
            let script = shell::read(shell::command(&built.knockctl).args(["completions", name]))?;
            fs::write(completions.join(file), script)?;
        }
        let notices = self.dir.join("THIRD-PARTY");
        fs::write(&notices, crates::notices()?)?;
        shell::run(shell::command("gzip").args(["-9nk"]).arg(notices))
    }
}

/// `SOURCE_DATE_EPOCH`, or else the time of the commit.
fn epoch() -> Result<u64> {
    const VARIABLE: &str = "SOURCE_DATE_EPOCH";
    if let Ok(text) = env::var(VARIABLE) {
        return text.parse().with_context(|| format!("{VARIABLE}: {text:?} is no number of seconds"));
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(paths::workspace());
    let time = shell::probe(&mut git).and_then(|text| text.parse().ok());
    time.ok_or_else(|| anyhow!("no commit to take the time from: set {VARIABLE}, such as `{VARIABLE}=$(date +%s)`"))
}
