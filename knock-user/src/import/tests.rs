//! Whole files: what they become. Every text that comes out is a config.

use super::*;
use crate::syntax::{PortNames, work};

const ARTICLE: &str = include_str!("../../../tests/src/knockd/article.conf");
const DOORS: &str = include_str!("../../../tests/src/knockd/doors.conf");

/// What `iptables-save` says where the article's chain is set up.
const SAVED: &str = "*filter
-A INPUT -p tcp -m tcp --dport 2222 -m conntrack --ctstate NEW -j SSH2
-A SSH2 -m limit --limit 3/min -j LOG --log-prefix \"did not knock: \"
-A SSH2 -j DROP
COMMIT
";

fn one_time(path: &[u8]) -> Result<Vec<u8>, String> {
    let path = std::path::Path::new(std::str::from_utf8(path).unwrap());
    std::fs::read(path).map_err(|_| "No such file or directory".to_owned())
}

fn saved(listing: Listing) -> Result<Option<String>, String> {
    Ok((listing == Listing::Iptables).then(|| SAVED.to_owned()))
}

fn request() -> Request<'static> {
    Request {
        file: "/etc/knockd.conf".into(),
        names: PortNames::parse("ssh 22/tcp\nhttps 443/tcp\n"),
        interface: None,
        ports: Vec::new(),
        rules: &saved,
        defaults: None,
        one_time: &one_time,
    }
}

#[track_caller]
fn imported(file: &str) -> (Imported, Config) {
    let imported = import(file.as_bytes(), &request()).unwrap_or_else(|refusal| panic!("{refusal}\n{file}"));
    let config =
        Config::parse(&imported.text, "knock.toml").unwrap_or_else(|error| panic!("{error}\n{}", imported.text));
    (imported, config.0)
}

/// A door that opens 22/tcp as knockd's own example does, with these lines more.
fn door(name: &str, lines: &str) -> String {
    format!("[{name}]\ncommand = iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n{lines}\n")
}

fn refused(file: &str) -> String {
    import(file.as_bytes(), &request()).unwrap_err().to_string()
}

#[track_caller]
fn assert_looks(imported: &Imported, expected: &[(usize, &str)]) {
    let looks: Vec<_> = imported.looks.iter().filter(|look| look.line > 0).collect();
    assert_eq!(looks.len(), expected.len(), "{looks:#?}");
    for (look, (line, text)) in looks.iter().zip(expected) {
        assert_eq!(look.line, *line, "{look:?}");
        assert!(look.text.contains(text), "{look:?} has no {text:?}");
    }
}

/// The lines that are no comments.
fn keys(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn the_articles_file_becomes_its_service() {
    let (imported, config) = imported(ARTICLE);
    assert_eq!(
        keys(&imported.text),
        [
            "[options]",
            "interfaces = [\"eth0\"]",
            "log = \"syslog\"",
            "syslog_ident = \"knockd\"",
            "syslog_facility = \"user\"",
            "[services.ssh2]",
            "ports = [\"2222/tcp\"]",
            "[doors.opencloseSSH]",
            "service = \"ssh2\"",
            "sequence = [\"7000/tcp\", \"8000/udp\", \"9000/tcp\"]",
            "seq_timeout = \"10s\"",
            "tcpflags = [\"syn\"]",
            "cmd_timeout = \"1m\"",
        ]
    );
    assert!(config.doors[0].hooks.is_empty());
    assert_eq!(imported.rows[0].becomes, "opens ssh2 (2222/tcp) for 1m");
    assert_looks(&imported, &[(5, "ascending ports")]);
}

#[test]
fn doors_of_one_port_share_a_service() {
    let (imported, config) = imported(DOORS);
    let doors: Vec<_> = config
        .doors
        .iter()
        .map(|door| (door.name.as_str(), config.service_of(door).name.as_str(), door.sequence.len(), door.cmd_timeout))
        .collect();
    assert_eq!(doors, [("openSSH", "ssh", 3, None), ("closeSSH", "ssh", 3, None), ("openHTTPS", "https", 4, None)]);
    let becomes: Vec<_> = imported.rows.iter().map(|row| (row.line, row.becomes.as_str())).collect();
    assert_eq!(
        becomes,
        [(5, "opens ssh (22/tcp) for good"), (11, "closes ssh (22/tcp)"), (17, "opens https (443/tcp) for good")]
    );
    assert_looks(&imported, &[(6, "ascending ports"), (12, "descending ports")]);
}

#[test]
fn every_line_of_the_file_is_in_the_text() {
    for file in [ARTICLE, DOORS] {
        let (imported, _) = imported(file);
        for (number, line) in file.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let quote = match line.strip_prefix("# ") {
                Some(comment) => format!("# {comment}"),
                None => format!("# knockd.conf {}: {}", number + 1, line.trim()),
            };
            assert!(imported.text.contains(&quote), "{quote}\n{}", imported.text);
        }
    }
}

