//! What is said of a packet filter, beside what becomes of a real connection that the gate lets pass.

use std::io::ErrorKind;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tests::lab::{Config, Family, Host, PATIENCE, Probe, SERVER_INTERFACES, SSH_PORT, connect, knockctl, must_open};
use tests::story::{OPEN, World};

/// A config whose grants outlive the test.
pub fn config() -> Config {
    Config::lab().set("cmd_timeout", "\"10m\"")
}

/// A gate that the client and the stranger have knocked at, with both families.
pub fn knocked() -> Result<World> {
    let world = World::guarded(Family::V4, &config())?;
    for family in Family::ALL {
        let server = family.address(Host::Server).to_string();
        for host in [Host::Client, Host::Stranger] {
            let mut words = vec!["knock", "--delay", "0", &server];
            words.extend(OPEN);
            knockctl(host, &words)?.success()?;
            must_open(host, (family.address(Host::Server), SSH_PORT).into())
                .with_context(|| format!("{host:?}, without a filter"))?;
        }
    }
    Ok(world)
}

/// What `explain` says of the next connection of a host to the protected port of an address.
fn explained(from: Host, to: SocketAddr) -> Result<String> {
    let source = match to {
        SocketAddr::V4(_) => Family::V4.address(from),
        SocketAddr::V6(_) => Family::V6.address(from),
    };
    let interface = SERVER_INTERFACES[usize::from(from == Host::Stranger)];
    let (source, target, port) = (source.to_string(), to.ip().to_string(), to.port().to_string());
    let ran = knockctl(Host::Server, &["explain", &source, &port, "--to", &target, "--interface", interface])?;
    let ends_behind = ran.stdout.contains(": passes the gate; then ");
    ensure!(ran.stdout.contains(": passes") && ran.code == i32::from(ends_behind), "{ran}");
    Ok(ran.stdout)
}

/// `explain` says this of a connection of a host, and if it tells whether that passes, it is so.
pub fn assert_true(from: Host, to: SocketAddr, expected: &str) -> Result<()> {
    let text = is_true(from, to)?;
    ensure!(text.contains(expected), "{from:?} to {to}: {expected:?} is missing: {text}");
    Ok(())
}

/// What `explain` says of a connection of a host. If it tells whether that passes, it is so.
pub fn is_true(from: Host, to: SocketAddr) -> Result<String> {
    let text = explained(from, to)?;
    let truth = || -> Result<()> {
        if text.contains("packet filter: passes\n") {
            must_open(from, to)
        } else if text.contains(": passes the gate; then ") {
            ensure!(!gets_in(from, to)?, "it gets in");
            Ok(())
        } else {
            ensure!(text.contains("packet filter: cannot tell: "), "nothing is said");
            Ok(())
        }
    };
    truth().with_context(|| format!("{from:?} to {to}, of which is said: {text}"))?;
    Ok(text)
}

/// The same of both families.
pub fn assert_true_of_both(from: Host, expected: [&str; 2]) -> Result<()> {
    Family::ALL
        .into_iter()
        .zip(expected)
        .try_for_each(|(family, expected)| assert_true(from, (family.address(Host::Server), SSH_PORT).into(), expected))
}

/// Whether a connection comes through. One that is refused by an ICMP error does not.
fn gets_in(from: Host, to: SocketAddr) -> Result<bool> {
    match connect(from, to, PATIENCE) {
        Ok((probe, _)) => Ok(probe == Probe::Open),
        Err(error) => match error.downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::PermissionDenied) => Ok(false),
            _ => Err(error),
        },
    }
}

/// What `check` says of a config with the same ports.
pub fn checked() -> Result<String> {
    let file = config().unpublished().write("gate.toml")?.display().to_string();
    Ok(knockctl(Host::Server, &["check", &file])?.stdout)
}
