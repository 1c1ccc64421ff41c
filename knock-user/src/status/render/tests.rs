//! Whole texts and whole JSON of made-up snapshots.

use knock_common::abi::counter::Counter;

use super::*;
use crate::status::{ConfigFile, Daemon};

fn grant(source: &str, door: Option<&str>, origin: &'static str, seconds_left: Option<u64>, age: u64) -> Grant {
    let door = door.map(Into::into);
    Grant {
        source: source.into(),
        service: "ssh2".into(),
        door,
        origin,
        seconds_left,
        connections: usize::from(age == 18),
        age,
    }
}

fn full() -> Snapshot {
    let door = |name: &str, action, steps| Door {
        name: name.into(),
        service: "ssh2".into(),
        action,
        steps,
        hooks: Vec::new(),
        sequences_left: None,
    };
    Snapshot {
        version: "1.2.3",
        loaded: true,
        stands: true,
        why_not: None,
        observing: false,
        trial_seconds_left: None,
        deny: "drop",
        daemon: Some(Daemon { pid: 4242, config: "/etc/knock/knock.toml".into(), unread_events: 0 }),
        config: Some(ConfigFile { path: "/etc/knock/knock.toml".into(), changed: false }),
        interfaces: vec![
            Interface { name: "eth0".into(), mode: Some("native"), state: "up", why: None },
            Interface { name: "ppp*".into(), mode: None, state: "absent", why: None },
            Interface { name: "wlan10".into(), mode: None, state: "open", why: Some("busy".into()) },
        ],
        services: vec![Service { name: "ssh2".into(), ports: vec!["2222/tcp".into(), "6000-6010/udp".into()] }],
        doors: vec![door("opencloseSSH", "open", 3), door("closeSSH", "close", 2)],
        grants: vec![
            grant("192.0.2.7", None, "command", None, 3723),
            grant("2001:db8::/64", Some("opencloseSSH"), "knock", Some(42), 18),
        ],
        attempts: vec![Attempt {
            source: "198.51.100.9".into(),
            door: "opencloseSSH".into(),
            stage: 1,
            steps: 3,
            seconds_left: 8,
        }],
        lockouts: vec![Lockout { source: "2001:db8:0:7::/64".into(), seconds_left: 540 }],
        counters: vec![(Counter::PassGranted, 12), (Counter::DenyNew, 0), (Counter::GrantOpened, 1)],
    }
}

#[test]
fn people_see_tables() {
    let expected = "\
knockctl 1.2.3
daemon: process 4242, /etc/knock/knock.toml

INTERFACE  MODE    STATE
eth0       native  up
ppp*       -       not there yet
wlan10     -       NO GATE: busy

SERVICE  PORTS
ssh2     2222/tcp, 6000-6010/udp

DOOR          SERVICE  ACTION  STEPS
opencloseSSH  ssh2     open    3
closeSSH      ssh2     close   2

GRANT          SERVICE  DOOR          BY       LEFT      CONNECTIONS  SINCE
192.0.2.7      ssh2     -             command  for good  0            1h 2m 3s ago
2001:db8::/64  ssh2     opencloseSSH  knock    42s       1            18s ago

ATTEMPT       DOOR          STAGE  LEFT
198.51.100.9  opencloseSSH  1/3    8s

LOCKED OUT         LEFT
2001:db8:0:7::/64  9m

COUNTED  WHAT
12       packets passed under a grant
1        grants written by a completed door
";
    assert_eq!(text(&full()), expected);
}

#[test]
fn programs_see_every_field() {
    let expected = concat!(
        r#"{"version":"1.2.3","loaded":true,"stands":true,"why_not":null,"daemon":{"pid":4242,"config":"/etc/knock/knock.toml","unread_events":0},"#,
        r#""config":{"path":"/etc/knock/knock.toml","changed":false},"#,
        r#""observing":false,"trial_seconds_left":null,"deny":"drop","#,
        r#""interfaces":[{"name":"eth0","mode":"native","state":"up","why":null},"#,
        r#"{"name":"ppp*","mode":null,"state":"absent","why":null},"#,
        r#"{"name":"wlan10","mode":null,"state":"open","why":"busy"}],"#,
        r#""services":[{"name":"ssh2","ports":["2222/tcp","6000-6010/udp"]}],"#,
        r#""doors":[{"name":"opencloseSSH","service":"ssh2","action":"open","steps":3,"hooks":[],"sequences_left":null},"#,
        r#"{"name":"closeSSH","service":"ssh2","action":"close","steps":2,"hooks":["start"],"sequences_left":0}],"#,
        r#""grants":[{"source":"192.0.2.7","service":"ssh2","door":null,"origin":"command","seconds_left":null,"connections":0},"#,
        r#"{"source":"2001:db8::/64","service":"ssh2","door":"opencloseSSH","origin":"knock","seconds_left":42,"connections":1}],"#,
        r#""attempts":[{"source":"198.51.100.9","door":"opencloseSSH","stage":1,"steps":3,"seconds_left":8}],"#,
        r#""lockouts":[{"source":"2001:db8:0:7::/64","seconds_left":540}],"#,
        r#""counters":{"pass_granted":12,"deny_new":0,"grant_opened":1}}"#,
        "\n",
    );
    let mut shut = full();
    (shut.doors[1].hooks, shut.doors[1].sequences_left) = (vec!["start"], Some(0));
    assert_eq!(json(&shut).unwrap(), expected);
}

