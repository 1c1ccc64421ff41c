//! Interfaces that come, go, change names and addresses while the gate stands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::harness::{Test, tests, waiting_tests};
use tests::lab::{
    Config, Daemon, Family, GATE_STANDS, Host, Late, Mark, Pause, Probe, SSH_PORT, Status, TIMEOUT, connect, ip,
    knockctl, leaks, until,
};
use tests::story::World;

use super::assert_says;
use super::interfaces::attach_foreign;

/// The tests.
pub fn tests() -> Vec<Test> {
    let mut all = tests![
        "e2e::links";
        an_interface_that_appears_later_gets_the_same_rules,
        the_gate_is_there_before_the_interface_is_up,
        a_port_is_never_open_once_the_gate_stands_on_a_new_interface,
        a_deleted_interface_is_forgotten_and_taken_in_when_it_is_back,
        an_interface_that_goes_down_keeps_its_gate,
        addresses_may_change,
        a_renamed_interface_keeps_its_gate,
        interfaces_may_change_names_with_each_other,
        several_at_once_are_taken_in,
        what_happened_without_a_daemon_is_made_up_for,
        lost_announcements_lose_no_interface,
        a_late_interface_with_another_program_is_refused_alone,
        a_driver_that_refuses_says_what_to_do,
        a_late_interface_with_open_checksums_is_pointed_out,
        a_gate_that_somebody_detached_is_put_back,
        an_interface_that_moves_to_another_namespace_leaves_its_gate,
        a_reload_without_a_daemon_lists_anew,
        check_says_what_is_not_there,
    ];
    all.extend(waiting_tests!["e2e::links"; what_was_refused_is_tried_again_though_it_has_not_changed]);
    all
}

/// The lab with a gate that waits for the late interfaces.
fn waiting(interfaces: &str) -> Result<World> {
    World::guarded(Family::V4, &waiting_config(interfaces))
}

fn waiting_config(interfaces: &str) -> Config {
    // Time enough to wait for the daemon between a knock and the connection.
    Config::lab().set("interfaces", interfaces).set("cmd_timeout", "\"60s\"")
}

fn daemon(world: &World) -> &Daemon {
    world.daemon.as_ref().expect("it was started")
}

/// What `status` says of an interface.
pub fn place(name: &str) -> Result<Value> {
    let status = Status::read()?;
    let mut places = status.0["interfaces"].as_array().context("a list")?.iter();
    Ok(places.find(|place| place["name"] == name).cloned().unwrap_or_default())
}

pub fn assert_place(name: &str, mode: &str, state: &str) -> Result<()> {
    let place = place(name)?;
    assert_eq!((&place["mode"], &place["state"]), (&mode.into(), &state.into()), "{place}");
    Ok(())
}

/// What the kernel says of an interface of a host.
fn shown(host: Host, name: &str) -> Result<Value> {
    let json = host.must(&["ip", "-j", "-d", "link", "show", "dev", name])?;
    Ok(serde_json::from_str::<Value>(&json)?[0].take())
}

/// The id of the XDP program on an interface of the server.
pub fn program(name: &str) -> Result<u64> {
    shown(Host::Server, name)?["xdp"]["prog"]["id"].as_u64().with_context(|| format!("{name}: no program"))
}

/// Both families: silent, then open behind a knock on this way.
pub fn assert_gated(world: &World, late: Late) -> Result<()> {
    for family in Family::ALL {
        until("the way to the server", TIMEOUT, || late.reaches(family).then_some(()))?;
        assert_eq!(late.probe(family)?, Probe::Silent, "{family:?}");
        let server = late.server(family, 0).ip().to_string();
        let knock = ["knock", &server, "7000/tcp", "8000/udp", "9000/tcp"];
        knockctl(Host::Client, &knock)?.success()?;
        assert_eq!(late.probe(family)?, Probe::Open, "{family:?}");
    }
    world.command(&["revoke", "--all"])?;
    for family in Family::ALL {
        assert_eq!(late.probe(family)?, Probe::Silent, "{family:?}");
    }
    Ok(())
}