#[test]
fn what_is_not_said_is_knockds_default() {
    let (imported, config) = super::tests::imported(&door("d", "sequence = 7,9,8"));
    assert_eq!(config.doors[0].seq_timeout.as_secs(), 25);
    // But for this: a sweep of segments that nobody answers opened such a door.
    assert_eq!((config.doors[0].tcpflags.set, config.doors[0].tcpflags.clear), (0b10, 0b1_0000));
    assert!(imported.text.contains("safer than knockd's default, any TCP segment"), "{}", imported.text);
    assert_eq!(config.doors[0].cmd_timeout, None);
    let stop = "stop_command = iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
    let (_, config) = super::tests::imported(&door("d", &format!("sequence = 7,9,8\n{stop}")));
    assert_eq!(config.doors[0].cmd_timeout.map(|time| time.as_secs()), Some(10));
}

#[test]
fn the_last_line_counts_and_the_others_say_so() {
    let (imported, config) = imported(&door(
        "d",
        "sequence = 1,2,3\nsequence = 7,9,8\ntimeout = 3\nseq_timeout = 4\ntcpflags = syn\ntcpflags = !syn,fin",
    ));
    let door = &config.doors[0];
    assert_eq!((door.sequence[0].number, door.seq_timeout.as_secs()), (7, 4));
    assert_eq!((door.tcpflags.set, door.tcpflags.clear), (0b01, 0b10));
    for said in ["#     overridden by line 4", "#     overridden by line 6", "#     joined with line 8"] {
        assert!(imported.text.contains(said), "{said}\n{}", imported.text);
    }
}

#[test]
fn times_that_we_cannot_have_are_the_nearest_we_can() {
    const STOP: &str =
        "stop_command = iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\ntcpflags=syn\nsequence = 7,9,8";
    for (lines, seq, cmd, looks) in [
        ("seq_timeout = 86400\ncmd_timeout = 7", 86_400, 7, 0),
        ("seq_timeout = 99999999\ncmd_timeout = 0", 86_400, 1, 2),
        ("seq_timeout = 1\ncmd_timeout = -1", 1, 315_360_000, 1),
        ("cmd_timeout = 99999999999", 25, 315_360_000, 1),
    ] {
        let (imported, config) = imported(&door("d", &format!("{STOP}\n{lines}")));
        let door = &config.doors[0];
        assert_eq!((door.seq_timeout.as_secs(), door.cmd_timeout.unwrap().as_secs()), (seq, cmd), "{lines}");
        assert_eq!(imported.looks.iter().filter(|look| look.line > 0).count(), looks, "{lines}: {:?}", imported.looks);
    }
}

#[test]
fn doors_that_cannot_be_are_left_out_with_the_reason() {
    for (lines, why) in [
        ("sequence = 7,9,", "its sequence has port 0, which no host can knock here"),
        ("sequence =", "its sequence has port 0, which no host can knock here"),
        ("sequence = 7,ssh", "its sequence has port 0, which no host can knock here"),
        ("sequence = 7,9,8\nseq_timeout = 0", "with 0 seconds for the sequence, knockd never opened it"),
        ("sequence = 7,9,8\nseq_timeout = -5", "with -5 seconds for the sequence, knockd never opened it"),
        ("sequence = 7,9,8\ntarget = example.org", "its target is no address, so knockd never opened it"),
        ("sequence = 7,9,8\ntarget = 224.0.0.1", "its target is no address of one host"),
        ("sequence = 7,22,8", "step 2 of its sequence is a port that another command opens: a knock there is denied"),
    ] {
        let (imported, config) = imported(&door("d", lines));
        assert_eq!((config.doors.len(), config.services.len()), (0, 0), "{lines}");
        assert_eq!(imported.rows[0].becomes, format!("left out: {why}"), "{lines}");
        assert!(imported.rows[0].left_out && imported.looks.iter().any(|look| look.text.contains(why)));
        assert!(imported.text.contains(&format!("# knockd.conf 3: {}", lines.lines().next().unwrap())));
    }
    // One knock needs no time.
    let (_, config) = imported(&door("d", "sequence = 7\nseq_timeout = 0"));
    assert_eq!(config.doors.len(), 1);
}

#[test]
fn dangers_are_named() {
    let other = |lines: &str| format!("{}{}", door("a", "sequence = 9,7,8\ntcpflags = syn"), door("b", lines));
    for (file, line, text) in [
        (door("d", "sequence = 7\ntcpflags = syn"), 3, "a single knock"),
        (door("d", "sequence = 7,7,6\ntcpflags = syn"), 3, "the same step twice"),
        (door("d", "sequence = 7,9,8\ntcpflags = syn,ack"), 4, "a sweep of them walks through"),
        (door("d", "sequence = 7,9,8\ntcpflags = !syn"), 4, "a sweep of them walks through"),
        (door("d", "sequence = -1,9,80\ntcpflags = syn"), 3, "knockd reads other numbers"),
        (other("sequence = 9,7,8,1\ntcpflags = syn"), 3, "under knockd that one never opened"),
        (other("sequence = 9,7\ntcpflags = syn"), 7, "the beginning of the door on line 1"),
        (other("sequence = 9,7,8\ntcpflags = syn"), 3, "the same sequence as the door on line 5"),
        (door("d d", "sequence = 7,9,8\ntcpflags = syn"), 1, "renamed"),
        (door("d", "sequence = 7,9,8\ntcpflags = syn\ntarget = 2001:DB8::1"), 5, "it compares letters"),
        (door("d", "sequence = 7,9,8\ntcpflags = syn\nstart_command_6 ="), 5, "knockd did nothing for IPv6"),
    ] {
        let (imported, _) = imported(&file);
        let found = imported.looks.iter().any(|look| look.line == line && look.text.contains(text));
        assert!(found, "{file}\n{:#?}", imported.looks);
        assert!(imported.text.contains("LOOK: "), "{}", imported.text);
    }
}

