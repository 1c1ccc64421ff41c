//! `status_group`: a group of this host, by name or by number.

use std::fs;

use super::report::Report;
use super::value::Item;

/// Where groups have their numbers. Those of a directory service are named by their number.
const GROUPS: &str = "/etc/group";
/// The highest number: the one above means "none" to chown(2).
const HIGHEST: u32 = u32::MAX - 1;

/// Reads the group's number.
pub(super) fn read(item: &Item<'_>, report: &Report<'_>) -> Option<u32> {
    if item.is_integer() {
        return item.integer(report, 1, HIGHEST);
    }
    let name = item.string(report)?;
    let number = fs::read_to_string(GROUPS).ok().and_then(|groups| find(&groups, name));
    if number.is_none() {
        let message = format!("\"{}\" is no group in {GROUPS}", name.escape_debug());
        item.error(
            report,
            message,
            "`groupadd --system NAME` makes one; of one that is known elsewhere, write the number",
        );
    }
    number
}

/// The number of a group in a table such as group(5) describes.
fn find(groups: &str, name: &str) -> Option<u32> {
    let fields = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut numbers = fields.filter(|fields| fields[0] == name).filter_map(|fields| fields.get(2)?.parse().ok());
    numbers.find(|number| (1..=HIGHEST).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nadm:x:4:syslog,me\nadmin:x:1001:\nbroken\nodd:x:many:\n";
        assert_eq!((find(groups, "adm"), find(groups, "admin")), (Some(4), Some(1001)));
        for none in ["ad", "x", "broken", "odd", "", "me"] {
            assert_eq!(find(groups, none), None, "{none}");
        }
        // Root's group is no group of others.
        assert_eq!(find(groups, "root"), None);
    }
}
