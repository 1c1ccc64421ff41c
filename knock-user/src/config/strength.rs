//! What `knockctl check` thinks of doors that work: how much there is to guess, and for how long they are open.

use std::collections::BTreeSet;

use knock_common::abi::rules::Action;

use super::Severity;
use super::model::{Config, Door};
use super::port::Port;
use super::tcpflags;
use crate::syntax::Diagnostic;

/// A sequence with less is too little to guess, in bits.
const ENOUGH: u32 = 40;
/// A sequence with fewer steps is made by chance.
const FEW: usize = 3;

/// Doors that could be stronger. No finding repeats a port.
#[must_use]
pub fn remarks(config: &Config) -> Vec<Diagnostic> {
    let file = config.path.display().to_string();
    let mut found = Vec::new();
    for door in &config.doors {
        let mut say = |name: &str, message: String, help: &str| {
            let key = format!("doors.{}{name}", door.name.as_str());
            found.push(Diagnostic::of_file(&file, key, Severity::Warning, message).with_help(help));
        };
        let closes = |other: &Door| other.service == door.service && other.action == Action::Close;
        if door.action == Action::Open && door.cmd_timeout.is_none() && !config.doors.iter().any(closes) {
            let message =
                "opens for good: there is neither a cmd_timeout nor a door that closes its service".to_owned();
            say("", message, "add cmd_timeout = \"60s\": connections that stand by then go on");
        }
        // Of one step the config itself says so, and what is used once cannot be tried again.
        if door.one_time.is_none() && door.sequence.len() > 1 {
            let help = "`knockctl sequence` makes one at random that is long enough";
            let (steps, room) = (door.sequence.len(), room(&door.sequence));
            if steps < FEW {
                say(".sequence", format!("{steps} steps: {FEW} or more are wanted"), help);
            } else if room < ENOUGH {
                say(".sequence", format!("{room} bits of room: {ENOUGH} or more are wanted"), help);
            }
        }
        // Of flags that a segment of a connection may have, the config itself says so.
        if door.has_tcp_step() && door.tcpflags != tcpflags::REQUEST && tcpflags::only_opens(door.tcpflags) {
            let message = "not [\"syn\"]: usual clients cannot make such a knock, and firewalls on the way may drop it"
                .to_owned();
            say(".tcpflags", message, "use [\"syn\"], or leave it out");
        }
    }
    found
}

/// How much room there is for a sequence: the binary logarithm, rounded, of how many an outsider would have to try who
/// guesses how it was chosen, and begins with what is least.
///
/// For each step he tries all ports of the smallest of these sets that has all of them: the multiples of 1000, of 100, those
/// below 1024, all; and TCP alone, or UDP alone, or both. If ports come again, he chooses that many fewer, and where they stand. If
/// they are equally far apart, the first and the distance are all that he has to guess.
fn room(sequence: &[Port]) -> u32 {
    type IsOne = fn(&i32) -> bool;
    let steps = sequence.len() as f64;
    let is_mixed = sequence.iter().any(|step| step.transport != sequence[0].transport);
    let numbers: Vec<i32> = sequence.iter().map(|step| step.number.into()).collect();
    let kinds: [(u16, IsOne); 3] =
        [(65, |number| number % 1000 == 0), (655, |number| number % 100 == 0), (1023, |number| *number < 1024)];
    let kind = kinds.into_iter().find(|(_, is_one)| numbers.iter().all(is_one));
    let each = f64::from(kind.map_or(u16::MAX, |(size, _)| size)).log2();
    let different: BTreeSet<i32> = numbers.iter().copied().collect();
    let count = different.len() as f64;
    let mut ports = each * count + if count < steps { steps * count.log2() } else { 0.0 };
    let mut pairs = numbers.windows(2).map(|pair| pair[1] - pair[0]);
    let first = pairs.next();
    if pairs.all(|distance| Some(distance) == first) {
        ports = ports.min(2.0 * each);
    }
    (ports + if is_mixed { steps } else { 0.0 }).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::PortNames;

    fn room_of(sequence: &str) -> u32 {
        let names = PortNames::default();
        room(&sequence.split(' ').map(|step| Port::parse(step, &names).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn room_is_what_an_outsider_has_to_try() {
        for (sequence, bits) in [
            // Three ports of 65535; with both transports a bit more for each.
            ("38211 9407 52630", 48),
            ("38211 9407/udp 52630", 51),
            ("38211/udp 9407/udp 52630/udp", 48),
            ("38211 9407/udp 52630 17944/udp", 68),
            // Of those below 1024, of round numbers.
            ("701 903 822", 30),
            ("701 903 822 417", 40),
            ("7000 3000 9000", 18),
            ("7100 3000 9200", 28),
            ("7000 8000/udp 9000", 15),
            ("1 40000 7", 48),
            // Equally far apart; there and back again; always the same.
            ("40123 41134 42145", 32),
            ("38211 9407 38211", 35),
            ("38211 38211 38211", 16),
        ] {
            assert_eq!(room_of(sequence), bits, "{sequence}");
        }
    }

    fn said(keys: &str) -> Vec<String> {
        let text = format!(
            "[options]\ninterfaces = [\"eth0\"]\n[services.s]\nports = [22]\n[doors.d]\nservice = \"s\"\n{keys}\n"
        );
        let config = Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}")).0;
        remarks(&config)
            .iter()
            .map(|finding| finding.to_string().lines().next().unwrap_or_default().to_owned())
            .collect()
    }

    const GOOD: &str = "sequence = [38211, 9407, 52630]\n";

    #[test]
    fn a_good_door_raises_nothing() {
        assert_eq!(said(&format!("{GOOD}cmd_timeout = 60")), [""; 0]);
        assert_eq!(
            said(
                "sequence = [\"38211/udp\", \"9407/udp\", \"52630/udp\"]\ncmd_timeout = 1\ntcpflags = [\"fin\", \"!ack\", \"!rst\"]"
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_door_that_opens_for_good_is_named_unless_one_closes() {
        let text = "k.toml: warning: doors.d: opens for good: there is neither a cmd_timeout nor a door that closes its service";
        assert_eq!(said(GOOD), [text]);
        assert_eq!(
            said(&format!("{GOOD}[doors.c]\nservice = \"s\"\naction = \"close\"\nsequence = [1, 40000, 7]")),
            [""; 0]
        );
    }

    #[test]
    fn short_and_narrow_sequences_are_named() {
        let said = |sequence: &str| said(&format!("sequence = {sequence}\ncmd_timeout = 60"));
        assert_eq!(said("[38211, 9407]"), ["k.toml: warning: doors.d.sequence: 2 steps: 3 or more are wanted"]);
        assert_eq!(
            said("[701, 903, 822]"),
            ["k.toml: warning: doors.d.sequence: 30 bits of room: 40 or more are wanted"]
        );
        assert_eq!(said("[701, 903, 822, 417]"), [""; 0]);
    }

    #[test]
    fn other_flags_than_syn_are_named() {
        let text = "k.toml: warning: doors.d.tcpflags: not [\"syn\"]: usual clients cannot make such a knock, and firewalls on the \
                    way may drop it";
        assert_eq!(
            said(&format!("{GOOD}cmd_timeout = 60\ntcpflags = [\"fin\", \"!syn\", \"!ack\", \"!rst\"]")),
            [text]
        );
        assert_eq!(said(&format!("{GOOD}cmd_timeout = 60\ntcpflags = [\"syn\"]")), [""; 0]);
        // The config itself warns of these.
        assert_eq!(said(&format!("{GOOD}cmd_timeout = 60\ntcpflags = []")), [""; 0]);
    }
}
