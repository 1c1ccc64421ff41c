//! The host to knock, and ports behind it, as people write them: `host`, `host:7000`, `host:7000,8000/udp`,
//! `[2001:db8::1]:7000`.

use std::net::Ipv6Addr;

use anyhow::{Result, bail};

/// Takes them apart: the host, and what stands behind its colon.
///
/// # Errors
///
/// With the right form, if it is neither.
pub(super) fn split(text: &str) -> Result<(String, Option<String>)> {
    let form = |host: &str| format!("write the host and then its ports: knockctl knock {host} 7000 8000/udp");
    if let Some((_, rest)) = text.split_once("://") {
        bail!("knock: {text}: a knock has no scheme; {}", form(rest.split([':', '/']).next().unwrap_or(rest)));
    }
    if let Some((_, host)) = text.rsplit_once('@') {
        bail!("knock: {text}: a knock has no user; {}", form(host));
    }
    if let Some(rest) = text.strip_prefix('[') {
        const RIGHT: &str = "write [2001:db8::1]:7000, or [2001:db8::1] with the ports behind it";
        let Some((address, behind)) = rest.split_once(']') else {
            bail!("knock: {text}: a bracket is missing; {RIGHT}")
        };
        if !is_v6(address) {
            bail!("knock: {text}: no IPv6 address in the brackets; {RIGHT}");
        }
        return match behind.strip_prefix(':') {
            _ if behind.is_empty() => Ok((text.to_owned(), None)),
            Some(ports) if !ports.is_empty() => Ok((address.to_owned(), Some(ports.to_owned()))),
            _ => bail!("knock: {text}: no port behind the bracket; {RIGHT}"),
        };
    }
    if is_v6(text) {
        return Ok((text.to_owned(), None));
    }
    if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit() || octet == b',') {
        bail!("knock: {text}: that is a port, and the host comes first; {}", form("server.example"));
    }
    if let Some((host, ports)) = text.split_once(':') {
        let is_hexadecimal = host.bytes().all(|octet| octet.is_ascii_hexdigit());
        if is_hexadecimal && text.matches(':').count() > 2 && !text.contains(',') {
            bail!("knock: {text}: no IPv6 address; one with a port is written [2001:db8::1]:7000");
        }
        if host.is_empty() || ports.is_empty() {
            let what = if host.is_empty() { "no host before the colon" } else { "no port behind the colon" };
            bail!("knock: {text}: {what}; write server.example:7000,8000/udp");
        }
        return Ok((host.to_owned(), Some(ports.to_owned())));
    }
    if let Some((host, ports)) = text.split_once(['/', ',', ';']) {
        bail!("knock: {text}: no name of a host; write {host}:{ports}, or {host} {ports}");
    }
    Ok((text.to_owned(), None))
}

/// An address, with its interface or without.
fn is_v6(text: &str) -> bool {
    text.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// What the name of a host may have meant that has no ports.
pub(super) fn hint(host: &str) -> Option<String> {
    let (address, port) = host.rsplit_once(':')?;
    let is_port = port.len() > 3 && port.parse::<u16>().is_ok();
    (is_v6(host) && is_port && is_v6(address)).then(|| format!("did you mean [{address}]:{port}?"))
}

/// How ports are written that are written in another way.
pub(super) fn right_form(text: &str) -> Option<String> {
    let protocol_first = text
        .split_once(['/', ':'])
        .filter(|(protocol, _)| protocol.eq_ignore_ascii_case("tcp") || protocol.eq_ignore_ascii_case("udp"));
    if let Some((protocol, port)) = protocol_first {
        return Some(format!("the port comes first: {port}/{}", protocol.to_ascii_lowercase()));
    }
    if text.contains([';', '+', '>', ' ', '|']) {
        return Some("write ports with blanks or commas between them: 7000 8000/udp, or 7000,8000/udp".to_owned());
    }
    if let Some((first, last)) = text.split_once("..") {
        return Some(format!("a range is written {first}-{}", last.trim_start_matches(['.', '='])));
    }
    let is_host = text.contains('.') || text.matches(':').count() > 1;
    is_host.then(|| "the host comes first, and once: knockctl knock server.example 7000 8000/udp".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_may_stand_behind_a_colon() {
        for (text, host, ports) in [
            ("server.example", "server.example", None),
            ("server.example:7000", "server.example", Some("7000")),
            ("192.0.2.7:7000:udp,8000", "192.0.2.7", Some("7000:udp,8000")),
            ("[2001:db8::1]:7000/udp", "2001:db8::1", Some("7000/udp")),
            ("[fe80::1%eth0]:7000", "fe80::1%eth0", Some("7000")),
            ("[2001:db8::1]", "[2001:db8::1]", None),
            ("2001:db8::1", "2001:db8::1", None),
            ("fe80::1%eth0", "fe80::1%eth0", None),
            ("", "", None),
        ] {
            assert_eq!(split(text).unwrap(), (host.to_owned(), ports.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn each_wrong_form_is_told_the_right_one() {
        for (text, right) in [
            ("ssh://server.example:7000", "knockctl knock server.example 7000 8000/udp"),
            ("me@server.example", "knockctl knock server.example 7000 8000/udp"),
            ("[2001:db8::1", "[2001:db8::1]:7000"),
            ("[server]:7000", "[2001:db8::1]:7000"),
            ("[2001:db8::1]7000", "[2001:db8::1]:7000"),
            ("2001:db8:::1:7000", "[2001:db8::1]:7000"),
            ("7000", "knockctl knock server.example 7000"),
            ("7000,8000", "knockctl knock server.example 7000"),
            ("server:", "server.example:7000,8000/udp"),
            (":7000", "server.example:7000,8000/udp"),
            ("server/7000", "write server:7000, or server 7000"),
            ("server,7000", "write server:7000, or server 7000"),
        ] {
            let error = split(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("knock: {text}: ")) && error.contains(right), "{error}");
        }
        assert_eq!(hint("2001:db8::1:7000").as_deref(), Some("did you mean [2001:db8::1]:7000?"));
        assert_eq!((hint("2001:db8::1"), hint("server")), (None, None));
    }
}
