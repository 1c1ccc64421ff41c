//! The first file tree of a guest: a busybox, the modules that it takes to see this host's files, the job.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::fetch::Files;
use crate::shell;

/// What it takes to mount this host's file tree, and to change it in memory.
const MODULES: [&str; 4] = ["virtio_pci", "9pnet_virtio", "9p", "overlay"];

/// Makes the image and returns where it is.
pub fn make(files: &Files, job: &str) -> Result<PathBuf> {
    let tree = files.root.join("first");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    for dir in ["bin", "modules", "proc", "sys", "dev", "host", "memory", "whole"] {
        fs::create_dir_all(tree.join(dir))?;
    }
    busybox(&tree)?;
    modules(files, &tree)?;
    fs::write(tree.join("init"), include_str!("init.sh"))?;
    fs::write(tree.join("job"), job)?;
    shell::run(shell::command("chmod").arg("755").arg(tree.join("init")))?;
    let image = files.root.join("first.img");
    let names = shell::read(shell::command("find").arg(".").current_dir(&tree))?;
    let list = files.root.join("first.list");
    fs::write(&list, names)?;
    let mut cpio = shell::command("cpio");
    cpio.args(["--quiet", "-o", "-H", "newc"]).current_dir(&tree);
    let status = cpio.stdin(fs::File::open(&list)?).stdout(fs::File::create(&image)?).stderr(Stdio::inherit()).status();
    ensure!(status.context("cannot start cpio")?.success(), "cpio made no image");
    Ok(image)
}

/// This host's busybox and its libraries.
fn busybox(tree: &Path) -> Result<()> {
    let program = shell::find("busybox").context("no busybox")?;
    fs::copy(&program, tree.join("bin/busybox"))?;
    // Empty for one that is linked statically.
    let libraries = shell::probe(shell::command("ldd").arg(&program)).unwrap_or_default();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = tree.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a library at /")?)?;
        fs::copy(library, &to).with_context(|| library.to_owned())?;
    }
    Ok(())
}

/// The modules, in the order in which they are needed, and a list of them.
fn modules(files: &Files, tree: &Path) -> Result<()> {
    let mut ask = shell::command("modprobe");
    ask.arg("--all").arg("-d").arg(&files.root).args(["-S", &files.release, "--show-depends"]).args(MODULES);
    let mut order = Vec::new();
    for line in shell::read(&mut ask)?.lines() {
        // What is built in needs none.
        let Some(path) = line.trim().strip_prefix("insmod ") else { continue };
        let path = Path::new(path.trim());
        let name = path.file_name().context("a module without a name")?.to_string_lossy();
        let plain = name.trim_end_matches(".xz").to_owned();
        if order.contains(&plain) {
            continue;
        }
        let to = tree.join("modules").join(&plain);
        if plain == name {
            fs::copy(path, &to)?;
        } else {
            let status = shell::command("xz").args(["-d", "-c"]).arg(path).stdout(fs::File::create(&to)?).status()?;
            ensure!(status.success(), "{}: not unpacked", path.display());
        }
        order.push(plain);
    }
    fs::write(tree.join("order"), order.join("\n") + "\n")?;
    Ok(())
}
