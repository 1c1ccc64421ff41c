//! Containers behind an engine that is not here: the rules that Docker 28 writes, by the real iptables, and a guest in
//! the place of the container.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Echo, Family, Guest, Host, SSH_PORT, ip, nft, sandbox};

use super::truth::{assert_true, checked, knocked};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::packet_filter::docker";
        a_published_port_is_followed_to_its_container,
        a_published_port_is_followed_to_its_container_by_nftables,
    ]
}

/// As Docker 28 leaves them with a bridge and one container that publishes its port 22 as 2222.
const IPTABLES: &str = "\
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d CONTAINER ! -i docker0 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d LOOPBACK -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s NETWORK ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 2222 -j DNAT --to-destination TARGET
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-INTERNAL - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d CONTAINER ! -i docker0 -o docker0 -p tcp -m tcp --dport 22 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-INTERNAL
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
COMMIT
";

/// The same by its backend for nftables, of one family.
const NFTABLES: &str = "\
table ip docker-bridges {
    map filter-forward-in-jumps {
        type ifname : verdict
        elements = { \"docker0\" : jump filter-forward-in__docker0 }
    }
    map filter-forward-out-jumps {
        type ifname : verdict
        elements = { \"docker0\" : jump filter-forward-out__docker0 }
    }
    chain filter-forward-in__docker0 {
        ct state established,related counter accept
        iifname \"docker0\" counter accept comment \"ICC\"
        ip daddr CONTAINER tcp dport 22 counter accept
        counter drop comment \"UNPUBLISHED PORT DROP\"
    }
    chain filter-forward-out__docker0 {
        ct state established,related counter accept
        counter accept comment \"OUTGOING\"
    }
    chain filter-FORWARD {
        type filter hook forward priority filter; policy accept;
        oifname vmap @filter-forward-in-jumps
        iifname vmap @filter-forward-out-jumps
    }
    chain nat-prerouting-and-output {
        iifname != \"docker0\" tcp dport 2222 counter dnat to TARGET comment \"DNAT\"
    }
    chain nat-PREROUTING {
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local counter jump nat-prerouting-and-output
    }
    chain raw-PREROUTING {
        type filter hook prerouting priority raw; policy accept;
        ip daddr CONTAINER iifname != \"docker0\" counter drop comment \"DROP DIRECT ACCESS\"
    }
}
";

/// The container's own port.
const CONTAINER_PORT: u16 = 22;

/// A guest on a bridge, as a container is, with a server.
struct Container {
    _servers: [Echo; 2],
    guest: Guest,
}

impl Container {
    fn new() -> Result<Self> {
        let guest = Guest::routed()?;
        ip(
            Host::Server,
            "link add docker0 type bridge forward_delay 0\naddr flush dev guest0\nlink set guest0 master docker0\n\
             addr add 203.0.113.129/28 dev docker0\naddr add 2001:db8:8::1/64 dev docker0 nodad\nlink set docker0 up\n",
        )?;
        let servers = [Echo::tcp(Host::Guest, CONTAINER_PORT)?, Echo::tcp(Host::Guest, SSH_PORT)?];
        Ok(Self { _servers: servers, guest })
    }

    /// Rules with its addresses.
    fn filled_in(&self, rules: &str, family: Family) -> String {
        let address = self.guest.address(family);
        let (network, loopback) = match family {
            Family::V4 => ("203.0.113.128/28", "127.0.0.0/8"),
            Family::V6 => ("2001:db8:8::/64", "::1/128"),
        };
        let target = std::net::SocketAddr::new(address, CONTAINER_PORT).to_string();
        rules
            .replace("CONTAINER", &address.to_string())
            .replace("NETWORK", network)
            .replace("LOOPBACK", loopback)
            .replace("TARGET", &target)
    }

    fn publish(&self, family: Family) -> Result<()> {
        let file = Path::new(sandbox::DIR).join("docker.rules");
        fs::write(&file, self.filled_in(IPTABLES, family))?;
        let mut command = Command::new(format!("{}-nft-restore", tool(family)));
        command.stdin(Stdio::from(fs::File::open(&file)?));
        Host::Server.run(&mut command)?.success().map(drop)
    }
}

const fn tool(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    }
}