fn an_interface_that_appears_later_gets_the_same_rules() -> Result<()> {
    let world = waiting("[\"eth0\", \"late0\", \"ppp*\"]")?;
    let said = daemon(&world).after(0).join("\n");
    for text in ["late0: not there yet", "ppp*: not there yet", "there are eth0, eth1, lo"] {
        assert!(said.contains(text), "{said}");
    }
    assert_eq!(place("late0")?["state"], "absent");
    assert_says(&knockctl(Host::Server, &["status"])?, 0, &["late0      -       not there yet", "ppp*"]);
    Late::FIRST.appear()?;
    daemon(&world).wait_after(0, "late0 (native): it appeared: the gate stands there")?;
    assert_eq!(program("late0")?, program("eth0")?);
    assert_place("late0", "native", "up")?;
    assert_gated(&world, Late::FIRST)?;
    let events = world.command(&["events", "--json"])?;
    let event = events
        .lines()
        .map(serde_json::from_str::<Value>)
        .find(|event| event.as_ref().is_ok_and(|event| event["event"] == "link"));
    assert_eq!(event.context("no event")??["interface"], "late0");
    Ok(())
}

fn the_gate_is_there_before_the_interface_is_up() -> Result<()> {
    // None of all interfaces is there: as at boot, before the network.
    let world = World::new(Family::V4, None)?;
    let daemon = Daemon::begin(&waiting_config("[\"late0\"]"), None)?;
    let said = daemon.wait_after(0, "on no interface: NOTHING IS PROTECTED: late0 is not there (there are eth0")?;
    assert!(!said.contains(GATE_STANDS), "{said}");
    world.must_open(Host::Client)?;
    for command in [&["status"][..], &[]] {
        let ran = knockctl(Host::Server, command)?;
        let first = "NO INTERFACE HAS THE GATE, NOTHING IS PROTECTED: late0 is not there (there are eth0, eth1, lo)\n";
        assert!(ran.stdout.starts_with(first) && !ran.stdout.contains(GATE_STANDS), "{ran}");
        assert_eq!(ran.code, 1, "{ran}");
    }
    assert_eq!(Status::read()?.0["stands"], false);
    assert_eq!(Status::read()?.0["why_not"], "late0 is not there (there are eth0, eth1, lo)");
    ip(Host::Server, &Late::FIRST.made())?;
    daemon.wait_after(0, "late0 (native)")?;
    assert_place("late0", "native", "down")?;
    assert_says(&knockctl(Host::Server, &["status"])?, 0, &["late0"]);
    ip(Host::Server, &Late::FIRST.up("late0", 1))?;
    ip(Host::Client, &Late::FIRST.up("peer0", 2))?;
    assert_gated(&world, Late::FIRST)?;
    // And when the last one goes again, that is said.
    let mark = daemon.mark();
    Late::FIRST.vanish()?;
    daemon.wait_after(mark, "on no interface: NOTHING IS PROTECTED: late0 is not there")?;
    assert_says(&knockctl(Host::Server, &["status"])?, 1, &["NO INTERFACE HAS THE GATE"]);
    Ok(())
}

/// What came of many tries to connect.
#[derive(Debug, Default)]
struct Pressed {
    tries: u32,
    /// Those that stood although the daemon had said that the gate stands, and the interface was not gone.
    open: u32,
    /// Those that were silent then.
    silent: u32,
    /// The others that stood.
    early: u32,
}

/// Connects to the protected port as fast as it can, this way, until told to stop.
fn press(late: Late, gated: &AtomicBool, stop: &AtomicBool) -> Pressed {
    let mut pressed = Pressed::default();
    while !stop.load(Ordering::SeqCst) {
        let before = gated.load(Ordering::SeqCst);
        // An error means that there is no way at the moment.
        let probe = connect(Host::Client, late.server(Family::V4, SSH_PORT), Duration::from_millis(10));
        let is_gated = before && gated.load(Ordering::SeqCst);
        pressed.tries += 1;
        match probe {
            Ok((Probe::Open, _)) if is_gated => pressed.open += 1,
            Ok((Probe::Open, _)) => pressed.early += 1,
            Ok((Probe::Silent, _)) if is_gated => pressed.silent += 1,
            _ => {}
        }
    }
    pressed
}

