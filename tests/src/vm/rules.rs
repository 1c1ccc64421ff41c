//! Rules in the machine's tables, as the loader writes them to the kernel's.

use anyhow::Result;
use knock_common::abi::layout::name;
use knock_common::abi::rules::{Door, Knock, PortRoles, Service};
use knock_common::abi::trust_filter::TrustFilter;
use knock_common::addr::Addr;
use knock_user::rules::RuleSet;

use super::machine::Vm;

/// What lies in tables octet for octet.
///
/// # Safety
///
/// Made of numbers only, without padding.
unsafe trait Plain: Copy {}

// SAFETY: the layout asserts their sizes, which leave no room for padding.
unsafe impl Plain for PortRoles {}
// SAFETY: as above.
unsafe impl Plain for Knock {}
// SAFETY: as above.
unsafe impl Plain for Door {}
// SAFETY: as above.
unsafe impl Plain for Service {}
// SAFETY: as above.
unsafe impl Plain for Addr {}
// SAFETY: as above.
unsafe impl Plain for TrustFilter {}

fn octets<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: a plain value is its octets, all of them written.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

impl Vm {
    /// Writes the rules.
    ///
    /// # Errors
    ///
    /// If the object has no room for them.
    pub fn load(&mut self, rules: &RuleSet) -> Result<()> {
        for (port, roles) in &rules.ports {
            self.put(name::PORTS, &u32::from(*port).to_ne_bytes(), octets(roles))?;
        }
        self.fill(name::KNOCKS, &rules.knocks)?;
        self.fill(name::DOORS, &rules.doors)?;
        self.fill(name::SERVICES, &rules.services)?;
        for (bits, network) in &rules.trusted {
            let key = [&bits.to_ne_bytes()[..], octets(network)].concat();
            self.put(name::TRUSTED, &key, &1_u32.to_ne_bytes())?;
        }
        self.fill(name::TRUST_FILTER, &[rules.trust_filter])
    }

    fn fill<T: Plain>(&mut self, table: &str, values: &[T]) -> Result<()> {
        (0_u32..).zip(values).try_for_each(|(index, value)| self.put(table, &index.to_ne_bytes(), octets(value)))
    }
}
