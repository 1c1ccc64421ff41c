//! A config with an error changes nothing: not at the start, not at a reload.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Config, Daemon, Family, Host, Lab, Mount, PINS, Probe, Status, knockctl, setting};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::config";
        a_start_with_an_error_leaves_nothing,
        a_start_with_an_error_leaves_the_gate_that_stands,
        a_reload_with_an_error_changes_nothing,
        a_reload_of_a_file_that_is_gone_changes_nothing,
        a_config_that_others_can_read_or_change_is_refused,
        a_one_time_file_that_others_can_read_or_change_is_refused,
        a_config_cut_off_before_its_services_is_refused,
        a_gate_that_protects_nothing_is_written_out,
        the_examples_cannot_be_loaded_before_a_sequence_was_chosen,
        a_sequence_that_everybody_knows_is_a_fault_and_loads,
        check_advises_ports_of_root_on_a_host_with_users,
        ports_that_the_kernel_gives_out_are_reserved_as_check_says,
        a_port_that_is_not_that_of_the_ssh_server_is_pointed_out,
        knockds_config_is_answered_with_import,
    ]
}

/// What can be wrong, and what the message has to name.
fn errors() -> Vec<(Config, Vec<&'static str>)> {
    let lab = Config::lab;
    vec![
        (lab().with("[services.ssh2]", "[services.ssh2"), vec!["gate.toml:"]),
        (lab().with("log_denied", "log_dennied"), vec!["gate.toml:", "log_dennied", "log_denied"]),
        (lab().with("[\"2222/tcp\"]", "[\"0/tcp\"]"), vec!["gate.toml:", "port 0"]),
        (lab().with("9001/tcp", "99001/tcp"), vec!["gate.toml:", "99001"]),
        (lab().with("8000/udp", "2222/tcp"), vec!["gate.toml:", "2222"]),
        (lab().set("seq_timeout", "\"soon\""), vec!["gate.toml:", "seq_timeout", "soon"]),
        (lab().set("interfaces", "[]"), vec!["gate.toml:", "interfaces"]),
        (lab().set("log", "\"/no/such/dir/log\""), vec!["/no/such/dir/log"]),
    ]
}

fn a_start_with_an_error_leaves_nothing() -> Result<()> {
    let _lab = Lab::new()?;
    for (config, words) in errors() {
        let file = config.write("gate.toml")?.display().to_string();
        let ran = knockctl(Host::Server, &["run", "--config", &file])?;
        assert_fails(&ran, &words);
        assert!(!std::path::Path::new(PINS).exists(), "pins are left by {ran}");
        assert_says(&knockctl(Host::Server, &["status"])?, 1, &[]);
    }
    let ran = knockctl(Host::Server, &["run", "--config", "/no/such/file.toml"])?;
    assert_fails(&ran, &["/no/such/file.toml"]);
    Ok(())
}

fn a_start_with_an_error_leaves_the_gate_that_stands() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?.kill()?;
    let before = rules()?;
    world.command(&["allow", "203.0.113.9"])?;
    for (config, words) in errors() {
        let file = config.write("gate.toml")?.display().to_string();
        assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &words);
        stands_as_before(&world, &before)?;
    }
    Ok(())
}

fn a_reload_with_an_error_changes_nothing() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let before = rules()?;
    world.command(&["allow", "203.0.113.9"])?;
    for (config, words) in errors() {
        config.write("gate.toml")?;
        let daemon = world.gate()?;
        let mark = daemon.mark();
        daemon.hang_up()?;
        let line = daemon.wait_after(mark, "the gate goes on as it was")?;
        let said = daemon.after(mark).join("\n");
        for word in words {
            assert!(said.contains(word), "{word:?} is missing: {line}\n{said}");
        }
        let ran = knockctl(Host::Server, &["reload"])?;
        assert_ne!(ran.code, 0, "{ran}");
        stands_as_before(&world, &before)?;
    }
    // And the daemon still takes one that is right.
    Config::lab().set("cmd_timeout", "\"9s\"").write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &[]);
    world.knock_open()?;
    let status = Status::read()?;
    let left = status.grants_of(world.address(Host::Client))[0]["seconds_left"].as_f64().unwrap_or_default();
    assert!(left > 5.0, "{left}");
    Ok(())
}

fn a_reload_of_a_file_that_is_gone_changes_nothing() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let before = rules()?;
    world.command(&["allow", "203.0.113.9"])?;
    let daemon = world.gate()?;
    std::fs::remove_file(daemon.config())?;
    let mark = daemon.mark();
    daemon.hang_up()?;
    daemon.wait_after(mark, "gate.toml")?;
    stands_as_before(&world, &before)
}

