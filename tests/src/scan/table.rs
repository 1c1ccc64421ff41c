//! The table: what each scan should have seen of a protected port, and what it saw; and the line of figures.

use std::fmt;

use super::ground::Deny;
use super::judge::{Cell, expected};
use super::{Moment, Report};
use crate::lab::{Family, Host};
use crate::scan::row::{Row, Tool};

/// Who looks, and when: a pair of columns each.
const VIEWS: [(&str, Moment, Host); 3] = [
    ("before the knock", Moment::Before, Host::Client),
    ("after it, who knocked", Moment::After, Host::Client),
    ("after it, a stranger", Moment::After, Host::Stranger),
];

/// What a view should have seen of the protected port, and what it saw.
type Pair = [String; 2];

/// A line of the table.
struct Line {
    name: String,
    family: &'static str,
    pairs: Vec<Pair>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "What a scan should see of a protected port, and what it saw. `WRONG` marks what is otherwise, there or at \
             a port beside it; below is all of it."
        )?;
        for deny in Deny::ALL {
            self.section(f, deny)?;
        }
        writeln!(f)?;
        for fault in self.faults() {
            writeln!(f, "WRONG: {fault}")?;
        }
        write!(
            f,
            "scan: {} s: {} rows, {} cells, {} scans run, {} frames sent, {} knocks made, {} knocks lost, {} let in, \
             {} wrong",
            self.took.as_secs(),
            self.rows.len(),
            self.cells.len(),
            self.scans,
            self.frames,
            self.knocks,
            self.lost,
            self.let_in(),
            self.faults().count(),
        )
    }
}

impl Report {
    /// The part for one answer of the gate.
    fn section(&self, f: &mut fmt::Formatter<'_>, deny: Deny) -> fmt::Result {
        let lines: Vec<Line> = self.rows.iter().flat_map(|row| self.lines(row, deny)).collect();
        let title = format!("deny = \"{}\"", deny.name());
        let width = lines.iter().map(|line| line.name.len()).max().unwrap_or_default().max(title.len());
        let widths: Vec<[usize; 2]> = (0..VIEWS.len()).map(|view| widths(&lines, view)).collect();
        let mut head = format!("{title:width$}  {:6}", "");
        let mut names = format!("{:width$}  {:6}", "scan", "family");
        for ((view, ..), [should, seen]) in VIEWS.iter().zip(&widths) {
            head.push_str(&format!(" | {view:wide$}", wide = should + 2 + seen));
            names.push_str(&format!(" | {:should$}  {:seen$}", "expected", "seen"));
        }
        write!(f, "\n{}\n{}\n", head.trim_end(), names.trim_end())?;
        for Line { name, family, pairs } in &lines {
            let mut text = format!("{name:width$}  {family:6}");
            for ([should, seen], [wide, wider]) in pairs.iter().zip(&widths) {
                text.push_str(&format!(" | {should:wide$}  {seen:wider$}"));
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }

    /// A row in one line, or in one for each family if they are not alike.
    fn lines(&self, row: &Row, deny: Deny) -> Vec<Line> {
        let line = |&family: &Family| {
            let pairs = VIEWS.iter().map(|&(_, moment, host)| self.pair(row, deny, moment, host, family)).collect();
            Line { name: row.name(), family: family.name(), pairs }
        };
        let mut lines: Vec<Line> = row.families.iter().map(line).collect();
        if let [first, second] = &lines[..]
            && first.pairs == second.pairs
        {
            lines.truncate(1);
            lines[0].family = "both";
        }
        lines
    }

    /// What a host should have seen, and what it saw.
    fn pair(&self, row: &Row, deny: Deny, moment: Moment, host: Host, family: Family) -> Pair {
        let [should, ..] = expected(row, deny, moment.grants(host));
        let is_this = |cell: &&Cell| {
            cell.row.name() == row.name()
                && cell.row.families == row.families
                && (cell.deny, cell.moment, cell.family) == (deny, moment, family)
        };
        let cell = self.cells.iter().find(is_this);
        let said = cell.and_then(|cell| cell.seen.iter().find(|(one, _)| *one == host));
        let mut seen = said.map_or("not run", |(_, said)| brief(row, &said[0])).to_owned();
        if !cell.is_some_and(|cell| cell.is_right(host)) {
            seen.push_str(" WRONG");
        }
        [brief(row, should).to_owned(), seen]
    }
}

/// What a tool says, for a column: of nmap the state, without its reason; of a tool that failed, that it did.
fn brief<'a>(row: &Row, said: &'a str) -> &'a str {
    let end = if row.tool == Tool::Nmap { [':', ' '] } else { [':'; 2] };
    said.split(end).next().unwrap_or_default()
}

