//! What comes of an import.

use crate::syntax::PortRange;

/// A config, and what to say about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The text, which `Config::parse` takes.
    pub text: String,
    /// One for each door of the file.
    pub rows: Vec<Row>,
    /// What a person should look at.
    pub looks: Vec<Look>,
    /// The ports that are protected: the packet filter must let them through.
    pub ports: Vec<PortRange>,
    /// The interfaces on which they are.
    pub interfaces: Vec<String>,
}

/// A door of knockd.conf.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The line where it begins.
    pub line: usize,
    /// Its name here, or that in the file if it is left out.
    pub name: String,
    /// How many steps it has.
    pub steps: String,
    /// What it becomes.
    pub becomes: String,
    /// It is not in the config.
    pub left_out: bool,
}

/// Something to look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// The line of the file; 0 if it is about no line.
    pub line: usize,
    /// What it is.
    pub text: String,
}
