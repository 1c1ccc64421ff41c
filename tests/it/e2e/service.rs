//! The unit under a real systemd: up before the network, loud when it cannot be, and never half a gate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tests::harness::{Test, tests};
use tests::lab::{
    BOOT_TIMEOUT, Config, Family, Flood, Host, Lab, Machine, MachineRoot, PATIENCE, Pause, Probe, Ran, SSH_PORT,
    connect, knockctl, knockctl_path, pause, until,
};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::service";
        the_unit_is_safe,
        the_gate_stands_before_the_network,
        the_gate_outlives_restarts_and_crashes_of_the_daemon,
        a_reload_tells_systemd_how_it_went,
        hooks_work_within_the_limits_of_the_unit,
        a_group_sees_the_status,
        one_time_sequences_are_marked_within_the_limits_of_the_unit,
        a_broken_config_at_boot_is_loud_and_tried_again,
        a_hanging_daemon_is_started_anew,
        a_missing_bpffs_is_mounted_for_all,
        the_journal_has_the_fields_and_fail2ban_finds_them,
    ]
}

const UNIT: &str = "knockctl.service";
const CONFIG: &str = "/etc/knock/knock.toml";

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging")
}

/// A unit that comes with the network, and needs the gate.
const NETWORK: &str = "[Unit]\nDefaultDependencies=no\nAfter=network-pre.target\nBefore=network.target\n\
                       [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/sbin/knockctl status\n";

/// Something that listens where ssh would.
const LISTENER: &str = "[Service]\nExecStart=/usr/bin/python3 -m http.server 2222\n";

fn write(root: &MachineRoot, path: &str, text: &str) -> Result<()> {
    let path = root.path().join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().context("a file")?)?;
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    // What holds sequences is for its owner alone, or it is refused.
    let mode = if path.extension().is_some_and(|extension| extension == "toml") { 0o600 } else { 0o644 };
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
}

/// A machine on which the service is installed and enabled, not yet booted.
fn installed(config: &Config) -> Result<MachineRoot> {
    let root = MachineRoot::of_host()?;
    root.copy(&knockctl_path()?, "/usr/sbin/knockctl")?;
    root.copy(&packaging().join(UNIT), &format!("/usr/lib/systemd/system/{UNIT}"))?;
    let _ = fs::remove_dir_all(root.path().join("etc/knock"));
    let _ = fs::remove_dir_all(root.path().join("var/lib/knock"));
    write(&root, CONFIG, &config.0)?;
    write(&root, "/etc/systemd/system/network-test.service", NETWORK)?;
    write(&root, "/etc/systemd/system/listener.service", LISTENER)?;
    root.enable("network-test.service", "multi-user.target")?;
    root.enable("listener.service", "multi-user.target")?;
    // As an administrator does it: [Install] counts.
    let mut enable = Command::new("systemctl");
    Host::Server.run(enable.arg("--root").arg(root.path()).args(["enable", UNIT]))?.success()?;
    Ok(root)
}

fn boot(config: &Config) -> Result<(Lab, Machine)> {
    let lab = Lab::new()?;
    let machine = Machine::boot(Host::Server, installed(config)?)?;
    machine.wait_for("multi-user.target")?;
    machine.wait_for("listener.service")?;
    // No target waits for it but the network's.
    machine.wait_for(UNIT)?;
    Ok((lab, machine))
}

fn port(from: Host) -> Result<Probe> {
    Ok(connect(from, (Family::V4.address(Host::Server), SSH_PORT).into(), PATIENCE)?.0)
}

fn knock() -> Result<()> {
    knock_at(&["7000/tcp", "8000/udp", "9000/tcp"])
}

fn knock_at(ports: &[&str]) -> Result<()> {
    let server = Family::V4.address(Host::Server).to_string();
    knockctl(Host::Client, &[&["knock", &server], ports].concat())?.success().map(drop)
}

