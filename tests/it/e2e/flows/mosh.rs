//! A real mosh session, which is datagrams of one socket, over the end of its grant.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};
use tests::harness::{Test, tests};
use tests::lab::{Background, Config, Family, Host, TIMEOUT, sandbox, until};
use tests::story::World;

use super::{JUDGEMENTS, gate, hear_answers, wait_for_end_of_grants};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["e2e::flows::mosh"; a_mosh_session_outlives_its_grant]
}

/// Those that mosh takes by default.
const PORTS: &str = "[\"2222/tcp\", \"60000-61000/udp\"]";

/// A session in a terminal; what is typed there is in a file on the server.
struct Session {
    _client: Background,
    input: std::process::ChildStdin,
    file: String,
    typed: usize,
}

impl Session {
    fn open(world: &World, port: u16) -> Result<Self> {
        let address = world.address(Host::Server).to_string();
        let file = format!("{}/typed-{port}", sandbox::DIR);
        let mut server = Command::new("mosh-server");
        server.args(["new", "-i", &address, "-p", &port.to_string(), "--", "tee", &file]);
        let said = Host::Server.run(server.env("LC_ALL", "C.UTF-8"))?.success()?;
        let start = format!("MOSH CONNECT {port} ");
        let key = said.lines().find_map(|line| line.strip_prefix(&start)).context("no key of mosh's")?.to_owned();
        let mut terminal = Command::new("script");
        let client = format!("stty rows 24 cols 80; exec mosh-client {address} {port}");
        terminal.args(["-qfc", &client, "/dev/null"]).env("MOSH_KEY", key.trim());
        terminal.env("LC_ALL", "C.UTF-8").env("TERM", "xterm").env("SHELL", "/bin/sh");
        let (client, input) = Background::talk(Host::Client, terminal)?;
        Ok(Self { _client: client, input, file, typed: 0 })
    }

    /// Types a line, and waits until it has arrived.
    fn types(&mut self) -> Result<()> {
        self.typed += 1;
        let line = format!("typed {}", self.typed);
        self.input.write_all(format!("{line}\r").as_bytes()).context("the client has ended")?;
        let has_come = || std::fs::read_to_string(Path::new(&self.file)).ok()?.contains(&line).then_some(());
        // A session that has fallen silent is lost, and not late.
        until("what was typed", TIMEOUT, has_come).map_err(|error| anyhow!("the session is silent: {error}"))
    }
}

fn a_mosh_session_outlives_its_grant() -> Result<()> {
    let config = Config::lab().with("[\"2222/tcp\"]", PORTS).set("cmd_timeout", "\"60s\"");
    let mut world = World::new(Family::V4, None)?;
    let _ends = hear_answers()?;
    let [drop, .., reject] = JUDGEMENTS;
    for ((judgement, family), port) in
        [(drop, Family::V4), (drop, Family::V6), (reject, Family::V4)].into_iter().zip(60_001..)
    {
        gate(&mut world, &judgement.of(config.clone()))?;
        world.family = family;
        world.knock_open()?;
        let mut session = Session::open(&world, port)?;
        session.types().context("within the grant")?;
        world.revoke()?;
        wait_for_end_of_grants()?;
        for _ in 0..5 {
            session.types().with_context(|| format!("{judgement:?}, {family:?}, after the grant"))?;
        }
    }
    Ok(())
}
