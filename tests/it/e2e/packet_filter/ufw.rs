//! ufw itself: its scripts write the rules, in the network and over the files of the sandbox.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Daemon, Host, Mount};

use super::truth::{assert_true_of_both, checked, config, knocked};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::packet_filter::ufw";
        what_ufw_does_is_said_as_it_is,
        what_ufw_does_with_the_older_iptables_is_said_as_it_is,
    ]
}

/// Which iptables ufw uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nft,
    Legacy,
}

/// ufw on the server, with the rules that its package has and no others.
struct Ufw {
    _changed: [Mount; 3],
}

impl Ufw {
    fn enabled(kind: Kind) -> Result<Self> {
        let changed =
            [Mount::changes("/etc/ufw")?, Mount::changes("/etc/default")?, Mount::changes("/etc/alternatives")?];
        for tool in ["iptables", "iptables-save", "iptables-restore"] {
            for tool in [tool.to_owned(), tool.replacen("ip", "ip6", 1)] {
                let kind = if kind == Kind::Nft { "tables-nft" } else { "tables-legacy" };
                let link = Path::new("/etc/alternatives").join(&tool);
                fs::remove_file(&link).with_context(|| format!("no {} (Debian: iptables)", link.display()))?;
                symlink(Path::new("/usr/sbin").join(tool.replacen("tables", kind, 1)), &link)?;
            }
        }
        let defaults = fs::read_to_string("/etc/default/ufw").context("no /etc/default/ufw (Debian: ufw)")?;
        fs::write("/etc/default/ufw", defaults.replace("IPV6=no", "IPV6=yes"))?;
        let this = Self { _changed: changed };
        for words in ["--force reset", "default deny incoming", "default deny routed", "--force enable"] {
            this.must(words)?;
        }
        ensure!(this.must("status")?.contains("Status: active"), "ufw is not active");
        Ok(this)
    }

    fn must(&self, words: &str) -> Result<String> {
        let words: Vec<_> = ["ufw"].into_iter().chain(words.split(' ')).collect();
        Host::Server.must(&words)
    }
}

fn what_ufw_does_is_said_as_it_is() -> Result<()> {
    is_said_as_it_is(Kind::Nft, ["nftables ip filter", "nftables ip6 filter"])
}

fn what_ufw_does_with_the_older_iptables_is_said_as_it_is() -> Result<()> {
    is_said_as_it_is(Kind::Legacy, ["iptables filter", "ip6tables filter"])
}

fn is_said_as_it_is(kind: Kind, [v4, v6]: [&str; 2]) -> Result<()> {
    const PASSES: [&str; 2] = ["packet filter: passes\n"; 2];
    let mut world = knocked()?;
    let ufw = Ufw::enabled(kind)?;
    let in_chain = |chain: &str, chain6: &str, verb: &str| {
        (format!("passes the gate; then {v4} {chain}{verb}"), format!("passes the gate; then {v6} {chain6}{verb}"))
    };
    let dropped = in_chain("INPUT, by its policy, ", "INPUT, by its policy, ", "drops it\n");
    assert_true_of_both(Host::Client, [&dropped.0, &dropped.1])?;
    // The same by those that know no packet.
    let said = "2222/tcp: who passes the gate comes no further: ";
    for table in [v4, v6] {
        let place = format!("{said}{table} INPUT, by its policy, drops it");
        ensure!(checked()?.contains(&place), "{place}: {}", checked()?);
    }
    world.gate()?.kill()?;
    let daemon = Daemon::start(&config(), None)?;
    daemon.wait_after(0, &format!("{said}{v4} INPUT, by its policy, drops it"))?;

    ufw.must("allow 2222/tcp")?;
    assert_true_of_both(Host::Client, PASSES)?;
    ensure!(!checked()?.contains("packet filter") && !checked()?.contains(said), "{}", checked()?);

    // One source.
    ufw.must("insert 1 deny from 198.51.100.0/24 to any port 2222 proto tcp")?;
    let (denied, _) = in_chain("ufw-user-input, ", "", "");
    assert_true_of_both(Host::Stranger, [&denied, PASSES[1]])?;
    assert_true_of_both(Host::Client, PASSES)?;
    ensure!(!checked()?.contains(said), "{}", checked()?);
    ufw.must("prepend reject from 2001:db8:2::/64")?;
    let (_, rejected) = in_chain("", "ufw6-user-input, ", "");
    assert_true_of_both(Host::Stranger, [&denied, &rejected])?;
    ufw.must("insert 1 allow in on eth1 from 198.51.100.2")?;
    assert_true_of_both(Host::Stranger, [PASSES[0], &rejected])?;

    // How often is nothing that rules say.
    ufw.must("delete allow 2222/tcp")?;
    ufw.must("limit 2222/tcp")?;
    let unclear = ["packet filter: cannot tell: "; 2];
    assert_true_of_both(Host::Client, unclear)?;
    ensure!(checked()?.contains("cannot tell whether the packet filter behind the gate"), "{}", checked()?);

    ufw.must("disable")?;
    assert_true_of_both(Host::Stranger, PASSES)
}
