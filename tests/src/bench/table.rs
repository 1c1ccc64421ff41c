//! Figures as a table in Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Figure, Short};

/// A row for each figure, a column for each peer that one of them has, and what has to be known below.
#[must_use]
pub fn markdown(figures: &[&Figure]) -> String {
    let peers: BTreeSet<&str> = figures.iter().flat_map(|figure| figure.peers.keys()).map(AsRef::as_ref).collect();
    let mut text = String::from("| figure | knock |");
    peers.iter().for_each(|peer| text += &format!(" {peer} |"));
    text += "\n|---|---:|";
    peers.iter().for_each(|_| text += "---:|");
    text.push('\n');
    for figure in figures {
        let [least, most] = figure.spread.map(Short);
        let _ = write!(text, "| `{}` | {} {} ({least} to {most}) |", figure.id, Short(figure.value), figure.unit);
        for peer in &peers {
            text += &match (figure.peers.get(*peer), figure.ratio.get(*peer)) {
                (Some(value), Some(ratio)) => format!(" {} (x {}) |", Short(*value), Short(*ratio)),
                (Some(value), None) => format!(" {} |", Short(*value)),
                (None, _) => " |".to_owned(),
            };
        }
        text.push('\n');
    }
    text + &notes(figures)
}

/// A row for each figure, with all its peers in one column: for figures of which each has others.
#[must_use]
pub fn summary(figures: &[&Figure]) -> String {
    let mut text = String::from("| figure | knock | others, and the gate against each |\n|---|---:|---|\n");
    for figure in figures {
        let beside = figure.peers.iter().map(|(peer, value)| match figure.ratio.get(peer) {
            Some(ratio) => format!("{peer} {} (x {})", Short(*value), Short(*ratio)),
            None => format!("{peer} {}", Short(*value)),
        });
        let beside: Vec<_> = beside.collect();
        let _ = writeln!(text, "| `{}` | {} {} | {} |", figure.id, Short(figure.value), figure.unit, beside.join(", "));
    }
    text + &notes(figures)
}

/// What has to be known to read the figures.
fn notes(figures: &[&Figure]) -> String {
    let mut text = String::new();
    let noted: Vec<_> = figures.iter().filter(|figure| !figure.note.is_empty()).collect();
    if !noted.is_empty() {
        text.push('\n');
    }
    for (index, figure) in noted.iter().enumerate() {
        // Of neighbours with the same note the last one says it.
        if noted.get(index + 1).is_none_or(|next| next.note != figure.note) {
            let _ = writeln!(text, "- to `{}`: {}", figure.id, figure.note);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Rounds;

    #[test]
    fn a_summary_has_all_peers_in_one_column() {
        let mut rounds = Rounds::default();
        rounds.own(1.0);
        rounds.peer("other", 4.0);
        assert!(summary(&[&rounds.figure("a.b", "ms")]).ends_with("\n| `a.b` | 1.00 ms | other 4.00 (x 0.250) |\n"));
    }

    #[test]
    fn a_peer_that_only_one_figure_has_leaves_a_gap_in_the_other() {
        let mut first = Rounds::default();
        first.own(1.0);
        first.peer("other", 4.0);
        let mut second = Rounds::default();
        second.own(2.0);
        let figures = [first.figure("a.b", "ms"), second.figure("a.c", "ms").note("why")];
        assert_eq!(
            markdown(&figures.iter().collect::<Vec<_>>()),
            "| figure | knock | other |\n|---|---:|---:|\n| `a.b` | 1.00 ms (1.00 to 1.00) | 4.00 (x 0.250) |\n\
             | `a.c` | 2.00 ms (2.00 to 2.00) | |\n\n- to `a.c`: why\n"
        );
    }
}
