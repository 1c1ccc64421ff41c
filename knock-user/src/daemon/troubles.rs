//! Troubles that last: told when they begin or become others, not each time that the work is tried again.

use std::collections::BTreeMap;

use anyhow::Result;
use log::{error, info};

/// What does not work at the moment, and why.
#[derive(Default)]
pub struct Troubles(BTreeMap<&'static str, String>);

impl Troubles {
    /// True while the work goes on failing.
    #[must_use]
    pub fn has(&self, what: &str) -> bool {
        self.0.contains_key(what)
    }

    /// There is no such trouble any more.
    pub fn end(&mut self, what: &'static str) {
        if self.0.remove(what).is_some() {
            info!("no longer: {what}");
        }
    }

    /// What came of the work, `None` if it failed; `what` says in words that it did.
    pub fn tell<T>(&mut self, what: &'static str, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.end(what);
                Some(value)
            }
            Err(error) => {
                let why = format!("{error:#}");
                if self.0.get(what) != Some(&why) {
                    error!("{what}: {why}");
                    self.0.insert(what, why);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_trouble_is_kept_until_it_is_over() {
        let mut troubles = Troubles::default();
        assert_eq!(troubles.tell("it fails", Err::<(), _>(anyhow!("so"))), None);
        assert_eq!(troubles.tell("it fails", Err::<(), _>(anyhow!("otherwise"))), None);
        assert_eq!(troubles.0["it fails"], "otherwise");
        assert!(troubles.has("it fails") && !troubles.has("another fails"));
        assert_eq!(troubles.tell("another fails", Ok(7)), Some(7));
        assert_eq!(troubles.tell("it fails", Ok(8)), Some(8));
        assert!(troubles.0.is_empty());
    }
}