/// What the running rules are.
fn rules() -> Result<String> {
    let status = Status::read()?.0;
    Ok(format!("{} {} {}", status["interfaces"], status["services"], status["doors"]))
}

fn stands_as_before(world: &World, before: &str) -> Result<()> {
    assert_eq!(rules()?, before);
    let status = Status::read()?;
    assert_eq!(status.grants().len(), 1, "{:?}", status.grants());
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    world.knock_open()?;
    world.must_open(Host::Client)?;
    world.revoke()
}

/// Permissions that are refused, with a group that is not root's, and the words for them.
const OPEN_TO_OTHERS: [(u32, &str); 5] = [
    (0o644, "mode 0644: everybody on this host may read this file"),
    (0o604, "mode 0604: everybody on this host may read this file"),
    (0o602, "mode 0602: everybody on this host may change this file"),
    (0o666, "mode 0666: everybody on this host may change this file"),
    (0o660, "mode 0660: all of the group 4 may change this file"),
];

/// A start, a reload by the daemon, and one by `knockctl` are refused for these permissions of `secret`, and
/// nothing changes; with others the config is taken.
fn is_refused_while_open_to_others(config: &Config, secret: &Path) -> Result<()> {
    let permit = |mode| fs::set_permissions(secret, fs::Permissions::from_mode(mode));
    let mut world = World::guarded(Family::V4, config)?;
    let file = world.gate()?.config().display().to_string();
    let (place, remedy) = (secret.display().to_string(), format!("chmod 0600 {}", secret.display()));
    let before = rules()?;
    chown(secret, Some(0), Some(4))?;
    for (mode, words) in OPEN_TO_OTHERS {
        permit(mode)?;
        let daemon = world.gate()?;
        let mark = daemon.mark();
        daemon.hang_up()?;
        daemon.wait_after(mark, "the gate goes on as it was")?;
        let said = daemon.after(mark).join("\n");
        assert!([&*place, words, &*remedy].iter().all(|words| said.contains(words)), "{mode:o}: {said}");
        assert_fails(&knockctl(Host::Server, &["reload"])?, &[&place, words, &remedy, "the gate goes on as it was"]);
        assert_says(&knockctl(Host::Server, &["check", &file])?, 1, &["error: ", words, &remedy, "refused (1 error"]);
        assert_says(
            &knockctl(Host::Server, &["check", "--any-mode", "--loads", &file])?,
            0,
            &["warning: ", words, &remedy],
        );
        assert_eq!(rules()?, before);
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    }
    // The group may read: that is a choice of the administrator's.
    permit(0o640)?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &["reloaded"]);
    world.gate()?.kill()?;
    for (mode, words) in OPEN_TO_OTHERS {
        permit(mode)?;
        assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &[&place, words, &remedy]);
        assert_fails(&knockctl(Host::Server, &["reload", "--config", &file])?, &[&place, words, &remedy]);
        assert_eq!(rules()?, before);
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    }
    Ok(())
}

fn a_config_that_others_can_read_or_change_is_refused() -> Result<()> {
    let config = Config::lab();
    is_refused_while_open_to_others(&config, &config.write("gate.toml")?)
}

fn a_one_time_file_that_others_can_read_or_change_is_refused() -> Result<()> {
    let file = Path::new(tests::lab::sandbox::DIR).join("door.once");
    fs::write(&file, "7000/tcp, 8000/udp, 9000/tcp\n7001, 8001, 9001\n7002, 8002, 9002\n7003, 8003, 9003\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let sequence = "sequence = [\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]\n";
    is_refused_while_open_to_others(&Config::lab().with(sequence, &format!("one_time_sequences = {file:?}\n")), &file)
}

fn a_config_cut_off_before_its_services_is_refused() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let before = rules()?;
    let whole = Config::lab();
    let cut = whole.0.split("[services").next().unwrap_or_default();
    let file = Config(cut.to_owned()).write("gate.toml")?.display().to_string();
    let words = ["gate.toml:", "services: is missing: nothing would be protected", "see that the file is whole"];
    let daemon = world.gate()?;
    let mark = daemon.mark();
    daemon.hang_up()?;
    daemon.wait_after(mark, "the gate goes on as it was")?;
    let said = daemon.after(mark).join("\n");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert_fails(&knockctl(Host::Server, &["reload"])?, &words);
    assert_says(&knockctl(Host::Server, &["check", &file])?, 1, &words);
    assert_eq!(rules()?, before);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    world.gate()?.kill()?;
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &words);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn a_gate_that_protects_nothing_is_written_out() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let whole = Config::lab();
    let options = whole.0.split("[services").next().unwrap_or_default();
    Config(format!("{options}[services]\n")).write("gate.toml")?;
    let ran = knockctl(Host::Server, &["reload"])?;
    assert_says(&ran, 0, &["reloaded (0 services, 0 doors)"]);
    assert!(ran.stderr.contains("warning: no service: nothing is protected"), "{ran}");
    world.must_open(Host::Client)?;
    Ok(())
}