fn a_published_port_is_followed_to_its_container() -> Result<()> {
    const PASSES: &str = "packet filter: passes\n";
    let _world = knocked()?;
    let container = Container::new()?;
    for (family, table) in [(Family::V4, "ip"), (Family::V6, "ip6")] {
        let then = |chain: &str| format!("passes the gate; then nftables {table} {chain}, handle ");
        let to = (family.address(Host::Server), SSH_PORT).into();
        let user = |rule: &str| -> Result<()> {
            let tool = format!("{}-nft", tool(family));
            let words: Vec<_> = [tool.as_str(), "-I", "DOCKER-USER"].into_iter().chain(rule.split(' ')).collect();
            Host::Server.must(&words).map(drop)
        };
        container.publish(family)?;
        assert_true(Host::Client, to, PASSES)?;
        assert_true(Host::Stranger, to, PASSES)?;
        ensure!(!checked()?.contains("2222/tcp: "), "{}", checked()?);
        // Nobody comes around the published port.
        let around = (container.guest.address(family), SSH_PORT).into();
        assert_true(Host::Client, around, &then("raw PREROUTING"))?;

        // As people keep others out, by the port of the container and by the one that is published.
        user("-i eth1 -p tcp --dport 22 -j DROP")?;
        assert_true(Host::Stranger, to, &then("filter DOCKER-USER"))?;
        assert_true(Host::Client, to, PASSES)?;
        user("-p tcp -m conntrack --ctstate NEW --ctorigdstport 2222 --ctdir ORIGINAL -j REJECT")?;
        assert_true(Host::Client, to, &then("filter DOCKER-USER"))?;
        let remark = format!("comes no further: nftables {table} filter DOCKER-USER, handle ");
        ensure!(checked()?.contains(&remark), "{}", checked()?);
        user("-i eth0 -p tcp --dport 2222 -j DROP")?;
        user("-i eth0 -p tcp --dport 22 -j ACCEPT")?;
        assert_true(Host::Client, to, PASSES)?;
        let out = format!("{}-nft -t mangle -A POSTROUTING -o docker0 -p tcp --dport 22 -j DROP", tool(family));
        Host::Server.must(&out.split(' ').collect::<Vec<_>>())?;
        assert_true(Host::Client, to, &then("mangle POSTROUTING"))?;
        user("-m conntrack --ctstate DNAT -j DROP")?;
        assert_true(Host::Client, to, &then("filter DOCKER-USER"))?;
        user("-p tcp -m limit --limit 1/hour -j ACCEPT")?;
        Host::Server.must(&[tool(family), "-t", "mangle", "-F"])?;
        assert_true(Host::Client, to, "packet filter: cannot tell: ")?;
        nft(Host::Server, "flush ruleset\n")?;
    }
    Ok(())
}

fn a_published_port_is_followed_to_its_container_by_nftables() -> Result<()> {
    const PASSES: &str = "packet filter: passes\n";
    let _world = knocked()?;
    let container = Container::new()?;
    let to = (Family::V4.address(Host::Server), SSH_PORT).into();
    let then = |chain: &str| format!("passes the gate; then nftables ip docker-bridges {chain}, handle ");
    nft(Host::Server, &container.filled_in(NFTABLES, Family::V4))?;
    assert_true(Host::Client, to, PASSES)?;
    let around = (container.guest.address(Family::V4), SSH_PORT).into();
    assert_true(Host::Client, around, &then("raw-PREROUTING"))?;
    ensure!(!checked()?.contains("2222/tcp: "), "{}", checked()?);
    // The container stops, and its port is published no more: the rest of the rules stays.
    let listed =
        Host::Server.must(&["nft", "-a", "list", "chain", "ip", "docker-bridges", "filter-forward-in__docker0"])?;
    let handle = listed.lines().find(|line| line.contains("dport 22 ")).and_then(|line| line.rsplit(' ').next());
    let handle = handle.unwrap_or_default();
    Host::Server.must(&[
        "nft",
        "delete",
        "rule",
        "ip",
        "docker-bridges",
        "filter-forward-in__docker0",
        "handle",
        handle,
    ])?;
    assert_true(Host::Client, to, &then("filter-forward-in__docker0"))
}
