//! Miri: the tests of knock-common in an interpreter that sees undefined behaviour. What has no Miri says so.

use std::process::Command;

use anyhow::{Result, bail};

use crate::setup::{self, Purpose, Tools};
use crate::{paths, shell};

/// Modules without unsafe code, and with tests that go through many values: in them Miri can see nothing that the
/// same tests outside of it do not, and takes a minute for that. They are left out of the quick form.
const SAFE: [&str; 5] = ["abi::trust_filter::", "addr::", "gate::reject::cells::", "packet::tests::", "siphash::"];

/// The verb, or its quick form: an error where there is no Miri.
pub fn verb(is_quick: bool) -> Result<()> {
    let tools = setup::setup(Some(Purpose::Lint))?;
    match setup::has_miri(&tools.toolchain)? {
        true => shell::run(&mut command(&tools, is_quick)),
        false => bail!("miri: {}", absence(&tools)),
    }
}

fn absence(tools: &Tools) -> String {
    format!("it is not to be had for {}; it takes rustup, and a nightly with its component `miri`", tools.toolchain)
}

fn command(tools: &Tools, is_quick: bool) -> Command {
    let mut cargo = tools.toolchain.cargo("miri");
    cargo.args(["test", "--package", "knock-common", "--lib"]);
    if is_quick {
        cargo.arg("--").args(SAFE.iter().flat_map(|module| ["--skip", module]));
    }
    // An interpreter has no optimisations, and a target directory of its own.
    cargo.env("CARGO_TARGET_DIR", paths::miri_target());
    cargo
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tidy;

    /// Tests of these are not left out.
    const TESTED: [&str; 2] = ["packet/checksum.rs", "packet/frame.rs"];

    #[test]
    fn what_is_left_out_has_no_unsafe_code() {
        let source = paths::workspace().join("knock-common/src");
        for module in SAFE.map(|module| module.trim_end_matches("tests::").trim_end_matches("::").replace("::", "/")) {
            let (file, folder) = (source.join(&module).with_extension("rs"), source.join(&module));
            let files = if folder.is_dir() { tidy::files_below(&folder).unwrap() } else { vec![file] };
            assert!(!files.is_empty());
            for file in files.into_iter().filter(|file| !TESTED.iter().any(|tested| file.ends_with(tested))) {
                let text = fs::read_to_string(&file).unwrap();
                assert_eq!(text.lines().flat_map(tidy::unsafe_words).count(), 0, "{}", file.display());
            }
        }
    }
}