#[test]
fn a_command_that_is_not_known_stays_a_hook() {
    let (imported, config) = imported(
        "[d]\nsequence=7,9,8\ntcpflags=syn\ncommand=/bin/open \"%IP%\" 'x'\ncommand_6=\nstop_command=/bin/close %IP%\n",
    );
    let door = &config.doors[0];
    assert_eq!(door.hooks.start.v4.as_deref(), Some("/bin/open \"%IP%\" 'x'"));
    assert_eq!((door.hooks.start.v6.as_deref(), door.hooks.stop.v6.as_deref()), (None, None));
    assert_eq!(door.hooks.stop.v4.as_deref(), Some("/bin/close %IP%"));
    assert_eq!(door.cmd_timeout.map(|time| time.as_secs()), Some(10));
    assert!(config.services.iter().all(|service| service.ports.is_empty()));
    assert!(imported.looks.iter().any(|look| look.text.starts_with("stays a command: /bin/open")));
    let (_, config) = imported_only_v6();
    assert_eq!(
        (config.doors[0].hooks.start.v4.as_deref(), config.doors[0].hooks.start.v6.as_deref()),
        (None, Some("a"))
    );
    assert_eq!((config.doors[0].hooks.stop.v4.as_deref(), config.doors[0].hooks.stop.v6.as_deref()), (None, Some("b")));
}

fn imported_only_v6() -> (Imported, Config) {
    imported("[d]\nsequence=7,9,8\ntcpflags=syn\ncommand_6=a\nstop_command=b\n")
}

#[test]
fn a_door_without_commands_only_logs() {
    let (imported, config) = imported("[d]\nsequence=7,9,8\ntcpflags=syn\ncommand=\n");
    assert!(config.doors[0].hooks.is_empty());
    assert_eq!(imported.rows[0].becomes, "only logs");
}

#[test]
fn a_door_that_closes_what_no_door_opens_stays_a_hook() {
    let (imported, config) =
        imported("[d]\nsequence=7,9,8\ntcpflags=syn\ncommand=iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n");
    assert_eq!(imported.rows[0].becomes, "runs its commands, as hooks");
    assert!(config.doors[0].hooks.start.v4.is_some());
}

#[test]
fn doors_with_overlapping_ports_become_doors_of_several_services() {
    let file = "[one]\nsequence=7,9,8\ntcpflags=syn\ncommand=ufw allow proto tcp from %IP% to any port 22\n\
        [both]\nsequence=6,9,8\ntcpflags=syn\ncommand=ufw allow proto tcp from %IP% to any port 22,443\n\
        [close]\nsequence=5,9,8\ntcpflags=syn\ncommand=ufw delete allow proto tcp from %IP% to any port 22,443\n";
    let (imported, config) = imported(file);
    let doors: Vec<_> = config
        .doors
        .iter()
        .map(|door| {
            format!("{}:{}:{}", door.name.as_str(), config.service_of(door).name.as_str(), door.sequence[0].number)
        })
        .collect();
    assert_eq!(doors, ["one:ssh:7", "both:ssh:6", "both-2:https:6", "close:ssh:5", "close-2:https:5"]);
    assert_eq!(imported.rows[1].name, "both, both-2");
    assert_eq!(imported.rows[1].becomes, "opens ssh (22/tcp) and https (443/tcp) for good");
}

#[test]
fn names_may_come_again() {
    let twice = format!("{}{}", door("ssh", "sequence = 7,9,8"), door("ssh", "sequence = 6,9,8"));
    let (_, config) = imported(&twice);
    let names: Vec<_> = config.doors.iter().map(|door| door.name.as_str()).collect();
    assert_eq!(names, ["ssh", "ssh-2"]);
    // A door without a service has one of its own name.
    let (_, config) = imported(&format!("[ssh]\nsequence=5,9,8\ncommand=x\n{}", door("d", "sequence = 7,9,8")));
    assert_eq!(config.services[0].name.as_str(), "ssh-2");
}

#[test]
fn the_same_knock_cannot_open_and_close() {
    let close = "[c]\nsequence=7,9,8\ncommand=iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n";
    let (imported, config) = imported(&format!("{}{close}", door("o", "sequence = 7,9,8")));
    assert_eq!(config.doors.len(), 1);
    assert!(imported.rows[1].becomes.contains("one knock would open and close"), "{:?}", imported.rows);
}

