//! Sequences that knockd takes and that are weak, or do not do what they seem to.

use knock_common::packet::Transport;
use knock_common::packet::flags::TcpFlags;

use super::draft::{Draft, Knock};
use super::grammar::Says;
use super::settle::{Candidate, same_knocks};
use crate::config::Port;

/// Says so of every door that is in.
pub fn name(doors: &mut [Candidate<'_>]) {
    let alive: Vec<usize> = (0..doors.len()).filter(|&index| doors[index].left_out.is_none()).collect();
    for &index in &alive {
        shape(&mut doors[index].draft);
        for &other in &alive {
            if other != index
                && let Some(text) = beside(&doors[index].draft, &doors[other].draft, index < other)
            {
                doors[index].draft.say(is_sequence, text, true);
            }
        }
    }
}

const fn is_sequence(says: &Says) -> bool {
    matches!(says, Says::Sequence(_))
}

/// Of flags that a segment of no new connection can have.
const ANY_SEGMENT: &str =
    "segments that open no connection fit these flags, and a sweep of them walks through a sequence; \"syn\" is safer";

/// What is weak about a sequence by itself.
pub fn weakness(steps: &[Port]) -> Vec<String> {
    let mut weak = Vec::new();
    let Some(first) = steps.first() else { return weak };
    if steps.len() == 1 {
        weak.push("a single knock: any scan of this port makes it".to_owned());
    }
    if steps.windows(2).any(|pair| pair[0] == pair[1]) {
        weak.push("the same step twice in a row: a packet that is sent again makes both".to_owned());
    }
    let ascending = steps.is_sorted_by_key(|step| step.number);
    let descending = steps.is_sorted_by(|one, next| one.number >= next.number);
    if (ascending || descending) && steps.iter().any(|step| step.number != first.number) {
        let way = if ascending { "ascending" } else { "descending" };
        weak.push(format!("{way} ports, in the order in which scanners go; under knockd that opens it"));
    }
    weak
}

fn shape(draft: &mut Draft<'_>) {
    let only_syn = draft.test.set & TcpFlags::SYN != 0 && draft.test.clear & TcpFlags::ACK != 0;
    for text in weakness(draft.sequence()) {
        draft.say(is_sequence, text, true);
    }
    let knocks_by_tcp = match &draft.knock {
        Knock::Sequence(steps) => steps.iter().any(|step| step.transport == Transport::Tcp),
        Knock::OneTime(_) => true,
    };
    if knocks_by_tcp && !only_syn {
        draft.say(|says| matches!(says, Says::TcpFlags(_)), ANY_SEGMENT, true);
    }
}

/// What one sequence is to another.
fn beside(draft: &Draft<'_>, other: &Draft<'_>, first: bool) -> Option<String> {
    let (steps, others) = (draft.sequence().len(), other.sequence().len());
    if steps == 0 || others == 0 || !same_knocks(draft, other) {
        return None;
    }
    let line = other.section.line;
    match steps.cmp(&others) {
        std::cmp::Ordering::Less if first => Some(format!(
            "the beginning of the door on line {line}: who knocks there knocks here as well; under knockd that one never opened"
        )),
        std::cmp::Ordering::Less => {
            Some(format!("the beginning of the door on line {line}: who knocks there knocks here as well"))
        }
        std::cmp::Ordering::Equal if first => Some(format!("the same sequence as the door on line {line}")),
        _ => None,
    }
}
