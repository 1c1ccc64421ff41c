//! Nothing is left behind, however the sandbox ends.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tests::harness::{Test, itself, tests};
use tests::lab::{Config, Daemon, Family, Host, Lab, Lines, Session, Sshd, TIMEOUT, knockctl, sandbox, until};

/// The tests.
pub fn tests() -> Vec<Test> {
    let mut tests = tests![
        "e2e::sandbox";
        nothing_is_left_after_sigkill,
        nothing_is_left_after_sigterm,
        its_exit_code_is_that_of_the_program,
    ];
    tests.push(Test::new(LOITER, loiter).ignored());
    tests.push(Test::new(PASS, || Ok(())).ignored());
    tests.push(Test::new(FAIL, || anyhow::bail!("as asked")).ignored());
    tests
}

/// What a sandbox within this one is asked for.
const LOITER: &str = "e2e::sandbox::within_loiter";
/// What a sandbox within this one is asked for.
const PASS: &str = "e2e::sandbox::within_pass";
/// What a sandbox within this one is asked for.
const FAIL: &str = "e2e::sandbox::within_fail";

fn nothing_is_left_after_sigkill() -> Result<()> {
    nothing_is_left(|outermost| Ok(outermost.kill()?))
}

fn nothing_is_left_after_sigterm() -> Result<()> {
    use nix::sys::signal::{Signal, kill};
    nothing_is_left(|outermost| Ok(kill(nix::unistd::Pid::from_raw(i32::try_from(outermost.id())?), Signal::SIGTERM)?))
}

fn its_exit_code_is_that_of_the_program() -> Result<()> {
    let output = itself(FAIL)?.output()?;
    assert_eq!(output.status.code(), Some(101), "{output:?}");
    let output = itself(PASS)?.output()?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    Ok(())
}

fn nothing_is_left(end: impl FnOnce(&mut Child) -> Result<()>) -> Result<()> {
    let before = traces()?;
    let mut outermost = itself(LOITER)?.stdout(Stdio::piped()).spawn()?;
    let lines = Lines::of(outermost.stdout.take().context("it is piped")?, None);
    let line = lines.wait_after(0, Facts::PREFIX, Duration::from_secs(30))?;
    let facts = Facts::parse(&line).with_context(|| line.clone())?;
    assert!(!facts.processes()?.is_empty(), "{line}");
    assert!(facts.programs_loaded()? > 0, "{line}");

    end(&mut outermost)?;
    outermost.wait()?;
    until("the end of its processes", TIMEOUT, || facts.processes().ok()?.is_empty().then_some(()))?;
    // The kernel frees programs after a grace period.
    until("the end of its BPF programs", TIMEOUT, || (facts.programs_loaded().ok()? == 0).then_some(()))?;
    assert_eq!(traces()?, before);
    Ok(())
}

/// A lab with all that there can be in it, which never ends.
fn loiter() -> Result<()> {
    let _lab = Lab::new()?;
    let _sshd = Sshd::start()?;
    let _session = Session::open(Family::V4)?;
    let _daemon = Daemon::start(&Config::lab(), None)?;
    knockctl(Host::Server, &["allow", "192.0.2.2"])?.success()?;
    println!("{}", Facts::of_this_process()?);
    loop {
        std::thread::park();
    }
}

/// What a sandbox could leave behind in the file tree.
fn traces() -> Result<Vec<String>> {
    let mut traces = vec![fs::read_to_string("/proc/self/mountinfo")?];
    for dir in ["/run", "/run/netns", "/run/knock", sandbox::DIR, "/sys/fs/bpf", "/tmp"] {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // Others may use /tmp too.
            if dir != "/tmp" || name.contains("knock") {
                names.push(name);
            }
        }
        names.sort();
        traces.push(format!("{dir}: {}", names.join(" ")));
    }
    Ok(traces)
}

/// How to recognise what belongs to a sandbox.
struct Facts {
    /// Its namespace of processes.
    processes: u64,
    /// Its BPF programs.
    programs: Vec<u32>,
}

impl Facts {
    const PREFIX: &str = "loitering";

    fn of_this_process() -> Result<String> {
        let namespace = fs::metadata("/proc/self/ns/pid")?.ino();
        let link = Host::Server.must(&["ip", "-j", "-d", "link", "show", "dev", "eth0"])?;
        let link: serde_json::Value = serde_json::from_str(&link)?;
        let program = &link[0]["xdp"]["prog"]["id"];
        Ok(format!("{} {namespace} {program}", Self::PREFIX))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(Self::PREFIX).nth(1)?.split_whitespace();
        let processes = words.next()?.parse().ok()?;
        Some(Self { processes, programs: words.map(|word| word.parse().ok()).collect::<Option<_>>()? })
    }

    fn processes(&self) -> Result<Vec<i32>> {
        let is_its = |process: &Path| fs::metadata(process.join("ns/pid")).is_ok_and(|own| own.ino() == self.processes);
        processes_that(is_its)
    }

    fn programs_loaded(&self) -> Result<usize> {
        let mut count = 0;
        for program in aya::programs::loaded_programs() {
            count += usize::from(self.programs.contains(&program?.id()));
        }
        Ok(count)
    }
}

/// Processes by the first word of their command line.
pub fn processes_named(name: &str) -> Result<Vec<i32>> {
    processes_that(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        line.split(|&octet| octet == 0).next() == Some(name.as_bytes())
    })
}

fn processes_that(is_it: impl Fn(&Path) -> bool) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            && is_it(&entry.path())
        {
            found.push(id);
        }
    }
    Ok(found)
}