fn a_port_is_never_open_once_the_gate_stands_on_a_new_interface() -> Result<()> {
    const ROUNDS: u32 = 20;
    let mut world = waiting("[\"eth0\", \"late*\"]")?;
    // Each round lasts until the gate stands on the new interface, or if there is none, until the port is reached.
    let come_and_go = |world: &World, rounds: u32, is_guarded: bool| {
        let (gated, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let pressing = scope.spawn(|| press(Late::FIRST, &gated, &stop));
            let done = (0..rounds).try_for_each(|_| {
                let mark = daemon(world).mark();
                Late::FIRST.appear()?;
                if is_guarded {
                    daemon(world).wait_after(mark, "late0 (native): it appeared")?;
                    gated.store(true, Ordering::SeqCst);
                }
                until("the way to the server", TIMEOUT, || Late::FIRST.reaches(Family::V4).then_some(()))?;
                thread::sleep(Duration::from_millis(20));
                gated.store(false, Ordering::SeqCst);
                Late::FIRST.vanish()
            });
            stop.store(true, Ordering::SeqCst);
            let pressed = pressing.join().expect("it does not panic");
            done.map(|()| pressed)
        })
    };
    let pressed = come_and_go(&world, ROUNDS, true)?;
    println!("[figures] links: {pressed:?}");
    let taken = daemon(&world).after(0).iter().filter(|line| line.contains("it appeared")).count();
    assert!(pressed.silent > 0, "{pressed:?}");
    assert_eq!((pressed.open, taken), (0, ROUNDS as usize), "{pressed:?}");
    // It would be seen.
    world.gate()?.kill()?;
    let pressed = come_and_go(&world, 1, false)?;
    assert!(pressed.early > 0, "{pressed:?}");
    Ok(())
}

fn a_deleted_interface_is_forgotten_and_taken_in_when_it_is_back() -> Result<()> {
    let gate = Mark::new();
    let world = World::guarded(Family::V4, &gate.on(waiting_config("[\"eth0\", \"late0\"]")))?;
    Late::FIRST.appear()?;
    daemon(&world).wait_after(0, "late0 (native)")?;
    world.command(&["allow", "203.0.113.9"])?;
    gate.wait_for_programs(2)?;
    let descriptors = || leaks::descriptors(daemon(&world).id());
    let before = descriptors()?;
    for _ in 0..12 {
        let mark = daemon(&world).mark();
        Late::FIRST.vanish()?;
        daemon(&world).wait_after(mark, "late0: it is gone")?;
        assert!(!std::path::Path::new("/sys/fs/bpf/knock/links/late0").exists());
        assert_eq!(place("late0")?["state"], "absent");
        let mark = daemon(&world).mark();
        Late::FIRST.appear()?;
        daemon(&world).wait_after(mark, "late0 (native): it appeared")?;
    }
    assert_eq!(Status::read()?.grants().len(), 1);
    // Each link that is gone is forgotten altogether.
    assert_eq!((descriptors()?, gate.tables()?, gate.programs().len()), (before, 1, 2));
    assert_gated(&world, Late::FIRST)
}

fn an_interface_that_goes_down_keeps_its_gate() -> Result<()> {
    let mut world = waiting("[\"eth0\", \"eth1\"]")?;
    world.echo()?;
    let before = program("eth0")?;
    let mark = daemon(&world).mark();
    ip(Host::Server, "link set eth0 down\n")?;
    assert_place("eth0", "native", "down")?;
    assert_eq!(program("eth0")?, before);
    ip(Host::Server, "link set eth0 up\n")?;
    assert_place("eth0", "native", "up")?;
    // The session is as it was, and the gate too.
    world.echo()?;
    world.revoke()?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    let said = daemon(&world).after(mark).join("\n");
    assert!(!said.contains("it appeared") && !said.contains("it is gone"), "{said}");
    Ok(())
}

/// The gate knows no address of this host: a service is a port, whatever address it is reached at.
fn addresses_may_change() -> Result<()> {
    let world = waiting("[\"eth0\", \"late0\"]")?;
    Late::FIRST.appear()?;
    assert_gated(&world, Late::FIRST)?;
    let before = program("late0")?;
    let moved = Late { number: 5, ..Late::FIRST };
    for (host, name, number) in [(Host::Server, "late0", 1), (Host::Client, "peer0", 2)] {
        ip(host, &format!("addr flush dev {name}\n{}", moved.up(name, number)))?;
    }
    assert_gated(&world, moved)?;
    assert_eq!(program("late0")?, before);
    Ok(())
}