fn the_examples_cannot_be_loaded_before_a_sequence_was_chosen() -> Result<()> {
    const PLACEHOLDER: &str = "sequence = [\"CHOOSE-YOUR-OWN\"]";
    let _lab = Lab::new()?;
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples)? {
        let path = entry?.path();
        // The client's profiles are another kind of file.
        let is_gate = path.file_name().is_none_or(|name| name != "client.toml");
        if is_gate && path.extension().is_some_and(|extension| extension == "toml") {
            let example = Config(std::fs::read_to_string(&path)?);
            let file = example.write("example.toml")?.display().to_string();
            let words = ["a placeholder, and no port: choose your own sequence", "`knockctl sequence`"];
            assert_says(&knockctl(Host::Server, &["check", &file])?, 1, &words);
            assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &words);
            // What the remedy says, word by word.
            let line = knockctl(Host::Server, &["sequence"])?.success()?;
            let own = Config(example.0.replace(PLACEHOLDER, line.trim_end()));
            assert_ne!(own.0, example.0);
            let file = own.write("example.toml")?.display().to_string();
            assert_says(&knockctl(Host::Server, &["check", &file])?, 0, &["ok (1 service, 1 door, "]);
            let mut daemon = Daemon::start(&own, None)?;
            assert!(daemon.terminate()?.success());
            assert_says(&knockctl(Host::Server, &["unload"])?, 0, &[]);
            count += 1;
        }
    }
    assert_eq!(count, 2, "examples");
    Ok(())
}

fn a_sequence_that_everybody_knows_is_a_fault_and_loads() -> Result<()> {
    const FAULT: &str =
        "doors.opencloseSSH.sequence: EVERYBODY KNOWS THIS SEQUENCE: its ports stand in knockd's own config";
    let mut world = World::new(Family::V4, None)?;
    let daemon = world.gate()?;
    let file = daemon.config().display().to_string();
    assert_says(&knockctl(Host::Server, &["check", &file])?, 1, &[&format!("error: {FAULT}"), "faulty (1 error, "]);
    assert_says(&knockctl(Host::Server, &["check", "--loads", &file])?, 0, &[FAULT]);
    daemon.wait_after(0, FAULT)?;
    let mark = daemon.mark();
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &[&format!("warning: {FAULT}")]);
    daemon.wait_after(mark, FAULT)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    let own = Config::lab().unpublished().write("gate.toml")?.display().to_string();
    assert_says(&knockctl(Host::Server, &["check", &own])?, 0, &["ok (1 service, 2 doors, "]);
    let ran = knockctl(Host::Server, &["reload"])?;
    assert!(ran.code == 0 && !ran.stderr.contains("EVERYBODY"), "{ran}");
    Ok(())
}

fn check_advises_ports_of_root_on_a_host_with_users() -> Result<()> {
    let _lab = Lab::new()?;
    let lab = Config::lab().unpublished().write("gate.toml")?.display().to_string();
    let below = Config::lab()
        .with("[\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]", "[\"700/tcp\", \"900/udp\", \"800/tcp\"]")
        .with("[\"9001/tcp\", \"7001/tcp\"]", "[\"901/tcp\", \"701/tcp\"]")
        .write("below.toml")?
        .display()
        .to_string();
    let root = "root:x:0:0:root:/:/bin/sh\n";
    let service = "web:x:1000:1000::/srv:/usr/sbin/nologin\n";
    let person = "me:x:1001:1001:Me:/home/me:/bin/bash\n";
    let advice = "doors.opencloseSSH.sequence: this host has users";
    for (accounts, file, is_advised) in [
        ([root, service].concat(), &lab, false),
        ([root, service, person].concat(), &lab, true),
        ([root, service, person].concat(), &below, false),
    ] {
        let list = Path::new(&lab).with_file_name("accounts");
        fs::write(&list, accounts)?;
        let _over = Mount::over(&list, "/etc/passwd")?;
        let ran = knockctl(Host::Server, &["check", file])?;
        assert_says(&ran, 0, &["ok (1 service, "]);
        assert_eq!(ran.stdout.contains(advice), is_advised, "{ran}");
        assert!(!is_advised || ran.stdout.contains("use ports below 1024"), "{ran}");
    }
    Ok(())
}