fn until_state(machine: &Machine, property: &str, value: &str) -> Result<()> {
    let is_it = || (machine.property(UNIT, property).ok()? == value).then_some(());
    until(&format!("{property}={value}"), BOOT_TIMEOUT, is_it)
        .with_context(|| machine.journal(UNIT).unwrap_or_default())
}

fn the_unit_is_safe() -> Result<()> {
    let (_lab, machine) = boot(&Config::lab())?;
    // Of 100; what is left is what the gate is about, and root.
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--no-pager", "--offline=true", "--threshold=30"]).arg(packaging().join(UNIT));
    let ran = Host::Server.run(&mut command)?;
    assert_eq!(ran.code, 0, "{ran}");
    let ran = machine.run(&["systemd-analyze", "verify", "--man=no", UNIT])?;
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (0, "", ""), "{ran}");
    // The daemon has what it needs, also of what the unit would let a hook have.
    let daemon = machine.property(UNIT, "MainPID")?;
    let status = machine.must(&["grep", "^Cap\\|^NoNewPrivs\\|^Seccomp:", &format!("/proc/{daemon}/status")])?;
    for line in ["CapPrm:\t000000c000001000", "CapEff:\t000000c000001000", "CapAmb:\t0000000000000000"] {
        assert!(status.contains(line), "{status}");
    }
    assert!(status.contains("CapInh:\t0000000000000000") && status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
    Ok(())
}

fn the_gate_stands_before_the_network() -> Result<()> {
    let (_lab, machine) = boot(&Config::lab())?;
    assert_eq!(machine.property(UNIT, "ActiveState")?, "active", "{}", machine.journal(UNIT)?);
    let moment = |unit: &str, name: &str| -> Result<u64> { Ok(machine.property(unit, name)?.parse()?) };
    let ready = moment(UNIT, "ActiveEnterTimestampMonotonic")?;
    let network = moment("network-pre.target", "ActiveEnterTimestampMonotonic")?;
    assert!(ready > 0 && ready <= network, "{ready} {network}");
    // This unit fails unless the gate stands when it starts.
    machine.wait_for("network-test.service")?;
    assert!(machine.property(UNIT, "StatusText")?.contains("the gate stands"));
    let said = machine.must(&["journalctl", "--no-pager", "-b"])?;
    assert!(!said.contains("ordering cycle"), "{said}");
    assert_eq!(port(Host::Client)?, Probe::Silent);
    knock()?;
    assert_eq!(port(Host::Client)?, Probe::Open);
    assert_eq!(port(Host::Stranger)?, Probe::Silent);
    Ok(())
}

fn the_gate_outlives_restarts_and_crashes_of_the_daemon() -> Result<()> {
    let (_lab, machine) = boot(&Config::lab())?;
    let flood = Flood::start(Host::Stranger, (Family::V4.address(Host::Server), SSH_PORT).into());
    machine.must(&["systemctl", "restart", UNIT])?;
    machine.must(&["systemctl", "reload", UNIT])?;
    machine.must(&["systemctl", "stop", UNIT])?;
    assert_eq!(machine.property(UNIT, "ActiveState")?, "inactive");
    assert_eq!(port(Host::Client)?, Probe::Silent);
    knock()?;
    assert_eq!(port(Host::Client)?, Probe::Open);
    machine.must(&["systemctl", "start", UNIT])?;
    machine.must(&["systemctl", "kill", "--signal=KILL", UNIT])?;
    until_state(&machine, "NRestarts", "1")?;
    machine.wait_for(UNIT)?;
    let flooded = flood.stop()?;
    assert!(flooded.sent > 1000 && flooded.opened == 0, "{flooded:?}");
    // And `unload` ends it, for systemd too: nothing starts it again.
    machine.must(&["knockctl", "unload"])?;
    until_state(&machine, "ActiveState", "inactive")?;
    assert_eq!(port(Host::Stranger)?, Probe::Open);
    Ok(())
}

