//! `knockctl rules`: the rules of the gate, by the numbers that `knockctl explain` gives.

use std::io::Write;

use anyhow::{Context as _, Result};

use crate::exit::Exit;

/// The page, as it was when this program was built.
const PAGE: &str = include_str!("../../../docs/rules.md");
/// How the head of a rule begins, before its number.
const HEAD: &str = "### ";

/// Arguments of `knockctl rules`.
#[derive(clap::Args, Clone, Debug)]
pub struct RulesArgs {
    /// The number of a rule (default: all of them)
    #[arg(value_name = "NUMBER")]
    pub number: Option<u8>,
}

/// Prints all rules, or one.
///
/// # Errors
///
/// No such rule, or nothing can be written.
pub fn run(args: &RulesArgs, out: &mut dyn Write) -> Result<Exit> {
    let text = match args.number {
        None => PAGE,
        Some(number) => {
            rule(number).with_context(|| format!("there is no rule {number}: they are 1 to {}", count()))?
        }
    };
    out.write_all(text.as_bytes())?;
    Ok(Exit::Done)
}

/// One rule: its head, and all up to the next head.
pub(super) fn rule(number: u8) -> Option<&'static str> {
    let begin = PAGE.find(&format!("\n{HEAD}{number}. "))? + 1;
    let body = PAGE[begin..].find('\n').map_or(PAGE.len(), |end| begin + end);
    let end = PAGE[body..].find("\n#").map_or(PAGE.len(), |end| body + end);
    Some(&PAGE[begin..end])
}

fn count() -> usize {
    PAGE.lines().filter(|line| line.starts_with(HEAD)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(number: Option<u8>) -> String {
        let mut out = Vec::new();
        run(&RulesArgs { number }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_rule_is_printed_alone_and_all_of_them_are_the_page() {
        let all = said(None);
        assert!(count() > 0);
        for number in 1..=u8::try_from(count()).unwrap() {
            let one = said(Some(number));
            assert!(one.starts_with(&format!("### {number}. ")) && all.contains(&one), "{one}");
            // A head, an empty line, and what it says; of the next rule nothing.
            assert!(one.lines().count() >= 3 && !one[1..].contains("\n#"), "{one}");
            assert!(one.ends_with('\n') && !one.ends_with("\n\n"), "{one:?}");
        }
    }

    #[test]
    fn a_number_that_no_rule_has_is_refused_with_those_there_are() {
        for number in [0, u8::try_from(count()).unwrap() + 1, u8::MAX] {
            let error = run(&RulesArgs { number: Some(number) }, &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains(&format!("1 to {}", count())), "{error}");
        }
    }
}