/// With mosh's ports, of which the kernel gives some to whoever asks for none.
fn ports_that_the_kernel_gives_out_are_reserved_as_check_says() -> Result<()> {
    const PORTS: &str = "ports = [\"60000-61000/udp\"]";
    const WARNING: &str = "warning: services.mosh.ports[0]: ephemeral ports of this host";
    let _lab = Lab::new()?;
    let config = Config(format!("{}\n[services.mosh]\n{PORTS}\n", Config::lab().unpublished().0));
    let line = 1 + config.0.lines().position(|line| line == PORTS).context("the line with the ports")?;
    let file = config.write("gate.toml")?.display().to_string();
    let check = || -> Result<String> {
        let ran = knockctl(Host::Server, &["check", &file])?;
        assert_says(&ran, 0, &["ok (2 services, "]);
        Ok(ran.stdout)
    };
    // Those of this network namespace, whatever the machine has.
    let give_out = |range: &str| setting(Host::Server, "net/ipv4/ip_local_port_range", range);
    setting(Host::Server, "net/ipv4/ip_local_reserved_ports", "8080\n")?;
    give_out("32768 59999")?;
    let said = check()?;
    assert!(!said.contains("ephemeral"), "none of the ports is given out: {said}");
    give_out("32768 60999")?;
    let said = check()?;
    assert!(said.contains(&format!("{file}:{line}:10: {WARNING}")), "line {line}: {said}");
    let remedy = said.split('`').find(|part| part.starts_with("net.ipv4.ip_local_reserved_ports = "));
    let remedy = remedy.with_context(|| format!("no line for sysctl.d: {said}"))?;
    // What the remedy says, word by word, for this network namespace alone.
    let settings = Path::new(&file).with_file_name("knock.conf");
    fs::write(&settings, format!("{remedy}\n"))?;
    Host::Server.must(&["sysctl", "--load", &settings.display().to_string()])?;
    let said = check()?;
    assert!(!said.contains("ephemeral"), "the ports are reserved: {said}");
    // What was reserved before still is.
    let reserved = Host::Server.must(&["cat", "/proc/sys/net/ipv4/ip_local_reserved_ports"])?;
    assert_eq!(reserved.trim(), "8080,60000-61000");
    Ok(())
}

fn a_port_that_is_not_that_of_the_ssh_server_is_pointed_out() -> Result<()> {
    const WORDS: [&str; 3] = [
        "services.ssh2.ports[0]: nothing listens on 2223/tcp here",
        "is it 2222/tcp that is meant?",
        "an ssh server listens on 2222/tcp, WHICH NO SERVICE PROTECTS",
    ];
    let mut world = World::new(Family::V4, None)?;
    let right = knockctl(Host::Server, &["check", &Config::lab().write("gate.toml")?.display().to_string()])?;
    assert!(!["nothing listens", "NO SERVICE PROTECTS"].iter().any(|words| right.stdout.contains(words)), "{right}");
    let slip = Config::lab().with("\"2222/tcp\"", "\"2223/tcp\"");
    let file = slip.write("gate.toml")?.display().to_string();
    let said = knockctl(Host::Server, &["check", &file])?.stdout;
    assert!(WORDS.iter().all(|words| said.contains(words)), "{said}");
    let daemon = Daemon::start(&slip, None)?;
    daemon.wait_after(0, WORDS[2])?;
    let said = daemon.after(0).join("\n");
    assert!(WORDS.iter().all(|words| said.contains(words)), "{said}");
    // By the command, and by the daemon, which may not look at others any more, and knows the first only.
    let mark = daemon.mark();
    assert_says(&knockctl(Host::Server, &["reload"])?, 0, &WORDS);
    daemon.wait_after(mark, WORDS[0])?;
    world.daemon = Some(daemon);
    world.must_open(Host::Client)?;
    Ok(())
}

fn knockds_config_is_answered_with_import() -> Result<()> {
    let _lab = Lab::new()?;
    let file = Config(tests::knockd::ARTICLE.to_owned()).write("knockd.conf")?.display().to_string();
    let words =
        ["this is knockd's config, and not ours", &*format!("`knockctl import {file} -o /etc/knock/knock.toml`")];
    assert_says(&knockctl(Host::Server, &["check", &file])?, 1, &words);
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &words);
    Ok(())
}
