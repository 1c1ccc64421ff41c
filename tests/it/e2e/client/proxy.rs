//! A connection through standard input and output, as ssh's ProxyCommand has it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use tests::harness::{Test, tests};
use tests::lab::{Config, Family, Host, Probe, Session, Status, TIMEOUT, knockctl, knockctl_path, sandbox, ssh};
use tests::story::World;

use super::super::{assert_fails, assert_says};
use super::{Home, gate, name_the_server};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::client::proxy";
        ssh_goes_through_it,
        a_knock_that_was_lost_is_made_again,
        large_files_go_through_in_both_directions,
        the_end_of_one_direction_leaves_the_other_open,
        the_connection_goes_to_the_address_that_was_knocked,
        a_port_that_stays_shut_is_a_negative_answer,
    ]
}

/// ssh to the server behind a knock; `words` follow `knockctl knock`, and the profiles of `home` are
/// taken.
fn ssh_behind(home: &Home, words: &str) -> Result<Command> {
    // ssh reads a key that is root's; so the profile must be, too.
    chown(home.file(), Some(0), Some(0))?;
    let knock = format!("'{}' knock --profiles '{}'", knockctl_path()?.display(), home.file().display());
    Ok(ssh(&[&format!("ProxyCommand={knock} {words}"), "ConnectTimeout=60"]))
}

fn ssh_goes_through_it() -> Result<()> {
    for family in Family::ALL {
        let world = gate(family)?;
        let home = Home::of(&world, "")?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        // %n is what the user wrote, %h what the config makes of it.
        let mut command = ssh_behind(&home, "%n --stdio --port %p")?;
        let ran = Host::Client.run(command.args(["root@myserver", "echo through; echo oops >&2; exit 7"]))?;
        assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (7, "through\n", "oops\n"), "{ran}");
        let mut command = ssh_behind(&home, "myserver --connect %h:%p")?;
        command.args([&format!("root@{}", world.address(Host::Server)), "cat"]);
        let mut session = Session::with(command)?;
        // It goes on when the door is closed again.
        world.revoke()?;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent);
        session.echo()?;
    }
    Ok(())
}