fn a_renamed_interface_keeps_its_gate() -> Result<()> {
    let mut world = waiting("[\"eth0\", \"late0\", \"lan?\"]")?;
    Late::FIRST.appear()?;
    daemon(&world).wait_after(0, "late0 (native)")?;
    let before = program("late0")?;
    let rename = |old: &str, new: &str| {
        ip(Host::Server, &format!("link set {old} down\nlink set {old} name {new}\nlink set {new} up\n"))
    };

    // Within the config.
    rename("late0", "lan0")?;
    daemon(&world).wait_after(0, "late0 is called lan0 now: the gate goes on there")?;
    assert_place("lan0", "native", "up")?;
    assert_eq!(place("late0")?["state"], "absent");

    // Out of it: a gate that protects is not taken away without a word from the administrator.
    rename("lan0", "wan0.1")?;
    daemon(&world).wait_after(0, "lan0 is called wan0.1 now, WHICH options.interfaces DOES NOT NAME")?;
    assert_place("wan0.1", "native", "up")?;
    assert_eq!(program("wan0.1")?, before);
    // IPv6 addresses go when an interface goes down.
    ip(Host::Server, &Late::FIRST.up("wan0.1", 1))?;
    assert_gated(&world, Late::FIRST)?;

    // Into it, from a name that was never meant.
    rename("wan0.1", "lan1")?;
    daemon(&world).wait_after(0, "wan0.1 is called lan1 now: the gate goes on there")?;
    ip(Host::Server, "link add spare0 type veth peer name spare1\n")?;
    ip(Host::Server, "link set spare0 name lan2\n")?;
    daemon(&world).wait_after(0, "lan2 (native): it appeared")?;

    // The administrator's word: a reload.
    rename("lan1", "wan1")?;
    daemon(&world).wait_after(0, "lan1 is called wan1 now, WHICH")?;
    world.command(&["reload"])?;
    daemon(&world).wait_after(0, "wan1: the gate is taken off")?;
    assert!(program("wan1").is_err());
    assert!(world.gate()?.runs());
    Ok(())
}

fn interfaces_may_change_names_with_each_other() -> Result<()> {
    let world = waiting("[\"eth0\", \"late?\"]")?;
    Late::FIRST.appear()?;
    Late::SECOND.appear()?;
    daemon(&world).wait_after(0, "late0 (native)")?;
    daemon(&world).wait_after(0, "late1 (native)")?;
    // The daemon sees only how it ends.
    pause(&world, || {
        ip(
            Host::Server,
            "link set late0 down\nlink set late1 down\nlink set late0 name other0\nlink set late1 name late0\n\
             link set other0 name late1\nlink set late0 up\nlink set late1 up\n",
        )
    })?;
    daemon(&world).wait_after(0, "late0 is called late1 now")?;
    daemon(&world).wait_after(0, "late1 is called late0 now")?;
    // Each pin belongs to the interface of its name: without it, that one has no gate.
    std::fs::remove_file("/sys/fs/bpf/knock/links/late0")?;
    until("the end of the gate", TIMEOUT, || program("late0").is_err().then_some(()))?;
    assert!(program("late1").is_ok());
    Ok(())
}

/// Does something while the daemon is stopped.
fn pause(world: &World, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let id = daemon(world).id().to_string();
    Host::Server.must(&["kill", "-STOP", &id])?;
    let done = work();
    Host::Server.must(&["kill", "-CONT", &id])?;
    done
}

fn several_at_once_are_taken_in() -> Result<()> {
    let world = waiting("[\"eth0\", \"late*\"]")?;
    let lines = |late: Late| late.made() + &late.up(late.name, 1);
    ip(Host::Server, &(lines(Late::FIRST) + &lines(Late::SECOND)))?;
    for late in [Late::FIRST, Late::SECOND] {
        ip(Host::Client, &late.up(late.peer, 2))?;
        daemon(&world).wait_after(0, &format!("{} (native): it appeared", late.name))?;
    }
    assert_eq!(program("late0")?, program("late1")?);
    assert_gated(&world, Late::FIRST)?;
    assert_gated(&world, Late::SECOND)
}

