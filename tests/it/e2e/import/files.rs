//! Which files are taken.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use knock_user::config::{PortNames, PortRange};
use knock_user::import::{Listing, Request, import};
use tests::knockd::{bent, built};
use tests::lab::{Family, Host, Lab, knockctl, sandbox};

use super::knockd::iptables;
use crate::e2e::assert_says;

/// The user without rights.
const NOBODY: u32 = 65_534;
/// How many files knockd and the import are asked about.
const FILES: u64 = 600;

/// knockd reads its file before it looks for the interface: what it says then tells whether it took
/// it. Then it also opens its log, whatever file that is: as nobody, it can make none.
fn knockd_takes(path: &Path) -> Result<bool> {
    let mut knockd = Command::new("knockd");
    knockd.args(["-i", "none0", "-c"]).arg(path).uid(NOBODY).gid(NOBODY).current_dir("/");
    let ran = Host::Server.run(&mut knockd)?;
    let takes = ran.stderr.contains("could not open none0");
    ensure!(takes || ran.stdout.contains("usage:") || ran.code > 128, "{ran}");
    Ok(takes)
}

pub fn knockd_takes_what_the_import_takes() -> Result<()> {
    let _lab = Lab::new()?;
    let path = Path::new(sandbox::DIR).join("some.conf");
    let names = PortNames::default();
    let mut taken = 0;
    for seed in 0..FILES {
        let mut rng = fastrand::Rng::with_seed(seed);
        let file = if seed % 2 == 0 { built(&mut rng) } else { bent(&mut rng) };
        fs::write(&path, &file)?;
        let request = Request {
            file: "some.conf".into(),
            ports: PortRange::parse("2222/tcp", &names).into_iter().collect(),
            names: names.clone(),
            interface: Some("eth0".into()),
            rules: &|_: Listing| Err("nobody asks".into()),
            defaults: None,
            one_time: &|_| Err("No such file or directory".into()),
        };
        let ours = match import(&file, &request) {
            Ok(_) => true,
            // This is not about the file.
            Err(refusal) => refusal.message.contains("--ports cannot stand for both"),
        };
        let knockd = knockd_takes(&path)?;
        ensure!(knockd == ours, "seed {seed}: knockd {knockd}, ours {ours}:\n{}", String::from_utf8_lossy(&file));
        taken += u64::from(knockd);
    }
    println!("{taken} of {FILES} files taken by both");
    ensure!(taken > FILES / 4 && taken < FILES * 9 / 10, "{taken} of {FILES}");
    Ok(())
}

pub fn the_command_writes_what_the_daemon_reads() -> Result<()> {
    let _lab = Lab::new()?;
    let dir = Path::new(sandbox::DIR);
    let (from, to) = (dir.join("knockd.conf"), dir.join("new.toml"));
    let _ = fs::remove_file(&to);
    fs::write(&from, tests::knockd::ARTICLE)?;
    let (from, to) = (from.display().to_string(), to.display().to_string());
    // Nothing leads into the chain yet.
    let ran = knockctl(Host::Server, &["import", &from, "-o", &to])?;
    assert_says(&ran, 2, &["knockd.conf:8: error: its command names no port", "--ports 2222/tcp"]);
    assert!(!Path::new(&to).exists());
    iptables(Family::V4, &["-N SSH2", "-A INPUT -p tcp --dport 2222 -j SSH2"])?;
    let ran = knockctl(Host::Server, &["import", &from, "--dry-run", "-o", &to])?;
    assert_says(&ran, 0, &["opencloseSSH", "opens ssh2 (2222/tcp) for 1m", "1 door to import"]);
    assert!(!Path::new(&to).exists() && !ran.stdout.contains("7000"), "{ran}");
    let ran = knockctl(Host::Server, &["import", &from, "-o", &to])?;
    assert_says(&ran, 0, &["1 door imported", "ascending ports", "let the packet filter pass"]);
    assert_eq!(ran.stdout, "");
    assert_eq!(fs::metadata(&to)?.permissions().mode() & 0o777, 0o600);
    // It has the sequence that knockd comes with: what is taken over is loaded, and is no good.
    assert_says(&knockctl(Host::Server, &["check", "--loads", &to])?, 0, &["EVERYBODY KNOWS THIS SEQUENCE"]);
    assert_says(&knockctl(Host::Server, &["check", &to])?, 1, &["faulty (1 error, "]);
    assert_says(&knockctl(Host::Server, &["import", &from, "-o", &to])?, 2, &["is there already", "--force"]);
    Ok(())
}
