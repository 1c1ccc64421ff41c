//! Interfaces: other programs on them, drivers without native XDP, those that come and go.

use anyhow::{Context, Result};
use aya::programs::Xdp;
use aya::programs::xdp::{XdpLinkId, XdpMode};
use tests::harness::{Test, tests};
use tests::lab::{Config, Daemon, Family, Host, Lab, PINS, Probe, Status, knockctl};
use tests::story::World;

use super::{assert_fails, assert_says};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::interfaces";
        another_xdp_program_is_named_and_left_alone,
        another_xdp_program_on_one_interface_keeps_the_gate_off_all,
        nobody_else_takes_the_gate_off,
        nobody_takes_the_place_of_the_gate_by_force,
        native_mode_refused_says_what_to_set,
        a_reload_that_native_mode_refuses_changes_nothing,
        auto_says_that_it_is_generic,
        generic_mode_gates_too,
        an_interface_that_is_not_there_is_named_and_awaited,
        an_interface_that_comes_back_is_taken_in_by_a_restart,
    ]
}

/// An XDP program of somebody else's: an object file with the two instructions of `return XDP_PASS`.
fn foreign_program() -> Result<aya::Ebpf> {
    use object::write::{Object, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};
    let mut file = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let code = [[0xb7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]].concat();
    for (section, kind, data) in
        [("xdp", SectionKind::Text, code.as_slice()), ("license", SectionKind::Data, b"GPL\0".as_slice())]
    {
        let id = file.add_section(Vec::new(), section.into(), kind);
        file.append_section_data(id, data, 8);
        if section == "xdp" {
            file.add_symbol(Symbol {
                name: FOREIGN.into(),
                value: 0,
                size: data.len() as u64,
                kind: SymbolKind::Text,
                scope: SymbolScope::Dynamic,
                weak: false,
                section: SymbolSection::Section(id),
                flags: SymbolFlags::None,
            });
        }
    }
    aya::Ebpf::load(&file.write()?).context("the foreign program cannot be loaded")
}

/// Its name.
pub const FOREIGN: &str = "somebody_elses";

/// Puts that program on an interface of the server, as long as it is not dropped.
pub fn attach_foreign(interface: &str) -> Result<(aya::Ebpf, XdpLinkId)> {
    Host::Server.enter(|| {
        let mut object = foreign_program()?;
        let program: &mut Xdp = object.program_mut(FOREIGN).context("no program")?.try_into()?;
        program.load()?;
        let link = program.attach(interface, XdpMode::Driver)?;
        Ok((object, link))
    })
}

fn another_xdp_program_is_named_and_left_alone() -> Result<()> {
    let _lab = Lab::new()?;
    let _foreign = attach_foreign("eth0")?;
    let shown = || Host::Server.must(&["ip", "-d", "link", "show", "dev", "eth0"]);
    let before = shown()?;
    let file = Config::lab().write("gate.toml")?.display().to_string();
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &["eth0", FOREIGN]);
    assert_eq!(shown()?, before);
    assert!(!std::path::Path::new(PINS).exists());
    Ok(())
}

fn another_xdp_program_on_one_interface_keeps_the_gate_off_all() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let foreign = attach_foreign("eth1")?;
    let file = Config::lab().write("gate.toml")?.display().to_string();
    assert_fails(&knockctl(Host::Server, &["run", "--config", &file])?, &["eth1", FOREIGN]);
    world.must_open(Host::Client)?;
    drop(foreign);
    let _daemon = Daemon::start(&Config::lab(), None)?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn nobody_else_takes_the_gate_off() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    let off = Host::Server.run(std::process::Command::new("ip").args(["link", "set", "dev", "eth0", "xdp", "off"]))?;
    assert_ne!(off.code, 0, "{off}");
    assert!(attach_foreign("eth0").is_err());
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn nobody_takes_the_place_of_the_gate_by_force() -> Result<()> {
    const PIN: &str = "/sys/fs/bpf/somebody_elses";
    let mut world = World::new(Family::V4, None)?;
    let mark = world.gate()?.mark();
    let mut object = foreign_program()?;
    let program: &mut Xdp = object.program_mut(FOREIGN).context("no program")?.try_into()?;
    program.load()?;
    program.pin(PIN)?;
    let attach = |kind: &str| {
        let mut command = std::process::Command::new("bpftool");
        command.args(["net", "attach", kind, "pinned", PIN, "dev", "eth0", "overwrite"]);
        Host::Server.run(&mut command)
    };
    for kind in ["xdp", "xdpdrv", "xdpgeneric"] {
        let ran = attach(kind)?;
        assert_ne!(ran.code, 0, "{kind}: {ran}");
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{kind}");
    }
    // Who detaches it first may be faster than the daemon, which says so and comes back as soon as it can.
    world.gate()?.while_stopped(|| {
        Host::Server.must(&["bpftool", "link", "detach", "pinned", "/sys/fs/bpf/knock/links/eth0"])?;
        attach("xdpdrv")?.success()?;
        Ok(())
    })?;
    let said = world.gate()?.wait_after(mark, "eth0: NO GATE THERE: ")?;
    assert!(said.contains("another XDP program is there"), "{said}");
    assert_eq!(super::links::place("eth0")?["state"], "open");
    let mark = world.gate()?.mark();
    Host::Server.must(&["ip", "link", "set", "dev", "eth0", "xdp", "off"])?;
    world.gate()?.wait_after(mark, "eth0 (native)")?;
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    std::fs::remove_file(PIN)?;
    Ok(())
}

