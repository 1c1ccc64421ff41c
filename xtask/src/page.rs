//! A page of which a part is written by a verb, and by nobody else: what stands between two lines.

use std::fs;

use anyhow::{Context, Result};

use crate::paths;

/// Where the part is.
pub struct Written {
    /// The page, from the root of the workspace.
    pub page: &'static str,
    /// The line before it, which names the verb.
    pub begin: &'static str,
    /// The line behind it.
    pub end: &'static str,
}

impl Written {
    /// True if the part is this text.
    pub fn is(&self, part: &str) -> Result<bool> {
        let page = self.read()?;
        Ok(page == self.with(&page, part)?)
    }

    /// Makes the part this text, if it is another one.
    pub fn write(&self, part: &str) -> Result<()> {
        let page = self.read()?;
        let new = self.with(&page, part)?;
        if page != new {
            fs::write(paths::workspace().join(self.page), new).context(self.page)?;
        }
        Ok(())
    }

    fn read(&self) -> Result<String> {
        fs::read_to_string(paths::workspace().join(self.page)).context(self.page)
    }

    fn with(&self, page: &str, part: &str) -> Result<String> {
        let Self { page: name, begin, end } = self;
        let (before, rest) = page.split_once(begin).with_context(|| format!("{name}: no line {begin}"))?;
        let (_, behind) = rest.split_once(end).with_context(|| format!("{name}: no line {end}"))?;
        Ok(format!("{before}{begin}{part}{end}{behind}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: Written = Written { page: "page.md", begin: "<!-- begin -->\n", end: "<!-- end -->\n" };

    #[test]
    fn the_part_is_put_between_its_lines() {
        let page = |part: &str| format!("a\n{}{part}{}b\n", PART.begin, PART.end);
        assert_eq!(PART.with(&page("old\n"), "new\n").unwrap(), page("new\n"));
        assert_eq!(PART.with(&page("new\n"), "new\n").unwrap(), page("new\n"));
        assert_ne!(PART.with(&page("edited\n"), "new\n").unwrap(), page("edited\n"));
        assert!(PART.with("a\n", "new\n").is_err());
        assert!(PART.with(PART.begin, "new\n").is_err());
    }
}