fn what_happened_without_a_daemon_is_made_up_for() -> Result<()> {
    let interfaces = "[\"eth0\", \"late0\", \"lan0\"]";
    let mut world = waiting(interfaces)?;
    for late in [Late::FIRST, Late::SECOND] {
        late.appear()?;
    }
    daemon(&world).wait_after(0, "late0 (native)")?;
    world.gate()?.kill()?;
    // One is made anew, one gets a name that is meant.
    Late::FIRST.vanish()?;
    Late::FIRST.appear()?;
    ip(Host::Server, "link set eth0 down\nlink set eth0 name lan0\nlink set lan0 up\n")?;
    let why = place("late0")?["why"].clone();
    assert!(why.as_str().is_some_and(|why| why.contains("nobody has taken it in")), "{why}");
    let links = program("lan0")?;
    world.start(&waiting_config(interfaces))?;
    assert_place("late0", "native", "up")?;
    assert_place("lan0", "native", "up")?;
    assert_eq!(place("eth0")?["state"], "absent");
    assert_ne!(program("lan0")?, links, "a start swaps the program");
    assert_gated(&world, Late::FIRST)
}

fn lost_announcements_lose_no_interface() -> Result<()> {
    let world = waiting("[\"eth0\", \"late0\"]")?;
    pause(&world, || {
        // More than a socket holds.
        let many = |verb: &str| (0..300).map(|n| format!("link set lo mtu {}{verb}\n", 60000 + n)).collect::<String>();
        ip(Host::Server, &(many("") + &Late::FIRST.made()))?;
        ip(Host::Server, &(many("") + &Late::FIRST.up("late0", 1)))
    })?;
    daemon(&world).wait_after(0, "too many changes of interfaces at once")?;
    daemon(&world).wait_after(0, "late0 (native): it appeared")?;
    ip(Host::Client, &Late::FIRST.up("peer0", 2))?;
    assert_gated(&world, Late::FIRST)
}

fn a_late_interface_with_another_program_is_refused_alone() -> Result<()> {
    let world = waiting("[\"eth0\", \"late*\"]")?;
    ip(Host::Server, "link add spare0 type veth peer name spare1\n")?;
    let foreign = attach_foreign("spare0")?;
    ip(Host::Server, "link set spare0 name late0\n")?;
    daemon(&world).wait_after(0, "late0: NO GATE THERE: another XDP program is there")?;
    let place = place("late0")?;
    assert_eq!(place["state"], "open", "{place}");
    // The daemon may not read the name any more.
    let id = program("late0")?;
    let why = format!("another XDP program is there: id {id} (`bpftool prog show id {id}` names it); detach it");
    assert!(place["why"].as_str().is_some_and(|said| said.starts_with(&why)), "{place}");
    // The others are as they were, and one more is taken in.
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Late::SECOND.appear()?;
    daemon(&world).wait_after(0, "late1 (native)")?;
    assert_gated(&world, Late::SECOND)?;
    let refused = || daemon(&world).after(0).iter().filter(|line| line.contains("late0: NO GATE")).count();
    assert_eq!(refused(), 1, "it is said once");
    // The remedy, and its next change.
    drop(foreign);
    ip(Host::Server, "link set late0 up\n")?;
    daemon(&world).wait_after(0, "late0 (native): it appeared")?;
    assert_place("late0", "native", "up")
}

fn a_driver_that_refuses_says_what_to_do() -> Result<()> {
    let world = waiting("[\"eth0\", \"late0\"]")?;
    // veth has no XDP where its peer sends on more queues than it receives on.
    let many = "numtxqueues 4 numrxqueues 4";
    ip(Host::Server, &format!("link add spare0 numrxqueues 1 type veth peer name peer0 {many} netns client\n"))?;
    Host::Client.must(&["ethtool", "-L", "peer0", "tx", "4", "rx", "4"])?;
    ip(Host::Server, "link set spare0 name late0\n")?;
    let line = daemon(&world).wait_after(0, "late0: NO GATE THERE: native mode refused")?;
    assert!(line.contains("fewer channels") && line.contains("ethtool -L late0"), "{line}");
    assert_eq!(place("late0")?["state"], "open");
    Host::Client.must(&["ethtool", "-L", "peer0", "tx", "1", "rx", "1"])?;
    ip(Host::Server, &Late::FIRST.up("late0", 1))?;
    ip(Host::Client, &Late::FIRST.up("peer0", 2))?;
    daemon(&world).wait_after(0, "late0 (native): it appeared")?;
    assert_gated(&world, Late::FIRST)
}

