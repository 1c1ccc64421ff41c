//! knockd.conf, as knockd 0.8 reads it: what it takes is taken, what it refuses is refused.

use knock_common::packet::flags::TcpFlags;

pub use super::file::{Entry, File, Refusal, Says, Section};
use super::habits;
use super::lines::{Line, lines, trim};
use super::number::atoi;
use super::sequence::{self, SequenceError, Step};

/// Octets of a section's name; of what is longer, the rest is lost.
const MAX_SECTION: usize = 254;
/// Octets of a door's name.
const MAX_DOOR: usize = 127;

/// Reads a file. `one_time` says how many unused sequences the file with that name has, or why it
/// cannot be opened for writing.
///
/// # Errors
///
/// The first thing for which knockd would not start.
pub fn parse(file: &[u8], one_time: &dyn Fn(&[u8]) -> Result<usize, String>) -> Result<File, Refusal> {
    let mut parsed = File { head: Vec::new(), sections: Vec::new() };
    let mut before = None;
    for line in lines(file) {
        let continues = std::mem::replace(&mut before, habits::continues(line.text).then_some(line.number));
        if line.text.is_empty() {
            continue;
        }
        let says = if line.text[0] == b'#' {
            Says::Comment
        } else if let [b'[', name @ .., b']'] = line.text {
            parsed.sections.push(section(&line, name)?);
            continue;
        } else {
            directive(&line, parsed.sections.last(), one_time)
                .map_err(|refusal| habits::explain(refusal, line.text, continues))?
        };
        let entry = Entry { line: line.number, text: String::from_utf8_lossy(line.text).into_owned(), says };
        parsed.sections.last_mut().map_or(&mut parsed.head, |section| &mut section.entries).push(entry);
    }
    for door in parsed.sections.iter().filter(|section| !section.is_options()) {
        if !door.entries.iter().any(|entry| matches!(entry.says, Says::Sequence(_) | Says::OneTime(_))) {
            let message = format!("door {} has no sequence", shown(&door.name));
            return Err(Refusal::new(door.line, message, "add a line such as sequence = 7000,8000,9000"));
        }
    }
    Ok(parsed)
}

fn section(line: &Line<'_>, name: &[u8]) -> Result<Section, Refusal> {
    if name.is_empty() {
        return Err(Refusal::new(line.number, "a section without a name", "give it a name, such as [openSSH]"));
    }
    let name = &name[..name.len().min(MAX_SECTION)];
    let name = if name == b"options" { name } else { &name[..name.len().min(MAX_DOOR)] };
    Ok(Section { line: line.number, name: name.to_vec(), entries: Vec::new() })
}

fn directive(
    line: &Line<'_>,
    section: Option<&Section>,
    one_time: &dyn Fn(&[u8]) -> Result<usize, String>,
) -> Result<Says, Refusal> {
    let refuse = |message: String, help: &str| Err(Refusal::new(line.number, message, help));
    let Some(section) = section else {
        return refuse("a line before the first section".into(), "begin with a line such as [options]");
    };
    let mut parts = line.text.splitn(2, |&octet| octet == b'=');
    let key = trim(parts.next().unwrap_or_default()).to_ascii_uppercase();
    let Some(value) = parts.next().map(trim) else {
        return match key.as_slice() {
            b"USESYSLOG" => Ok(Says::UseSyslog),
            _ => refuse(format!("{} is no directive without a value", shown(&key)), "write key = value"),
        };
    };
    let owned = || value.to_vec();
    if section.is_options() {
        return match key.as_slice() {
            b"LOGFILE" => Ok(Says::LogFile(owned())),
            b"PIDFILE" => Ok(Says::PidFile),
            b"INTERFACE" => Ok(Says::Interface(owned())),
            b"USESYSLOG" => refuse("UseSyslog takes no value".into(), "write UseSyslog alone on its line"),
            _ => refuse(
                format!("{} is no directive of [options]", shown(&key)),
                "known there: UseSyslog, LogFile, PidFile, Interface",
            ),
        };
    }
    match key.as_slice() {
        b"TARGET" => Ok(Says::Target(owned())),
        b"SEQUENCE" => steps(line, value).map(Says::Sequence),
        b"ONE_TIME_SEQUENCES" => match one_time(value) {
            Ok(0) => refuse(
                format!("no sequence is left in {}", shown(value)),
                "add lines such as 7000,8000:udp,9000 to that file",
            ),
            Ok(_) => Ok(Says::OneTime(owned())),
            Err(error) => refuse(format!("{}: {error}", shown(value)), "run the import on the host that has that file"),
        },
        b"SEQ_TIMEOUT" | b"TIMEOUT" => Ok(Says::SeqTimeout(atoi(value))),
        b"CMD_TIMEOUT" => Ok(Says::CmdTimeout(atoi(value))),
        b"START_COMMAND" | b"COMMAND" => Ok(Says::Start(owned())),
        b"START_COMMAND_6" | b"COMMAND_6" => Ok(Says::Start6(owned())),
        b"STOP_COMMAND" => Ok(Says::Stop(owned())),
        b"STOP_COMMAND_6" => Ok(Says::Stop6(owned())),
        b"TCPFLAGS" => flags(line, value).map(Says::TcpFlags),
        _ => refuse(
            format!("{} is no directive of a door", shown(&key)),
            "known there: Sequence, One_Time_Sequences, Seq_Timeout, TCPFlags, Target, Start_Command, Cmd_Timeout, \
             Stop_Command, and the commands with _6",
        ),
    }
}

fn steps(line: &Line<'_>, value: &[u8]) -> Result<Vec<Step>, Refusal> {
    sequence::parse(value).map_err(|error| {
        let (message, help) = match error {
            SequenceError::TooLong => ("a sequence of more than 32 ports".to_owned(), "keep at most 32 ports"),
            SequenceError::NoSuchPort(port) => {
                (format!("port {} does not exist", port.escape_debug()), "choose a port from 1 to 65535")
            }
            SequenceError::Protocol(protocol) => {
                (format!("unknown protocol \"{}\"", protocol.escape_debug()), "write tcp or udp, such as 7000:udp")
            }
        };
        Refusal::new(line.number, message, help)
    })
}

/// knockd takes no blanks around the commas.
fn flags(line: &Line<'_>, value: &[u8]) -> Result<Vec<(u8, bool)>, Refusal> {
    const KNOWN: [(&str, u8); 6] = [
        ("fin", TcpFlags::FIN),
        ("syn", TcpFlags::SYN),
        ("rst", TcpFlags::RST),
        ("psh", TcpFlags::PSH),
        ("ack", TcpFlags::ACK),
        ("urg", TcpFlags::URG),
    ];
    let mut flags = Vec::new();
    for flag in value.split(|&octet| octet == b',') {
        let (name, set) = flag.strip_prefix(b"!").map_or((flag, true), |name| (name, false));
        let bit = KNOWN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|&(_, bit)| bit);
        let Some(bit) = bit else {
            let help = "known: fin, syn, rst, psh, ack, urg; commas between them, and no blanks";
            return Err(Refusal::new(line.number, format!("unknown flag {}", shown(flag)), help));
        };
        flags.push((bit, set));
    }
    Ok(flags)
}

/// Octets for a person.
pub fn shown(octets: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(octets).escape_debug())
}

#[cfg(test)]
mod tests;
