//! Whether this kernel judges the frames of a CPU one after the other. A realtime kernel need not, from Linux 6.18 on: what
//! is done for one frame may then be interrupted by another one, unless it is built with `PREEMPT_RT_NEEDS_BH_LOCK`.

use std::fs::{self, File};
use std::io::{Read, Result};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// What keeps frames apart on a realtime kernel.
const LOCK: &str = "CONFIG_PREEMPT_RT_NEEDS_BH_LOCK";
const REALTIME: &str = "CONFIG_PREEMPT_RT";
/// A config has some hundred KiB.
const MOST: u64 = 4 << 20;

/// What to know of this kernel, and what to do; nothing if it keeps frames apart.
#[must_use]
pub fn remark() -> Option<(String, &'static str)> {
    remark_below(Path::new("/"))
}

fn remark_below(root: &Path) -> Option<(String, &'static str)> {
    const DANGER: &str = "it may begin with a frame while another one is judged on the same CPU, and what is known of one may \
                          then decide on the other. THE GATE IS NOT MADE FOR SUCH A KERNEL";
    const HELP: &str =
        "boot a kernel that is built with CONFIG_PREEMPT_RT_NEEDS_BH_LOCK=y, or one that is not realtime";
    let config = config(root);
    if !is_realtime(root, config.as_deref()) {
        return None;
    }
    let message = match config {
        // One that does not know the option always has the lock.
        Some(config) if !has(&config, &format!("# {LOCK} is not set")) => return None,
        Some(_) => format!("a realtime kernel (PREEMPT_RT) without PREEMPT_RT_NEEDS_BH_LOCK: {DANGER}"),
        None => format!(
            "a realtime kernel (PREEMPT_RT), and it CANNOT BE TOLD whether it has PREEMPT_RT_NEEDS_BH_LOCK, as its config \
             is neither in /proc/config.gz nor in /boot. Without it, {DANGER}"
        ),
    };
    Some((message, HELP))
}

fn is_realtime(root: &Path, config: Option<&str>) -> bool {
    let says = |path: &str, is_it: fn(&str) -> bool| fs::read_to_string(root.join(path)).is_ok_and(|text| is_it(&text));
    says("sys/kernel/realtime", |text| text.trim() == "1")
        // As `uname -v` says it: "PREEMPT RT" before Linux 6.0.
        || says("proc/sys/kernel/version", |text| text.replace(' ', "_").contains("PREEMPT_RT"))
        || config.is_some_and(|config| has(config, &format!("{REALTIME}=y")))
}

fn has(config: &str, wanted: &str) -> bool {
    config.lines().any(|line| line.trim_end() == wanted)
}

/// The config that the kernel was built with, where it can be read.
fn config(root: &Path) -> Option<String> {
    let release = fs::read_to_string(root.join("proc/sys/kernel/osrelease")).unwrap_or_default();
    let release = release.trim();
    let files = [format!("boot/config-{release}"), format!("lib/modules/{release}/config")].map(|file| root.join(file));
    let own = File::open(root.join("proc/config.gz")).and_then(|file| text(GzDecoder::new(file)));
    let kept = |file: &PathBuf| File::open(file).and_then(text);
    let all = std::iter::once(own).chain(files.iter().map(kept));
    // A file that is cut off, or of something else, says nothing.
    all.filter_map(Result::ok).find(|text| text.contains("\nCONFIG_"))
}

fn text(file: impl Read) -> Result<String> {
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tempfile::TempDir;

    use super::*;

    const RELEASE: &str = "6.18.0-rt1";
    const LOCKED: &str = "CONFIG_PREEMPT_RT=y\nCONFIG_PREEMPT_RT_NEEDS_BH_LOCK=y\n";
    const UNLOCKED: &str = "CONFIG_PREEMPT_RT=y\n# CONFIG_PREEMPT_RT_NEEDS_BH_LOCK is not set\n";
    const OLDER: &str = "CONFIG_PREEMPT_RT=y\n";
    const ORDINARY: &str = "# CONFIG_PREEMPT_RT is not set\n";

    /// A file tree with these files.
    fn tree(files: &[(&str, &[u8])]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        let release = ("proc/sys/kernel/osrelease", format!("{RELEASE}\n").into_bytes());
        let files = files.iter().map(|(path, text)| (*path, text.to_vec())).chain([release]);
        for (path, text) in files {
            let path = root.path().join(path.replace("RELEASE", RELEASE));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn full(config: &str) -> String {
        format!("#\n# Linux\n#\nCONFIG_64BIT=y\n{config}CONFIG_NET=y\n")
    }

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn said(files: &[(&str, &[u8])]) -> Option<String> {
        remark_below(tree(files).path()).map(|(message, _)| message)
    }

    const REALTIME_SAYS: (&str, &[u8]) = ("sys/kernel/realtime", b"1\n");

    #[test]
    fn a_realtime_kernel_without_the_lock_is_warned_of_wherever_its_config_is() {
        for (config, warns) in [(UNLOCKED, true), (LOCKED, false), (OLDER, false)] {
            let (config, zipped) = (full(config), packed(&full(config)));
            for file in [
                ("proc/config.gz", &zipped[..]),
                ("boot/config-RELEASE", config.as_bytes()),
                ("lib/modules/RELEASE/config", config.as_bytes()),
            ] {
                // Also if nothing else says that it is one.
                for files in [&[REALTIME_SAYS, file][..], &[file]] {
                    let said = said(files);
                    assert_eq!(said.is_some(), warns, "{config} in {}: {said:?}", file.0);
                    assert!(said.is_none_or(|said| said.contains("without PREEMPT_RT_NEEDS_BH_LOCK")));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_told_of_a_realtime_kernel_is_said() {
        let version = |text: &'static str| ("proc/sys/kernel/version", text.as_bytes());
        let locked = full(LOCKED);
        let torn = &packed(&locked)[..20];
        for files in [
            &[REALTIME_SAYS][..],
            &[version("#1 SMP PREEMPT_RT Debian 6.18\n")],
            &[version("#1 SMP PREEMPT RT Debian 5.15\n")],
            &[REALTIME_SAYS, ("proc/config.gz", torn)],
            &[REALTIME_SAYS, ("boot/config-RELEASE", b"")],
            &[REALTIME_SAYS, ("boot/config-another", locked.as_bytes())],
        ] {
            let said = said(files).unwrap_or_default();
            assert!(said.contains("CANNOT BE TOLD"), "{said} of {files:?}");
        }
    }

    #[test]
    fn other_kernels_are_not_spoken_of() {
        let ordinary = full(ORDINARY);
        for (path, text) in [
            ("proc/sys/kernel/tainted", "0\n"),
            ("sys/kernel/realtime", "0\n"),
            ("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC Debian 6.18\n"),
            ("boot/config-RELEASE", &ordinary),
        ] {
            assert_eq!(said(&[(path, text.as_bytes())]), None, "{path}: {text}");
        }
    }
}
