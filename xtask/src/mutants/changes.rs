//! What is said of the rules that a change touches.

use std::collections::BTreeSet;

/// What is said of the choice: the rules, how many of their bugs are planted, and how many of others are not.
pub fn said(base: &str, rules: &BTreeSet<u8>, chosen: usize, left_out: usize) -> String {
    let rules: Vec<_> = rules.iter().map(ToString::to_string).collect();
    let what = match &rules[..] {
        [] => "no rule".to_owned(),
        [rule] => format!("rule {rule}"),
        rules => format!("rules {}", rules.join(", ")),
    };
    format!("[mutants] what differs from {base} touches {what}: {chosen} of the bugs; {left_out} are left out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_is_left_out() {
        let said = |rules: &[u8]| said("HEAD", &rules.iter().copied().collect(), 3, 4);
        assert_eq!(said(&[]), "[mutants] what differs from HEAD touches no rule: 3 of the bugs; 4 are left out");
        assert!(said(&[2]).contains("touches rule 2: 3"));
        assert!(said(&[2, 5]).contains("touches rules 2, 5: 3"));
    }
}
