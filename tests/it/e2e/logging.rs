//! The daemon's log: syslog, the journal and a file, and what happens when they are late, slow or gone.

use std::collections::HashMap;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tests::harness::{Test, ensure_measured, tests};
use tests::lab::{
    Background, Config, Daemon, Dev, Family, Flood, Host, Pause, SSH_PORT, Status, TIMEOUT, knockctl, pause, until,
};
use tests::story::World;

use super::assert_says;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::logging";
        syslog_gets_each_line_with_its_priority,
        a_syslog_that_is_late_or_restarted_gets_the_rest,
        a_syslog_that_does_not_read_keeps_nobody_waiting,
        a_real_syslogd_writes_the_lines,
        the_journal_gets_fields,
        a_log_file_is_opened_anew_on_a_hangup,
        a_log_file_is_opened_anew_also_when_the_config_has_an_error,
        the_place_of_the_log_changes_with_a_reload,
        every_denial_is_logged_or_counted,
    ]
}

const SYSLOG: &str = "\"syslog\"";

/// Datagrams up to one that has `text` in it, which is the last.
fn receive(socket: &UnixDatagram, text: &str) -> Result<Vec<String>> {
    let mut said: Vec<String> = Vec::new();
    while !said.last().is_some_and(|last| last.contains(text)) {
        let mut buffer = [0; 65536];
        let length = socket.recv(&mut buffer).with_context(|| format!("no {text:?}, only:\n{}", said.join("\n")))?;
        // The journal has lengths in front of texts of several lines.
        said.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    Ok(said)
}

fn last(socket: &UnixDatagram, text: &str) -> Result<String> {
    receive(socket, text)?.pop().context("a datagram")
}

fn syslog_gets_each_line_with_its_priority() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let socket = Dev::new().and_then(|dev| Ok((dev.log()?, dev)))?;
    let config = Config::lab().set("log", SYSLOG).option("syslog_facility", "\"local3\"");
    world.daemon = Some(Daemon::begin(&config, None)?);
    let tag = format!(" knock[{}]: ", world.gate()?.id());
    // 19 is local3; 4 a warning, 5 a notice, 6 information.
    let said = receive(&socket.0, "the gate stands")?;
    let (warning, stands) = (&said[0], said.last().context("a line")?);
    assert!(warning.starts_with(&format!("<{}>", 19 << 3 | 4)) && warning.contains(": warning: doors."), "{warning}");
    assert!(stands.starts_with(&format!("<{}>", 19 << 3 | 6)) && stands.contains(&tag), "{stands}");
    for family in Family::ALL {
        world.family = family;
        let (client, stranger) = (world.address(Host::Client), world.address(Host::Stranger));
        world.connect(Host::Stranger)?;
        let denied = last(&socket.0, "did not knock")?;
        assert!(denied.starts_with(&format!("<{}>", 19 << 3 | 5)), "{denied}");
        assert!(denied.ends_with(&format!("{tag}did not knock: {stranger} -> :{SSH_PORT}/tcp")), "{denied}");
        world.knock_open()?;
        last(&socket.0, &format!("{tag}{client}: opencloseSSH: OPEN SESAME"))?;
    }
    fs::write(world.gate()?.config(), "[options")?;
    world.gate()?.hang_up()?;
    let error = last(&socket.0, "the gate goes on as it was")?;
    assert!(error.starts_with(&format!("<{}>", 19 << 3 | 3)) && error.contains("error: reload: "), "{error}");
    assert!(!error.contains('\n'), "{error}");
    Ok(())
}

fn a_syslog_that_is_late_or_restarted_gets_the_rest() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let dev = Dev::new()?;
    let config = Config::lab().set("log", SYSLOG).option("syslog_ident", "\"knockd\"");
    // The gate stands though there is no syslog, and standard error says why its lines are there.
    world.start(&config)?;
    let said = world.gate()?.after(0).join("\n");
    assert!(said.contains("/dev/log: ") && said.contains("logging to standard error until it is there"), "{said}");
    let mut mark = world.gate()?.mark();
    for _ in 0..2 {
        let socket = dev.log()?;
        world.connect(Host::Stranger)?;
        assert!(last(&socket, "did not knock")?.contains(" knockd["));
        drop(socket);
        world.connect(Host::Client)?;
        // It says so again, and writes that line as well.
        world.gate()?.wait_after(mark, "logging to standard error")?;
        world.gate()?.wait_after(mark, "did not knock: 192.0.2.2")?;
        mark = world.gate()?.mark();
    }
    Ok(())
}

