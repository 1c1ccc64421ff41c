//! What a scan should have seen, and whether it did.

use super::ground::Deny;
use super::moment::Moment;
use super::ports::Ports;
use super::row::Row;
use super::tool::Said;
use crate::lab::{Family, Host};

/// One scan in one column of the table.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The scan.
    pub row: Row,
    /// What becomes of what is denied.
    pub deny: Deny,
    /// Before the client's knock, or after it.
    pub moment: Moment,
    /// The family.
    pub family: Family,
    /// What the hosts that scanned were told: the client first.
    pub seen: Vec<(Host, Said)>,
    /// What should have been otherwise.
    pub faults: Vec<String>,
    /// How many ports were open that should not.
    pub let_in: usize,
}

impl Cell {
    /// Judges what was seen.
    #[must_use]
    pub fn new(row: Row, deny: Deny, moment: Moment, family: Family, seen: Vec<(Host, Said)>) -> Self {
        let mut cell = Self { row, deny, moment, family, seen, faults: Vec::new(), let_in: 0 };
        for (host, said) in cell.seen.clone() {
            let should = expected(&row, deny, moment.grants(host));
            for ((port, should), said) in Ports::of(row.transport).all().into_iter().zip(should).zip(&said) {
                if should == said {
                    continue;
                }
                cell.faults.push(format!(
                    "{}, {} {}, {}, from the {}: port {port} is `{said}` and should be `{should}`",
                    row.name(),
                    deny.name(),
                    moment.name(),
                    family.name(),
                    host.name()
                ));
                let is_protected = port == Ports::of(row.transport).protected;
                cell.let_in += usize::from(is_protected && said == row.words.open);
            }
        }
        cell
    }

    /// True if all that a host was told of the three ports is as it should be.
    #[must_use]
    pub fn is_right(&self, host: Host) -> bool {
        let should = expected(&self.row, self.deny, self.moment.grants(host));
        self.seen.iter().any(|(one, said)| *one == host && *said == should)
    }
}

/// What should be said of the ports, in the order of [`Ports::all`], to a source with a grant or without.
#[must_use]
pub fn expected(row: &Row, deny: Deny, granted: bool) -> [&'static str; 3] {
    let words = row.words;
    let protected = match (granted, deny) {
        (true, _) => words.open,
        (false, Deny::Drop) => words.silent,
        (false, Deny::Reject) => row.rejected.unwrap_or(words.closed),
    };
    [protected, words.open, words.closed]
}

/// True if a port was silent that should have answered: on a busy machine, a reason to ask again. What answered and
/// should not have is never asked again.
#[must_use]
pub fn is_lost(row: &Row, should: [&str; 3], said: &Said) -> bool {
    let mut lost = false;
    for (should, said) in should.into_iter().zip(said) {
        if should != said {
            if said != row.words.silent {
                return false;
            }
            lost = true;
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::matrix::ROWS;

    fn said(words: [&str; 3]) -> Said {
        words.map(str::to_owned)
    }

    #[test]
    fn an_open_port_without_a_grant_is_told() {
        let row = ROWS[0];
        let (client, stranger) = (Host::Client, Host::Stranger);
        let open = said(["open syn-ack 64", "open syn-ack 64", "closed reset 64"]);
        let silent = said(["filtered no-response", "open syn-ack 64", "closed reset 64"]);
        let cell = |deny, moment, seen| Cell::new(row, deny, moment, Family::V4, seen);
        let right = cell(Deny::Drop, Moment::After, vec![(client, open.clone()), (stranger, silent.clone())]);
        assert!(right.faults.is_empty(), "{:?}", right.faults);
        for wrong in [
            cell(Deny::Drop, Moment::After, vec![(client, open.clone()), (stranger, open.clone())]),
            cell(Deny::Drop, Moment::Before, vec![(client, open.clone())]),
        ] {
            assert_eq!((wrong.faults.len(), wrong.let_in), (1, 1));
        }
        let told = cell(Deny::Reject, Moment::Before, vec![(client, silent)]);
        assert_eq!((told.faults.len(), told.let_in), (1, 0));
    }

    #[test]
    fn only_silence_is_asked_again() {
        let row = ROWS[0];
        let should = expected(&row, Deny::Drop, false);
        let silent = said(["filtered no-response"; 3]);
        assert!(is_lost(&row, should, &silent));
        assert!(!is_lost(&row, should, &said(["open syn-ack 64"; 3])));
        assert!(!is_lost(&row, should, &said(["open syn-ack 64", "filtered no-response", "closed reset 64"])));
    }
}
