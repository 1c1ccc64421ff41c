//! The actions.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use super::figures::Figures;
use super::plan::{Plan, Tally};
use crate::lab::figures::wait_for_spare;
use crate::lab::leaks::Mark;
use crate::lab::{
    Config, Daemon, Family, Flood, GATE_STANDS, Host, Late, PINS, Probe, SERVER_INTERFACES, SSH_PORT, Status, TIMEOUT,
    ip, knockctl, until,
};
use crate::story::{CLOSE, World};

/// Who has a grant for good all the time.
const KEPT: &str = "203.0.113.9";

/// `cmd_timeout` of the lab's door.
const WINDOW: Duration = Duration::from_secs(4);

/// Lines of the log that are told when a knock was lost.
const TOLD: usize = 40;

/// How long a SYN of the strangers waits, who are there all the time: so many, and no more.
const PACE: Duration = Duration::from_millis(20);

/// The lab, and what happened in it.
pub(super) struct Play {
    world: World,
    rng: Rng,
    tally: Tally,
    /// Sizes of the grant table, one of which is in force.
    marks: [Mark; 2],
    strangers: Vec<Flood>,
    aloud: bool,
    /// What is done, and what was done before it.
    action: Option<Action>,
    before: Option<Action>,
}

/// An action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Knock,
    WrongKnock,
    CloseDoor,
    Reload,
    ReloadBesideKnock,
    Restart,
    Kill,
    Flood,
    FlapStranger,
    FlapClient,
    ComeAndGo,
    RemovePin,
    Commands,
}

/// How often each of them is drawn.
const OFTEN: [(Action, usize); 13] = [
    (Action::Knock, 8),
    (Action::WrongKnock, 4),
    (Action::CloseDoor, 2),
    (Action::Reload, 4),
    (Action::ReloadBesideKnock, 2),
    (Action::Restart, 1),
    (Action::Kill, 1),
    (Action::Flood, 2),
    (Action::FlapStranger, 2),
    (Action::FlapClient, 1),
    (Action::ComeAndGo, 1),
    (Action::RemovePin, 1),
    (Action::Commands, 3),
];

impl Play {
    /// Puts the gate up and opens the session; warms up.
    pub fn begin(plan: Plan) -> Result<Self> {
        let mut world = World::new(Family::V4, None)?;
        // An interface that goes down keeps its addresses, as it does under a network manager.
        Host::Server.must(&["sysctl", "-q", "-w", "net.ipv6.conf.all.keep_addr_on_down=1"])?;
        let rng = Rng::with_seed(plan.seed);
        // The sizes are by chance, so that nobody else's tables have them.
        let marks = [Mark::new(), Mark::new()];
        world.daemon = Some(Daemon::start(&config(marks[0]), None)?);
        world.session()?;
        world.revoke()?;
        world.command(&["allow", KEPT])?;
        let strangers = Family::ALL
            .map(|family| Flood::paced(Host::Stranger, (family.address(Host::Server), SSH_PORT).into(), PACE))
            .into();
        let mut play = Self {
            world,
            rng,
            tally: Tally::default(),
            marks,
            strangers,
            aloud: plan.aloud,
            action: None,
            before: None,
        };
        for action in [Action::Knock, Action::Reload, Action::Knock, Action::Reload, Action::Flood] {
            play.act(action)?;
        }
        Ok(play)
    }

