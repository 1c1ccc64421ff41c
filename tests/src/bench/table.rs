//! Figures as a table in Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Figure, Row, Short};

/// A row for each figure, a column for each peer that one of them has, and what has to be known below.
#[must_use]
pub fn markdown(rows: &[Row<'_>]) -> String {
    let peers: BTreeSet<&str> = rows.iter().flat_map(peers).collect();
    let mut text = String::from("| figure | knock |");
    peers.iter().for_each(|peer| text += &format!(" {peer} |"));
    text += "\n|---|---:|";
    peers.iter().for_each(|_| text += "---:|");
    text.push('\n');
    for row in rows {
        let _ = write!(text, "| `{}` | {} |", row.id(), own(row, true));
        for peer in &peers {
            text += &theirs(row, peer).map_or_else(|| " |".to_owned(), |theirs| format!(" {theirs} |"));
        }
        text.push('\n');
    }
    text + &notes(rows)
}

/// A row for each figure, with all its peers in one column: for figures of which each has others.
#[must_use]
pub fn summary(rows: &[Row<'_>]) -> String {
    let mut text = String::from("| figure | knock | others, and the gate against each |\n|---|---:|---|\n");
    for row in rows {
        let peers: BTreeSet<&str> = peers(row).collect();
        let beside: Vec<_> = peers.iter().filter_map(|peer| Some(format!("{peer} {}", theirs(row, peer)?))).collect();
        let _ = writeln!(text, "| `{}` | {} | {} |", row.id(), own(row, false), beside.join(", "));
    }
    text + &notes(rows)
}

/// The least and the most of what machines have measured, or what all of them have.
#[must_use]
pub fn range(values: &[f64]) -> String {
    let least = Short(values.iter().copied().fold(f64::INFINITY, f64::min)).to_string();
    let most = Short(values.iter().copied().fold(f64::NEG_INFINITY, f64::max)).to_string();
    if least == most { least } else { format!("{least} to {most}") }
}

/// Of one machine the median, and the range of its rounds if asked for; of several the range of their medians.
fn own(row: &Row<'_>, with_rounds: bool) -> String {
    let values: Vec<f64> = row.0.iter().map(|figure| figure.value).collect();
    let text = format!("{} {}", range(&values), row.0[0].unit);
    match &row.0[..] {
        [Figure { spread, .. }] if with_rounds => {
            let [least, most] = spread.map(Short);
            format!("{text} ({least} to {most})")
        }
        _ => text,
    }
}

/// A peer's median, and the gate against it; with several machines their range.
fn theirs(row: &Row<'_>, peer: &str) -> Option<String> {
    let values: Vec<f64> = row.0.iter().filter_map(|figure| figure.peers.get(peer).copied()).collect();
    let ratios = row.ratios(peer);
    match (values.is_empty(), ratios.is_empty()) {
        (true, _) => None,
        (false, true) => Some(range(&values)),
        (false, false) => Some(format!("{} (x {})", range(&values), range(&ratios))),
    }
}

fn peers<'a>(row: &Row<'a>) -> impl Iterator<Item = &'a str> {
    row.0.clone().into_iter().flat_map(|figure| figure.peers.keys()).map(AsRef::as_ref)
}

/// What has to be known to read the figures.
fn notes(rows: &[Row<'_>]) -> String {
    let mut text = String::new();
    let noted: Vec<_> = rows.iter().filter(|row| !row.note().is_empty()).collect();
    if !noted.is_empty() {
        text.push('\n');
    }
    for (index, row) in noted.iter().enumerate() {
        // Of neighbours with the same note the last one says it.
        if noted.get(index + 1).is_none_or(|next| next.note() != row.note()) {
            let _ = writeln!(text, "- to `{}`: {}", row.id(), row.note());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Rounds;

    fn figure(id: &str, own: f64, peer: Option<f64>) -> Figure {
        let mut rounds = Rounds::default();
        rounds.own(own);
        peer.into_iter().for_each(|peer| rounds.peer("other", peer));
        rounds.figure(id, "ms")
    }

    #[test]
    fn a_summary_has_all_peers_in_one_column() {
        let figure = figure("a.b", 1.0, Some(4.0));
        assert!(summary(&[Row(vec![&figure])]).ends_with("\n| `a.b` | 1.00 ms | other 4.00 (x 0.250) |\n"));
    }

    #[test]
    fn a_peer_that_only_one_figure_has_leaves_a_gap_in_the_other() {
        let (first, second) = (figure("a.b", 1.0, Some(4.0)), figure("a.c", 2.0, None).note("why"));
        assert_eq!(
            markdown(&[Row(vec![&first]), Row(vec![&second])]),
            "| figure | knock | other |\n|---|---:|---:|\n| `a.b` | 1.00 ms (1.00 to 1.00) | 4.00 (x 0.250) |\n\
             | `a.c` | 2.00 ms (2.00 to 2.00) | |\n\n- to `a.c`: why\n"
        );
    }

    #[test]
    fn of_several_machines_their_range_is_shown() {
        let (first, second) = (figure("a.b", 1.0, Some(4.0)), figure("a.b", 3.0, Some(4.0)));
        let third = figure("a.b", 2.0, None);
        let text = markdown(&[Row(vec![&first, &second, &third])]);
        assert!(text.ends_with("\n| `a.b` | 1.00 to 3.00 ms | 4.00 (x 0.250 to 0.750) |\n"), "{text}");
    }
}
