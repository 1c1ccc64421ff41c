//! Packet filters behind the gate, of nftables, iptables, ufw, firewalld and Docker: what they drop is said, by rule, of a
//! packet and of the answer to it, and what is not understood too.

mod answers;
mod docker;
mod firewalld;
mod random;
mod routing;
mod tracking;
mod truth;
mod ufw;

use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Config, Daemon, Family, Host, Probe, knockctl, nft};
use tests::story::World;

use super::assert_says;

/// The tests.
pub fn tests() -> Vec<Test> {
    let own = tests![
        "e2e::packet_filter";
        a_filter_of_nftables_that_drops_what_the_gate_lets_pass_is_named,
        a_filter_of_iptables_that_drops_what_the_gate_lets_pass_is_named,
        what_is_not_understood_is_said_and_where_there_is_nothing_nothing_is,
        a_tool_that_fails_leaves_it_open,
    ];
    [
        own,
        answers::tests(),
        tracking::tests(),
        ufw::tests(),
        firewalld::tests(),
        docker::tests(),
        random::tests(),
        routing::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Accepts what stands and what is guarded, and drops the rest.
const NFT: &str = "table inet guard {\n\
    chain input {\n\
    type filter hook input priority 0; policy accept;\n\
    ct state established,related accept\n\
    iifname lo accept\n\
    meta l4proto { icmp, ipv6-icmp } accept\n\
    tcp dport 2222 counter drop\n\
    }\n}\n";

/// What `knockctl explain` says of the client's next packet, and how it ends.
fn explained(world: &World) -> Result<(i32, String)> {
    let ran = knockctl(Host::Server, &["explain", &world.address(Host::Client).to_string(), "2222"])?;
    Ok((ran.code, ran.stdout))
}

fn let_in(world: &World) -> Result<()> {
    world.command(&["allow", &world.address(Host::Client).to_string()]).map(drop)
}

fn a_filter_of_nftables_that_drops_what_the_gate_lets_pass_is_named() -> Result<()> {
    for family in Family::ALL {
        let mut world = World::guarded(family, &Config::lab())?;
        let_in(&world)?;
        ensure!(explained(&world)?.1.contains(": passes\n"), "no filter: {:?}", explained(&world)?);
        ensure!(world.connect(Host::Client)?.0 != Probe::Silent, "no filter");
        nft(Host::Server, NFT)?;
        let listed = Host::Server.must(&["nft", "-a", "list", "chain", "inet", "guard", "input"])?;
        let rule = listed.lines().find(|line| line.contains("dport 2222")).context("the rule")?;
        let handle = rule.rsplit(' ').next().unwrap_or_default();
        let place = format!("nftables inet guard input, handle {handle}, drops it");
        // It is so.
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        let (code, text) = explained(&world)?;
        ensure!(code == 1 && text.contains(&format!(": passes the gate; then {place}\n")), "{code}: {text}");
        let ran = knockctl(Host::Server, &["explain", &world.address(Host::Client).to_string(), "2222", "--json"])?;
        let json: serde_json::Value = serde_json::from_str(&ran.stdout)?;
        let filter = &json["packet_filter"];
        assert_eq!((&filter["table"], &filter["chain"]), (&"inet guard".into(), &"input".into()), "{json}");
        assert_eq!(
            (&filter["verdict"], &filter["rule"]),
            (&"drops".into(), &format!("handle {handle}").into()),
            "{json}"
        );
        // A knock has done its work wherever it ends, and whom the gate denies it denies.
        let client = world.address(Host::Client).to_string();
        assert_says(&knockctl(Host::Server, &["explain", &client, "7000"])?, 0, &[": passes\n", "rule 6"]);
        let stranger = world.address(Host::Stranger).to_string();
        assert_says(&knockctl(Host::Server, &["explain", &stranger, "2222"])?, 1, &["is denied", "rule 9"]);
        // The same by those that know no packet.
        let file = Config::lab().unpublished().write("gate.toml")?.display().to_string();
        assert_says(
            &knockctl(Host::Server, &["check", &file])?,
            0,
            &["2222/tcp: who passes the gate comes no further", &place],
        );
        world.gate()?.kill()?;
        let daemon = Daemon::start(&Config::lab(), None)?;
        daemon.wait_after(0, &place)?;
        let reloaded = knockctl(Host::Server, &["reload"])?;
        ensure!(reloaded.stderr.contains(&place), "{}", reloaded.stderr);
        // Of a later segment as well, where no state is asked for; else that is said.
        let later = knockctl(Host::Server, &["explain", &client, "2222", "--flags", "ack"])?;
        ensure!(later.stdout.contains("packet filter: cannot tell: "), "{}", later.stdout);
        // Let in by the filter too.
        Host::Server.must(&["nft", "insert rule inet guard input tcp dport 2222 accept"])?;
        ensure!(world.connect(Host::Client)?.0 != Probe::Silent, "accepted");
        let (code, text) = explained(&world)?;
        ensure!(code == 0 && text.contains("packet filter: passes\n"), "{code}: {text}");
        assert!(!knockctl(Host::Server, &["check", &file])?.stdout.contains("inet guard"));
    }
    Ok(())
}

fn a_filter_of_iptables_that_drops_what_the_gate_lets_pass_is_named() -> Result<()> {
    for (kind, place) in
        [("nft", "nftables ip filter INPUT, handle "), ("legacy", "iptables filter INPUT, rule 2, rejects it")]
    {
        let world = World::guarded(Family::V4, &Config::lab())?;
        let_in(&world)?;
        let tool = format!("iptables-{kind}");
        let add = |rule: &str| -> Result<()> {
            let words: Vec<_> = std::iter::once(tool.as_str()).chain(rule.split(' ')).collect();
            Host::Server.must(&words).map(drop)
        };
        add("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")?;
        add("-A INPUT -p tcp -m multiport --dports 2222,2223 -j REJECT --reject-with tcp-reset")?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Refused, "{kind}");
        let (code, text) = explained(&world)?;
        ensure!(code == 1 && text.contains(&format!("passes the gate; then {place}")), "{kind}: {code}: {text}");
        let file = Config::lab().unpublished().write("gate.toml")?.display().to_string();
        assert_says(
            &knockctl(Host::Server, &["check", &file])?,
            0,
            &["2222/tcp: who passes the gate", place, "rejects it"],
        );
        add("-I INPUT -p tcp --dport 2222 -m limit --limit 1/hour -j ACCEPT")?;
        let (code, text) = explained(&world)?;
        ensure!(code == 0 && text.contains("packet filter: cannot tell: "), "{kind}: {code}: {text}");
        ensure!(text.contains("limit") && !text.contains("packet filter: passes"), "{kind}: {text}");
    }
    Ok(())
}

fn what_is_not_understood_is_said_and_where_there_is_nothing_nothing_is() -> Result<()> {
    let world = World::guarded(Family::V4, &Config::lab())?;
    let_in(&world)?;
    let file = Config::lab().unpublished().write("gate.toml")?.display().to_string();
    let checked = || Ok::<_, anyhow::Error>(knockctl(Host::Server, &["check", &file])?.stdout);
    ensure!(!explained(&world)?.1.contains("filter") && !checked()?.contains("filter"), "{}", checked()?);
    nft(
        Host::Server,
        "table inet guard {\n chain input {\n type filter hook input priority 0; policy drop;\n\
         tcp dport 2222 meta mark 7 accept\n }\n}\n",
    )?;
    let (code, text) = explained(&world)?;
    ensure!(code == 0 && text.contains("packet filter: cannot tell: nftables inet guard input, handle"), "{text}");
    ensure!(text.contains("meta mark"), "{text}");
    ensure!(
        checked()?.contains("cannot tell whether the packet filter behind the gate lets it pass"),
        "{}",
        checked()?
    );
    // Who is let in by his address is not said to be kept out, and is told so where he is asked for.
    nft(Host::Server, "flush ruleset")?;
    let client = world.address(Host::Client);
    nft(
        Host::Server,
        &format!(
            "table inet guard {{\n chain input {{\n type filter hook input priority 0; policy drop;\n\
         ip saddr {client} tcp dport 2222 accept\n }}\n}}\n"
        ),
    )?;
    ensure!(explained(&world)?.1.contains("packet filter: passes\n"), "{}", explained(&world)?.1);
    ensure!(!checked()?.contains("IPv4"), "{}", checked()?);
    let _listener = Host::Server.enter(|| Ok(TcpListener::bind(world.server(7777))?))?;
    world.command(&["allow", "198.51.100.99"])?;
    let ran = knockctl(Host::Server, &["explain", "198.51.100.99", "2222"])?;
    assert_says(&ran, 1, &["passes the gate; then nftables inet guard input, by its policy, drops it"]);
    Ok(())
}

fn a_tool_that_fails_leaves_it_open() -> Result<()> {
    let world = World::guarded(Family::V4, &Config::lab())?;
    let_in(&world)?;
    nft(Host::Server, NFT)?;
    let folder = std::path::Path::new("/run/lab/tools");
    std::fs::create_dir_all(folder)?;
    let tool = folder.join("nft");
    std::fs::write(&tool, "#!/bin/sh\necho 'out of order' >&2\nexit 3\n")?;
    std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut command = std::process::Command::new(tests::lab::knockctl_path()?);
    command.args(["explain", &world.address(Host::Client).to_string(), "2222"]);
    command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display()));
    let ran = Host::Server.run(&mut command)?;
    assert_says(&ran, 0, &["packet filter: cannot tell: nft: out of order"]);
    Ok(())
}
