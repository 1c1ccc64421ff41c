//! `knockctl` as an administrator meets it: negative answers, errors, and their remedies.

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Config, Family, Host, Lab, Probe, Ran, Status, knockctl, knockctl_as_nobody, knockctl_path};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::commands";
        nothing_loaded_is_a_negative_answer_or_an_error,
        no_command_is_status,
        who_is_not_root_is_told_so,
        the_client_needs_no_root,
        an_unknown_service_is_named_with_those_there_are,
        a_bad_address_is_named,
        a_grant_that_is_not_there_cannot_be_revoked,
        a_full_table_refuses_new_grants_and_keeps_old_ones,
        status_shows_what_is_under_way,
        a_grant_for_good_stays,
        watching_ends_with_its_reader,
        check_answers_without_a_gate,
        a_mapped_address_is_the_ipv4_address,
        everything_is_revoked_at_once,
    ]
}

/// Runs `knockctl` on the server.
fn ctl(args: &[&str]) -> Result<Ran> {
    knockctl(Host::Server, args)
}

fn nothing_loaded_is_a_negative_answer_or_an_error() -> Result<()> {
    let _lab = Lab::new()?;
    assert_says(&ctl(&["status"])?, 1, &["nothing is loaded", "knockctl run"]);
    let json = ctl(&["status", "--json"])?;
    assert_eq!(json.code, 1, "{json}");
    let json: serde_json::Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(json["loaded"], false);
    for args in [&["allow", "192.0.2.7"][..], &["revoke", "192.0.2.7"], &["reload"]] {
        let ran = ctl(args)?;
        assert!(ran.code == 1 || ran.code == 2, "{ran}");
        assert!(ran.stderr.contains("knockctl run"), "{ran}");
    }
    let unload = ctl(&["unload"])?;
    assert!(unload.code <= 1, "{unload}");
    Ok(())
}

fn no_command_is_status() -> Result<()> {
    let _world = World::guarded(Family::V4, &Config::lab())?;
    let (status, plain) = (ctl(&["status"])?, ctl(&[])?);
    assert_says(&plain, 0, &["eth0", "eth1", "native", "ssh2", "2222/tcp", "opencloseSSH", "closeSSH"]);
    let first = |ran: &Ran| ran.stdout.lines().next().map(str::to_owned);
    assert_eq!(first(&status), first(&plain));
    Ok(())
}

/// Runs `knockctl` as an account without rights.
fn as_nobody(host: Host, args: &[&str]) -> Result<Ran> {
    host.run(knockctl_as_nobody()?.args(args))
}

fn who_is_not_root_is_told_so() -> Result<()> {
    let _world = World::guarded(Family::V4, &Config::lab())?;
    // A config of theirs.
    std::fs::write("/run/open.toml", &Config::lab().0)?;
    std::fs::set_permissions("/run/open.toml", std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    std::os::unix::fs::chown("/run/open.toml", Some(65534), Some(65534))?;
    let run = &["run", "--config", "/run/open.toml"][..];
    for args in [run, &["status"], &["allow", "192.0.2.7"], &["revoke", "192.0.2.7"], &["unload"], &["reload"]] {
        let ran = as_nobody(Host::Server, args)?;
        assert_fails(&ran, &["root", "sudo"]);
    }
    assert_eq!(Status::read()?.grants().len(), 0);
    Ok(())
}

fn the_client_needs_no_root() -> Result<()> {
    let world = World::guarded(Family::V4, &Config::lab())?;
    let ran = as_nobody(Host::Client, &["knock", "-v", "192.0.2.1", "7000", "8000/udp", "9000:tcp"])?;
    assert_says(&ran, 0, &["hitting tcp 192.0.2.1:7000\n", "hitting udp 192.0.2.1:8000\n"]);
    world.must_open(Host::Client)?;
    Ok(())
}

fn an_unknown_service_is_named_with_those_there_are() -> Result<()> {
    let _world = World::guarded(Family::V4, &Config::lab())?;
    for command in ["allow", "revoke"] {
        assert_fails(&ctl(&[command, "192.0.2.7", "--service", "sssh"])?, &["sssh", "ssh2"]);
    }
    assert_eq!(Status::read()?.grants().len(), 0);
    Ok(())
}

fn a_bad_address_is_named() -> Result<()> {
    let _world = World::guarded(Family::V4, &Config::lab())?;
    for address in ["192.0.2.777", "no-such-name", ""] {
        for command in ["allow", "revoke"] {
            assert_fails(&ctl(&[command, address])?, &[address]);
        }
    }
    Ok(())
}

fn a_grant_that_is_not_there_cannot_be_revoked() -> Result<()> {
    let _world = World::guarded(Family::V4, &Config::lab())?;
    assert_says(&ctl(&["revoke", "192.0.2.7"])?, 1, &["192.0.2.7"]);
    Ok(())
}

fn a_full_table_refuses_new_grants_and_keeps_old_ones() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab().option("max_grants", "2"))?;
    // Room for two, or for as many as the kernel rounds that up to.
    let mut taken = 0;
    let refused = loop {
        let ran = ctl(&["allow", &format!("203.0.113.{taken}")])?;
        if ran.code != 0 {
            break ran;
        }
        taken += 1;
        assert!(taken < 100, "a table for two has room for {taken}");
    };
    assert_eq!(taken, 2);
    assert_fails(&refused, &["full", "max_grants"]);
    let mark = world.gate()?.mark();
    world.knock_open()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    world.gate()?.wait_after(mark, "192.0.2.2: opencloseSSH: no grant for ssh2: the table is full")?;
    assert_eq!(Status::read()?.counter("grant_refused"), 1);
    assert_eq!(Status::read()?.grants().len(), 2);
    // There is room again.
    assert_says(&ctl(&["revoke", "203.0.113.0"])?, 0, &[]);
    world.knock_open()?;
    world.must_open(Host::Client)?;
    Ok(())
}

