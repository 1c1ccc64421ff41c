//! firewalld itself, on a bus of its own, in the network of the lab's server.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Background, Daemon, Host, TIMEOUT, sandbox, until};

use super::truth::{assert_true_of_both, checked, config, knocked};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::packet_filter::firewalld";
        what_firewalld_does_is_said_as_it_is,
        what_firewalld_does_by_iptables_is_said_as_it_is,
    ]
}

/// Everybody may say everything: there is nobody else.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=BUS</listen>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"#;

/// firewalld on the server, until it is dropped, with the zones that its package has.
struct Firewalld {
    bus: PathBuf,
    log: PathBuf,
    // In the order in which they must go.
    _firewalld: Background,
    _dbus: Background,
}

impl Firewalld {
    fn start(backend: &str) -> Result<Self> {
        let folder = Path::new(sandbox::DIR).join("firewalld");
        fs::create_dir_all(&folder)?;
        let [bus, log, bus_config] = ["bus", "log", "bus.conf"].map(|name| folder.join(name));
        fs::write(&bus_config, BUS.replace("BUS", &bus.display().to_string()))?;
        fs::write(
            folder.join("firewalld.conf"),
            format!("DefaultZone=public\nCleanupOnExit=yes\nIPv6_rpfilter=yes\nFirewallBackend={backend}\n"),
        )?;
        let mut command = Command::new("dbus-daemon");
        command.args(["--nofork", "--nopidfile", "--config-file"]).arg(&bus_config);
        let dbus = Background::start(Host::Server, command, None).context("Debian: dbus")?;
        until("the bus", TIMEOUT, || UnixStream::connect(&bus).ok())?;
        let mut command = Command::new("firewalld");
        command.args(["--nofork", "--nopid", "--system-config"]).arg(&folder).arg("--log-file").arg(&log);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", address(&bus));
        let firewalld = Background::start(Host::Server, command, None).context("Debian: firewalld")?;
        let this = Self { bus, log, _firewalld: firewalld, _dbus: dbus };
        let answers = || this.ask("--state").is_ok().then_some(());
        until("firewalld", TIMEOUT, answers).with_context(|| fs::read_to_string(&this.log).unwrap_or_default())?;
        Ok(this)
    }

    /// Runs `firewall-cmd` with one argument, which may have blanks.
    fn ask(&self, argument: &str) -> Result<String> {
        self.run(&[argument])
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("firewall-cmd");
        command.args(arguments).env("DBUS_SYSTEM_BUS_ADDRESS", address(&self.bus));
        Host::Server.run(&mut command)?.success()
    }
}

fn address(bus: &Path) -> String {
    format!("unix:path={}", bus.display())
}

fn what_firewalld_does_is_said_as_it_is() -> Result<()> {
    is_said_as_it_is("nftables", ["nftables inet firewalld filter_"; 2])
}

fn what_firewalld_does_by_iptables_is_said_as_it_is() -> Result<()> {
    is_said_as_it_is("iptables", ["nftables ip filter ", "nftables ip6 filter "])
}

/// `places` begin as the places of rules do, of each family.
fn is_said_as_it_is(backend: &str, places: [&str; 2]) -> Result<()> {
    const PASSES: [&str; 2] = ["packet filter: passes\n"; 2];
    let mut world = knocked()?;
    let firewalld = Firewalld::start(backend)?;
    let then = |chain: &str| places.map(|place| format!("passes the gate; then {place}{chain}"));
    let said = |from, [v4, v6]: &[String; 2]| assert_true_of_both(from, [v4.as_str(), v6.as_str()]);

    said(Host::Client, &then("IN_public, handle "))?;
    let remark = places.map(|place| format!("2222/tcp: who passes the gate comes no further: {place}IN"));
    for remark in &remark {
        ensure!(checked()?.contains(remark), "{remark}: {}", checked()?);
    }
    world.gate()?.kill()?;
    let daemon = Daemon::start(&config(), None)?;
    daemon.wait_after(0, &remark[0])?;

    firewalld.ask("--add-port=2222/tcp")?;
    assert_true_of_both(Host::Client, PASSES)?;
    assert_true_of_both(Host::Stranger, PASSES)?;
    ensure!(!checked()?.contains("comes no further"), "{}", checked()?);

    // Rules of one source, and zones of a source and of an interface.
    for (family, network) in [("ipv4", "198.51.100.0/24"), ("ipv6", "2001:db8:2::/64")] {
        firewalld.ask(&format!(
            "--add-rich-rule=rule family={family} source address={network} port port=2222 protocol=tcp reject"
        ))?;
    }
    said(Host::Stranger, &then("IN_public_deny, handle "))?;
    assert_true_of_both(Host::Client, PASSES)?;
    firewalld.run(&["--zone=drop", "--add-source=192.0.2.0/24"])?;
    assert_true_of_both(Host::Client, [&then("IN_drop, handle ")[0], PASSES[1]])?;
    firewalld.run(&["--zone=drop", "--remove-source=192.0.2.0/24"])?;
    firewalld.run(&["--zone=trusted", "--change-interface=eth1"])?;
    assert_true_of_both(Host::Stranger, PASSES)?;
    firewalld.run(&["--zone=block", "--change-interface=eth0"])?;
    said(Host::Client, &then("IN_block, handle "))?;
    firewalld.run(&["--zone=public", "--change-interface=eth0"])?;

    // How often is nothing that rules say.
    firewalld.ask("--remove-port=2222/tcp")?;
    firewalld.ask(
        "--add-rich-rule=rule family=ipv4 source address=192.0.2.2 port port=2222 protocol=tcp accept limit value=1/h",
    )?;
    assert_true_of_both(Host::Client, ["packet filter: cannot tell: ", &then("IN_public, handle ")[1]])?;

    firewalld.ask("--panic-on")?;
    assert_true_of_both(Host::Stranger, ["passes the gate; then "; 2])
}
