//! One scan, and what it may see: the tool's own words for a port that is open, one that is closed, and one
//! that does not answer.

use crate::lab::Family;

/// The program that scans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tool {
    /// nmap(1).
    Nmap,
    /// hping3(8), which has no IPv6.
    Hping,
    /// `frames.py`, with python3-scapy.
    Scapy,
}

/// What is scanned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What a tool says of a port, by what the port is to it. Each is the whole of what the tool says: state, reason,
/// and the TTL or hop limit of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words {
    /// A server listens, and nothing is between.
    pub open: &'static str,
    /// Nothing listens.
    pub closed: &'static str,
    /// Nobody answers, as for an address without a host.
    pub silent: &'static str,
}

/// One scan of the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Who scans.
    pub tool: Tool,
    /// Its arguments; for scapy the name of the case.
    pub args: &'static str,
    /// What is scanned.
    pub transport: Transport,
    /// In which families.
    pub families: &'static [Family],
    /// What may be seen.
    pub words: Words,
    /// What a protected port without a grant looks like under `deny = "reject"`, if not like a closed one.
    pub rejected: Option<&'static str>,
    /// In which families it is part of the short form.
    pub quick: &'static [Family],
}

impl Row {
    /// A scan of TCP ports in both families.
    #[must_use]
    pub const fn new(tool: Tool, args: &'static str, words: Words) -> Self {
        let (transport, families): (_, &[Family]) = match tool {
            Tool::Hping => (Transport::Tcp, &[Family::V4]),
            Tool::Nmap | Tool::Scapy => (Transport::Tcp, &Family::ALL),
        };
        Self { tool, args, transport, families, words, rejected: None, quick: &[] }
    }

    /// The same for UDP ports.
    #[must_use]
    pub const fn udp(self) -> Self {
        Self { transport: Transport::Udp, ..self }
    }

    /// The same for IPv4 only.
    #[must_use]
    pub const fn v4(self) -> Self {
        Self { families: &[Family::V4], ..self }
    }

    /// The same for IPv6 only.
    #[must_use]
    pub const fn v6(self) -> Self {
        Self { families: &[Family::V6], ..self }
    }

    /// The same as part of the short form, in all its families.
    #[must_use]
    pub const fn quick(self) -> Self {
        Self { quick: self.families, ..self }
    }

    /// The same as part of the short form, there in IPv4 only: each scan takes about a second in every column.
    #[must_use]
    pub const fn quick_v4(self) -> Self {
        Self { quick: &[Family::V4], ..self }
    }

    /// What the short form has of it.
    #[must_use]
    pub fn short(&self) -> Option<Self> {
        (!self.quick.is_empty()).then_some(Self { families: self.quick, ..*self })
    }

    /// The same where a port that rejects does not look closed: SECURITY.md names what is not promised there.
    #[must_use]
    pub const fn rejected(self, word: &'static str) -> Self {
        Self { rejected: Some(word), ..self }
    }

    /// The same where it is silent.
    #[must_use]
    pub const fn silent_if_rejected(self) -> Self {
        self.rejected(self.words.silent)
    }

    /// How many ICMP errors an answer to it may take. A host is sparing with them.
    #[must_use]
    pub fn errors(&self) -> u32 {
        let is_error = |word: &&str| word.starts_with("icmp") || word.contains("unreach");
        let words = self.words;
        // Of an open, a closed, and a protected port, which is like one of them.
        let all = [words.open, words.closed, self.rejected.unwrap_or(words.closed)];
        all.iter().filter(|word| is_error(word)).count() as u32
    }

    /// Its name in the table.
    #[must_use]
    pub fn name(&self) -> String {
        let tool = match self.tool {
            Tool::Nmap => "nmap",
            Tool::Hping => "hping3",
            Tool::Scapy => "scapy:",
        };
        format!("{tool} {}", self.args)
    }
}