fn a_knock_that_was_lost_is_made_again() -> Result<()> {
    for family in Family::ALL {
        let mut world = World::new(family, None)?;
        world.start(&Config::lab().set("cmd_timeout", "\"1h\""))?;
        let home = Home::of(&world, "")?;
        // The second knock of three goes where nobody hears it.
        let version = if family == Family::V4 { "-4" } else { "-6" };
        let source = family.address(Host::Client).to_string();
        let rule = |verb| {
            let words =
                ["ip", version, "rule", verb, "pref", "100", "ipproto", "udp", "dport", "8000", "lookup", "100"];
            Host::Client.must(&words)
        };
        Host::Client.must(&["ip", "link", "add", "nowhere", "type", "veth", "peer", "name", "nobody"])?;
        Host::Client.must(&["ip", "link", "set", "nowhere", "arp", "off", "up"])?;
        Host::Client.must(&["ip", "link", "set", "nobody", "up"])?;
        let route = ["route", "add", "default", "dev", "nowhere", "src", &source, "table", "100"];
        Host::Client.must(&[&["ip", version], &route[..]].concat())?;
        rule("add")?;
        let mut command = ssh_behind(&home, "myserver --stdio")?;
        let mark = world.gate()?.mark();
        command.args(["root@myserver", "echo through"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let child = Host::Client.spawn(&mut command)?;
        world.gate()?.wait_after(mark, "did not knock: ")?;
        rule("del")?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{}: {}", family.name(), output.status);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "through\n");
        assert_eq!(Status::read()?.grants().len(), 1);
    }
    Ok(())
}

fn large_files_go_through_in_both_directions() -> Result<()> {
    const SIZE: usize = 48 << 20;
    let world = gate(Family::V6)?;
    let home = Home::of(&world, "")?;
    let dir = Path::new(sandbox::DIR);
    // Octets of all kinds, in no order that a mistake could keep.
    let mut word = 1_u64;
    let octets: Vec<u8> = std::iter::repeat_with(|| {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (word >> 56) as u8
    })
    .take(SIZE)
    .collect();
    fs::write(dir.join("sent"), &octets)?;
    let mut command = ssh_behind(&home, "myserver --stdio")?;
    command.args(["root@myserver", &format!("cat > {}/up; cat {}/sent", dir.display(), dir.display())]);
    command.stdin(fs::File::open(dir.join("sent"))?).stdout(fs::File::create(dir.join("down"))?);
    let status = Host::Client.spawn(&mut command)?.wait()?;
    ensure!(status.success(), "{status}");
    for way in ["up", "down"] {
        assert!(fs::read(dir.join(way))? == octets, "{way}");
    }
    Ok(())
}

fn the_end_of_one_direction_leaves_the_other_open() -> Result<()> {
    for family in Family::ALL {
        let world = gate(family)?;
        let home = Home::of(&world, "")?;
        let listener = Host::Server.enter(|| Ok(TcpListener::bind(world.server(7777))?))?;
        // Our end first: the answer to all of it comes behind it.
        let counter = thread::spawn(move || -> Result<TcpListener> {
            let (mut stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            let mut all = Vec::new();
            stream.read_to_end(&mut all)?;
            write!(stream, "{} octets", all.len())?;
            Ok(listener)
        });
        let mut command = home.command(&["myserver", "--stdio", "--port", "7777"])?;
        let mut child = Host::Client.spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        child.stdin.take().context("piped")?.write_all(&[b'x'; 300_000])?;
        let output = child.wait_with_output()?;
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"300000 octets"[..]));
        let listener = counter.join().expect("no panic")?;
        // Then theirs.
        let reader = thread::spawn(move || -> Result<String> {
            let (mut stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            stream.write_all(b"that is all")?;
            stream.shutdown(Shutdown::Write)?;
            let mut all = String::new();
            stream.read_to_string(&mut all)?;
            Ok(all)
        });
        let mut child = Host::Client.spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let mut stdout = child.stdout.take().context("piped")?;
        let (sender, heard) = mpsc::channel();
        thread::spawn(move || {
            let mut heard = String::new();
            sender.send(stdout.read_to_string(&mut heard).map(|_| heard))
        });
        let Ok(heard) = heard.recv_timeout(TIMEOUT) else {
            child.kill()?;
            bail!("its standard output does not end");
        };
        assert_eq!(heard?, "that is all");
        child.stdin.take().context("piped")?.write_all(b"still here")?;
        assert_eq!(child.wait()?.code(), Some(0));
        assert_eq!(reader.join().expect("no panic")?, "still here");
    }
    Ok(())
}

fn the_connection_goes_to_the_address_that_was_knocked() -> Result<()> {
    let world = gate(Family::V4)?;
    let _names = name_the_server()?;
    let home = Home::with(
        "[hosts.myserver]\nhost = \"server.example\"\nsequence = [\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]\nport = 2222\n",
    )?;
    for (option, from) in [("-4", "192.0.2.2"), ("-6", "2001:db8:1::2")] {
        for way in ["--stdio", "--connect server.example:2222"] {
            // The other family would do as well, this once.
            for family in Family::ALL {
                world.command(&["allow", &family.address(Host::Client).to_string()])?;
            }
            let mut command = ssh_behind(&home, &format!("{option} myserver {way}"))?;
            let ran = Host::Client.run(command.args(["root@myserver", "echo $SSH_CLIENT"]))?;
            assert!(ran.stdout.starts_with(&format!("{from} ")), "{option} {way}: {ran}");
            knockctl(Host::Server, &["revoke", "--all"])?.success()?;
        }
    }
    // Without a route for one family, the other is knocked and connected.
    Host::Client.must(&["ip", "-6", "route", "add", "unreachable", "2001:db8:1::1/128"])?;
    let mut command = ssh_behind(&home, "myserver --stdio")?;
    let ran = Host::Client.run(command.args(["root@myserver", "echo $SSH_CLIENT"]))?;
    assert!(ran.stdout.starts_with("192.0.2.2 "), "{ran}");
    Ok(())
}

fn a_port_that_stays_shut_is_a_negative_answer() -> Result<()> {
    let world = gate(Family::V4)?;
    let home = Home::of(&world, "")?;
    let host = world.address(Host::Server).to_string();
    let ran = home.knock(&["--stdio", "--wait", "500ms", "--port", "2222", "-v", &host, "7000"])?;
    assert_says(&ran, 1, &["192.0.2.1:2222", "after 2 knocks", "knocking again", "help: "]);
    assert_eq!(ran.stdout, "");
    let ran = home.knock(&["--stdio", "--port", "7777", "--retries", "0", "myserver"])?;
    assert_says(&ran, 1, &["192.0.2.1:7777: Connection refused", "after a knock"]);
    assert_fails(&home.knock(&["--stdio", &host, "7000"])?, &["which port", "--port"]);
    assert_fails(&home.knock(&["--connect", "nowhere", "myserver"])?, &["--connect nowhere", "HOST:PORT"]);
    assert_fails(&home.knock(&["--stdio", "--port", "53/udp", "myserver"])?, &["53/udp", "TCP"]);
    Ok(())
}