/// A device whose driver has no native XDP, on the server.
fn without_native_xdp() -> Result<()> {
    Host::Server.must(&["ip", "link", "add", "plain0", "type", "bridge"])?;
    Host::Server.must(&["ip", "link", "set", "plain0", "up"])?;
    Ok(())
}

fn native_mode_refused_says_what_to_set() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    without_native_xdp()?;
    let config = Config::lab().with("[\"eth0\", \"eth1\"]", "[\"eth0\", \"plain0\"]");
    let file = config.write("gate.toml")?.display().to_string();
    let ran = knockctl(Host::Server, &["run", "--config", &file])?;
    assert_fails(&ran, &["plain0", "native", "mode = \"generic\"", "\"auto\""]);
    // Nothing half done: eth0 would have taken it.
    world.must_open(Host::Client)?;
    assert!(!std::path::Path::new(PINS).exists());
    Ok(())
}

fn a_reload_that_native_mode_refuses_changes_nothing() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    without_native_xdp()?;
    let before = Status::read()?.0["interfaces"].clone();
    let config =
        Config::lab().with("[\"eth0\", \"eth1\"]", "[\"eth0\", \"eth1\", \"plain0\"]").with("7000/tcp", "7100/tcp");
    config.write("gate.toml")?;
    assert_says(&knockctl(Host::Server, &["reload"])?, 2, &["plain0", "native"]);
    assert_eq!(Status::read()?.0["interfaces"], before);
    world.knock_open()?;
    world.must_open(Host::Client)?;
    Ok(())
}

fn auto_says_that_it_is_generic() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    without_native_xdp()?;
    let config = Config::lab().with("[\"eth0\", \"eth1\"]", "[\"eth0\", \"plain0\"]").option("mode", "\"auto\"");
    let daemon = Daemon::start(&config, None)?;
    let line = daemon.wait_after(0, "plain0")?;
    assert!(line.contains("generic") || line.contains("GENERIC"), "{line}");
    daemon.wait_after(0, "eth0 (native), plain0 (generic)")?;
    let interfaces = Status::read()?.0["interfaces"].clone();
    assert_eq!(interfaces[0]["mode"], "native", "{interfaces}");
    assert_eq!(interfaces[1]["mode"], "generic", "{interfaces}");
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn generic_mode_gates_too() -> Result<()> {
    let mut world = World::guarded(Family::V4, &Config::lab().option("mode", "\"generic\""))?;
    for family in Family::ALL {
        world.family = family;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        world.knock_open()?;
        world.must_open(Host::Client)?;
        world.session = None;
        world.echo()?;
        world.revoke()?;
        world.echo()?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    }
    Ok(())
}

fn an_interface_that_is_not_there_is_named_and_awaited() -> Result<()> {
    let world = World::new(Family::V4, None)?;
    let daemon = Daemon::start(&Config::lab().set("interfaces", "[\"eth0\", \"eth9\", \"wlan*\"]"), None)?;
    let said = daemon.after(0).join("\n");
    for text in ["eth9: not there yet", "did you mean eth0? there are eth0, eth1, lo", "wlan*: not there yet"] {
        assert!(said.contains(text), "{text:?} is missing: {said}");
    }
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    Ok(())
}

fn an_interface_that_comes_back_is_taken_in_by_a_restart() -> Result<()> {
    let mut world = World::new(Family::V4, None)?;
    world.gate()?;
    world.command(&["allow", "203.0.113.9"])?;
    Host::Server.must(&["ip", "link", "del", "eth1"])?;
    assert_says(&knockctl(Host::Server, &["status"])?, 0, &["eth1"]);
    Host::Server.must(&["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", "stranger"])?;
    world.gate()?.kill()?;
    world.gate()?;
    let interfaces = Status::read()?.0["interfaces"].clone();
    assert_eq!(interfaces[1]["mode"], "native", "{interfaces}");
    assert_eq!(Status::read()?.grants().len(), 1);
    Ok(())
}
