//! knockd itself, with the packet filter that it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::lab::{Background, Family, Host, Mount, TIMEOUT, sandbox, until};

/// knockd on the server, until it is dropped.
pub struct Knockd {
    _program: Background,
    _helper: Helper,
    log: PathBuf,
}

impl Knockd {
    /// Starts it on the interface to the client, and waits until it listens.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn start(config: &Path) -> Result<Self> {
        let helper = Helper::new()?;
        let log = Path::new(sandbox::DIR).join("knockd.log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new("knockd");
        command.args(["-i", "eth0", "-c"]).arg(config).arg("-g").arg(&log);
        let program = Background::start(Host::Server, command, None)?;
        let this = Self { _program: program, _helper: helper, log };
        until("knockd", TIMEOUT, || this.log().contains("starting up, listening on eth0").then_some(()))
            .with_context(|| this.log())?;
        Ok(this)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// knockd's file names its helper as it is called upstream and where nobody installs it.
struct Helper(#[expect(dead_code, reason = "a guard")] Mount);

impl Helper {
    fn new() -> Result<Self> {
        let place = Path::new("/usr/local/sbin");
        let mount = Mount::new("tmpfs", place)?;
        fs::copy("/usr/sbin/knock_helper_ipt.sh", place.join("knock_add"))
            .context("no /usr/sbin/knock_helper_ipt.sh (Debian: knockd)")?;
        Ok(Self(mount))
    }
}

/// The file that Debian's package ships, unless somebody has changed it.
pub fn shipped() -> Result<String> {
    let path = "/etc/knockd.conf";
    let sums = Host::Server.must(&["dpkg-query", "-W", "-f", "${Conffiles}", "knockd"])?;
    let wanted = sums.lines().find_map(|line| line.trim().strip_prefix(path)?.split_whitespace().next());
    let wanted = wanted.context("Debian's knockd is not installed")?.to_owned();
    let sum = Host::Server.must(&["md5sum", path])?;
    ensure!(sum.starts_with(&wanted), "{path} is not the one of the package: reinstall knockd with --force-confnew");
    Ok(fs::read_to_string(path)?)
}

/// Changes the packet filter of the server for one address family.
pub fn iptables(family: Family, rules: &[&str]) -> Result<()> {
    let program = if family == Family::V4 { "iptables" } else { "ip6tables" };
    for rule in rules {
        let words: Vec<_> = [program].into_iter().chain(rule.split(' ')).collect();
        Host::Server.must(&words)?;
    }
    Ok(())
}