fn what_was_refused_is_tried_again_though_it_has_not_changed() -> Result<()> {
    let world = waiting("[\"eth0\", \"late0\"]")?;
    // More than a driver has room for beside its XDP queues; nothing of it is to be seen by netlink.
    let many = "numtxqueues 4 numrxqueues 4";
    ip(Host::Server, &format!("link add spare0 numrxqueues 1 type veth peer name peer0 {many} netns client\n"))?;
    Host::Client.must(&["ethtool", "-L", "peer0", "tx", "4", "rx", "4"])?;
    ip(Host::Server, &format!("link set spare0 name late0\n{}", Late::FIRST.up("late0", 1)))?;
    ip(Host::Client, &Late::FIRST.up("peer0", 2))?;
    daemon(&world).wait_after(0, "late0: NO GATE THERE: native mode refused")?;
    // It is tried once more with the next sweep; what comes after that is what counts.
    tests::lab::pause(Pause::SweepOfLinks);
    Host::Client.must(&["ethtool", "-L", "peer0", "tx", "1", "rx", "1"])?;
    let said = |text: &str| daemon(&world).after(0).iter().filter(|line| line.contains(text)).count();
    until("another try", Duration::from_secs(45), || (said("late0 (native): it appeared") == 1).then_some(()))?;
    assert_eq!(said("late0: NO GATE"), 1, "it is said once");
    assert_gated(&world, Late::FIRST)
}

fn a_late_interface_with_open_checksums_is_pointed_out() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let config = waiting_config("[\"late0\"]").with("verify_checksums = false\n", "");
    let daemon = Daemon::begin(&config, None)?;
    daemon.wait_after(0, "on no interface")?;
    Late::FIRST.appear()?;
    daemon.wait_after(0, "late0: its frames may come before their checksums are filled in")?;
    world.command(&["reload"])?;
    assert_gated(&world, Late::FIRST)
}

fn a_gate_that_somebody_detached_is_put_back() -> Result<()> {
    let world = waiting("[\"eth0\", \"eth1\"]")?;
    let pin = "/sys/fs/bpf/knock/links/eth0";
    daemon(&world).while_stopped(|| {
        Host::Server.must(&["bpftool", "link", "detach", "pinned", pin])?;
        assert!(program("eth0").is_err());
        world.must_open(Host::Client)
    })?;
    // The kernel does not announce it: it is seen by whoever looks.
    daemon(&world).wait_after(0, "eth0 (native): SOMEBODY DETACHED THE GATE: it is put back")?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn an_interface_that_moves_to_another_namespace_leaves_its_gate() -> Result<()> {
    let world = waiting("[\"eth0\", \"late0\"]")?;
    Late::FIRST.appear()?;
    daemon(&world).wait_after(0, "late0 (native)")?;
    ip(Host::Server, "link set late0 netns stranger\n")?;
    daemon(&world).wait_after(0, "late0: it is gone")?;
    let there = shown(Host::Stranger, "late0")?;
    ensure!(there["xdp"].is_null(), "{there}");
    assert_eq!(place("late0")?["state"], "absent");
    Ok(())
}

fn a_reload_without_a_daemon_lists_anew() -> Result<()> {
    let mut world = waiting("[\"eth0\", \"late*\"]")?;
    world.gate()?.kill()?;
    Late::FIRST.appear()?;
    let file = daemon(&world).config().display().to_string();
    assert_says(&knockctl(Host::Server, &["reload", "--config", &file])?, 0, &["reloaded"]);
    assert_place("late0", "native", "up")?;
    assert_gated(&world, Late::FIRST)
}

fn check_says_what_is_not_there() -> Result<()> {
    let _world = World::new(Family::V4, None)?;
    let file =
        Config::lab().unpublished().set("interfaces", "[\"eht0\", \"eth1\"]").write("gate.toml")?.display().to_string();
    let ran = knockctl(Host::Server, &["check", &file])?;
    assert_says(&ran, 0, &["eht0: not there yet", "did you mean eth0?"]);
    let file = Config::lab().set("interfaces", "[\"eht0\"]").write("gate.toml")?.display().to_string();
    let words = ["error: options.interfaces: no interface of this host would have the gate", "did you mean eth0?"];
    assert_says(&knockctl(Host::Server, &["check", &file])?, 1, &words);
    Ok(())
}
