//! The life of the Debian package on a booted system.

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Family, Flood, Host, PINS, Probe, SSH_PORT, Session};

use crate::debian::{CONFIG, Debian, Package, UNIT, config, detaching};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["package::life"; a_package_is_installed_started_knocked_on_upgraded_removed_and_purged]
}

fn a_package_is_installed_started_knocked_on_upgraded_removed_and_purged() -> Result<()> {
    let mut debian = Debian::boot()?;
    installed(&debian)?;
    started(&debian)?;
    knocked_on(&mut debian)?;
    upgraded(&mut debian)?;
    removed(&mut debian)?;
    installed_again(&debian)?;
    purged(&debian)
}

/// Nothing is gated before the administrator says so.
fn installed(debian: &Debian) -> Result<()> {
    let said = debian.install(Package::Deb)?;
    assert!(said.contains("nothing is gated yet") && said.contains(CONFIG), "{said}");
    assert_eq!(debian.must(&format!("systemctl is-enabled {UNIT}"))?, "enabled\n");
    assert_eq!((debian.active()?.as_str(), debian.has(PINS)?), ("inactive", false));
    assert_eq!(debian.port(Host::Stranger)?, Probe::Open);
    // Without a config, a start is neither a gate nor a failure.
    debian.must(&format!("systemctl start {UNIT}"))?;
    assert_eq!((debian.active()?.as_str(), debian.has(PINS)?), ("inactive", false));
    // The sequence will be in there.
    assert_eq!(debian.must("stat -c %a:%U /etc/knock /etc/knock/knock.toml.example")?, "700:root\n600:root\n");
    for file in [
        "/etc/fail2ban/filter.d/knock.conf",
        "/etc/logrotate.d/knock",
        "/usr/share/doc/knock/copyright",
        "/usr/share/doc/knock/SECURITY.md",
        "/usr/share/doc/knock/docs/rules.md",
        "/usr/share/man/man1/knockctl.1.gz",
        "/usr/share/man/man1/knockctl-knock.1.gz",
        "/usr/share/bash-completion/completions/knockctl",
        "/usr/share/zsh/vendor-completions/_knockctl",
        "/usr/share/fish/vendor_completions.d/knockctl.fish",
    ] {
        assert_eq!(debian.must(&format!("dpkg --search {file}"))?, format!("knock: {file}\n"));
    }
    assert_eq!(debian.must("dpkg-query --show --showformat='${Maintainer}' knock")?, maintainer());
    // An ordinary user, whose PATH has no sbin, can knock.
    debian.must("setpriv --reuid=65534 --clear-groups env -i PATH=/usr/bin:/bin knockctl knock --help")?;
    debian.must("dpkg --verify knock").map(drop)
}

/// Who maintains the package by the one field that says so.
fn maintainer() -> &'static str {
    let field = include_str!("../../Cargo.toml").lines().find_map(|line| line.strip_prefix("contact = \""));
    match field.and_then(|field| field.strip_suffix('"')) {
        Some("") => "no contact is set <>",
        set => set.expect("a contact"),
    }
}

fn started(debian: &Debian) -> Result<()> {
    debian.configure(&detaching())?;
    debian.must("knockctl check --loads")?;
    debian.must(&format!("systemctl start {UNIT}"))?;
    debian.machine.wait_for(UNIT)?;
    debian.gates()
}

fn knocked_on(debian: &mut Debian) -> Result<()> {
    assert_eq!(debian.port(Host::Client)?, Probe::Silent);
    debian.world.knock_open()?;
    assert_eq!(debian.port(Host::Client)?, Probe::Open);
    assert_eq!(debian.port(Host::Stranger)?, Probe::Silent);
    debian.session = Some(Session::open(Family::V4)?);
    Ok(())
}

/// A new version takes over a gate that stands all the time, and all that it holds.
fn upgraded(debian: &mut Debian) -> Result<()> {
    let grant = debian.status()?["grants"][0].clone();
    assert_eq!(grant["source"], "192.0.2.2", "{grant}");
    let pid = debian.pid()?;
    let flood = Flood::start(Host::Stranger, debian.world.server(SSH_PORT));
    debian.echo()?;

    debian.install(Package::Next)?;

    debian.echo()?;
    assert!(debian.must("dpkg-query --show --showformat '${Version}' knock")?.ends_with("-2"));
    debian.machine.wait_for(UNIT)?;
    debian.gates()?;
    let now = debian.pid()?;
    assert!(now != pid && now != "0", "process {pid} before, {now} after");
    let program = debian.must(&format!("readlink /proc/{now}/exe"))?;
    assert_eq!(program, "/usr/sbin/knockctl\n", "the old program is a deleted file");
    let flooded = flood.stop()?;
    assert!(flooded.sent > 1000 && flooded.opened == 0, "{flooded:?}");
    let kept = debian.status()?["grants"][0].clone();
    assert_eq!((&kept["source"], &kept["origin"]), (&grant["source"], &grant["origin"]));
    let left = |grant: &serde_json::Value| grant["seconds_left"].as_f64().unwrap_or_default();
    assert!(left(&kept) > 0.0 && left(&kept) <= left(&grant), "{grant} before, {kept} after");
    assert_eq!(debian.port(Host::Client)?, Probe::Open);
    debian.echo()
}

/// No port stays closed without the tool that opens it; the config stays.
fn removed(debian: &mut Debian) -> Result<()> {
    debian.configure(&config())?;
    debian.must("knockctl reload")?;
    assert_eq!(debian.port(Host::Stranger)?, Probe::Silent);
    debian.must("apt-get remove --yes knock")?;
    assert_eq!(debian.port(Host::Stranger)?, Probe::Open);
    assert!(!debian.has(PINS)? && !debian.has("/usr/sbin/knockctl")? && !debian.has("/run/knock")?);
    assert!(debian.has(CONFIG)?);
    assert_ne!(debian.sh("grep --line-regexp knockctl /proc/[0-9]*/comm")?.code, 0, "the daemon still runs");
    debian.echo()
}

/// With the config that was kept, the gate is back.
fn installed_again(debian: &Debian) -> Result<()> {
    debian.install(Package::Next)?;
    debian.machine.wait_for(UNIT)?;
    debian.gates()
}

fn purged(debian: &Debian) -> Result<()> {
    debian.must("mkdir -p /var/lib/knock && touch /var/lib/knock/left /etc/knock/more.toml /var/log/knock.log")?;
    debian.must("dpkg --purge knock")?;
    assert_eq!(debian.port(Host::Stranger)?, Probe::Open);
    for path in [PINS, "/etc/knock", "/run/knock", "/var/lib/knock", "/usr/sbin/knockctl", "/usr/bin/knockctl"] {
        assert!(!debian.has(path)?, "{path} is left");
    }
    assert_eq!(debian.must("find /etc /usr /var /run -name '*knock*' -not -path '/var/log/journal/*'")?, "");
    assert_eq!(debian.must("systemctl --failed --plain --no-legend")?, "");
    debian.must("dpkg --audit").map(drop)
}
