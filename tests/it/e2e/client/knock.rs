//! Options of the knock itself.

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Probe, Ran, Status};

use super::super::{assert_fails, assert_says};
use super::{Home, gate, name_the_server, revoke_all};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::client::knock";
        it_says_what_debians_knock_says,
        both_families_are_knocked_where_the_name_has_both,
        a_family_without_a_route_is_left_out_unless_both_must_be_knocked,
        a_knock_leaves_by_the_address_or_the_interface_that_is_named,
    ]
}

const OPEN: [&str; 3] = ["7000", "8000:udp", "9000:tcp"];

fn sources() -> Result<Vec<String>> {
    let grants = Status::read()?.grants().to_vec();
    let mut sources: Vec<String> =
        grants.iter().filter_map(|grant| grant["source"].as_str().map(str::to_owned)).collect();
    sources.sort();
    Ok(sources)
}

fn it_says_what_debians_knock_says() -> Result<()> {
    let world = gate(Family::V4)?;
    let home = Home::with("")?;
    let host = world.address(Host::Server).to_string();
    for options in [
        &["-v"][..],
        &["-v", "-d", "20"],
        &["-u", "-v"],
        &["-4", "-v"],
        &["--verbose", "--delay", "5", "--ipv4"],
        &["--udp", "--verbose"],
        &[],
    ] {
        let args: Vec<&str> = options.iter().copied().chain([&*host]).chain(OPEN).chain(["ssh"]).collect();
        // A port's name is said as its number.
        let theirs = world.on_client("knock", &args)?.replace(":ssh\n", ":22\n");
        assert_eq!(home.knock(&args)?.success()?, theirs, "{args:?}");
    }
    // As knock has it, options may stand behind the ports.
    assert_says(&home.knock(&[&host, "7000", "-v"])?, 0, &["hitting tcp 192.0.2.1:7000\n"]);
    let version = home.knock(&["-V"])?;
    assert_says(&version, 0, &[env!("CARGO_PKG_VERSION")]);
    Ok(())
}

fn both_families_are_knocked_where_the_name_has_both() -> Result<()> {
    let _world = gate(Family::V4)?;
    let _names = name_the_server()?;
    let home = Home::with("")?;
    let (v4, v6) = ("192.0.2.2", "2001:db8:1::2");
    for (options, expected) in [(&["-4"][..], &[v4][..]), (&["-6"], &[v6]), (&[], &[v4, v6]), (&["--both"], &[v4, v6])]
    {
        let args: Vec<&str> = options.iter().copied().chain(["server.example"]).chain(OPEN).collect();
        home.knock(&args)?.success()?;
        assert_eq!(sources()?, expected, "{options:?}");
        revoke_all()?;
    }
    assert_fails(&home.knock(&["--both", "192.0.2.1", "7000"])?, &["192.0.2.1", "no IPv6 address", "--both"]);
    Ok(())
}

fn a_family_without_a_route_is_left_out_unless_both_must_be_knocked() -> Result<()> {
    let _world = gate(Family::V4)?;
    let _names = name_the_server()?;
    let home = Home::with("")?;
    Host::Client.must(&["ip", "-6", "route", "add", "unreachable", "2001:db8:1::1/128"])?;
    let knock = |options: &[&str]| -> Result<Ran> {
        let args: Vec<&str> = options.iter().copied().chain(["server.example"]).chain(OPEN).collect();
        home.knock(&args)
    };
    assert_says(&knock(&[])?, 0, &["knockctl: knock: 2001:db8:1::1: 7000/tcp: "]);
    assert_eq!(sources()?, ["192.0.2.2"]);
    assert_says(&knock(&["--both"])?, 2, &["2001:db8:1::1", "not both families could be knocked"]);
    Ok(())
}

fn a_knock_leaves_by_the_address_or_the_interface_that_is_named() -> Result<()> {
    let world = gate(Family::V4)?;
    let home = Home::of(&world, "source = \"192.0.2.77\"\ninterface = \"eth0\"")?;
    assert_says(&home.knock(&["myserver"])?, 2, &["source 192.0.2.77: "]);
    Host::Client.must(&["ip", "addr", "add", "192.0.2.77/24", "dev", "eth0"])?;
    home.knock(&["myserver"])?.success()?;
    assert_eq!(sources()?, ["192.0.2.77"]);
    assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
    // The line is above the profile.
    home.knock(&["--source", "192.0.2.2", "myserver"])?.success()?;
    world.must_open(Host::Client)?;
    assert_says(&home.knock(&["--interface", "eth9", "myserver"])?, 2, &["interface eth9: "]);
    assert_says(&home.knock(&["--source", "192.0.2.78", "myserver"])?, 2, &["source 192.0.2.78: "]);
    assert_fails(&home.knock(&["--source", "2001:db8:1::2", "myserver"])?, &["family", "--source"]);
    Ok(())
}
