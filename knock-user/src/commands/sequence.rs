//! `knockctl sequence`: a knock sequence that nobody can guess, as a line of the config.

use std::io::{self, Read, Write};

use anyhow::{Context as _, Result};
use knock_common::abi::rules::MAX_STEPS;
use knock_common::packet::Transport;

use crate::config::{Port, is_published};
use crate::exit::Exit;
use crate::host::random::{self, Generator};
use crate::host::sockets;

/// Arguments of `knockctl sequence`.
#[derive(clap::Args, Clone, Debug)]
pub struct SequenceArgs {
    /// How many steps
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u8).range(3..=MAX_STEPS as i64))]
    pub steps: u8,
}

/// Ports to choose from: none that a usual service has, and none that Linux gives to sockets that ask for none.
const FIRST: u16 = 10_000;
const LAST: u16 = 32_767;

/// Prints one that is neither ascending nor descending, of ports on which nothing listens here, TCP and UDP mixed.
///
/// # Errors
///
/// If the system gives no random numbers.
pub fn run(args: &SequenceArgs, out: &mut dyn Write) -> Result<Exit> {
    let listeners = sockets::listeners().unwrap_or_default();
    let is_free =
        |port: &Port| !listeners.iter().any(|one| one.address.port() == port.number && one.transport == port.transport);
    let steps = choose(&mut Generator, args.steps.into(), is_free).context(random::SAYS_NOTHING)?;
    let texts: Vec<_> = steps.iter().map(|step| format!("\"{step}\"")).collect();
    writeln!(out, "sequence = [{}]", texts.join(", "))?;
    Ok(Exit::Done)
}

/// Chooses until a sequence is good: all that are have the same chance.
fn choose(source: &mut dyn Read, steps: usize, is_free: impl Fn(&Port) -> bool) -> io::Result<Vec<Port>> {
    loop {
        let mut sequence: Vec<Port> = Vec::with_capacity(steps);
        while sequence.len() < steps {
            let mut octets = [0; 3];
            source.read_exact(&mut octets)?;
            let [high, low, transport] = octets;
            // 15 bits; what is beyond the last port is passed over, so that no port comes more often than another.
            let number = FIRST + (u16::from_be_bytes([high, low]) & 0x7fff);
            let transport = if transport & 1 == 0 { Transport::Tcp } else { Transport::Udp };
            let port = Port { number, transport };
            if number <= LAST && is_free(&port) && sequence.iter().all(|step| step.number != number) {
                sequence.push(port);
            }
        }
        let mut numbers: Vec<u16> = sequence.iter().map(|step| step.number).collect();
        let is_ordered = numbers.is_sorted() || numbers.is_sorted_by(|one, next| one > next);
        let is_mixed = sequence.iter().any(|step| step.transport != sequence[0].transport);
        if !is_ordered && is_mixed && is_published(&mut numbers).is_none() {
            return Ok(sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::config::Config;

    fn sequence(steps: u8) -> String {
        let mut out = Vec::new();
        assert_eq!(run(&SequenceArgs { steps }, &mut out).unwrap(), Exit::Done);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_printed_can_stand_in_a_config_and_raises_no_warning() {
        let mut seen = HashSet::new();
        for _ in 0..200 {
            let line = sequence(4);
            let text = format!(
                "[options]\ninterfaces = [\"lo\"]\n[services.s]\nports = [22]\n[doors.d]\nservice = \"s\"\n{line}cmd_timeout = 60\n"
            );
            let (config, warnings) = Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((config.doors[0].sequence.len(), &warnings[..]), (4, &[][..]), "{line}");
            assert!(crate::config::remarks_on_strength(&config).is_empty(), "{line}");
            assert!(seen.insert(line), "the same sequence again");
        }
        assert_eq!(sequence(9).matches('/').count(), 9);
    }

    #[test]
    fn ports_that_are_taken_orders_of_scanners_and_one_transport_are_passed_over() {
        let port = |number, transport: u8| {
            let [high, low] = u16::to_be_bytes(number - FIRST);
            [high, low, transport]
        };
        let octets = [
            // 65535, taken, twice the same.
            [0xff, 0xff, 0],
            port(20_000, 0),
            port(10_001, 0),
            port(10_001, 1),
            // Ascending; descending; of one transport.
            port(10_002, 1),
            port(10_003, 0),
            port(10_005, 0),
            port(10_004, 1),
            port(10_003, 0),
            port(10_005, 0),
            port(10_003, 0),
            port(10_004, 0),
            port(10_005, 0),
            port(10_003, 1),
            port(32_767, 1),
        ]
        .concat();
        let steps = choose(&mut &octets[..], 3, |port| port.number != 20_000).unwrap();
        assert_eq!(steps.iter().map(Port::to_string).collect::<Vec<_>>(), ["10005/tcp", "10003/udp", "32767/udp"]);
        assert!(choose(&mut &octets[..9], 3, |_| true).is_err(), "no more random numbers");
    }
}
