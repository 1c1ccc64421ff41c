//! knock sequences as knockd reads them: `port[:protocol]` with commas between.

use knock_common::packet::Transport;

use super::lines::{lines, trim};
use super::number::atoi;

/// Ports in one sequence (knockd's `SEQ_MAX`).
const MAX_STEPS: usize = 32;

/// One port of a sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The number; knockd takes 0.
    pub port: u16,
    /// TCP or UDP.
    pub transport: Transport,
    /// What was written is not just that number: it was cut off, or wrapped around.
    pub odd: bool,
}

/// Why knockd refuses a sequence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SequenceError {
    /// More than 32 ports.
    TooLong,
    /// A port over 65535.
    NoSuchPort(String),
    /// Something else than tcp or udp.
    Protocol(String),
}

/// Reads a sequence. Never empty: an empty text is port 0, and so is what is behind a last comma.
pub fn parse(text: &[u8]) -> Result<Vec<Step>, SequenceError> {
    let mut steps = Vec::new();
    for item in text.split(|&octet| octet == b',') {
        if steps.len() >= MAX_STEPS {
            return Err(SequenceError::TooLong);
        }
        let mut parts = item.split(|&octet| octet == b':');
        let port = parts.next().unwrap_or_default();
        let number = atoi(port);
        if number > i32::from(u16::MAX) {
            return Err(SequenceError::NoSuchPort(String::from_utf8_lossy(port).into_owned()));
        }
        let transport = match parts.next().map(|protocol| trim(protocol).to_ascii_lowercase()) {
            None => Transport::Tcp,
            Some(protocol) if protocol == b"tcp" => Transport::Tcp,
            Some(protocol) if protocol == b"udp" => Transport::Udp,
            Some(protocol) => return Err(SequenceError::Protocol(String::from_utf8_lossy(&protocol).into_owned())),
        };
        // A negative number wraps around.
        let wrapped = number as u16;
        let odd = trim(port) != wrapped.to_string().as_bytes() || parts.next().is_some();
        steps.push(Step { port: wrapped, transport, odd });
    }
    Ok(steps)
}

/// The sequences of a one-time file that knockd has not used yet, with the numbers of their lines. It skips
/// lines that begin with `#`, and those that are no sequence.
pub fn unused(file: &[u8]) -> impl Iterator<Item = (usize, Vec<Step>)> {
    let lines = lines(file).filter(|line| !line.text.is_empty() && line.text[0] != b'#');
    lines.filter_map(|line| Some((line.number, parse(line.text).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, SequenceError> {
        let steps = parse(text.as_bytes())?;
        let word = |step: &Step| {
            let transport = if step.transport == Transport::Tcp { "tcp" } else { "udp" };
            format!("{}/{transport}{}", step.port, if step.odd { "?" } else { "" })
        };
        Ok(steps.iter().map(word).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn sequences_are_read_as_knockd_does() {
        for (text, meant) in [
            ("7000,8000,9000", "7000/tcp 8000/tcp 9000/tcp"),
            ("7000:tcp, 8000 : UDP ,9000", "7000/tcp 8000/udp 9000/tcp"),
            ("7000", "7000/tcp"),
            ("", "0/tcp?"),
            ("7000,", "7000/tcp 0/tcp?"),
            (",", "0/tcp? 0/tcp?"),
            ("0", "0/tcp"),
            ("-1", "65535/tcp?"),
            ("-65536", "0/tcp?"),
            ("ssh", "0/tcp?"),
            ("7000x", "7000/tcp?"),
            ("7000:udp:junk", "7000/udp?"),
            ("4294974296", "7000/tcp?"),
            ("65535:udp", "65535/udp"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(meant), "{text}");
        }
        assert_eq!(parse("1,".repeat(31).as_bytes()).map(|steps| steps.len()), Ok(32));
    }

    #[test]
    fn what_knockd_refuses_is_refused() {
        assert_eq!(read("65536"), Err(SequenceError::NoSuchPort("65536".into())));
        assert_eq!(read("1,7000:icmp"), Err(SequenceError::Protocol("icmp".into())));
        assert_eq!(read("7000:"), Err(SequenceError::Protocol(String::new())));
        assert_eq!(parse("1,".repeat(32).as_bytes()), Err(SequenceError::TooLong));
    }

    #[test]
    fn used_and_broken_lines_do_not_count() {
        let numbers = |file| unused(file).map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!(numbers(b" 1,2,3\n#4,5,6\n\n7,8:sctp\n 9,10:udp\n"), [1, 5]);
        assert!(numbers(b"# 1,2\n  #3,4\n").is_empty());
    }
}
