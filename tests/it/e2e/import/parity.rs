//! The same runs of the same client, against knockd with iptables and against the gate with the
//! imported config. What differs is listed, with the reason.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tests::lab::{Config, Daemon, Family, GATE_STANDS, Host, Lab, SSH_PORT, Sshd, TIMEOUT, knockctl, sandbox, until};
use tests::packet::{ACK, FIN, SYN};

use super::knockd::{Knockd, iptables, shipped};
use super::runs::{Act, Run, listen, play, same};
use super::syslog::Syslog;
use Act::{Knock, Segments, Session, Wait};

/// The article's firewall: a chain that drops, and connections that live on.
const CHAIN: [&str; 4] = [
    "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    "-N SSH2",
    "-A INPUT -p tcp --dport 2222 -m conntrack --ctstate NEW -j SSH2",
    "-A SSH2 -j DROP",
];

/// A firewall as knockd's own example takes for granted: all is dropped that no rule lets in.
const POLICY: [&str; 2] = ["-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", "-P INPUT DROP"];

const RETRANSMITTED: &str = "a knock that is sent again does no harm here; knockd gives the attempt up";
const ELSEWHERE: &str =
    "a packet to another closed port ends the attempt here, so a scan opens nothing; knockd does not see it";
const AGAIN: &str = "a second knock moves the end here; under knockd the first stop command takes the one rule away";
const ANSWERS: &str =
    "\"syn\" means SYN without ACK here, so a sweep of answers opens nothing; knockd does not look at ACK";

/// With three seconds for the sequence, and five until the port is shut again.
const ARTICLE: [Run; 14] = [
    same("no knock", &[], SSH_PORT, false),
    same("the right knock", &[Knock(&["7000:tcp", "8000:udp", "9000:tcp"])], SSH_PORT, true),
    same("a session stands when the time is over", &[Session, Wait(6.0)], SSH_PORT, false),
    same("the wrong order", &[Knock(&["7000:tcp", "9000:tcp", "8000:udp"])], SSH_PORT, false),
    same("the wrong protocol", &[Knock(&["7000", "8000", "9000"]), Wait(4.0)], SSH_PORT, false),
    same("the end of it only", &[Knock(&["8000:udp", "9000:tcp"])], SSH_PORT, false),
    same("too slow", &[Knock(&["7000:tcp", "8000:udp"]), Wait(4.1), Knock(&["9000:tcp"])], SSH_PORT, false),
    same("slow, but in time", &[Knock(&["-d500", "7000:tcp", "8000:udp", "9000:tcp"])], SSH_PORT, true),
    same("the time is over", &[Wait(6.0)], SSH_PORT, false),
    same("flags that are none", &[Segments(&[(7000, FIN), (9000, FIN)]), Knock(&["8000:udp"])], SSH_PORT, false),
    same(
        "flags that are none, in between",
        &[Segments(&[(7000, SYN), (7000, FIN | ACK)]), Knock(&["8000:udp", "9000"])],
        SSH_PORT,
        true,
    ),
    Run {
        what: "knocked again while it was open, and the first time is over",
        acts: &[Wait(3.0), Knock(&["7000:tcp", "8000:udp", "9000:tcp"]), Wait(3.0)],
        port: SSH_PORT,
        knockd: false,
        ours: true,
        because: AGAIN,
    },
    same("both times are over", &[Wait(3.5)], SSH_PORT, false),
    Run {
        what: "the first knock sent twice",
        acts: &[Knock(&["7000:tcp", "7000:tcp", "8000:udp", "9000:tcp"])],
        port: SSH_PORT,
        knockd: false,
        ours: true,
        because: RETRANSMITTED,
    },
];

/// As it is shipped: five seconds for the sequence, and open until the door that closes.
const SHIPPED: [Run; 15] = [
    same("no knock", &[], 22, false),
    same("the right knock", &[Knock(&["7000", "8000", "9000"])], 22, true),
    same("and no other port is open", &[], 443, false),
    same("closed", &[Knock(&["9000", "8000", "7000"])], 22, false),
    same("open once more", &[Knock(&["7000", "8000", "9000"])], 22, true),
    same("knocked again while it is open", &[Knock(&["7000", "8000", "9000"]), Wait(1.0)], 22, true),
    Run {
        what: "closed once",
        acts: &[Knock(&["9000", "8000", "7000"])],
        port: 22,
        knockd: true,
        ours: false,
        because: "one grant is one grant here; knockd has added the rule twice, and taken one away",
    },
    same("closed again", &[Knock(&["9000", "8000", "7000"])], 22, false),
    same("closed when it is shut", &[Knock(&["9000", "8000", "7000"])], 22, false),
    same("too slow", &[Knock(&["7000", "8000"]), Wait(6.1), Knock(&["9000"]), Wait(6.1)], 22, false),
    same("the other door", &[Knock(&["12345", "54321", "24680", "13579"])], 443, true),
    same("opens its own port only", &[], 22, false),
    same("the wrong order", &[Knock(&["8000", "7000", "9000"]), Wait(6.1)], 22, false),
    Run {
        what: "another closed port in between",
        acts: &[Knock(&["7000", "4444", "8000", "9000"])],
        port: 22,
        knockd: true,
        ours: false,
        because: ELSEWHERE,
    },
    Run {
        what: "knocks that look like answers",
        acts: &[
            Knock(&["9000", "8000", "7000"]),
            Wait(1.0),
            Segments(&[(7000, SYN | ACK), (8000, SYN | ACK), (9000, SYN | ACK)]),
        ],
        port: 22,
        knockd: true,
        ours: false,
        because: ANSWERS,
    },
];