#[test]
fn there_is_room_for_64_doors() {
    let doors = |count: u16| (0..count).map(|n| door("d", &format!("sequence = {},9,8", 1000 + n))).collect::<String>();
    assert_eq!(imported(&doors(64)).1.doors.len(), 64);
    let (imported, config) = imported(&doors(70));
    assert_eq!(config.doors.len(), 64);
    assert_eq!(imported.rows.iter().filter(|row| row.left_out).count(), 6);
    // Nine doors cannot share their first knock.
    let crowd: String = (0..12).map(|n| door("d", &format!("sequence = 7,{},8", 1000 + n))).collect();
    assert_eq!(import(crowd.as_bytes(), &request()).unwrap().rows.iter().filter(|row| row.left_out).count(), 4);
}

#[test]
fn a_prefix_of_the_source_is_kept() {
    let file = "[d]\nsequence=7,9,8\ntcpflags=syn\ncommand=iptables -I INPUT -s %IP%/24 -p tcp --dport 22 -j ACCEPT\n\
        command_6=ip6tables -I INPUT -s %IP%/64 -p tcp --dport 22 -j ACCEPT\n";
    let (_, config) = imported(file);
    assert_eq!((config.doors[0].grant_prefix_v4, config.doors[0].grant_prefix_v6), (24, 64));
}

#[test]
fn a_set_with_a_timeout_closes_by_itself() {
    let file = "[d]\nsequence=7,9,8\ncommand=nft add element inet filter knocked { %IP% timeout 90s }\n";
    let imported = import(file.as_bytes(), &Request { ports: vec![port("2222/tcp")], ..request() }).unwrap();
    assert_eq!(imported.rows[0].becomes, "opens knocked (2222/tcp) for 1m 30s");
}

fn port(text: &str) -> PortRange {
    PortRange::parse(text, &PortNames::default()).unwrap()
}

#[test]
fn ports_that_nobody_names_are_asked_for() {
    let file = "[a]\nsequence=7,9,8\n# c\ncommand=iptables -I NONE -s %IP% -j ACCEPT\n\
        [b]\nsequence=6,9,8\ncommand=iptables -I OTHER -s %IP% -j ACCEPT\n";
    let said = refused(file);
    assert!(said.starts_with("4: error: its command names no port, and no rule leads into chain NONE"), "{said}");
    assert!(said.contains("--ports 2222/tcp") && said.contains("--rules"), "{said}");
    let asked = |file: &str| import(file.as_bytes(), &Request { ports: vec![port("2222/tcp")], ..request() });
    let said = asked(file).unwrap_err().to_string();
    assert!(said.starts_with("7: error: --ports cannot stand for both chain NONE and chain OTHER"), "{said}");
    let imported = asked(&file.replace("OTHER", "NONE")).unwrap();
    assert_eq!(imported.rows[1].becomes, "opens none (2222/tcp) for good");
    for (command, said) in [
        ("iptables -I INPUT -s %IP% -j ACCEPT", "lets the source in to all of them"),
        ("ip6tables -I SSH2 -s %IP% -j ACCEPT", "ip6tables-save lists nothing"),
        ("ufw allow from %IP%", "the firewall does not say which"),
        ("nft add element t s { %IP% }", "nft lists nothing"),
    ] {
        let refusal = refused(&format!("[d]\nsequence=7,9,8\ncommand={command}\n"));
        assert!(refusal.contains(said), "{command}: {refusal}");
    }
}

#[test]
fn the_log_goes_to_one_place() {
    for (lines, log, looks) in [
        ("", None, 0),
        ("UseSyslog", Some("syslog"), 0),
        ("LogFile = /var/log/knockd.log", Some("/var/log/knockd.log"), 0),
        ("UseSyslog\nLogFile = /l\nPidFile = /p", Some("/l"), 1),
        ("LogFile = /l\nLogFile = /m", Some("/m"), 0),
        ("LogFile = /l\nLogFile =\nUseSyslog", Some("syslog"), 0),
        ("LogFile = l\nUseSyslog", Some("syslog"), 1),
    ] {
        let (imported, _) = imported(&format!("[options]\ninterface = eth1\n{lines}\n"));
        let table: toml::Table = imported.text.parse().unwrap();
        assert_eq!(table["options"].get("log").and_then(toml::Value::as_str), log, "{lines}");
        assert_eq!(imported.looks.len(), looks, "{lines}: {:?}", imported.looks);
    }
    let (imported, _) = imported("[d]\nusesyslog\nsequence=1,3,2\ntcpflags=syn\n");
    assert!(imported.text.contains("log = \"syslog\""));
}

#[test]
fn the_first_interface_counts_unless_another_is_given() {
    let interface = |lines: &str, given: Option<&str>| {
        let request = Request { interface: given.map(str::to_owned), ..request() };
        let imported = import(format!("[options]\n{lines}").as_bytes(), &request)?;
        let table: toml::Table = imported.text.parse().unwrap();
        Ok::<_, Refusal>(table["options"]["interfaces"][0].as_str().unwrap().to_owned())
    };
    for (lines, given, name) in [
        ("", None, "eth0"),
        ("Interface = ppp0\ninterface = eth1", None, "ppp0"),
        ("Interface =\ninterface = eth1", None, "eth1"),
        ("interface = eth0:1", None, "eth0"),
        ("interface = any", None, "*"),
        ("interface = eth1", Some("eth2"), "eth2"),
        ("interface = no/thing", Some("eth2"), "eth2"),
    ] {
        assert_eq!(interface(lines, given).as_deref(), Ok(name), "{lines}");
    }
    let said = interface("interface = no/thing", None).unwrap_err().to_string();
    assert!(
        said.starts_with("2: error: \"no/thing\" can be no interface\n  help: name the interface with --interface")
    );
}