fn status_shows_what_is_under_way() -> Result<()> {
    let world = World::guarded(Family::V4, &Config::lab())?;
    world.knock(&["7000/tcp", "8000/udp"], std::time::Duration::ZERO)?;
    world.command(&["allow", "203.0.113.9", "--for", "10m"])?;
    world.connect(Host::Stranger)?;
    let status = Status::read()?;
    let attempt = &status.attempts()[0];
    assert_eq!(
        (&attempt["source"], &attempt["door"], &attempt["stage"]),
        (&"192.0.2.2".into(), &"opencloseSSH".into(), &2.into())
    );
    let grant = &status.grants()[0];
    assert_eq!(
        (&grant["source"], &grant["service"], &grant["origin"]),
        (&"203.0.113.9".into(), &"ssh2".into(), &"command".into())
    );
    let left = grant["seconds_left"].as_f64().unwrap_or_default();
    assert!((590.0..=600.0).contains(&left), "{left}");
    assert!(status.counter("deny_new") >= 1);
    assert_eq!(status.0["loaded"], true);
    assert_eq!(status.0["services"][0]["ports"][0], "2222/tcp");
    assert_eq!(status.daemon(), world.daemon.as_ref().map(|daemon| u64::from(daemon.id())));
    // The same for people.
    assert_says(&ctl(&["status"])?, 0, &["192.0.2.2", "opencloseSSH", "203.0.113.9", "command"]);
    Ok(())
}

fn a_grant_for_good_stays() -> Result<()> {
    // A door without cmd_timeout.
    let world = World::guarded(Family::V4, &Config::lab().with("cmd_timeout = \"4s\"\n", ""))?;
    world.knock_open()?;
    assert!(Status::read()?.grants()[0]["seconds_left"].is_null());
    world.must_open(Host::Client)?;
    world.knock(&["9001/tcp", "7001/tcp"], std::time::Duration::ZERO)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn check_answers_without_a_gate() -> Result<()> {
    let _lab = Lab::new()?;
    let check = |config: &Config| ctl(&["check", &config.write("gate.toml")?.display().to_string()]);
    assert_says(&check(&Config::lab().unpublished())?, 0, &["gate.toml: ok (1 service, 2 doors"]);
    let wrong = Config::lab().with("9001/tcp", "99001/tcp").with("log_denied", "log_dennied");
    // Every mistake, not only the first.
    assert_says(&check(&wrong)?, 1, &["gate.toml:", "99001", "log_dennied"]);
    assert_fails(&ctl(&["check", "/no/such/file.toml"])?, &["/no/such/file.toml"]);
    Ok(())
}

fn a_mapped_address_is_the_ipv4_address() -> Result<()> {
    let world = World::guarded(Family::V4, &Config::lab())?;
    world.command(&["allow", "::ffff:192.0.2.2"])?;
    world.must_open(Host::Client)?;
    world.command(&["revoke", "192.0.2.2"])?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn everything_is_revoked_at_once() -> Result<()> {
    let world = World::guarded(Family::V4, &Config::lab())?;
    world.knock_open()?;
    world.command(&["allow", "203.0.113.9"])?;
    world.command(&["allow", "2001:db8:9::9", "--for", "1h"])?;
    assert_says(&ctl(&["revoke", "--all"])?, 0, &["192.0.2.2", "203.0.113.9", "2001:db8:9::9"]);
    assert_eq!(Status::read()?.grants().len(), 0);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn watching_ends_with_its_reader() -> Result<()> {
    let _world = World::guarded(Family::V4, &Config::lab())?;
    let path = knockctl_path()?;
    let script = format!("'{}' status --watch --json | head -n 1", path.display());
    let line = Host::Server.must(&["timeout", "20", "sh", "-c", &script])?;
    assert!(!line.trim().is_empty());
    Ok(())
}
