//! What the lines of a knockd.conf say, and why knockd would refuse it.

use std::fmt;

use super::sequence::Step;

/// A file that knockd would take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Comments before the first section.
    pub head: Vec<Entry>,
    /// The sections, in the order of the file.
    pub sections: Vec<Section>,
}

/// `[options]`, or a door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// The number of its line.
    pub line: usize,
    /// Its name, which may hold anything.
    pub name: Vec<u8>,
    /// What is in it, in the order of the file.
    pub entries: Vec<Entry>,
}

impl Section {
    /// True for `[options]`, in just these letters.
    pub fn is_options(&self) -> bool {
        self.name == b"options"
    }
}

/// One line that is not blank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its number.
    pub line: usize,
    /// Its text, as far as it is one.
    pub text: String,
    /// What it says.
    pub says: Says,
}

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Says {
    /// Nothing: a comment.
    Comment,
    /// `UseSyslog`, in any section.
    UseSyslog,
    /// `LogFile`
    LogFile(Vec<u8>),
    /// `PidFile`
    PidFile,
    /// `Interface`
    Interface(Vec<u8>),
    /// `Target`
    Target(Vec<u8>),
    /// `Sequence`
    Sequence(Vec<Step>),
    /// `One_Time_Sequences`
    OneTime(Vec<u8>),
    /// `Seq_Timeout`, `Timeout`: seconds
    SeqTimeout(i32),
    /// `Cmd_Timeout`: seconds
    CmdTimeout(i32),
    /// `TCPFlags`: bits and whether they must be set
    TcpFlags(Vec<(u8, bool)>),
    /// `Start_Command`, `Command`
    Start(Vec<u8>),
    /// `Start_Command_6`, `Command_6`
    Start6(Vec<u8>),
    /// `Stop_Command`
    Stop(Vec<u8>),
    /// `Stop_Command_6`
    Stop6(Vec<u8>),
}

impl Says {
    /// True of the commands of a door that run at once, where what there is to say of the door is said.
    pub const fn is_start(&self) -> bool {
        matches!(self, Self::Start(_) | Self::Start6(_))
    }
}

/// Why knockd would not start with the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The number of the line.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// The remedy.
    pub help: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(line: usize, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { line, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: error: {}\n  help: {}", self.line, self.message, self.help)
    }
}

impl std::error::Error for Refusal {}
