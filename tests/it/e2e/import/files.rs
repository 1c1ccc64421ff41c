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
use tests::lab::{Family, Host, Lab, Ran, knockctl, knockctl_as_nobody, knockctl_path, sandbox};

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

/// Who is trusted in what comes of a file with one door, and what is said.
fn trusted(mut knockctl: Command) -> Result<(Vec<String>, Ran)> {
    let from = Path::new(sandbox::DIR).join("whitelist.conf");
    fs::write(
        &from,
        "[options]\n interface = eth0\n[ssh]\n sequence = 4711:udp,12,30017\n tcpflags = syn\n \
         command = iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n",
    )?;
    fs::set_permissions(&from, fs::Permissions::from_mode(0o644))?;
    let ran = Host::Server.run(knockctl.arg("import").arg(from))?;
    ensure!(ran.code == 0, "{ran}");
    let line = ran.stdout.lines().find_map(|line| line.strip_prefix("trusted = "));
    let networks = line.unwrap_or_default().split('"').skip(1).step_by(2).map(str::to_owned).collect();
    Ok((networks, ran))
}

pub fn who_is_trusted_is_let_in_by_all_that_the_kernel_has() -> Result<()> {
    let _lab = Lab::new()?;
    let as_root = || knockctl_path().map(Command::new);
    let (home, office, six) = ("192.0.2.128/25", "203.0.113.0/26", "2001:db8:7::/48");
    iptables(Family::V4, &["-P INPUT DROP"])?;
    for source in [home, office] {
        iptables(Family::V4, &[&format!("-A INPUT -s {source} -p tcp --dport 22 --syn -j ACCEPT")])?;
    }
    iptables(Family::V6, &["-P INPUT DROP", &format!("-A INPUT -s {six} -j ACCEPT")])?;
    let (networks, ran) = trusted(as_root()?)?;
    ensure!(networks == [home, office, six], "{ran}");
    // The tables of iptables itself stand beside those that it has in nftables.
    Host::Server.must(&["iptables-legacy", "-A", "INPUT", "-s", "192.0.2.200", "-j", "DROP"])?;
    let (networks, ran) = trusted(as_root()?)?;
    ensure!(networks == [office, six], "{ran}");
    assert_says(
        &ran,
        0,
        &["192.0.2.128/25 is not trusted", "192.0.2.200/32 -j DROP", "which iptables-legacy-save lists"],
    );
    let more =
        "table inet more { chain c { type filter hook input priority 9; ip saddr 203.0.113.9 tcp dport 22 drop; }; }";
    Host::Server.must(&["nft", more])?;
    let (networks, ran) = trusted(as_root()?)?;
    ensure!(networks == [six], "{ran}");
    assert_says(&ran, 0, &["203.0.113.0/26 is not trusted", "which nft lists, may drop it"]);
    // Who may not ask is not told that there is nothing.
    let (networks, ran) = trusted(knockctl_as_nobody()?)?;
    ensure!(networks.is_empty(), "{ran}");
    ensure!(ran.stdout.contains("# Whom the packet filter lets in is not wholly known: iptables-save: "), "{ran}");
    Ok(())
}
