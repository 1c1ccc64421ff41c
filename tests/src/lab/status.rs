//! What `knockctl status --json` says.

use std::net::IpAddr;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Host, knockctl};

/// Its answer.
pub struct Status(pub Value);

impl Status {
    /// Asks on the server.
    ///
    /// # Errors
    ///
    /// If nothing is loaded. A gate that stands on no interface is a negative answer, and a status.
    pub fn read() -> Result<Self> {
        let ran = knockctl(Host::Server, &["status", "--json"])?;
        if !matches!(ran.code, 0 | 1) {
            bail!("{ran}");
        }
        let value: Value = serde_json::from_str(&ran.stdout).with_context(|| format!("no JSON: {}", ran.stdout))?;
        if value["loaded"] != true || value["stands"] != (ran.code == 0) {
            bail!("{ran}");
        }
        Ok(Self(value))
    }

    /// A list in it.
    fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().map_or(&[], Vec::as_slice)
    }

    /// The grants.
    #[must_use]
    pub fn grants(&self) -> &[Value] {
        self.list("grants")
    }

    /// The grants of a source.
    #[must_use]
    pub fn grants_of(&self, source: IpAddr) -> Vec<&Value> {
        let text = source.to_string();
        self.grants().iter().filter(|grant| grant["source"] == *text).collect()
    }

    /// The attempts under way.
    #[must_use]
    pub fn attempts(&self) -> &[Value] {
        self.list("attempts")
    }

    /// A counter.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.0["counters"][name].as_u64().unwrap_or_default()
    }

    /// The daemon's process id, if it lives.
    #[must_use]
    pub fn daemon(&self) -> Option<u64> {
        self.0["daemon"]["pid"].as_u64()
    }
}