#[test]
fn doors_with_hooks_or_one_time_sequences_have_notes() {
    let mut noted = full();
    noted.doors[0].hooks = vec!["start", "stop"];
    (noted.doors[1].hooks, noted.doors[1].sequences_left, noted.doors[1].steps) = (vec!["start"], Some(0), 0);
    let expected = "
DOOR          SERVICE  ACTION  STEPS  NOTES
opencloseSSH  ssh2     open    3      hooks: start, stop
closeSSH      ssh2     close   0      hooks: start; shut: no one-time sequence left

";
    let shown = text(&noted);
    assert!(shown.contains(expected), "{shown}");
    (noted.doors[0].hooks, noted.doors[0].sequences_left) = (Vec::new(), Some(1));
    assert!(text(&noted).contains("open    3      1 one-time sequence left\n"), "{}", text(&noted));
}

#[test]
fn a_gate_at_rest_says_so() {
    let services = vec![Service { name: "ssh2".into(), ports: vec!["2222/tcp".into()] }];
    let quiet = Snapshot { version: "1.2.3", loaded: true, stands: true, services, ..Snapshot::nothing(None) };
    let expected = "\
knockctl 1.2.3
daemon: not running: the gate stands, nothing is logged

no interfaces

SERVICE  PORTS
ssh2     2222/tcp

no doors

no grants

no attempts under way

nothing counted yet
";
    assert_eq!(text(&quiet), expected);
}

#[test]
fn a_gate_on_no_interface_says_so_first_and_never_that_it_stands() {
    let why_not = Some("eht0 is not there (did you mean eth0? there are eth0, lo)".to_owned());
    let interfaces = vec![Interface {
        name: "eht0".into(),
        mode: None,
        state: "absent",
        why: Some("did you mean eth0? there are eth0, lo".into()),
    }];
    let nowhere = Snapshot { stands: false, why_not, interfaces, ..full() };
    for daemon in [full().daemon, None] {
        let text = text(&Snapshot { daemon, ..nowhere.clone() });
        let first = "NO INTERFACE HAS THE GATE, NOTHING IS PROTECTED: eht0 is not there (did you mean eth0? there are eth0, lo)\n";
        assert!(text.starts_with(first), "{text}");
        assert!(!text.contains("the gate stands"), "{text}");
        assert!(text.contains("\neht0       -     not there yet (did you mean eth0? there are eth0, lo)\n"), "{text}");
    }
    let json = json(&nowhere).unwrap();
    assert!(json.contains(r#""loaded":true,"stands":false,"why_not":"eht0 is not there "#), "{json}");
}

#[test]
fn a_gate_that_is_not_for_ever_says_so() {
    let snapshot = Snapshot { observing: true, trial_seconds_left: Some(42), ..full() };
    let text = text(&snapshot);
    assert!(text.contains("ON TRIAL: goes back in 42s, unless `knockctl confirm` is said"), "{text}");
    assert!(text.contains("OBSERVING: nothing is denied"), "{text}");
}

#[test]
fn a_config_that_has_changed_since_is_said_with_and_without_a_daemon() {
    let config = Some(ConfigFile { path: "/etc/knock/knock.toml".into(), changed: true });
    let changed = Snapshot { config, ..full() };
    let line = "\nCONFIG CHANGED since it was loaded: /etc/knock/knock.toml: what is in force is what it was before, until \
                `knockctl reload`\n";
    assert!(text(&changed).contains(line), "{}", text(&changed));
    let alone = text(&Snapshot { daemon: None, ..changed });
    assert!(alone.contains(line) && alone.contains("daemon: not running"), "{alone}");
    assert!(!text(&full()).contains("CONFIG"));
}

#[test]
fn nothing_is_loaded() {
    let nothing = Snapshot { version: "1.2.3", ..Snapshot::nothing(None) };
    assert_eq!(text(&nothing), "nothing is loaded: start the gate with `knockctl run`\n");
    let expected = concat!(
        r#"{"version":"1.2.3","loaded":false,"stands":false,"why_not":null,"daemon":null,"config":null,"#,
        r#""observing":false,"trial_seconds_left":null,"deny":"drop","#,
        r#""interfaces":[],"services":[],"doors":[],"#,
        r#""grants":[],"attempts":[],"lockouts":[],"counters":{}}"#,
        "\n",
    );
    assert_eq!(json(&nothing).unwrap(), expected);
}

#[test]
fn events_that_were_not_read_are_said() {
    let daemon = Daemon { pid: 4242, config: "/etc/knock/knock.toml".into(), unread_events: 7 };
    let text = text(&Snapshot { daemon: Some(daemon), ..full() });
    assert!(text.contains("\nEVENTS NOT READ: 7, of another size"), "{text}");
}