/// What becomes of a door that has a file with this in it. The file is called F.
#[track_caller]
fn imported_with_file(octets: &[u8], lines: &str) -> (Imported, Config) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("once");
    std::fs::write(&path, octets).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let name = path.display().to_string();
    let (mut imported, config) = imported(&door("d", &format!("one_time_sequences = {name}\n{lines}")));
    imported.text = imported.text.replace(&name, "F");
    (imported, config)
}

/// As knockd leaves a file of which two lines were used: one with a blank in front, one without.
const KNOCKDS: &[u8] = b"# f\xfcr alle\n#7000,8000:udp,9000\n#100,8100:udp,9100\n 7200, 9300 : UDP,9100\n \
    7300,8400:tcp,8300 # the old phone\n7400,9500:udp,8400\n7500,9600:udp,8500\n";

#[test]
fn a_file_of_one_time_sequences_goes_on() {
    let (imported, config) = imported_with_file(
        KNOCKDS,
        "tcpflags = syn\nstop_command = iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT",
    );
    let lines = keys(&imported.text);
    assert_eq!(
        &lines[lines.iter().position(|line| *line == "[doors.d]").unwrap()..],
        [
            "[doors.d]",
            "service = \"ssh\"",
            "one_time_sequences = \"F\"",
            "tcpflags = [\"syn\"]",
            "seq_timeout = \"25s\"",
            "cmd_timeout = \"10s\"",
        ]
    );
    assert!(imported.text.contains("# knockd.conf 3: one_time_sequences = F\n#     the same file goes on"));
    assert_eq!(imported.rows[0].steps, "from a file");
    assert!(!imported.rows[0].left_out);
    let door = &config.doors[0];
    let steps: Vec<_> = door.sequence.iter().map(ToString::to_string).collect();
    assert_eq!(steps, ["7200/tcp", "9300/udp", "9100/tcp"]);
    assert_eq!(door.one_time.as_ref().unwrap().left, 4);
    let looks: Vec<_> = imported.looks.iter().filter(|look| look.line == 3).map(|look| look.text.as_str()).collect();
    assert!(looks.iter().all(|text| text.contains("no access to that place")), "{looks:?}");
}

#[test]
fn what_is_other_in_a_file_of_one_time_sequences_is_named_without_its_ports() {
    for (line, text) in [
        ("7000,9000,8000\n7000,9000,8000", "line 2 of its file: left out: this sequence was used, or stands further"),
        ("7000,9000,8000:tcp # lost\n7001,9001,8001", "line 1 of its file: knockd passes it over, and here it counts"),
        ("7000/udp,9000,8000", "line 1 of its file: knockd reads other ports there"),
        ("7000,9000,\n7001,9001,8001", "line 1 of its file: left out: an empty step"),
        ("7000,9000 8000\n7001,9001,8001", "line 1 of its file: left out: a step that is no port"),
        ("7000,22,8000\n7001,9001,8001", "line 1 of its file: left out: one of its ports is protected by a service"),
        ("7000", "line 1 of its file: a single knock"),
        ("7000,8000,9000", "line 1 of its file: ascending ports"),
        ("7000,9000,8000", "of its file: 1 sequence left: add lines"),
        ("7000,22", "of its file: no sequence left: the door is shut: add lines"),
        // Where the tests have their files.
        ("7000,9000,8000", "knockctl.service has no access to that place: move the file to /etc/knock"),
    ] {
        let (imported, _) = imported_with_file(line.as_bytes(), "tcpflags = syn");
        let look = imported.looks.iter().find(|look| look.line == 3 && look.text.contains(text));
        assert!(look.is_some(), "{line}: {:#?}", imported.looks);
        assert!(imported.text.contains(&format!("#     LOOK: {}", look.unwrap().text)), "{}", imported.text);
        assert!(imported.looks.iter().all(|look| !look.text.contains("7000")), "{:?}", imported.looks);
    }
    let (imported, _) = imported_with_file("7000,8000\n".repeat(40).as_bytes(), "tcpflags = ack");
    assert!(imported.looks.len() < 30, "{:?}", imported.looks);
    assert!(imported.looks.iter().any(|look| look.text.contains("a sweep of them walks through")));
}

#[test]
fn a_file_that_is_none_leaves_its_door_out() {
    // knockd would open it for writing, and find lines in it.
    let file = "[d]\none_time_sequences = /dev/full\n";
    let request = Request { one_time: &|_| Ok(b"7000,9000,8000\n".to_vec()), ..request() };
    let imported = import(file.as_bytes(), &request).unwrap();
    assert_eq!(imported.rows[0].becomes, "left out: its file cannot be used here: it is no regular file");
    assert!(imported.rows[0].left_out);
    let imported = import(b"[d]\none_time_sequences = once\n", &request).unwrap();
    assert_eq!(imported.rows[0].becomes, "left out: the name of its file is not an absolute path");
}