    /// One action by chance, and a line through the session.
    pub fn turn(&mut self, last: bool) -> Result<()> {
        let ends = |action| matches!(action, Action::Restart | Action::Kill);
        let drawn = OFTEN.iter().filter(|(action, _)| !last || !ends(*action));
        let drawn: Vec<Action> = drawn.flat_map(|&(action, often)| vec![action; often]).collect();
        let action = drawn[self.rng.usize(..drawn.len())];
        self.world.family = Family::ALL[self.rng.usize(..2)];
        if self.aloud {
            eprintln!("{action:?}, {}", self.world.family.name());
        }
        self.act(action)
            .inspect_err(|_| self.tell())
            .with_context(|| format!("{action:?}, {}", self.world.family.name()))?;
        self.world.echo()?;
        self.tally.echoes += 1;
        let status = Status::read()?;
        ensure!(status.grants_of(KEPT.parse()?).len() == 1, "the grant is lost: {}", status.0["grants"]);
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<()> {
        self.before = self.action.replace(action);
        match action {
            Action::Knock => self.knock(),
            Action::WrongKnock => self.wrong_knock(),
            Action::CloseDoor => self.close_door(),
            Action::Reload => self.reload(),
            Action::ReloadBesideKnock => self.reload_beside_knock(),
            Action::Restart => self.restart(),
            Action::Kill => self.kill(),
            Action::Flood => self.flood(),
            Action::FlapStranger => self.flap(SERVER_INTERFACES[1], Host::Stranger),
            Action::FlapClient => self.flap(SERVER_INTERFACES[0], Host::Client),
            Action::ComeAndGo => self.come_and_go(),
            Action::RemovePin => self.remove_pin(),
            Action::Commands => self.commands(),
        }
    }

    /// The right knock, which opens; then the grant is taken away.
    fn knock(&mut self) -> Result<()> {
        let began = Instant::now();
        self.world.knock_open()?;
        let is_open = self.see_open()?;
        let revoked = knockctl(Host::Server, &["revoke", &self.world.address(Host::Client).to_string()])?;
        // On a machine that is busy beyond measure it may have ended by itself.
        let may_be_gone = !is_open || began.elapsed() >= WINDOW;
        ensure!(revoked.code == 0 || (revoked.code == 1 && may_be_gone), "the grant is gone: {revoked}");
        Ok(())
    }

    /// True if the port is open, as it is behind a right knock.
    fn see_open(&mut self) -> Result<bool> {
        self.tally.knocks += 1;
        let probe = self.world.connect(Host::Client)?.0;
        if probe == Probe::Open {
            self.tally.opened += 1;
        } else {
            self.tally.lost += 1;
            self.tell_of_lost(probe);
        }
        Ok(probe == Probe::Open)
    }

    /// Says all there is to see of a knock that did not open, for whoever has to find out why.
    fn tell_of_lost(&self, probe: Probe) {
        let (action, family, probe) = (self.action, self.world.family.name(), probe.name());
        eprintln!("soak: a knock was lost: {probe}, over {family}, in {action:?} behind {:?}", self.before);
        self.tell();
    }

    /// Says what the gate and its daemon say.
    fn tell(&self) {
        match Status::read() {
            Ok(status) => eprintln!("soak: {}", status.0),
            Err(error) => eprintln!("soak: no status: {error:#}"),
        }
        let lines = self.world.daemon.as_ref().map(|daemon| daemon.after(daemon.mark().saturating_sub(TOLD)));
        for line in lines.unwrap_or_default() {
            eprintln!("soak: log: {line}");
        }
    }

    fn see_shut(&mut self) -> Result<()> {
        if self.world.connect(Host::Client)?.0 == Probe::Open {
            self.let_in("the client");
        }
        Ok(())
    }

    fn let_in(&mut self, whom: &str) {
        self.tally.let_in += 1;
        let (action, family) = (self.action, self.world.family.name());
        eprintln!("soak: {whom} was let in, over {family}, in {action:?} behind {:?}", self.before);
    }

    fn wrong_knock(&mut self) -> Result<()> {
        let mut ports = ["7000/tcp", "8000/udp", "9000/tcp"];
        let other = format!("{}/tcp", self.rng.u16(10_000..60_000));
        // Any order but the right one, or a wrong port in between. The wrong port ends what is under way: of two
        // wrong orders behind each other, the end of the one and the beginning of the other may be the right one.
        if self.rng.bool() {
            ports.rotate_left(self.rng.usize(1..3));
            self.world.knock(&[ports[0], ports[1], ports[2], &other], Duration::ZERO)?;
        } else {
            self.world.knock(&[ports[0], ports[1], &other, ports[2]], Duration::ZERO)?;
        }
        self.tally.wrong += 1;
        self.see_shut()
    }

    fn close_door(&mut self) -> Result<()> {
        self.world.knock_open()?;
        self.see_open()?;
        self.world.knock(&CLOSE, Duration::ZERO)?;
        self.see_shut()
    }

    /// Another size of the table each time, so that the grants move.
    fn write_config(&mut self) -> Result<()> {
        self.marks.swap(0, 1);
        let trusted = format!("[\"203.0.113.{}/32\"]", self.rng.u8(100..200));
        config(self.marks[0]).option("trusted", &trusted).write("gate.toml").map(drop)
    }

    fn reload(&mut self) -> Result<()> {
        self.write_config()?;
        self.world.command(&["reload"])?;
        self.tally.reloads += 1;
        Ok(())
    }

    fn reload_beside_knock(&mut self) -> Result<()> {
        self.write_config()?;
        let daemon = self.world.daemon.as_ref().context("it runs")?;
        let mark = daemon.mark();
        daemon.hang_up()?;
        std::thread::sleep(Duration::from_millis(self.rng.u64(..300)));
        self.knock()?;
        self.world.daemon.as_ref().context("it runs")?.wait_after(mark, GATE_STANDS)?;
        self.tally.reloads += 1;
        self.see_shut()
    }

    fn start(&mut self) -> Result<()> {
        self.world.daemon = Some(Daemon::start(&config(self.marks[0]), None)?);
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.world.gate()?.terminate()?;
        self.tally.restarts += 1;
        self.start()
    }

    fn kill(&mut self) -> Result<()> {
        self.world.gate()?.kill()?;
        self.tally.kills += 1;
        self.knock()?;
        self.see_shut()?;
        self.start()
    }

    fn flood(&mut self) -> Result<()> {
        let flood = Flood::start(Host::Stranger, self.world.server(SSH_PORT));
        std::thread::sleep(Duration::from_millis(500));
        self.tally.floods += 1;
        let knocked = self.knock();
        self.count(flood)?;
        knocked
    }

    fn count(&mut self, flood: Flood) -> Result<()> {
        let flooded = flood.stop()?;
        self.tally.syns += flooded.sent;
        (0..flooded.opened).for_each(|_| self.let_in("a stranger"));
        Ok(())
    }

    fn flap(&mut self, interface: &str, host: Host) -> Result<()> {
        let pause = Duration::from_millis(self.rng.u64(..200));
        ip(Host::Server, &format!("link set {interface} down\n"))?;
        std::thread::sleep(pause);
        ip(Host::Server, &format!("link set {interface} up\n"))?;
        self.tally.flaps += 1;
        // A port on which nothing listens refuses as soon as packets get through.
        for family in Family::ALL {
            let server = (family.address(Host::Server), 1).into();
            until("the network", TIMEOUT, || {
                let probe = crate::lab::connect(host, server, Duration::from_millis(50));
                matches!(probe, Ok((Probe::Refused, _))).then_some(())
            })?;
        }
        self.world.daemon.as_ref().context("it runs")?;
        self.see_shut()
    }

    fn come_and_go(&mut self) -> Result<()> {
        let late = Late::FIRST;
        late.appear()?;
        until("the way", TIMEOUT, || late.reaches(self.world.family).then_some(()))?;
        if late.probe(self.world.family)? == Probe::Open {
            self.let_in("who came by a late interface");
        }
        self.tally.flaps += 1;
        late.vanish()?;
        let pin = Path::new(PINS).join("links").join(late.name);
        until("the end of its link", TIMEOUT, || (!pin.exists()).then_some(()))
    }

    /// Of a map: a link that is removed opens the port until it is put back.
    fn remove_pin(&mut self) -> Result<()> {
        let pins = ["GRANTS", "ATTEMPTS", "COUNTERS", "EVENTS", "rules/DOORS", "rules/PORTS"];
        let pin = Path::new(PINS).join(pins[self.rng.usize(..pins.len())]);
        let daemon = self.world.daemon.as_ref().context("it runs")?;
        // One that is loaded while the pin is missing has a map of its own, and will not be used.
        wait_for_spare(daemon.id())?;
        let mark = daemon.mark();
        fs::remove_file(&pin)?;
        self.tally.removals += 1;
        daemon.wait_after(mark, &format!("{}: SOMEBODY REMOVED THIS PIN: it is put back", pin.display()))?;
        self.knock()
    }

    fn commands(&mut self) -> Result<()> {
        let source = format!("203.0.113.{}", self.rng.u8(200..250));
        self.world.command(&["allow", &source, "--for", "1m"])?;
        self.world.command(&["status"])?;
        self.world.command(&["revoke", &source]).map(drop)
    }

    /// What the gate takes, once the kernel has freed what it frees later.
    pub fn figures(&self) -> Result<Figures> {
        let daemon = self.world.daemon.as_ref().context("it runs")?.id();
        wait_for_spare(daemon)?;
        self.marks[1].wait_for(0)?;
        self.marks[0].wait_for(1)?;
        Figures::of(daemon, &self.marks)
    }

    /// Counts the strangers, and takes the gate down.
    pub fn end(mut self) -> Result<Tally> {
        for flood in std::mem::take(&mut self.strangers) {
            self.count(flood)?;
        }
        self.world.command(&["unload"])?;
        ensure!(!Path::new(PINS).exists(), "pins are left");
        self.marks.into_iter().try_for_each(|mark| mark.wait_for(0))?;
        Ok(self.tally)
    }
}

/// The lab's config with one more interface, and a grant table of a size.
fn config(mark: Mark) -> Config {
    mark.on(Config::lab()).with("[\"eth0\", \"eth1\"]", "[\"eth0\", \"eth1\", \"late*\"]")
}
