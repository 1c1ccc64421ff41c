//! Files of knockd: such as people have, and such as nobody would write.

use fastrand::Rng;

/// The article's, with ports for its letters: one door, a chain, a pair of commands.
pub const ARTICLE: &str = include_str!("article.conf");
/// The same for both address families, each with its own commands.
pub const BOTH: &str = concat!(
    include_str!("article.conf"),
    "        start_command_6 = /sbin/ip6tables -C SSH2 -s %IP% -j ACCEPT || /sbin/ip6tables -I SSH2 -s %IP% -j ACCEPT\n",
    "        stop_command_6  = /sbin/ip6tables -D SSH2 -s %IP% -j ACCEPT\n"
);
/// Two doors for one port, and a helper script, as in knockd's own example.
pub const DOORS: &str = include_str!("doors.conf");

const NAMES: [&str; 8] =
    ["open", "close", "ssh", "Options", " x ", "a:b c", "\u{fc}", "a-very-long-name-for-such-a-little-door-indeed"];
const SEQUENCES: [&str; 16] = [
    "7000,8000,9000",
    "7000:tcp,8000:UDP , 9000",
    "9000,8000,7000",
    "7000,8000",
    "7",
    "22,23,24",
    "1:udp,2:udp",
    "443,1,2",
    "7000,8000,9000,",
    "",
    "-1,5,4",
    "70000,1",
    "a,b",
    "5,5,5",
    "1:icmp",
    "40000,41000,40500:udp,42000",
];
const COMMANDS: [&str; 20] = [
    "/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT",
    "/sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT",
    "iptables -C S -s %IP% -j ACCEPT || iptables -I S -s %IP% -j ACCEPT",
    "iptables -D S -s %IP% -j ACCEPT",
    "iptables -I INPUT -s %IP%/24 -p tcp -m multiport --dports 22,443 -j ACCEPT",
    "iptables -I INPUT -s %IP%/16 -p tcp --dport 443 -j ACCEPT",
    "iptables -I INPUT -s %IP%/8 -p tcp --dport 443 -j ACCEPT",
    "iptables -I INPUT -s %IP%/20 -p tcp --dport 443 -j ACCEPT",
    "ip6tables -I INPUT -s %IP%/64 -p tcp --dport 22 -j ACCEPT",
    "ip6tables -D INPUT -s %IP%/64 -p tcp --dport 22 -j ACCEPT",
    "iptables -I INPUT -s %IP% -p udp --dport 40000:42000 -j ACCEPT",
    "ufw allow from %IP% to any port 22",
    "ufw delete allow from %IP% to any port 22",
    "nft add rule inet filter input ip saddr %IP% tcp dport { 7000, 22 } accept",
    "nft add element inet filter s { %IP% timeout 1h }",
    "knock_add -i -c INPUT -p tcp -d 443 -f %IP%",
    "knock_add -x -c INPUT -p tcp -d 443 -f %IP%",
    "/bin/sh -c \"echo %IP% %DOOR%\" | tee 'x\\",
    "",
    "\u{1}\u{85}\"\\ ''' \"\"\"",
];
const TIMES: [&str; 10] = ["5", "0", "-1", "1", "25", "86401", "99999999", "99999999999", "x", "10s"];
const FLAGS: [&str; 7] = ["syn", "SYN,!ack", "!syn", "fin,!ack,!rst", "syn,ack", "urg,psh", "!FIN,fin"];
const TARGETS: [&str; 7] = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:DB8::1", "example.org", "", "224.0.0.1"];

/// Lines for which knockd does not start.
const WRONG: [&str; 9] = [
    "x\n",
    "[]\n",
    "[d]\n",
    "[d]\nsequence=1:icmp\n",
    "[d]\nsequence=70000\n",
    "[d]\ntcpflags=syn, ack\n",
    "[d]\nx=1\n",
    "[options]\nusesyslog=1\n",
    "[d]\none_time_sequences=/none\n",
];

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// A file of a few sections, most of them right.
#[must_use]
pub fn built(rng: &mut Rng) -> Vec<u8> {
    let mut text = String::new();
    if rng.bool() {
        text += "# head\n[options]\n";
        for line in
            ["UseSyslog", "LogFile = /var/log/k", "Interface = eth1", "PidFile = /p", "interface=any", "logfile="]
        {
            if rng.u8(..3) == 0 {
                text += &format!("{line}\n");
            }
        }
    }
    // What knockd refuses is rare, or there would be nothing else.
    if rng.u8(..8) == 0 {
        text += pick(rng, &WRONG);
    }
    let doors = if rng.u8(..100) == 0 { rng.usize(60..90) } else { rng.usize(..6) };
    for _ in 0..doors {
        text += &format!("[{}]\n", pick(rng, &NAMES));
        // A sequence of its own, most of the time, as in a file that makes sense.
        if rng.u8(..4) > 0 {
            text += &format!("sequence = {},{}:udp,{}\n", rng.u16(1..), rng.u16(1..), rng.u16(1..));
        }
        for _ in 0..rng.usize(1..8) {
            let line = match rng.u8(..16) {
                0 => format!("sequence = {}", pick(rng, &SEQUENCES)),
                1..4 => format!("start_command = {}", pick(rng, &COMMANDS)),
                4 | 5 => format!("stop_command = {}", pick(rng, &COMMANDS)),
                6 => format!("Command_6={}", pick(rng, &COMMANDS)),
                7 => format!("stop_command_6 ={}", pick(rng, &COMMANDS)),
                8 => format!("seq_timeout = {}", pick(rng, &TIMES)),
                9 => format!("CMD_TIMEOUT = {}", pick(rng, &TIMES)),
                10 | 11 => format!("tcpflags = {}", pick(rng, &FLAGS)),
                12 => format!("target = {}", pick(rng, &TARGETS)),
                13 => "  # a comment".to_owned(),
                14 => "UseSyslog".to_owned(),
                _ => "target = 192.0.2.1".to_owned(),
            };
            text += &line;
            text += pick(rng, &["\n", "\n", "\r\n", "\n\n", " \t\n"]);
        }
    }
    text.into_bytes()
}

/// The same with a few octets changed.
#[must_use]
pub fn bent(rng: &mut Rng) -> Vec<u8> {
    let mut file = match rng.u8(..4) {
        0 => ARTICLE.into(),
        1 => DOORS.into(),
        _ => built(rng),
    };
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=file.len());
        let end = (at + rng.usize(..12)).min(file.len());
        match rng.u8(..6) {
            0 => file.insert(at, rng.u8(..)),
            1 => drop(file.drain(at..end)),
            2 => {
                let piece = file[at..end].to_vec();
                let to = rng.usize(..=file.len());
                file.splice(to..to, piece);
            }
            3 if at < file.len() => file[at] = rng.u8(..),
            4 if at < file.len() => file[at] = b"[]=#,:!%\n\0 \"'\\;|&"[rng.usize(..17)],
            5 => drop(file.splice(at..at, std::iter::repeat_n(b'x', if rng.u8(..50) == 0 { 5000 } else { 3 }))),
            _ => {}
        }
    }
    file
}