fn a_reload_tells_systemd_how_it_went() -> Result<()> {
    let (_lab, machine) = boot(&Config::lab())?;
    write(machine.root(), CONFIG, &Config::lab().with("\"9000/tcp\"", "\"9000/tpc\"").0)?;
    let ran = machine.run(&["systemctl", "reload", UNIT])?;
    assert_ne!(ran.code, 0, "{ran}");
    assert_eq!(machine.property(UNIT, "ActiveState")?, "active");
    let said = machine.journal(UNIT)?;
    assert!(said.contains("knock.toml:") && said.contains("the gate goes on as it was"), "{said}");
    assert!(!said.contains("8000/udp"), "the sequence is in the journal: {said}");
    assert_eq!(port(Host::Client)?, Probe::Silent);
    // Whoever sends the signal himself finds the reason in the status.
    machine.must(&["systemctl", "kill", "--kill-who=main", "--signal=HUP", UNIT])?;
    let status = || machine.property(UNIT, "StatusText").ok().filter(|status| status.contains("reload failed: "));
    until("the status", BOOT_TIMEOUT, status)?;
    assert_eq!(machine.property(UNIT, "ActiveState")?, "active");
    // And one that is right is in force when systemctl returns.
    write(machine.root(), CONFIG, &Config::lab().with("ports = [\"2222/tcp\"]", "ports = [\"2223/tcp\"]").0)?;
    machine.must(&["systemctl", "reload", UNIT])?;
    assert_eq!(port(Host::Client)?, Probe::Open);
    assert!(machine.property(UNIT, "StatusText")?.contains("the gate stands"));
    Ok(())
}

fn hooks_work_within_the_limits_of_the_unit() -> Result<()> {
    let hook = "ip route add 203.0.113.0/24 dev lo; touch /var/lib/hook; touch /etc/knock/hook; touch /etc/hook; \
                grep CapEff /proc/self/status > /run/hook";
    let door = format!("cmd_timeout = \"4s\"\nstart_command = \"{hook}\"");
    let (_lab, machine) = boot(&Config::lab().with("cmd_timeout = \"4s\"", &door))?;
    knock()?;
    let capabilities = until("the hook", BOOT_TIMEOUT, || {
        let text = machine.must(&["cat", "/run/hook"]).ok()?;
        text.ends_with('\n').then_some(text)
    });
    let capabilities = capabilities.with_context(|| machine.journal(UNIT).unwrap_or_default())?;
    // The daemon's own three and CAP_NET_RAW; not the CAP_CHOWN that is for its start.
    assert_eq!(capabilities, "CapEff:\t000000c000003000\n");
    assert!(machine.must(&["ip", "route"])?.contains("203.0.113.0/24"));
    machine.must(&["test", "-e", "/var/lib/hook", "-a", "-e", "/etc/knock/hook"])?;
    assert_ne!(machine.run(&["test", "-e", "/etc/hook"])?.code, 0);
    Ok(())
}

