//! A hook's command with everything it is told: its tokens replaced, and its environment.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use knock_common::abi::grant::{GrantKey, HOST_BITS, Prefix};
use knock_common::addr::Addr;
use serde::{Deserialize, Serialize};

use crate::config::{PATH, is_harmless};
use crate::host::scope;
use crate::kernel::format_source_as;

/// Why a hook runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A door wrote a grant.
    Opened,
    /// A door was completed while its grant was live.
    Extended,
    /// A close door was completed.
    Closed,
    /// A grant has ended.
    Ended,
}

impl Reason {
    /// `KNOCK_EVENT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Extended => "extended",
            Self::Closed => "closed",
            Self::Ended => "ended",
        }
    }
}

/// Whom and what a hook is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Occasion<'a> {
    /// Why.
    pub reason: Reason,
    /// The source that knocked.
    pub source: Addr,
    /// What the grant covers of it, a prefix length over the mapped form.
    pub bits: u32,
    /// Name of the door.
    pub door: &'a str,
    /// Name of the service.
    pub service: &'a str,
}

/// What is handed to `/bin/sh -c`. Kept in the journal as it was when the grant was opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Script {
    /// The command.
    pub command: String,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
}

impl Script {
    /// Replaces `%IP%`, `%DOOR%` and `%SERVICE%`, all of them at once, so that nothing is replaced
    /// twice. Other text between per cent signs stays as it is.
    ///
    /// # Errors
    ///
    /// If a text that would be put in could mean something to a shell. The config sees to it that
    /// none can.
    pub fn new(command: &str, occasion: &Occasion<'_>) -> Result<Self> {
        let family = if occasion.source.is_v4() { "4" } else { "6" };
        let (ip, prefix) = source_and_prefix(occasion.source, occasion.bits, scope::name_of);
        for text in [occasion.door, occasion.service].into_iter().chain(ip.split('%')).chain(prefix.split('%')) {
            if text.is_empty() || !text.bytes().all(is_harmless) {
                bail!("{text:?} cannot stand in a command");
            }
        }
        let tokens = [("%IP%", ip.as_str()), ("%DOOR%", occasion.door), ("%SERVICE%", occasion.service)];
        let environment = [
            ("KNOCK_IP", ip.as_str()),
            ("KNOCK_DOOR", occasion.door),
            ("KNOCK_SERVICE", occasion.service),
            ("KNOCK_EVENT", occasion.reason.name()),
            ("KNOCK_FAMILY", family),
            ("KNOCK_PREFIX", prefix.as_str()),
            ("PATH", PATH),
            ("LANG", "C"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self { command: replace(command, &tokens), environment: environment.into() })
    }
}

/// A source, and what its grant covers as a network, also where that is one address. A link-local one has its interface
/// with it: by the index, which `ip` and `ping` take as well, if the `name` could mean something to a shell.
fn source_and_prefix(source: Addr, bits: u32, name: impl Fn(u32) -> String) -> (String, String) {
    let name = |index: u32| {
        let name = name(index);
        if name.bytes().all(is_harmless) { name } else { index.to_string() }
    };
    let ip = format_source_as(source, HOST_BITS, name);
    let network = GrantKey::new(0, &source, &Prefix::new(bits)).source;
    let mut prefix = format_source_as(network, bits, name);
    if bits == HOST_BITS {
        prefix += if source.is_v4() { "/32" } else { "/128" };
    }
    (ip, prefix)
}

fn replace(command: &str, tokens: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(command.len());
    let mut rest = command;
    while let Some(at) = rest.find('%') {
        text += &rest[..at];
        rest = &rest[at..];
        let (token, value) = tokens.iter().find(|(token, _)| rest.starts_with(token)).copied().unwrap_or(("%", "%"));
        text += value;
        rest = &rest[token.len()..];
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn occasion<'a>(source: &str, bits: u32, door: &'a str) -> Occasion<'a> {
        let source = source.parse::<IpAddr>().unwrap().into();
        Occasion { reason: Reason::Opened, source, bits, door, service: "ssh2" }
    }

