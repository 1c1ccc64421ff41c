//! Which interfaces may have their packets from another one, as far as their names say.

use super::ways::covers;

/// Names of cards, of tunnels, and of what programs make for their guests: none of them has what comes in by another card.
const APART: [&str; 21] = [
    "lo", "eth", "en", "wl", "ww", "ppp", "tun", "tap", "wg", "docker", "br-", "virbr", "lxcbr", "lxdbr", "veth",
    "vnet", "dummy", "cali", "cni", "flannel", "ifb",
];

/// True if an interface may have its packets from another one: a VLAN, a bridge, a bond.
pub(super) fn may_stand_on(name: &str, other: &str) -> bool {
    match name.split_once('.') {
        Some((card, _)) if covers(other, card) => true,
        Some((card, _)) => may_stand_on(card, other),
        None => !APART.iter().any(|stem| is_numbered(name, stem)),
    }
}

/// True if behind the stem stands what tells one such interface from another.
fn is_numbered(name: &str, stem: &str) -> bool {
    let Some(rest) = name.strip_prefix(stem) else { return false };
    match stem {
        "lo" => rest.is_empty(),
        // By place or by address: enp3s0, eno1, enx0123456789ab.
        "en" | "wl" | "ww" => rest.starts_with(|c: char| "ospxa".contains(c)),
        "br-" => rest.len() == 12 && rest.chars().all(|c| c.is_ascii_hexdigit()),
        "veth" | "cali" => true,
        _ => rest.chars().all(|c| c.is_ascii_digit() || c == '*'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_may_stand_on_another_one_unless_its_name_says_what_it_is() {
        for (name, other, may) in [
            ("eth0.5", "eth0", true),
            ("eth0.5", "eth*", true),
            ("eth1.5", "eth0", false),
            ("br0", "eth0", true),
            ("br-lan", "eth0", true),
            ("br-0123456789ab", "eth0", false),
            ("bond0", "enp3s0", true),
            ("bond0.7", "enp3s0", true),
            ("lan", "eth0", true),
            ("vlan5", "eth0", true),
            ("eth1", "eth0", false),
            ("enp4s0", "enp3s0", false),
            ("wlan0", "eth0", false),
            ("engine", "eth0", true),
            ("ppp0", "eth0", false),
            ("wg0", "eth0", false),
            ("lo", "eth0", false),
            ("docker0", "eth0", false),
        ] {
            assert_eq!(may_stand_on(name, other), may, "{name} on {other}");
        }
    }
}
