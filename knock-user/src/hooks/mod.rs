//! Hooks: commands that the daemon runs for a door, after the kernel has opened it or when a grant
//! has ended.

/// True if an octet can stand in a command without meaning anything to a shell: what the text of an
/// address, a network, or a name in the config is made of.
#[must_use]
pub const fn is_harmless(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b':' | b'/' | b'_' | b'-')
}
