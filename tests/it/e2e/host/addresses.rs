//! The addresses of a host: of its interfaces, by its routes, and none that are not its own.

use std::net::IpAddr;

use anyhow::Result;
use knock_user::host::addresses::own_addresses;
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Lab, ip};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::host::addresses"; all_that_a_host_takes_for_its_own_is_found, what_comes_and_goes_is_seen_by_the_next_look]
}

/// The server's, in words.
fn own() -> Result<Vec<String>> {
    Host::Server.enter(|| Ok(own_addresses()?.iter().map(ToString::to_string).collect()))
}

fn all_that_a_host_takes_for_its_own_is_found() -> Result<()> {
    let _lab = Lab::new()?;
    // Networks of its own by routes; what only looks like it: a table of a transparent proxy, and routes of other types.
    ip(
        Host::Server,
        "route add local 203.0.113.0/24 dev lo
         route add local 2001:db8:99::/64 dev lo
         route add local 0.0.0.0/0 dev lo table 100
         route add local ::/0 dev lo table 100
         route add 203.0.113.0/28 via 192.0.2.2 table local
         route add blackhole 198.18.0.0/15
         addr add 10.9.0.1 peer 10.9.0.2 dev eth0
         addr add 198.51.100.77/24 dev eth1 secondary\n",
    )?;
    let found = own()?;
    let has = |network: &str| assert!(found.iter().any(|one| one == network), "{network} is not in {found:?}");
    for host in [Family::V4, Family::V6] {
        let address = host.address(Host::Server);
        has(&format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }));
    }
    for network in [
        "203.0.113.0/24",
        "2001:db8:99::/64",
        "10.9.0.1/32",
        "198.51.100.77/32",
        "198.51.100.1/32",
        "127.0.0.0/8",
        "127.0.0.1/32",
        "::1/128",
    ] {
        has(network);
    }
    let link_local = Host::Server.must(&["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"])?;
    let link_local = link_local.split_whitespace().nth(3).and_then(|word| word.split_once('/')).expect("an address").0;
    assert!(link_local.parse::<IpAddr>().is_ok());
    has(&format!("{link_local}/128"));
    for network in
        ["0.0.0.0/0", "::/0", "203.0.113.0/28", "198.18.0.0/15", "10.9.0.2/32", "192.0.2.255/32", "192.0.2.2/32"]
    {
        assert!(found.iter().all(|one| one != network), "{network} is in {found:?}");
    }
    assert!(found.iter().all(|one| !one.starts_with("ff")), "{found:?}");
    Ok(())
}

fn what_comes_and_goes_is_seen_by_the_next_look() -> Result<()> {
    let _lab = Lab::new()?;
    let before = own()?;
    for (add, remove) in [
        ("addr add 192.0.2.99/24 dev eth0\n", "addr del 192.0.2.99/24 dev eth0\n"),
        ("addr add 2001:db8:1::99/64 dev eth0 nodad\n", "addr del 2001:db8:1::99/64 dev eth0\n"),
        ("route add local 203.0.113.0/24 dev lo\n", "route del local 203.0.113.0/24 dev lo\n"),
    ] {
        ip(Host::Server, add)?;
        assert_eq!(own()?.len(), before.len() + 1, "{add}");
        ip(Host::Server, remove)?;
        assert_eq!(own()?, before, "{remove}");
    }
    Ok(())
}
