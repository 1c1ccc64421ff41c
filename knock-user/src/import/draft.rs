//! A door of knockd.conf on its way to one of ours: which of its lines count, and what they say.

use std::net::IpAddr;
use std::time::Duration;

use knock_common::packet::flags::{FlagTest, TcpFlags};

use super::grammar::{Entry, Says, Section};
use super::habits;
use super::meaning::Commands;
use super::remark::Remark;
use super::sequence::Step;
use crate::config::Port;

/// knockd's own default.
const SEQ_TIMEOUT: i32 = 25;
/// The same.
const CMD_TIMEOUT: i32 = 10;
/// The longest that our config takes.
const MAX_SEQ_TIMEOUT: i32 = 24 * 60 * 60;
/// The same: ten years.
const MAX_CMD_TIMEOUT: i32 = 10 * 365 * 24 * 60 * 60;

/// How the door is knocked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Knock {
    /// One sequence.
    Sequence(Vec<Port>),
    /// A file of them.
    OneTime(String),
}

/// The door.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Where it is from.
    pub section: &'a Section,
    /// Its remarks.
    pub remarks: Vec<Remark>,
    /// How it is knocked at.
    pub knock: Knock,
    /// `tcpflags`, as names.
    pub flags: Vec<String>,
    /// The same as a test.
    pub test: FlagTest,
    /// `seq_timeout`.
    pub seq_timeout: Duration,
    /// `cmd_timeout`; `None`: longer than anybody lives.
    pub cmd_timeout: Option<Duration>,
    /// `target`.
    pub target: Option<IpAddr>,
    /// Its commands.
    pub commands: Commands,
}

/// The last of the entries that `pick` picks, which is the one that counts, with what it picked.
fn last<'a, T: 'a>(section: &'a Section, pick: impl Fn(&'a Says) -> Option<T>) -> Option<(usize, T)> {
    section.entries.iter().enumerate().rev().find_map(|(index, entry)| Some((index, pick(&entry.says)?)))
}

impl<'a> Draft<'a> {
    /// Reads a section. `Err` holds the remarks and why the door is left out.
    pub fn new(section: &'a Section) -> Result<Self, (Vec<Remark>, String)> {
        let mut remarks = overridden(section);
        remarks.extend(habits::remarks(section));
        let fail = |remarks: Vec<Remark>, why: String| Err((remarks, why));
        let knock = match knock(section, &mut remarks) {
            Ok(knock) => knock,
            Err(why) => return fail(remarks, why),
        };
        let steps = match &knock {
            Knock::Sequence(ports) => ports.len(),
            Knock::OneTime(_) => 2,
        };
        let (seconds, at) = last(section, |says| if let Says::SeqTimeout(n) = says { Some(*n) } else { None })
            .map_or((SEQ_TIMEOUT, None), |(index, seconds)| (seconds, Some(index)));
        let seq_timeout = match seconds {
            1..=MAX_SEQ_TIMEOUT => seconds,
            86_401.. => {
                remarks.push(remark(at, "a day is the longest here", true));
                MAX_SEQ_TIMEOUT
            }
            _ if steps == 1 => SEQ_TIMEOUT,
            _ => return fail(remarks, format!("with {seconds} seconds for the sequence, knockd never opened it")),
        };
        let target = match target(section, &mut remarks) {
            Ok(target) => target,
            Err(why) => return fail(remarks, why),
        };
        let commands = match commands(section) {
            Ok(commands) => commands,
            Err(why) => return fail(remarks, why),
        };
        let cmd_timeout = cmd_timeout(section, &commands, &mut remarks);
        let (flags, test) = flags(section);
        let seq_timeout = Duration::from_secs(seq_timeout.unsigned_abs().into());
        Ok(Self { section, remarks, knock, flags, test, seq_timeout, cmd_timeout, target, commands })
    }