fn a_syslog_that_does_not_read_keeps_nobody_waiting() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let dev = Dev::new()?;
    let socket = dev.log()?;
    let config = Config::lab().set("log", SYSLOG).option("log_denied_rate", "1000");
    world.daemon = Some(Daemon::begin(&config, None)?);
    until("the gate", TIMEOUT, || Status::read().ok()?.daemon())?;
    let flood = Flood::start(Host::Stranger, world.server(SSH_PORT));
    std::thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    world.knock_open()?;
    until("the grant", TIMEOUT, || (!Status::read().ok()?.grants().is_empty()).then_some(()))?;
    ensure_measured!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    flood.stop()?;
    // Somebody reads again, and learns how much there was, also if nothing happens any more.
    let lost = last(&socket, "lines are lost")?;
    let count = lost.split(": warn: ").nth(1).and_then(|text| text.split(' ').next()).and_then(|n| n.parse().ok());
    assert!(count.is_some_and(|count: u64| count > 10), "{lost}");
    Ok(())
}

fn a_real_syslogd_writes_the_lines() -> Result<()> {
    let mut world = World::new(Family::V6, None)?;
    let _dev = Dev::new()?;
    let file = Path::new("/run/knock/messages");
    let syslogd = || -> Result<Background> {
        let mut command = Command::new("busybox");
        command.args(["syslogd", "-n", "-O"]).arg(file);
        let syslogd = Background::start(Host::Server, command, None)?;
        until("syslogd", TIMEOUT, || Path::new("/dev/log").exists().then_some(()))?;
        Ok(syslogd)
    };
    let read = || fs::read_to_string(file).unwrap_or_default();
    let first = syslogd()?;
    world.daemon = Some(Daemon::begin(&Config::lab().set("log", SYSLOG), None)?);
    let tag = format!("knock[{}]: ", world.gate()?.id());
    until("the start", TIMEOUT, || read().contains("the gate stands").then_some(()))?;
    assert!(read().contains(&format!("daemon.info {tag}listening: ")), "{}", read());
    drop(first);
    fs::remove_file("/dev/log")?;
    let _second = syslogd()?;
    world.connect(Host::Stranger)?;
    let line = format!("daemon.notice {tag}did not knock: 2001:db8:2::2 -> :{SSH_PORT}/tcp\n");
    until("the denial", TIMEOUT, || read().contains(&line).then_some(())).with_context(read)
}

/// An entry of the journal's protocol without values of several lines.
fn fields(datagram: &str) -> HashMap<&str, &str> {
    datagram.lines().filter_map(|line| line.split_once('=')).collect()
}

fn the_journal_gets_fields() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    let path = Path::new("/run/systemd/journal/socket");
    fs::create_dir_all(path.parent().context("a directory")?)?;
    let _ = fs::remove_file(path);
    let socket = UnixDatagram::bind(path)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    world.daemon = Some(Daemon::begin(&Config::lab().set("log", "\"journal\""), None)?);
    let id = world.gate()?.id().to_string();
    let stands = last(&socket, "the gate stands")?;
    let stands = fields(&stands);
    assert_eq!((stands["PRIORITY"], stands["SYSLOG_IDENTIFIER"], stands["SYSLOG_PID"]), ("6", "knock", &*id));
    for family in Family::ALL {
        world.family = family;
        let (client, stranger) = (world.address(Host::Client).to_string(), world.address(Host::Stranger).to_string());
        world.connect(Host::Stranger)?;
        let denied = last(&socket, "did not knock")?;
        let denied = fields(&denied);
        assert_eq!((denied["EVENT"], denied["SOURCE"], denied["PORT"]), ("denied", &*stranger, "2222/tcp"));
        assert_eq!((denied["SERVICE"], denied["PRIORITY"]), ("ssh2", "5"));
        assert_eq!(denied["MESSAGE"], format!("did not knock: {stranger} -> :2222/tcp"));
        assert_eq!(denied.get("DOOR"), None);
        world.knock_open()?;
        let stage = last(&socket, "Stage 2")?;
        let stage = fields(&stage);
        assert_eq!((stage["EVENT"], stage["DOOR"], stage["STAGE"]), ("stage", "opencloseSSH", "2"));
        let opened = last(&socket, "OPEN SESAME")?;
        let opened = fields(&opened);
        assert_eq!((opened["EVENT"], opened["SOURCE"], opened["DOOR"]), ("opened", &*client, "opencloseSSH"));
        assert_eq!(opened["SERVICE"], "ssh2");
        assert!(opened["SECONDS"].parse::<u64>()? > 0);
    }
    Ok(())
}