    #[test]
    fn tokens_are_replaced_wherever_they_stand() {
        let script = Script::new("%IP%,%DOOR%:%SERVICE%%IP% 50% %ip% %%IP%", &occasion("192.0.2.7", 128, "d")).unwrap();
        assert_eq!(script.command, "192.0.2.7,d:ssh2192.0.2.7 50% %ip% %192.0.2.7");
        let script = Script::new("a '%IP%' \"%DOOR%\"", &occasion("2001:db8::7", 128, "d")).unwrap();
        assert_eq!(script.command, "a '2001:db8::7' \"d\"");
    }

    #[test]
    fn the_environment_says_the_same() {
        let of = |source, bits| Script::new("x", &occasion(source, bits, "d")).unwrap().environment;
        let v4 = of("192.0.2.7", 128);
        let text: Vec<_> = v4.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            text,
            [
                "KNOCK_DOOR=d",
                "KNOCK_EVENT=opened",
                "KNOCK_FAMILY=4",
                "KNOCK_IP=192.0.2.7",
                "KNOCK_PREFIX=192.0.2.7/32",
                "KNOCK_SERVICE=ssh2",
                "LANG=C",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ]
        );
        assert_eq!(of("192.0.2.7", 96 + 24)["KNOCK_PREFIX"], "192.0.2.0/24");
        assert_eq!(of("2001:db8::7", 64)["KNOCK_PREFIX"], "2001:db8::/64");
        assert_eq!(of("2001:db8::7", 128)["KNOCK_PREFIX"], "2001:db8::7/128");
        assert_eq!(of("2001:db8::7", 64)["KNOCK_FAMILY"], "6");
    }

    #[test]
    fn a_link_local_address_has_its_interface_with_it() {
        let source = Addr::from("fe80::7".parse::<IpAddr>().unwrap()).scoped(1);
        let script = Script::new("ping %IP%", &Occasion { source, ..occasion("192.0.2.7", 128, "d") }).unwrap();
        assert_eq!(script.command, "ping fe80::7%lo");
        let environment = script.environment;
        assert_eq!(
            ["KNOCK_IP", "KNOCK_PREFIX", "KNOCK_FAMILY"].map(|name| environment[name].as_str()),
            ["fe80::7%lo", "fe80::7%lo/128", "6"]
        );
        for (bits, network) in [(64, "fe80::%lo/64"), (16, "fe80::%lo/16")] {
            assert_eq!(source_and_prefix(source, bits, scope::name_of).1, network);
        }
    }

    #[test]
    fn an_interface_is_called_by_its_index_where_its_name_means_something_to_a_shell() {
        let source = Addr::from("fe80::7".parse::<IpAddr>().unwrap()).scoped(3);
        for name in ["a;b", "$(id)", "`id`", "a|b", "a&b", "a'b", "a\"b", "a>b", "a*", "a%b", "~", "ü", "a\\b"] {
            let (ip, prefix) = source_and_prefix(source, 64, |_| name.to_owned());
            assert_eq!((ip.as_str(), prefix.as_str()), ("fe80::7%3", "fe80::%3/64"), "{name}");
        }
        assert_eq!(source_and_prefix(source, 64, |_| "br-lan.5".to_owned()).0, "fe80::7%br-lan.5");
    }

    #[test]
    fn nothing_that_means_something_to_a_shell_gets_in() {
        for door in ["", "a b", "$(id)", "a;b", "a`b", "a'b", "a\"b", "a\nb", "a&b", "a|b", "a>b", "ü", "%IP%", "a*"] {
            let error = Script::new("echo %DOOR%", &occasion("192.0.2.7", 128, door)).unwrap_err().to_string();
            assert!(error.ends_with("cannot stand in a command"), "{error}");
        }
    }

    #[test]
    fn no_address_ever_means_something_to_a_shell() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut number = || {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (random >> 32) as u32
        };
        for round in 0..20_000 {
            let mut octets = [0; 16];
            for word in octets.chunks_exact_mut(4) {
                // Many zeros, for the short forms.
                word.copy_from_slice(&(number() & if round % 3 == 0 { 0xff } else { u32::MAX }).to_ne_bytes());
            }
            let text = IpAddr::from(Addr::from_v6(octets)).to_string();
            assert!(text.bytes().all(is_harmless), "{text}");
        }
    }
}
