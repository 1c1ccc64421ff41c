//! The same runs of the same client, against knockd with iptables and against the gate with the
//! imported config. What differs is listed, with the reason.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tests::lab::{Config, Daemon, Family, GATE_STANDS, Host, Lab, SSH_PORT, Sshd, TIMEOUT, knockctl, sandbox, until};
use tests::packet::{ACK, FIN, SYN};

use super::knockd::{Knockd, iptables, shipped};
use super::runs::{Act, Run, Times, listen, neighbour, play, same};
use super::syslog::Syslog;
use Act::{Again, Knock, Segments, Session, Wait};

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
        acts: &[
            // Whatever was open before.
            Wait(5.5),
            Knock(&["7000:tcp", "8000:udp", "9000:tcp"]),
            Wait(3.0),
            Again(&["7000:tcp", "8000:udp", "9000:tcp"]),
            Wait(3.0),
        ],
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

/// A file of one-time sequences in knockd's notation, with the blank in front that its manual advises, and
/// without.
const FILE: &str = "# for the telephone\n 7000,8000:udp,9000\n7100:tcp, 9100:udp ,8100\n 7200,9200:UDP,8200\n";

/// With such a file, three seconds for the sequence, and as many until the port is shut again.
const ONE_TIME: [Run; 7] = [
    same("a later sequence", &[Knock(&["7100:tcp", "9100:udp", "8100:tcp"])], SSH_PORT, false),
    same("the first sequence", &[Knock(&["7000:tcp", "8000:udp", "9000:tcp"])], SSH_PORT, true),
    same("the time is over", &[Wait(4.0)], SSH_PORT, false),
    same("the first sequence again", &[Knock(&["7000:tcp", "8000:udp", "9000:tcp"])], SSH_PORT, false),
    same("the second sequence", &[Knock(&["7100:tcp", "9100:udp", "8100:tcp"])], SSH_PORT, true),
    same("its time is over", &[Wait(4.0)], SSH_PORT, false),
    same("the second sequence again", &[Knock(&["7100:tcp", "9100:udp", "8100:tcp"])], SSH_PORT, false),
];

/// With the file that knockd has left.
const GOES_ON: [Run; 4] = [
    same("used under knockd", &[Knock(&["7000:tcp", "8000:udp", "9000:tcp"])], SSH_PORT, false),
    same("used under knockd as well", &[Knock(&["7100:tcp", "9100:udp", "8100:tcp"])], SSH_PORT, false),
    same("the third sequence", &[Knock(&["7200:tcp", "9200:udp", "8200:tcp"])], SSH_PORT, true),
    same("the third sequence again", &[Wait(4.0), Knock(&["7200:tcp", "9200:udp", "8200:tcp"])], SSH_PORT, false),
];

/// Over IPv6, with three seconds for the sequence, and five until the port is shut again.
const IPV6: [Run; 11] = [
    same("no knock", &[], SSH_PORT, false),
    same("the right knock", &[Knock(&["7000:tcp", "8000:udp", "9000:tcp"])], SSH_PORT, true),
    same("a session stands when the time is over", &[Session, Wait(6.0)], SSH_PORT, false),
    same("the wrong order", &[Knock(&["7000:tcp", "9000:tcp", "8000:udp"])], SSH_PORT, false),
    same("the wrong protocol", &[Knock(&["7000", "8000", "9000"]), Wait(4.0)], SSH_PORT, false),
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
        what: "the first knock sent twice",
        acts: &[Wait(6.0), Knock(&["7000:tcp", "7000:tcp", "8000:udp", "9000:tcp"])],
        port: SSH_PORT,
        knockd: false,
        ours: true,
        because: RETRANSMITTED,
    },
];

/// A file in the article's form, with a port that is shut again after so many seconds.
fn with_times(file: &str, open: &str) -> Result<String> {
    let changed = file.replace("= 10\n", "= 3\n").replace("= 60\n", &format!("= {open}\n"));
    ensure!(changed != file);
    Ok(changed)
}

pub fn the_articles_file_does_what_it_did_under_knockd() -> Result<()> {
    let file = with_times(tests::knockd::ARTICLE, "5")?;
    let _lab = Lab::new()?;
    let _sshd = Sshd::start()?;
    iptables(Family::V4, &CHAIN)?;
    compare(Family::V4, &file, &ARTICLE, Times::of(3, 5), PASS_SSH, || Ok(())).map(drop)
}

pub fn commands_for_ipv6_do_what_they_did_under_knockd() -> Result<()> {
    let file = with_times(tests::knockd::BOTH, "5")?;
    let _lab = Lab::new()?;
    let _sshd = Sshd::start()?;
    for family in Family::ALL {
        iptables(family, &CHAIN)?;
    }
    let config = compare(Family::V6, &file, &IPV6, Times::of(3, 5), PASS_SSH, || Ok(()))?;
    // One service for both, and nothing that runs.
    ensure!(config.matches("[services.").count() == 1 && !config.contains("\nstart_command"), "{config}");
    Ok(())
}

