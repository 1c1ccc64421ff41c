//! Names and networks as packet filters write them.

use ipnet::IpNet;

use super::model::Values;

/// The number of a protocol, from its name or number.
pub fn protocol(name: &str) -> Option<u8> {
    Some(match name {
        "icmp" => 1,
        "igmp" => 2,
        "tcp" => 6,
        "udp" => 17,
        "dccp" => 33,
        "gre" => 47,
        "esp" => 50,
        "ah" => 51,
        "icmpv6" | "ipv6-icmp" => 58,
        "ospf" => 89,
        "pim" => 103,
        "vrrp" => 112,
        "sctp" => 132,
        "udplite" => 136,
        number => number.parse().ok()?,
    })
}

/// The addresses of `192.0.2.0/24`, `192.0.2.0/255.255.255.0`, or of an address alone.
pub fn network(text: &str) -> Option<Values> {
    let net: IpNet = match text.split_once('/') {
        None => text.parse::<std::net::IpAddr>().ok()?.into(),
        Some((address, mask)) if mask.contains(['.', ':']) => {
            IpNet::with_netmask(address.parse().ok()?, mask.parse().ok()?).ok()?
        }
        Some(_) => text.parse().ok()?,
    };
    let range = match net {
        IpNet::V4(v4) => (v4.network().to_bits().into(), v4.broadcast().to_bits().into()),
        IpNet::V6(v6) => (v6.network().to_bits(), v6.broadcast().to_bits()),
    };
    Some(Values { numbers: vec![range], ..Values::default() })
}

/// The ports of `22`, `1000:1010` or `1000-1010`, with a comma between several.
pub fn ports(text: &str) -> Option<Values> {
    let mut values = Values::default();
    for part in text.split(',') {
        let (first, last) = part.split_once([':', '-']).unwrap_or((part, part));
        let first: u16 = if first.is_empty() { 0 } else { first.parse().ok()? };
        let last: u16 = if last.is_empty() { u16::MAX } else { last.parse().ok()? };
        values.numbers.push((first.into(), last.into()));
    }
    Some(values)
}