#[test]
fn a_door_with_a_file_may_open_several_services() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("once");
    std::fs::write(&path, "7000,9000,8000\n").unwrap();
    let file = format!(
        "[d]\none_time_sequences = {}\ncommand = iptables -I INPUT -s %IP% -p tcp -m multiport --dports 22,443 -j ACCEPT\n{}",
        path.display(),
        door("e", "sequence = 5,9,8")
    );
    let (_, config) = imported(&file);
    let with_file = config.doors.iter().filter(|door| door.one_time.is_some()).count();
    assert_eq!((config.services.len(), with_file), (2, 2));
}

/// How much work it is to import such a file.
fn work_of(file: &str) -> u64 {
    let before = work::done();
    let _ = import(file.as_bytes(), &request());
    work::done() - before
}

#[test]
fn four_times_as_many_doors_are_four_times_as_much_work() {
    let opens = |n: usize| {
        let door = |n: usize| door(&format!("d{n}"), &format!("sequence = {},{}\ntcpflags = syn", 1000 + n, 9000 + n));
        (0..n).map(door).collect::<String>()
    };
    // Each second one closes what the one before opens, by the same knock, and is left out.
    let contrary = |n: usize| {
        let door = |n: usize| {
            let (verb, port) = (if n.is_multiple_of(2) { "-I" } else { "-D" }, 1000 + n / 2);
            format!(
                "[d{n}]\nsequence = {port},9\ncommand = iptables {verb} INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n"
            )
        };
        (0..n).map(door).collect::<String>()
    };
    // One door, of which each line overrides the one before.
    let lines = |n: usize| door("d", &"sequence = 7000,9000\n".repeat(n));
    let options = |n: usize| format!("[options]\n{}{}", "PidFile = x\n".repeat(n), door("d", "sequence = 7,9"));
    // Each second one closes by what nobody understands, or by what it finds then.
    let closes = |command: &'static str| {
        move |n: usize| {
            let open = "iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
            let door = |n: usize| {
                let command = if n.is_multiple_of(2) { open } else { command };
                format!("[d{n}]\nsequence = {},{}\ncommand = {command}\n", 1000 + n, 9000 + n)
            };
            (0..n).map(door).collect::<String>()
        }
    };
    let script = closes("/bin/close -D INPUT 22 %IP%");
    let search = closes("iptables -D INPUT $(iptables -L INPUT --line-numbers | grep %IP% | cut -c1)");
    let files: [&dyn Fn(usize) -> String; 6] = [&opens, &contrary, &lines, &options, &script, &search];
    for (kind, file) in files.into_iter().enumerate() {
        let (some, more) = (work_of(&file(250)), work_of(&file(1000)));
        assert!(some > 0 && more <= 5 * some, "file {kind}: {some} for 250, {more} for 1000");
    }
}

#[test]
fn of_thousands_of_doors_the_first_that_fit_are_kept() {
    let text: String =
        (0..3000_usize).map(|n| door(&format!("d{n}"), &format!("sequence = {},{}", 1000 + n, 9000 + n))).collect();
    let (imported, config) = imported(&text);
    assert_eq!((imported.rows.len(), config.doors.len()), (3000, 64));
    let left_out = |row: &&Row| row.becomes == "left out: there is room for 64 doors and 64 services";
    assert_eq!(imported.rows[64..].iter().filter(left_out).count(), 2936);
    assert_eq!(config.doors[63].name.as_str(), "d63");
}

#[test]
fn the_packet_filter_and_a_file_are_asked_once_however_many_doors_need_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("once");
    std::fs::write(&path, "7000,9000\n").unwrap();
    let (asked, read) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let rules = |families| {
        asked.set(asked.get() + 1);
        saved(families)
    };
    let one_time = |path: &[u8]| {
        read.set(read.get() + 1);
        super::tests::one_time(path)
    };
    let text: String = (0..50)
        .map(|n| {
            format!(
                "[d{n}]\none_time_sequences = {}\ncommand = iptables -I SSH2 -s %IP% -j ACCEPT\n\
                 [e{n}]\nsequence = 7,9,1{n}\ncommand = iptables -I C{n} -s %IP% -j ACCEPT\n",
                path.display()
            )
        })
        .collect();
    // No rule leads into the second chain: that refuses the file, after the first two doors were looked at.
    let request = Request { rules: &rules, one_time: &one_time, ..request() };
    assert!(import(text.as_bytes(), &request).unwrap_err().to_string().contains("no rule leads into chain C0"));
    assert_eq!((asked.get(), read.get()), (1, 2));
    let text = text.replace("iptables -I C", "ip6tables -I SSH2 -s %IP% -m comment --comment C");
    assert!(import(text.as_bytes(), &request).is_ok());
    // Each of the five programs once, and the first of them for the file that was refused.
    assert!(asked.get() == 6 && read.get() == 4, "{} {}", asked.get(), read.get());
}