pub fn debians_file_does_what_it_did_under_knockd() -> Result<()> {
    let _lab = Lab::new()?;
    let _servers = listen(&[22, 443])?;
    let file = shipped()?;
    iptables(Family::V4, &POLICY)?;
    let pass = "-I INPUT -i eth0 -p tcp -m multiport --dports 22,443 -j ACCEPT";
    compare(Family::V4, &file, &SHIPPED, Times::of(5, 3600), pass, || Ok(())).map(drop)
}

pub fn one_time_sequences_do_what_they_did_under_knockd() -> Result<()> {
    let path = Path::new(sandbox::DIR).join("door.once");
    let write = |text: &str| -> Result<()> {
        fs::write(&path, text)?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?)
    };
    // One that is there already keeps its owner.
    let _ = fs::remove_file(&path);
    write(FILE)?;
    let sequence = "sequence      = 7000:tcp,8000:udp,9000:tcp";
    let file = with_times(tests::knockd::ARTICLE, "3")?;
    ensure!(file.contains(sequence));
    let file = file.replace(sequence, &format!("One_Time_Sequences = {}", path.display()));
    let _lab = Lab::new()?;
    let _sshd = Sshd::start()?;
    iptables(Family::V4, &CHAIN)?;
    let left = RefCell::default();
    let config = compare(Family::V4, &file, &ONE_TIME, Times::of(3, 3), PASS_SSH, || {
        left.replace(fs::read_to_string(&path)?);
        write(FILE)
    })?;
    let left = left.take();
    let knockds = "# for the telephone\n#7000,8000:udp,9000\n#100:tcp, 9100:udp ,8100\n 7200,9200:UDP,8200\n";
    ensure!(left == knockds, "{left}");
    let ours = fs::read_to_string(&path)?;
    let marked = ours.lines().filter(|line| line.starts_with("# used ")).count();
    ensure!(marked == 2 && ours.ends_with("\n 7200,9200:UDP,8200\n"), "{ours}");
    ensure!(config.contains(&format!("\none_time_sequences = {path:?}\n")), "{config}");

    // What was begun under knockd goes on here.
    write(&left)?;
    let (syslog, _daemon) = gate(&config)?;
    let seen = play(Family::V4, &GOES_ON, Times::of(3, 3), |run| run.ours)?;
    ensure!(seen == GOES_ON.map(|run| run.ours), "{seen:?}\n{}", syslog.said());
    let ours = fs::read_to_string(&path)?;
    ensure!(ours.starts_with(&knockds[..knockds.len() - " 7200,9200:UDP,8200\n".len()]), "{ours}");
    Ok(())
}

/// The packet filter lets the article's port through to the gate.
const PASS_SSH: &str = "-I INPUT -i eth0 -p tcp --dport 2222 -j ACCEPT";

/// The gate with this config, as it stands.
fn gate(config: &str) -> Result<(Syslog, Daemon)> {
    let syslog = Syslog::start()?;
    let daemon = Daemon::begin(&Config(config.to_owned()), None)?;
    until("the gate", TIMEOUT, || syslog.said().contains(GATE_STANDS).then_some(()))?;
    Ok((syslog, daemon))
}

/// Plays the runs against knockd, imports its file beside its rules, lets the ports through, and plays
/// them against ours. Returns the config.
fn compare(
    family: Family,
    file: &str,
    runs: &[Run],
    times: Times,
    pass: &str,
    between: impl FnOnce() -> Result<()>,
) -> Result<String> {
    let bits = if family == Family::V4 { 24 } else { 64 };
    let neighbour = format!("{}/{bits}", neighbour(family));
    // One that no program takes by itself.
    let unasked: &[&str] = if family == Family::V4 { &[] } else { &["nodad", "preferred_lft", "0"] };
    Host::Client.must(&[&["ip", "addr", "add", &neighbour, "dev", "eth0"], unasked].concat())?;
    let path = Path::new(sandbox::DIR).join("knockd.conf");
    fs::write(&path, file)?;
    let knockd = Knockd::start(&path)?;
    let under_knockd = play(family, runs, times, |run| run.knockd)?;
    let log = knockd.log();
    drop(knockd);
    between()?;

    let config = imported(&path)?;
    // What its commands have left behind is not what lets anybody in here.
    iptables(family, &["-F INPUT"])?;
    iptables(family, if pass.contains("2222") { &CHAIN[..1] } else { &POLICY[..1] })?;
    if pass.contains("2222") {
        iptables(family, &[CHAIN[2]])?;
    }
    iptables(family, &[pass])?;
    let (syslog, _daemon) = gate(&config)?;
    let under_ours = play(family, runs, times, |run| run.ours)?;

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
        let line = format!("{}: {first}: {words}", family.address(Host::Client));
        ensure!(log.contains(&line) && said.contains(&line) && said.contains(" knockd["), "{line}\n{log}\n{said}");
    }
    ensure!(wrong.is_empty(), "not as expected:\n{}\n{log}\n{config}\n{said}", wrong.join("\n"));
    Ok(config)
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
    Ok(fs::read_to_string(to)?)
}