const LOG: &str = "/run/knock/log";

fn log_file() -> String {
    fs::read_to_string(LOG).unwrap_or_default()
}

fn wait_for_file(text: &str) -> Result<()> {
    until(text, TIMEOUT, || log_file().contains(text).then_some(())).with_context(log_file)
}

fn world_with_log_file() -> Result<World> {
    let mut world = World::new(Family::V4, None)?;
    world.daemon = Some(Daemon::begin(&Config::lab().set("log", &format!("{LOG:?}")), None)?);
    wait_for_file("the gate stands")?;
    Ok(world)
}

fn a_log_file_is_opened_anew_on_a_hangup() -> Result<()> {
    let mut world = world_with_log_file()?;
    fs::rename(LOG, format!("{LOG}.1"))?;
    world.gate()?.hang_up()?;
    // All that is told of the reload is in the new file.
    wait_for_file("the gate stands")?;
    assert!(log_file().lines().next().is_some_and(|line| line.ends_with("re-reading config file: /run/lab/gate.toml")));
    world.connect(Host::Stranger)?;
    wait_for_file("did not knock")?;
    assert!(!fs::read_to_string(format!("{LOG}.1"))?.contains("did not knock"));
    Ok(())
}

fn a_log_file_is_opened_anew_also_when_the_config_has_an_error() -> Result<()> {
    let mut world = world_with_log_file()?;
    fs::rename(LOG, format!("{LOG}.1"))?;
    fs::write(world.gate()?.config(), "[options")?;
    world.gate()?.hang_up()?;
    wait_for_file("the gate goes on as it was")?;
    world.connect(Host::Stranger)?;
    wait_for_file("did not knock")
}

fn the_place_of_the_log_changes_with_a_reload() -> Result<()> {
    let mut world = world_with_log_file()?;
    let dev = Dev::new()?;
    let socket = dev.log()?;
    Config::lab().set("log", SYSLOG).write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    world.connect(Host::Stranger)?;
    last(&socket, "did not knock")?;
    assert!(!log_file().contains("did not knock"), "{}", log_file());
    // A place that cannot be is refused, and the log stays where it is.
    Config::lab().set("log", "\"/no/such/dir/log\"").write("gate.toml")?;
    world.gate()?.hang_up()?;
    last(&socket, "/no/such/dir/log")?;
    Ok(())
}

fn every_denial_is_logged_or_counted() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab().option("log_denied_rate", "3"))?;
    let flood = Flood::start(Host::Stranger, world.server(SSH_PORT));
    pause(Pause::LimitOverSeconds);
    let flooded = flood.stop()?;
    assert!(flooded.sent > 100, "{flooded:?}");
    let denied = Status::read()?.counter("deny_new");
    let daemon = world.gate()?;
    let lines = || daemon.after(0);
    let logged = || lines().iter().filter(|line| line.contains("did not knock: 198.51.100.2 ->")).count() as u64;
    let left_out = || -> u64 {
        let count = |line: &String| {
            line.strip_prefix("did not knock: ")?.strip_suffix(" more left out of the log")?.parse::<u64>().ok()
        };
        lines().iter().filter_map(count).sum()
    };
    let all = until("a word on each denial", TIMEOUT, || (logged() + left_out() == denied).then_some(()));
    all.with_context(|| format!("{denied} denied, {} logged, {} left out", logged(), left_out()))?;
    // Three in each second or part of one, of which there are as many as words on what was left out.
    let seconds = lines().iter().filter(|line| line.contains("left out")).count() as u64;
    assert!((2..=12).contains(&seconds) && logged() <= 3 * (seconds + 1), "{} in {seconds} s", logged());
    assert!(logged() >= 6, "{}", logged());
    Ok(())
}