/// What becomes of a door to 22/tcp beside these listings.
fn beside(rules: &dyn Fn(Listing) -> Result<Option<String>, String>) -> (Imported, Config) {
    let request = Request { rules, ..request() };
    let file = format!("[options]\ninterface = eth0\n{}", door("d", "sequence = 4711:udp,12,30017\ntcpflags = syn"));
    let imported = import(file.as_bytes(), &request).unwrap_or_else(|refusal| panic!("{refusal}"));
    let config = Config::parse(&imported.text, "knock.toml").unwrap_or_else(|error| panic!("{error}"));
    (imported, config.0)
}

#[test]
fn thousands_of_rules_that_let_in_are_looked_at_in_so_many_steps_and_no_more() {
    let lines = |verdict: &str| {
        let line = |n: u32| format!("ip saddr 10.{}.{}.0/24 {verdict}\n", n / 256, n % 256);
        (0..4000).map(line).collect::<String>()
    };
    let table = |name: &str, verdict: &str| {
        let chain = "type filter hook input priority filter; policy drop;";
        format!("table inet {name} {{\nchain input {{\n{chain}\n{}}}\n}}\n", lines(verdict))
    };
    // All of them are let in for certain; then each is let in by one table, and looked for in vain in the other one.
    let (sure, unsure) = (table("filter", "accept"), table("filter", "accept") + &table("other", "ct mark 7 accept"));
    let more = |n: usize| format!("{n} more that the packet filter lets in");
    for (listed, most, trusted, said) in [(sure, 1_000_000, 1024, more(2976)), (unsure, 2_100_000, 0, more(3980))] {
        let rules = |listing: Listing| Ok((listing == Listing::Nft).then(|| listed.clone()));
        let before = work::done();
        let (imported, config) = beside(&rules);
        let done = work::done() - before;
        assert!((4000..most).contains(&done), "{done} steps");
        assert_eq!(config.options.trusted.len(), trusted);
        assert!(imported.text.contains(&said), "{said}: {}", imported.text);
    }
}

#[test]
fn of_a_country_as_many_networks_are_trusted_as_there_is_room_for_and_the_rest_are_counted() {
    let address = |n: u32| std::net::Ipv4Addr::from(0x0a00_0000 + 16 * n);
    let networks: Vec<String> = (0..60_000).map(|n| format!("{}/30", address(n))).collect();
    let country =
        format!("set country {{\ntype ipv4_addr\nflags interval\nelements = {{ {} }}\n}}", networks.join(", "));
    let lines = "ip saddr 192.0.2.0/25 tcp sport 9 accept\nip saddr @country accept";
    let input = format!("chain input {{\ntype filter hook input priority filter; policy drop;\n{lines}\n}}");
    let rules = |_: Listing| Ok(Some(format!("table inet filter {{\n{country}\n{input}\n}}\n")));
    let (imported, config) = beside(&rules);
    let trusted: Vec<String> = config.options.trusted.iter().map(ToString::to_string).collect();
    assert_eq!(trusted, networks[..1024]);
    let says = |text: &str| imported.looks.iter().any(|look| look.text.contains(text));
    assert!(says("58976 more that the packet filter lets in are not trusted: there is room for 1024 networks"));
    assert!(says("192.0.2.0/25 is not trusted: the rule that lets it in asks for more than is understood"));
}

#[test]
fn what_another_packet_filter_may_drop_is_not_trusted() {
    let saved = "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 192.0.2.0/25 -j ACCEPT\nCOMMIT\n";
    // The same rules, as nftables lists them.
    let chain = |table: &str, name: &str, policy: &str, line: &str| {
        format!(
            "table {table} {{\nchain {name} {{\ntype filter hook input priority 5; policy {policy};\n{line}\n}}\n}}\n"
        )
    };
    let same = chain("ip filter", "INPUT", "drop", "ip saddr 192.0.2.0/25 counter packets 0 bytes 0 accept");
    let more = |line: &str, policy: &str| format!("{same}{}", chain("inet more", "input", policy, line));
    for (nft, why) in [
        (same.clone(), None),
        (more("tcp dport 23 drop", "accept"), None),
        (more("ip saddr 198.51.100.0/24 drop", "accept"), None),
        (more("tcp dport 22 drop", "accept"), Some("\"tcp dport 22 drop\", which nft lists, may drop it")),
        (
            more("tcp dport 23 accept", "drop"),
            Some("chain input of table inet more, which nft lists, may drop it: no rule of it lets it in for certain"),
        ),
    ] {
        let (imported, config) = beside_each(&[("Iptables", Ok(saved)), ("Nft", Ok(&nft))]);
        assert_eq!(config.options.trusted.len(), usize::from(why.is_none()), "{nft}");
        let says = |why: &str| {
            imported.looks.iter().any(|look| look.text.contains(&format!("192.0.2.0/25 is not trusted: {why}")))
        };
        assert!(why.is_none_or(says), "{nft}");
    }
}

/// What becomes of the door beside what each program prints; the others print nothing.
fn beside_each(listings: &[(&str, Result<&str, &str>)]) -> (Imported, Config) {
    beside(&|listing| {
        let found = listings.iter().find(|(name, _)| *name == format!("{listing:?}"));
        found.map(|(_, said)| said.map(str::to_owned).map_err(str::to_owned)).transpose()
    })
}