/// How wide the two columns of a view are.
fn widths(lines: &[Line], view: usize) -> [usize; 2] {
    let longest = |column: usize, least: usize| {
        lines.iter().map(|line| line.pairs[view][column].len()).max().unwrap_or_default().max(least)
    };
    let should = longest(0, "expected".len());
    // The title stands over both.
    [should, longest(1, VIEWS[view].0.len().saturating_sub(should + 2))]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lab::Probe;
    use crate::scan::Beside;
    use crate::scan::matrix::ROWS;
    use crate::scan::tool::Said;

    /// A report of scans of which `change` may change what they saw.
    fn report(rows: &[Row], change: impl Fn(&Row, Deny, Moment, Host, &mut Said)) -> Report {
        let mut report = Report { rows: rows.to_vec(), ..Report::default() };
        for &row in rows {
            for (deny, moment) in Deny::ALL.into_iter().flat_map(|deny| Moment::ALL.map(|moment| (deny, moment))) {
                for &family in row.families {
                    let see = |&host: &Host| {
                        let mut said = expected(&row, deny, moment.grants(host)).map(str::to_owned);
                        change(&row, deny, moment, host, &mut said);
                        (host, said)
                    };
                    let seen = moment.sources().iter().map(see).collect();
                    report.cells.push(Cell::new(row, deny, moment, family, seen));
                }
            }
        }
        report
    }

    /// The words of the line of a scan in the part of one answer of the gate.
    fn words(text: &str, deny: Deny, name: &str) -> String {
        let (_, part) = text.split_once(&format!("deny = \"{}\"", deny.name())).expect("no such part");
        let line = part.lines().find(|line| line.starts_with(&format!("{name}  "))).expect("no such line");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn expected_and_seen_stand_beside_one_another() {
        let text = report(ROWS, |_, _, _, _, _| {}).to_string();
        let line = "nmap -sS both | filtered filtered | open open | filtered filtered";
        assert_eq!(words(&text, Deny::Drop, "nmap -sS"), line);
        let line = "nmap -sS both | closed closed | open open | closed closed";
        assert_eq!(words(&text, Deny::Reject, "nmap -sS"), line);
        let line = "scapy: syn both | RA 64 RA 64 | SA 64 SA 64 | RA 64 RA 64";
        assert_eq!(words(&text, Deny::Reject, "scapy: syn"), line);
        let line = "scapy: fragment both | silent silent | SA 64 SA 64 | silent silent";
        assert_eq!(words(&text, Deny::Reject, "scapy: fragment"), line);
        assert!(!text.contains("WRONG:") && !text.contains(" WRONG"), "{text}");
        for title in ["before the knock", "after it, who knocked", "after it, a stranger", "expected  ", "seen"] {
            assert!(text.contains(title), "{title}");
        }
        for line in text.lines() {
            assert!(line.len() <= 200, "{} columns: {line}", line.len());
        }
    }

    #[test]
    fn what_is_wrong_is_marked_where_it_is() {
        // The stranger finds the port open, over both families.
        let text = report(ROWS, |row, deny, moment, host, said| {
            if row.args == "-sS" && (deny, moment, host) == (Deny::Drop, Moment::After, Host::Stranger) {
                said[0] = row.words.open.to_owned();
            }
            // A port beside it, and a tool that fails.
            if row.args == "-sV" && (deny, moment) == (Deny::Reject, Moment::Before) {
                said[2] = row.words.silent.to_owned();
            }
            if row.args == "syn" && (deny, moment) == (Deny::Reject, Moment::Before) {
                said[0] = "failed: no time".to_owned();
            }
        })
        .to_string();
        let line = "nmap -sS both | filtered filtered | open open | filtered open WRONG";
        assert_eq!(words(&text, Deny::Drop, "nmap -sS"), line);
        let line = "nmap -sV both | closed closed WRONG | open open | closed closed";
        assert_eq!(words(&text, Deny::Reject, "nmap -sV"), line);
        let line = "scapy: syn both | RA 64 failed WRONG | SA 64 SA 64 | RA 64 RA 64";
        assert_eq!(words(&text, Deny::Reject, "scapy: syn"), line);
        let told = "WRONG: nmap -sS, drop after, IPv6, from the stranger: port 2222 is `open syn-ack 64` and should be \
                    `filtered no-response`";
        assert!(text.lines().any(|line| line == told), "{text}");
        assert!(text.ends_with(" 2 let in, 6 wrong"), "{text}");
        for line in text.lines() {
            assert!(line.len() <= 200, "{} columns: {line}", line.len());
        }
    }

    #[test]
    fn a_family_that_is_not_like_the_other_has_a_line_of_its_own() {
        let mut report = report(&ROWS[..1], |_, _, _, _, _| {});
        report.cells.retain(|cell| (cell.deny, cell.moment, cell.family) != (Deny::Drop, Moment::Before, Family::V6));
        let text = report.to_string();
        let line = "nmap -sS IPv4 | filtered filtered | open open | filtered filtered";
        assert_eq!(words(&text, Deny::Drop, "nmap -sS"), line);
        assert!(text.contains("  IPv6   | filtered  not run WRONG"), "{text}");
    }

    #[test]
    fn the_last_line_counts() {
        let mut report = report(&ROWS[..1], |_, _, _, _, _| {});
        (report.took, report.scans, report.frames) = (Duration::from_millis(12_900), 13, 140);
        report.note_knocks(Deny::Drop, &[(Family::V4, Probe::Open), (Family::V6, Probe::Open)]);
        report.note_knocks(Deny::Reject, &[(Family::V4, Probe::Open), (Family::V6, Probe::Refused)]);
        let text = report.to_string();
        let told = "WRONG: reject: a knock over IPv6 is lost: the port is refused to the client";
        assert!(text.lines().any(|line| line == told), "{text}");
        let figures = "1 rows, 8 cells, 13 scans run, 140 frames sent, 4 knocks made, 1 knocks lost, 0 let in, 1 wrong";
        assert_eq!(text.lines().last(), Some(&*format!("scan: 12 s: {figures}")));
        // Who reached the stack is let in, whatever his tool saw.
        report.beside.push(Beside { what: "a socket".into(), is_let_in: true });
        assert!(report.to_string().ends_with(", 1 knocks lost, 1 let in, 2 wrong"));
    }
}