/// A door with a file of one-time sequences: its name, the file, and the knocks of three lines.
struct Once(&'static str, &'static str, [[&'static str; 3]; 3]);

const ONCE: [Once; 3] = [
    // In the folder of the config.
    Once(
        "opencloseSSH",
        "/etc/knock/ssh.once",
        [["7000", "8000:udp", "9000"], ["7001", "8001:udp", "9001"], ["7002", "8002", "9002"]],
    ),
    // Where knockd's manual has it.
    Once(
        "manual",
        "/etc/knockd/smtp_sequences",
        [["7100", "8100:udp", "9100"], ["7101", "8101", "9101"], ["7102", "8102", "9102"]],
    ),
    // Where the service may not write.
    Once(
        "elsewhere",
        "/etc/once.d/ssh",
        [["7200", "8200:udp", "9200"], ["7201", "8201", "9201"], ["7202", "8202", "9202"]],
    ),
];

/// Knocks, and says whether the port was open then; nobody is let in afterwards.
fn opens(machine: &Machine, ports: &[&str]) -> Result<bool> {
    knock_at(ports)?;
    let probe = port(Host::Client)?;
    if probe == Probe::Open {
        machine.must(&["knockctl", "revoke", "--all"])?;
    }
    Ok(probe == Probe::Open)
}

fn one_time_sequences_are_marked_within_the_limits_of_the_unit() -> Result<()> {
    let lab = Lab::new()?;
    let sequence = "sequence = [\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]\n";
    let mut config = Config::lab().with(sequence, &format!("one_time_sequences = {:?}\n", ONCE[0].1));
    for Once(name, path, _) in &ONCE[1..] {
        config.0 += &format!("[doors.{name}]\nservice = \"ssh2\"\none_time_sequences = {path:?}\n");
    }
    let root = installed(&config)?;
    for Once(_, path, lines) in &ONCE {
        let lines: Vec<_> = lines.iter().map(|line| format!(" {}\n", line.join(","))).collect();
        write(&root, path, &lines.concat())?;
        fs::set_permissions(root.path().join(&path[1..]), fs::Permissions::from_mode(0o600))?;
    }
    let machine = Machine::boot(Host::Server, root)?;
    machine.wait_for(UNIT)?;
    machine.wait_for("listener.service")?;
    // It says at the start what would go wrong.
    let said = machine.journal(UNIT)?;
    let warned: Vec<_> = said.lines().filter(|line| line.contains("cannot be changed")).collect();
    assert_eq!(warned.len(), 1, "{said}");
    for words in ["elsewhere: /etc/once.d/ssh", "Read-only file system", "/etc/knock,", "ReadWritePaths="] {
        assert!(warned[0].contains(words), "{words}: {said}");
    }
    // So does a check, by what systemd says of the unit.
    let check = || machine.run(&["knockctl", "check"]);
    let out_of_reach = |ran: &Ran| ran.stdout.lines().filter(|line| line.contains("may not write there")).count();
    let ran = check()?;
    assert!(
        ran.code == 0 && out_of_reach(&ran) == 1 && ran.stdout.contains("/etc/once.d/ssh: knockctl.service"),
        "{ran}"
    );
    let uses = |path: &str| {
        let text = fs::read_to_string(machine.root().path().join(&path[1..])).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("# used ")).count()
    };
    let until_used = |path: &str, number: usize| {
        until(&format!("{number} uses in {path}"), BOOT_TIMEOUT, || (uses(path) == number).then_some(()))
            .with_context(|| machine.journal(UNIT).unwrap_or_default())
    };
    for Once(name, path, lines) in &ONCE[..2] {
        assert!(opens(&machine, &lines[0])?, "{name}: {}", machine.journal(UNIT)?);
        until_used(path, 1)?;
        assert!(!opens(&machine, &lines[0])?, "{name}");
        // The next one is in force as soon as the log says how many are left.
        let next = || machine.journal(UNIT).ok()?.contains(&format!("{name}: 2 one-time sequences left")).then_some(());
        until("the next sequence", BOOT_TIMEOUT, next)?;
        assert!(opens(&machine, &lines[1])?, "{name}: {}", machine.journal(UNIT)?);
        until_used(path, 2)?;
        assert_eq!(machine.must(&["stat", "-c", "%a %U %G", path])?.trim(), "600 root root");
    }
    machine.must(&["systemctl", "restart", UNIT])?;
    for Once(name, _, lines) in &ONCE[..2] {
        assert!(!opens(&machine, &lines[0])? && !opens(&machine, &lines[1])?, "{name}");
    }
    assert!(opens(&machine, &ONCE[0].2[2])?, "{}", machine.journal(UNIT)?);
    // Where it cannot be marked the door shuts, and the remedy that is named is one.
    let Once(_, path, lines) = &ONCE[2];
    assert!(opens(&machine, &lines[0])?);
    let complaint = "elsewhere: /etc/once.d/ssh: a used sequence cannot be marked: Read-only file system";
    let told = || machine.journal(UNIT).ok().filter(|said| said.contains(complaint));
    let said = until("the complaint", BOOT_TIMEOUT, told)?;
    let told = said.lines().find(|line| line.contains(complaint)).context("it")?;
    assert!(told.contains("ReadWritePaths="), "{told}");
    assert!(!opens(&machine, &lines[0])? && !opens(&machine, &lines[1])?);
    let dropin = format!("/etc/systemd/system/{UNIT}.d/once.conf");
    write(machine.root(), &dropin, "[Service]\nReadWritePaths=/etc/once.d\n")?;
    machine.must(&["systemctl", "daemon-reload"])?;
    let ran = check()?;
    assert!(ran.code == 0 && out_of_reach(&ran) == 0, "{ran}");
    machine.must(&["systemctl", "restart", UNIT])?;
    until_used(path, 1)?;
    assert!(!opens(&machine, &lines[0])? && opens(&machine, &lines[1])?, "{}", machine.journal(UNIT)?);
    until_used(path, 2)?;
    drop(machine);
    drop(lab);
    Ok(())
}

fn a_group_sees_the_status() -> Result<()> {
    let (_lab, machine) = boot(&Config::lab().option("status_group", "\"adm\""))?;
    let is_shown = || -> Result<()> {
        let about = machine.must(&["stat", "-c", "%U %G %a", "/run/knock"])?;
        assert_eq!(about.trim(), "root adm 750", "{}", machine.journal(UNIT)?);
        Ok(())
    };
    is_shown()?;
    assert_eq!(machine.must(&["stat", "-c", "%U %G %a", "/var/lib/knock"])?.trim(), "root root 700");
    let status = |groups: &str| {
        let account = ["setpriv", "--reuid=65534", "--regid=65534", groups, "--inh-caps=-all"];
        machine.run(&[&account[..], &["knockctl", "status"]].concat())
    };
    let ran = status("--groups=adm")?;
    assert!(ran.code == 0 && ran.stdout.contains("2222/tcp"), "{ran}{}", machine.journal(UNIT)?);
    let ran = status("--clear-groups")?;
    assert!(ran.code == 2 && ran.stderr.contains("become a member"), "{ran}");
    // Also of the next daemon, for which systemd makes the folder anew, and after each reload, for which it does so too.
    for verb in ["restart", "reload", "restart"] {
        machine.must(&["systemctl", verb, UNIT])?;
        is_shown()?;
        let ran = status("--groups=adm")?;
        assert!(ran.code == 0 && ran.stdout.contains("2222/tcp"), "{verb}: {ran}{}", machine.journal(UNIT)?);
    }
    Ok(())
}

fn a_broken_config_at_boot_is_loud_and_tried_again() -> Result<()> {
    let lab = Lab::new()?;
    let machine = Machine::boot(Host::Server, installed(&Config::lab().with("9001/tcp", "99001/tcp"))?)?;
    // The boot goes on, and whoever needs the gate learns that there is none.
    machine.wait_for("multi-user.target")?;
    machine.wait_for("listener.service")?;
    assert_eq!(machine.property("network-test.service", "ActiveState")?, "failed");
    until_state(&machine, "NRestarts", "2")?;
    assert_eq!(machine.property(UNIT, "ActiveState")?, "activating");
    let said = machine.journal(UNIT)?;
    assert!(said.matches("99001").count() >= 2 && said.contains("knock.toml:"), "{said}");
    let console = machine.console.after(0).join("\n");
    assert!(console.contains("FAILED") && console.contains(UNIT), "{console}");
    // No half of a gate: neither pins nor a closed port.
    assert_ne!(machine.run(&["ls", "/sys/fs/bpf/knock"])?.code, 0);
    assert_eq!(port(Host::Client)?, Probe::Open);
    write(machine.root(), CONFIG, &Config::lab().0)?;
    machine.wait_for(UNIT)?;
    assert_eq!(port(Host::Client)?, Probe::Silent);
    drop(machine);
    drop(lab);
    Ok(())
}

fn a_hanging_daemon_is_started_anew() -> Result<()> {
    let lab = Lab::new()?;
    let root = installed(&Config::lab())?;
    write(&root, &format!("/etc/systemd/system/{UNIT}.d/soon.conf"), "[Service]\nWatchdogSec=2s\nRestartSec=1s\n")?;
    let machine = Machine::boot(Host::Server, root)?;
    machine.wait_for(UNIT)?;
    // One that works is left alone.
    pause(Pause::NoWatchdog);
    assert_eq!(machine.property(UNIT, "NRestarts")?, "0", "{}", machine.journal(UNIT)?);
    machine.must(&["systemctl", "kill", "--kill-who=main", "--signal=STOP", UNIT])?;
    until_state(&machine, "NRestarts", "1")?;
    machine.wait_for(UNIT)?;
    assert!(machine.journal(UNIT)?.contains("watchdog"), "{}", machine.journal(UNIT)?);
    drop(machine);
    drop(lab);
    Ok(())
}

fn a_missing_bpffs_is_mounted_for_all() -> Result<()> {
    let (_lab, machine) = boot(&Config::lab())?;
    machine.must(&["knockctl", "unload"])?;
    until_state(&machine, "ActiveState", "inactive")?;
    machine.must(&["umount", "/sys/fs/bpf"])?;
    machine.must(&["systemctl", "start", UNIT]).with_context(|| machine.journal(UNIT).unwrap_or_default())?;
    assert_eq!(port(Host::Client)?, Probe::Silent);
    // Not in the daemon's own file tree: the pins are there for `knockctl`, and when the daemon is gone.
    machine.must(&["knockctl", "status"])?;
    machine.must(&["systemctl", "stop", UNIT])?;
    machine.must(&["knockctl", "status"])?;
    assert_eq!(port(Host::Client)?, Probe::Silent);
    Ok(())
}

fn the_journal_has_the_fields_and_fail2ban_finds_them() -> Result<()> {
    let stranger = Family::V6.address(Host::Stranger).to_string();
    for log in ["\"journal\"", "\"syslog\"", "\"stderr\""] {
        let lab = Lab::new()?;
        let root = installed(&Config::lab().set("log", log))?;
        root.copy(&packaging().join("fail2ban/filter.d/knock.conf"), "/etc/fail2ban/filter.d/knock.conf")?;
        let machine = Machine::boot(Host::Server, root)?;
        machine.wait_for("multi-user.target")?;
        machine.wait_for(UNIT)?;
        connect(Host::Stranger, (Family::V6.address(Host::Server), SSH_PORT).into(), PATIENCE)?;
        knock()?;
        let denied = format!("did not knock: {stranger} -> :{SSH_PORT}/tcp");
        let said = || machine.must(&["journalctl", "--no-pager", "-t", "knock"]).unwrap_or_default();
        let all = || (said().contains(&denied) && said().contains("OPEN SESAME")).then_some(());
        until("the lines", BOOT_TIMEOUT, all).with_context(|| format!("{log}: {}", said()))?;
        if log == "\"journal\"" {
            let fields = ["EVENT=denied", &format!("SOURCE={stranger}"), "SERVICE=ssh2", "PORT=2222/tcp"];
            let words = [&["journalctl", "--no-pager", "-o", "json", "PRIORITY=5"], &fields[..]].concat();
            let found = machine.must(&words)?;
            assert_eq!(found.lines().count(), 1, "{found}");
            assert!(found.contains(&denied) && found.contains("\"_SYSTEMD_UNIT\":\"knockctl.service\""), "{found}");
            // Everybody may say so, but not as the unit.
            machine.must(&["logger", "-t", "knock", "did not knock: 192.0.2.7 -> :22/tcp"])?;
            machine.must(&["journalctl", "--sync"])?;
        }
        let filter = "/etc/fail2ban/filter.d/knock.conf";
        let found = machine.must(&["fail2ban-regex", "--out", "ip", "systemd-journal", filter])?;
        assert_eq!(found.lines().collect::<Vec<_>>(), [&*stranger], "{log}: {}", said());
        drop(machine);
        drop(lab);
    }
    Ok(())
}