#[track_caller]
fn assert_trusted(listings: &[(&str, Result<&str, &str>)], trusted: &[&str], why: &[&str]) {
    let (imported, config) = beside_each(listings);
    let found: Vec<_> = config.options.trusted.iter().map(ToString::to_string).collect();
    assert_eq!(found, trusted, "{}", imported.text);
    for why in why {
        assert!(imported.looks.iter().any(|look| look.text.contains(why)), "{why}: {}", imported.text);
    }
}

const LETS_IN: &str = "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 192.0.2.0/25 -j ACCEPT\n\
    -A INPUT -s 203.0.113.0/25 -j ACCEPT\nCOMMIT\n";

/// A listing of nftables with these rules in the chain that iptables calls INPUT.
fn listed(lines: &str) -> String {
    format!("table ip filter {{\nchain INPUT {{\ntype filter hook input priority 0; policy drop;\n{lines}\n}}\n}}\n")
}

#[test]
fn what_one_listing_is_sure_of_and_another_doubts_is_not_trusted() {
    for line in [
        "ip saddr 192.0.2.0/25 tcp sport 1024-65535 accept",
        "ip saddr 192.0.2.0/24 limit rate 3/minute accept",
        "ip saddr 192.0.2.0/26 accept",
        "ip saddr 192.0.2.0/25 tcp dport 80 accept",
        "ip saddr 192.0.2.0/25 iifname \"eth1\" accept",
        "",
    ] {
        let nft = listed(&format!("{line}\nip saddr 203.0.113.0/24 accept"));
        let why = if line.contains("eth1") { "may drop it" } else { "192.0.2.0/25 is not trusted" };
        let mut trusted = vec!["203.0.113.0/25"];
        // Both let a part of it in.
        trusted.extend(line.contains("/26").then_some("192.0.2.0/26"));
        assert_trusted(&[("Iptables", Ok(LETS_IN)), ("Nft", Ok(&nft))], &trusted, &[why]);
    }
}

#[test]
fn chains_of_the_same_name_in_two_listings_need_not_be_the_same() {
    // The tables of iptables itself, beside one of nftables that somebody called the same.
    let nft = listed("tcp dport 22 drop\nip saddr 192.0.2.0/25 accept");
    assert_trusted(&[("Iptables", Ok(LETS_IN)), ("Nft", Ok(&nft))], &[], &["\"tcp dport 22 drop\", which nft lists"]);
}

#[test]
fn tables_of_old_iptables_are_asked_as_well() {
    let legacy = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.7/32 -j DROP\nCOMMIT\n";
    let listings = [("Iptables", Ok(LETS_IN)), ("LegacyIptables", Ok(legacy))];
    assert_trusted(
        &listings,
        &["203.0.113.0/25"],
        &["\"-A INPUT -s 192.0.2.7/32 -j DROP\", which iptables-legacy-save lists"],
    );
    let old = "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 2001:db8:7::/48 -j ACCEPT\nCOMMIT\n";
    assert_trusted(&[("LegacyIp6tables", Ok(old))], &["2001:db8:7::/48"], &[]);
}

#[test]
fn what_a_listing_that_fails_may_drop_is_not_trusted() {
    let both = "table inet filter {\nchain input {\ntype filter hook input priority 0; policy drop;\n\
        ip saddr 192.0.2.0/25 accept\nip6 saddr 2001:db8:7::/48 accept\n}\n}\n";
    let (v4, v6) = ("192.0.2.0/25", "2001:db8:7::/48");
    for (name, trusted) in
        [("Iptables", &[v6] as &[_]), ("Ip6tables", &[v4]), ("LegacyIptables", &[v6]), ("LegacyIp6tables", &[v4])]
    {
        let listings = [("Nft", Ok(both)), (name, Err("it is out of order"))];
        assert_trusted(&listings, trusted, &["is not trusted: it is out of order"]);
        // What is not understood, or is cut off.
        for text in ["*filter\n-A INPUT -p tcp --dport x -j ACCEPT\nCOMMIT\n", "*filter\n:INPUT ACCEPT [0:0]\n"] {
            let text =
                if name.contains("Ip6") { format!("# Generated by ip6tables-save\n{text}") } else { text.into() };
            assert_trusted(&[("Nft", Ok(both)), (name, Ok(&text))], trusted, &["is not trusted"]);
        }
    }
    let listings = [("Iptables", Ok(LETS_IN)), ("Nft", Err("nft: not permitted"))];
    assert_trusted(
        &listings,
        &[],
        &["192.0.2.0/25 is not trusted: nft: not permitted", "203.0.113.0/25 is not trusted"],
    );
    let cut = &both[..both.len() - 3];
    assert_trusted(&[("Iptables", Ok(LETS_IN)), ("Nft", Ok(cut))], &[], &["it is cut off"]);
    // It is said also where nobody is let in.
    let (imported, _) = beside_each(&[("Nft", Err("nft: not permitted"))]);
    assert!(imported.text.contains("# Whom the packet filter lets in is not wholly known: nft: not permitted"));
}
