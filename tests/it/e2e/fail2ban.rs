//! The shipped fail2ban filter finds those who should not be there, in lines that a real daemon wrote,
//! and nobody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tests::harness::{Test, tests};
use tests::lab::{Background, Config, Daemon, Dev, Family, Host, TIMEOUT, until};
use tests::story::World;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::fail2ban";
        the_filter_finds_intruders_in_syslog,
        the_filter_finds_intruders_in_a_log_file,
        the_filter_finds_nobody_else,
    ]
}

const LOG: &str = "/run/knock/log";

/// The filter as it is shipped.
fn filter() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/fail2ban/filter.d/knock.conf")
}

/// The addresses that the filter finds in a log file, one for each line.
fn found(log: &str) -> Result<Vec<String>> {
    let mut command = Command::new("fail2ban-regex");
    let ran = Host::Server.run(command.args(["--out", "ip", log]).arg(filter()))?;
    Ok(ran.success()?.lines().map(str::to_owned).collect())
}

/// A door's name that begins like an address.
const DOOR: &str = "[doors.192-0-2-99]\nservice = \"ssh2\"\nsequence = [\"1007/tcp\", \"1003/tcp\"]\n";

/// A daemon with two doors, and what happens to it: denials and wrong knocks from both addresses of the
/// stranger, and all that a friend does. Returns what is to be found.
fn history(world: &mut World, log: &str) -> Result<Vec<String>> {
    let mut config = Config::lab().set("log", log).set("cmd_timeout", "\"1s\"").set("seq_timeout", "\"2s\"");
    config.0 += DOOR;
    world.daemon = Some(Daemon::begin(&config, None)?);
    until("the gate", TIMEOUT, || tests::lab::Status::read().ok()?.daemon())?;
    let mut expected = Vec::new();
    for family in Family::ALL {
        world.family = family;
        let (stranger, server) = (world.address(Host::Stranger).to_string(), world.address(Host::Server).to_string());
        world.connect(Host::Stranger)?;
        // Wrong knocks: at both doors, and by a port of none.
        for ports in [["7000/tcp", "9000/tcp"], ["1007/tcp", "4444/udp"]] {
            let mut args = vec!["knock", &server];
            args.extend(ports);
            tests::lab::knockctl(Host::Stranger, &args)?.success()?;
        }
        expected.extend([stranger.clone(), stranger.clone(), stranger]);
        world.knock_open()?;
        world.knock(&["7000/tcp"], std::time::Duration::ZERO)?;
    }
    Ok(expected)
}

/// Waits until the log has all of a history: the friend's grants end, and its attempts run out.
fn wait_for_end(path: &str) -> Result<()> {
    let read = || fs::read_to_string(path).unwrap_or_default();
    let count = |text: &str| read().matches(text).count();
    let ended = || count("ssh2: expired") == 2 && count("sequence timeout") == 2 && count("OPEN SESAME") == 2;
    until("the end of the history", TIMEOUT, || ended().then_some(())).with_context(read)
}

fn the_filter_finds_intruders_in_syslog() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let _dev = Dev::new()?;
    let mut syslogd = Command::new("busybox");
    syslogd.args(["syslogd", "-n", "-O", LOG]);
    let _syslogd = Background::start(Host::Server, syslogd, None)?;
    until("syslogd", TIMEOUT, || Path::new("/dev/log").exists().then_some(()))?;
    let expected = history(&mut world, "\"syslog\"")?;
    wait_for_end(LOG)?;
    // As rsyslog writes them, which is what Debian has: without the facility that busybox puts in.
    let text = fs::read_to_string(LOG)?;
    assert!(text.contains(" daemon.notice knock["), "{text}");
    fs::write("/run/knock/messages", text.replace(" daemon.notice ", " ").replace(" daemon.info ", " "))?;
    assert_eq!(found("/run/knock/messages")?, expected, "{text}");
    Ok(())
}

fn the_filter_finds_intruders_in_a_log_file() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let expected = history(&mut world, &format!("{LOG:?}"))?;
    wait_for_end(LOG)?;
    assert_eq!(found(LOG)?, expected, "{}", fs::read_to_string(LOG)?);
    Ok(())
}

fn the_filter_finds_nobody_else() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    let heads = [
        "Nov 23 13:00:00 host knock[42]: ",
        "2026-11-23T13:00:00.123456+00:00 host knock[42]: ",
        "[2026-11-23T13:00:00Z] ",
    ];
    let innocent = [
        "192.0.2.2: ssh: Stage 1",
        "192.0.2.2: ssh: OPEN SESAME: ssh2 for 1m",
        "192.0.2.2: ssh: closed ssh2",
        "192.0.2.2: ssh: sequence timeout (stage 1)",
        "192.0.2.2: ssh2: expired",
        "did not knock: 5 more left out of the log",
        "listening: eth0 (native): the gate stands",
        "ssh: start_command: did not knock: 192.0.2.2 -> :22/tcp",
        "a hook said: 192.0.2.2: ssh: wrong knock (stage 1): 22/tcp",
        "192.0.2.2: ssh: said: wrong knock (stage 1): 22/tcp",
        "did not knock: 192.0.2.2 -> :22/tcp and more",
        "  did not knock: 192.0.2.2 -> :22/tcp",
        "did not knock: example.com -> :22/tcp",
        "error: did not knock: 192.0.2.2 -> :22/tcp",
    ];
    let text: String = heads.iter().flat_map(|head| innocent.map(|line| format!("{head}{line}\n"))).collect();
    let others = "Nov 23 13:00:00 host sshd[42]: did not knock: 192.0.2.2 -> :22/tcp\n\
                  Nov 23 13:00:00 host knocker[42]: did not knock: 192.0.2.2 -> :22/tcp\n";
    fs::write(LOG, text + others)?;
    assert_eq!(found(LOG)?, [""; 0]);
    // The same, but for one.
    let guilty: String = heads.iter().map(|head| format!("{head}did not knock: 192.0.2.7 -> :22/tcp\n")).collect();
    fs::write(LOG, guilty)?;
    assert_eq!(found(LOG)?, ["192.0.2.7"; 3]);
    Ok(())
}