    /// Says something of the last line that `is` one of them, or else of the section.
    pub fn say(&mut self, is: impl Fn(&Says) -> bool, text: impl Into<String>, look: bool) {
        let entry = last(self.section, |says| is(says).then_some(())).map(|(index, ())| index);
        let remark = remark(entry, text, look);
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// The sequence, if there is one.
    pub fn sequence(&self) -> &[Port] {
        match &self.knock {
            Knock::Sequence(ports) => ports,
            Knock::OneTime(_) => &[],
        }
    }

    /// The line of its start command, or of the section.
    pub fn start_line(&self) -> usize {
        let start = last(self.section, |says| matches!(says, Says::Start(_) | Says::Start6(_)).then_some(()));
        start.map_or(self.section.line, |(index, ())| self.section.entries[index].line)
    }
}

fn remark(entry: Option<usize>, text: impl Into<String>, look: bool) -> Remark {
    Remark { entry, text: text.into(), look }
}

/// Lines that a later one overrides. Flags add up.
fn overridden(section: &Section) -> Vec<Remark> {
    let kind = |entry: &Entry| std::mem::discriminant(&entry.says);
    let mut remarks = Vec::new();
    for (index, entry) in section.entries.iter().enumerate() {
        if matches!(entry.says, Says::Comment | Says::UseSyslog) {
            continue;
        }
        let Some(later) = section.entries[index + 1..].iter().find(|later| kind(later) == kind(entry)) else {
            continue;
        };
        let text = match entry.says {
            Says::TcpFlags(_) => format!("joined with line {}", later.line),
            _ => format!("overridden by line {}", later.line),
        };
        remarks.push(remark(Some(index), text, false));
    }
    remarks
}

fn knock(section: &Section, remarks: &mut Vec<Remark>) -> Result<Knock, String> {
    let steps = last(section, |says| if let Says::Sequence(steps) = says { Some(steps) } else { None });
    let file = last(section, |says| if let Says::OneTime(path) = says { Some(path) } else { None });
    match (steps, file) {
        (steps, Some((at, path))) => {
            match steps {
                Some((first, _)) if first > at => {
                    let text = "knockd begins with this one; here the first is the file's";
                    remarks.push(remark(Some(first), text, true));
                }
                Some((before, _)) => remarks.push(remark(Some(before), "the file's sequences take its place", false)),
                None => {}
            }
            let path = String::from_utf8(path.clone()).map_err(|_| "the name of its file is not UTF-8".to_owned())?;
            if path.starts_with('/') && !path.contains(char::is_control) {
                Ok(Knock::OneTime(path))
            } else {
                Err("the name of its file is not an absolute path".to_owned())
            }
        }
        (Some((at, steps)), None) => sequence(at, steps, remarks).map(Knock::Sequence),
        (None, None) => Err("it has no sequence".to_owned()),
    }
}

fn sequence(at: usize, steps: &[Step], remarks: &mut Vec<Remark>) -> Result<Vec<Port>, String> {
    if let Some(zero) = steps.iter().position(|step| step.port == 0) {
        let text = if zero + 1 == steps.len() && steps[zero].odd {
            "knockd takes what is behind the last comma for port 0"
        } else {
            "knockd reads port 0 in it"
        };
        remarks.push(remark(Some(at), text, false));
        return Err("its sequence has port 0, which no host can knock here".to_owned());
    }
    if steps.iter().any(|step| step.odd) {
        remarks.push(remark(Some(at), "knockd reads other numbers than were written", true));
    }
    Ok(steps.iter().map(|step| Port { number: step.port, transport: step.transport }).collect())
}

/// knockd compares the text with that of the packet's destination.
fn target(section: &Section, remarks: &mut Vec<Remark>) -> Result<Option<IpAddr>, String> {
    let target = last(section, |says| if let Says::Target(text) = says { Some(text) } else { None });
    let Some((at, octets)) = target else { return Ok(None) };
    let text = String::from_utf8_lossy(octets);
    let address: IpAddr = text.parse().map_err(|_| "its target is no address, so knockd never opened it".to_owned())?;
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]) {
        return Err("its target is no address of one host".to_owned());
    }
    if address.to_string() != text {
        let note = format!("knockd never opened it: it compares letters, and this address is written {address}");
        remarks.push(remark(Some(at), note, true));
    }
    Ok(Some(address))
}

fn commands(section: &Section) -> Result<Commands, String> {
    let text = |pick: fn(&Says) -> Option<&Vec<u8>>| match last(section, pick) {
        None => Ok(None),
        Some((_, octets)) => str::from_utf8(octets).map(Some).map_err(|_| "a command of it is not UTF-8".to_owned()),
    };
    Ok(Commands::new(
        text(|says| if let Says::Start(text) = says { Some(text) } else { None })?,
        text(|says| if let Says::Start6(text) = says { Some(text) } else { None })?,
        text(|says| if let Says::Stop(text) = says { Some(text) } else { None })?,
        text(|says| if let Says::Stop6(text) = says { Some(text) } else { None })?,
    ))
}

fn cmd_timeout(section: &Section, commands: &Commands, remarks: &mut Vec<Remark>) -> Option<Duration> {
    let found = last(section, |says| if let Says::CmdTimeout(seconds) = says { Some(*seconds) } else { None });
    let at = found.map(|(index, _)| index);
    let seconds = found.map_or(CMD_TIMEOUT, |(_, seconds)| seconds);
    if !commands.stops() {
        if at.is_some() {
            remarks.push(remark(at, "without a stop command it counts for nothing", false));
        }
        return None;
    }
    let seconds = match seconds {
        1..=MAX_CMD_TIMEOUT => seconds,
        0 => {
            remarks.push(remark(at, "knockd stops at once; a second is the shortest time that is of use", true));
            1
        }
        // sleep(3) takes it for an unsigned number.
        _ => {
            remarks.push(remark(at, "knockd waits for decades; ten years is the longest here", true));
            MAX_CMD_TIMEOUT
        }
    };
    Some(Duration::from_secs(seconds.unsigned_abs().into()))
}

/// The flags in the order in which they were named; of a flag named twice, the last counts. Where none is named, any
/// segment knocks under knockd, so that a sweep of such as nobody answers opens the door; here SYN does, as a client
/// sends it.
fn flags(section: &Section) -> (Vec<String>, FlagTest) {
    let mut named: Vec<(u8, bool)> = Vec::new();
    for entry in &section.entries {
        let Says::TcpFlags(flags) = &entry.says else { continue };
        for &(bit, set) in flags {
            named.retain(|(other, _)| *other != bit);
            named.push((bit, set));
        }
    }
    if named.is_empty() {
        named.push((TcpFlags::SYN, true));
    }
    let mut test = FlagTest { set: 0, clear: 0 };
    let mut words = Vec::new();
    for (bit, set) in named {
        *(if set { &mut test.set } else { &mut test.clear }) |= bit;
        let name = TcpFlags::NAMES.iter().find(|(_, other)| *other == bit).map_or("", |&(name, _)| name);
        words.push(format!("{}{name}", if set { "" } else { "!" }));
    }
    // What our config makes of "syn".
    if test.set & TcpFlags::SYN != 0 && test.set & TcpFlags::ACK == 0 {
        test.clear |= TcpFlags::ACK;
    }
    (words, test)
}
