//! xdp-filter on a veth pair that nothing is sent over, for its program to be run like ours.

use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use aya::programs::loaded_programs;
use serde_json::Value;

/// xdp-filter with one rule, loaded until it is dropped.
pub(super) struct Filter {
    /// Its name among the peers.
    pub(super) name: &'static str,
    /// What is attached: the filter itself, or libxdp's dispatcher with the filter behind it.
    pub(super) program: String,
    /// That program.
    pub(super) fd: OwnedFd,
    interface: String,
}

impl Filter {
    /// Loads it with a rule that drops what goes to a port.
    ///
    /// # Errors
    ///
    /// If it is not there, or does not load.
    pub(super) fn load(name: &'static str, features: &str, port: u16) -> Result<Self> {
        let interface = format!("f{}", features.len());
        run("ip", &format!("link add {interface} type veth peer name {interface}p"))?;
        run("xdp-filter", &format!("load -f {features} -p allow {interface}"))?;
        run("xdp-filter", &format!("port {port} -m dst -p {features}"))?;
        let id = attached(&interface)?;
        let programs = loaded_programs().filter_map(Result::ok);
        let program = programs.into_iter().find(|program| program.id() == id).context("its program is gone")?;
        let fd = program.fd()?.as_fd().try_clone_to_owned()?;
        Ok(Self { name, program: program.name_as_str().unwrap_or_default().to_owned(), fd, interface })
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        if let Err(error) = run("xdp-filter", &format!("unload {}", self.interface)) {
            eprintln!("bench: {error:#}");
        }
    }
}

/// The id of the XDP program on an interface.
fn attached(interface: &str) -> Result<u32> {
    let links = run("ip", &format!("-json -details link show dev {interface}"))?;
    let links: Value = serde_json::from_str(&links)?;
    let id = links[0]["xdp"]["prog"]["id"].as_u64();
    Ok(id.with_context(|| format!("xdp-filter has attached nothing to {interface}"))? as u32)
}

fn run(program: &str, arguments: &str) -> Result<String> {
    let output = Command::new(program).args(arguments.split(' ')).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments}: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