pub fn the_articles_file_does_what_it_did_under_knockd() -> Result<()> {
    let file = tests::knockd::ARTICLE.replace("= 10\n", "= 3\n").replace("= 60\n", "= 5\n");
    ensure!(file != tests::knockd::ARTICLE);
    let _lab = Lab::new()?;
    let _sshd = Sshd::start()?;
    iptables(&CHAIN)?;
    compare(&file, &ARTICLE, "-I INPUT -i eth0 -p tcp --dport 2222 -j ACCEPT")
}

pub fn debians_file_does_what_it_did_under_knockd() -> Result<()> {
    let _lab = Lab::new()?;
    let _servers = listen(&[22, 443])?;
    let file = shipped()?;
    iptables(&POLICY)?;
    compare(&file, &SHIPPED, "-I INPUT -i eth0 -p tcp -m multiport --dports 22,443 -j ACCEPT")
}

/// Plays the runs against knockd, imports its file beside its rules, lets the ports through, and plays
/// them against ours.
fn compare(file: &str, runs: &[Run], pass: &str) -> Result<()> {
    Host::Client.must(&["ip", "addr", "add", "192.0.2.77/24", "dev", "eth0"])?;
    let path = Path::new(sandbox::DIR).join("knockd.conf");
    std::fs::write(&path, file)?;
    let knockd = Knockd::start(&path)?;
    let under_knockd = play(runs, |run| run.knockd)?;
    let log = knockd.log();
    drop(knockd);

    let config = imported(&path)?;
    // What its commands have left behind is not what lets anybody in here.
    iptables(&["-F INPUT"])?;
    iptables(if pass.contains("2222") { &CHAIN[..1] } else { &POLICY[..1] })?;
    if pass.contains("2222") {
        iptables(&[CHAIN[2]])?;
    }
    iptables(&[pass])?;
    let syslog = Syslog::start()?;
    let _daemon = Daemon::begin(&Config(config.clone()), None)?;
    until("the gate", TIMEOUT, || syslog.said().contains(GATE_STANDS).then_some(()))?;
    let under_ours = play(runs, |run| run.ours)?;

    let mut wrong = Vec::new();
    for (run, (knockd, ours)) in runs.iter().zip(under_knockd.into_iter().zip(under_ours)) {
        let word = |open| if open { "open" } else { "shut" };
        let line = format!("{}: knockd {}, ours {}. {}", run.what, word(knockd), word(ours), run.because);
        println!("{line}");
        if (knockd, ours) != (run.knockd, run.ours) {
            wrong.push(line);
        }
    }
    let said = syslog.said();
    // Both call a knock by the same words, under the same name.
    let first = config_door(&config)?;
    for words in ["Stage 1", "Stage 2", "OPEN SESAME"] {
        let line = format!("{}: {first}: {words}", Family::V4.address(Host::Client));
        ensure!(log.contains(&line) && said.contains(&line) && said.contains(" knockd["), "{line}\n{log}\n{said}");
    }
    ensure!(wrong.is_empty(), "not as expected:\n{}\n{log}\n{config}\n{said}", wrong.join("\n"));
    Ok(())
}

/// The name of the first door in a config.
fn config_door(config: &str) -> Result<&str> {
    let header = config.lines().find_map(|line| line.strip_prefix("[doors.")?.strip_suffix(']'));
    header.context("a door")
}

/// What `knockctl import` makes of the file, on the host where it is.
fn imported(file: &Path) -> Result<String> {
    let to: PathBuf = Path::new(sandbox::DIR).join("imported.toml");
    let words = ["import", &file.display().to_string(), "--force", "-o", &to.display().to_string()];
    knockctl(Host::Server, &words)?.success()?;
    // A veth pair hands packets over before their checksums are filled in; ours knows that itself.
    Ok(std::fs::read_to_string(to)?)
}
