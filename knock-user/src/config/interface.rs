//! Names of interfaces, and patterns for them.

use std::fmt;

use glob::Pattern;

/// Octets of an interface's name in Linux (`IFNAMSIZ` less the final zero).
const MAX_INTERFACE: usize = 15;

/// The name of an interface, or a pattern with `*`, `?` and `[...]` for several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfacePattern {
    text: String,
    glob: Option<Pattern>,
}

impl InterfacePattern {
    /// Reads a name or a pattern.
    ///
    /// # Errors
    ///
    /// Says why the text can be no name of an interface.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an interface has a name".to_owned());
        }
        if matches!(text, "." | "..")
            || text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
        {
            return Err(format!(
                "\"{}\" can be no interface: a slash, colon, blank or control character",
                text.escape_debug()
            ));
        }
        if !text.contains(['*', '?', '[']) {
            if text.len() > MAX_INTERFACE {
                return Err(format!("\"{text}\" can be no interface: longer than {MAX_INTERFACE} octets"));
            }
            return Ok(Self { text: text.to_owned(), glob: None });
        }
        let glob = Pattern::new(text).map_err(|error| format!("\"{text}\" is no pattern: {}", error.msg))?;
        Ok(Self { text: text.to_owned(), glob: Some(glob) })
    }

    /// True if the interface called `name` is meant. A pattern never means loopback: what a host
    /// sends itself came through no gate before, and need not now.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match &self.glob {
            Some(glob) => name != "lo" && glob.matches(name),
            None => self.text == name,
        }
    }

    /// The one name, if this is not a pattern.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.glob.is_none().then_some(self.text.as_str())
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_itself_and_a_pattern_several() {
        let name = InterfacePattern::parse("eth0").unwrap();
        assert!(name.matches("eth0") && !name.matches("eth01"));
        assert_eq!(name.name(), Some("eth0"));
        let glob = InterfacePattern::parse("en*").unwrap();
        assert!(glob.matches("enp3s0") && glob.matches("en") && !glob.matches("eth0"));
        assert_eq!(glob.name(), None);
        assert!(InterfacePattern::parse("eth[0-3]").unwrap().matches("eth2"));
    }

    #[test]
    fn only_its_name_means_loopback() {
        assert!(InterfacePattern::parse("lo").unwrap().matches("lo"));
        assert!(!InterfacePattern::parse("*").unwrap().matches("lo"));
    }

    #[test]
    fn what_linux_would_not_take_is_refused() {
        for text in ["", "a/b", "a:b", "a b", "a\0b", "..", "sixteen-octets-x", "eth[0"] {
            assert!(InterfacePattern::parse(text).is_err(), "{text}");
        }
    }
}
