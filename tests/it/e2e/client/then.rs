//! What comes behind the knock: a program, or the certainty that the port accepts.

use std::time::{Duration, Instant};

use anyhow::Result;
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Probe, knockctl, nft, ssh};

use super::super::{assert_fails, assert_says};
use super::{Home, gate};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::client::then";
        it_ends_as_the_program_ends,
        a_profile_may_run_a_program_by_itself,
        ssh_is_let_in_behind_the_knock,
        waiting_ends_when_the_port_accepts_or_the_time_is_over,
        who_is_let_in_by_the_gate_and_not_by_a_filter_behind_it_is_told_where_to_look,
    ]
}

fn it_ends_as_the_program_ends() -> Result<()> {
    for family in Family::ALL {
        let world = gate(family)?;
        let home = Home::of(&world, "")?;
        let host = world.address(Host::Server).to_string();
        let script = "echo \"$KNOCK_HOST $KNOCK_IP $KNOCK_PORT\" \"$@\"; exit 7";
        let ran = home.knock(&["-v", "myserver", "--then", "sh", "-c", script, "x", "-v", "--", "%IP%:%PORT%"])?;
        assert_says(&ran, 7, &["hitting udp "]);
        // Standard output is the program's alone.
        assert_eq!(ran.stdout, format!("{host} {host} 2222 -v -- {host}:2222\n"));
        assert_eq!(home.knock(&["myserver", "--then", "sh", "-c", "kill -TERM $$"])?.code, 128 + 15);
        assert_fails(&home.knock(&["myserver", "--then", "no-such-program"])?, &["cannot run no-such-program"]);
        // A knock that cannot be made runs nothing.
        let ran = home.knock(&["--source", "192.0.2.99", "myserver", "--then", "echo", "ran"])?;
        assert_eq!((ran.code, &*ran.stdout), (2, ""), "{ran}");
    }
    Ok(())
}

fn a_profile_may_run_a_program_by_itself() -> Result<()> {
    let world = gate(Family::V4)?;
    let home = Home::of(&world, "then = [\"echo\", \"%IP%;\", \"$HOME\"]")?;
    assert_eq!(home.knock(&["myserver"])?.success()?, "192.0.2.1; $HOME\n");
    assert_eq!(home.knock(&["myserver", "--no-then"])?.success()?, "");
    assert_eq!(home.knock(&["myserver", "--then", "echo", "other"])?.success()?, "other\n");
    Ok(())
}

fn ssh_is_let_in_behind_the_knock() -> Result<()> {
    for family in Family::ALL {
        let world = gate(family)?;
        let home = Home::of(&world, "")?;
        let mut command = tests::lab::knockctl_path().map(std::process::Command::new)?;
        let profiles = home.file();
        // ssh reads a key that is root's; so the profile must be, too.
        std::os::unix::fs::chown(&profiles, Some(0), Some(0))?;
        command.args(["knock", "--profiles"]).arg(&profiles).args(["myserver", "--then"]);
        let words = ssh(&[]);
        command.arg(words.get_program()).args(words.get_args()).args(["root@%IP%", "echo through; exit 9"]);
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        let ran = Host::Client.run(&mut command)?;
        assert_says(&ran, 9, &["through\n"]);
    }
    Ok(())
}

/// The client says where to look, and there the rule is named.
fn who_is_let_in_by_the_gate_and_not_by_a_filter_behind_it_is_told_where_to_look() -> Result<()> {
    for family in Family::ALL {
        let world = gate(family)?;
        let hook = "type filter hook input priority 0";
        nft(Host::Server, &format!("table inet behind {{ chain input {{ {hook}; tcp dport 2222 drop; }}; }}\n"))?;
        let home = Home::of(&world, "")?;
        let ran = home.knock(&["--wait", "1s", "--retries", "0", "myserver"])?;
        assert_says(&ran, 1, &["a packet filter behind it may not", "`knockctl explain` on the server names its rule"]);
        let client = world.address(Host::Client).to_string();
        let named = ["passes the gate; then nftables inet behind input, handle ", "drops it"];
        assert_says(&knockctl(Host::Server, &["explain", &client, "2222"])?, 1, &named);
    }
    Ok(())
}

fn waiting_ends_when_the_port_accepts_or_the_time_is_over() -> Result<()> {
    for family in Family::ALL {
        let world = gate(family)?;
        let home = Home::of(&world, "")?;
        assert_says(&home.knock(&["--wait", "20s", "myserver"])?, 0, &[]);
        assert_eq!(home.knock(&["--wait", "20s", "myserver", "--then", "echo", "up"])?.success()?, "up\n");
        // Nothing listens there, which is no reason to give up before the time.
        let start = Instant::now();
        let ran =
            home.knock(&["--wait", "600ms", "--retries", "1", "--port", "7777", "-v", "myserver", "--then", "echo"])?;
        assert_says(&ran, 1, &[":7777", "refused", "after 2 knocks", "help: "]);
        assert!(start.elapsed() >= Duration::from_millis(700), "{:?}", start.elapsed());
        assert_eq!((&*ran.stdout, ran.stderr.matches("hitting udp").count()), ("", 2), "{ran}");
        // A wrong sequence.
        world.revoke()?;
        let host = world.address(Host::Server).to_string();
        let ran = home.knock(&["--wait", "1s", "--retries", "0", "--port", "2222", &host, "7000", "8001"])?;
        assert_says(&ran, 1, &[":2222", "after a knock"]);
        assert_fails(&home.knock(&["--wait", "1s", &host, "7000"])?, &["which port", "--port"]);
    }
    Ok(())
}
