//! The ssh session from which a command is given, so that nobody shuts himself out unawares.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use knock_common::packet::Transport;

use crate::config::{Config, Port};
use crate::kernel::State;
use crate::paths::Paths;

/// An ssh session: where it comes from, and what it is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    /// The client.
    pub client: IpAddr,
    /// The server's address and port.
    pub server: SocketAddr,
}

impl Session {
    /// The session of this process. `sudo` takes the variable out of the environment, so that of the
    /// processes above is looked through as well.
    #[must_use]
    pub fn own() -> Option<Self> {
        let mut process = "self".to_owned();
        // Deeper than shells, sudo, tmux and make go.
        for _ in 0..32 {
            let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            let variables = environment.split(|octet| *octet == 0);
            let found = variables.filter_map(|one| str::from_utf8(one).ok()?.strip_prefix("SSH_CONNECTION="));
            if let Some(session) = found.filter_map(Self::parse).next() {
                return Some(session);
            }
            let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().to_owned();
            if parent == "0" {
                return None;
            }
            process = parent;
        }
        None
    }

    /// Reads `CLIENT PORT SERVER PORT` (sshd(8), `SSH_CONNECTION`).
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let client: IpAddr = words.next()?.split('%').next()?.parse().ok()?;
        let server: IpAddr = words.nth(1)?.split('%').next()?.parse().ok()?;
        let port = words.next()?.parse().ok()?;
        Some(Self { client: client.to_canonical(), server: SocketAddr::new(server.to_canonical(), port) })
    }

    /// What to say before `config` comes into force, if it shuts the session's next one out.
    #[must_use]
    pub fn warning(&self, config: &Config, paths: &Paths) -> Option<String> {
        let port = Port { number: self.server.port(), transport: Transport::Tcp };
        let service = config.services.iter().find(|service| service.ports.iter().any(|range| range.contains(port)))?;
        let client = self.client;
        let trusted = config.options.trusted.iter().any(|network| network.contains(&client));
        if trusted || self.is_granted(service.name.tag(), paths) {
            return None;
        }
        Some(format!(
            "this ssh session comes from {client}, which will need a knock for its next connection to {port} (this one goes \
             on): knock before you leave, or write {client} into options.trusted, or say `knockctl allow {client}`, or try \
             it with --trial 5m first"
        ))
    }

    /// A grant for less than a day does not count: it may be gone before the next session.
    fn is_granted(&self, service: u32, paths: &Paths) -> bool {
        const LONG: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
        let source = knock_common::addr::Addr::from(self.client);
        let now = crate::kernel::boot_now();
        let covering = || {
            let state = State::open(paths)?;
            let service = state.services()?.into_iter().find(|loaded| loaded.tag == service);
            service.map_or_else(|| Ok(Vec::new()), |service| state.covering(&service, source))
        };
        let grants = covering().unwrap_or_default();
        grants.iter().any(|entry| entry.left(now).is_none_or(|left| left > LONG))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [options]
        interfaces = ["eth0"]
        trusted = ["203.0.113.0/24", "2001:db8:9::/48"]
        [services.ssh2]
        ports = ["2222/tcp"]
        [doors.open]
        service = "ssh2"
        sequence = ["7000/tcp", "9000/udp", "8000/tcp"]
    "#;

    fn warning(connection: &str) -> Option<String> {
        let (config, _) = Config::parse(CONFIG, "test.toml").unwrap();
        let nowhere = Paths { pins: "/nonexistent".into(), run: "/nonexistent".into(), ..Paths::default() };
        Session::parse(connection).unwrap().warning(&config, &nowhere)
    }

    #[test]
    fn who_will_be_shut_out_is_warned() {
        let text = warning("198.51.100.7 50022 192.0.2.1 2222").unwrap();
        assert!(text.contains("198.51.100.7") && text.contains("2222/tcp") && text.contains("--trial"), "{text}");
        assert!(warning("2001:db8::7 50022 2001:db8::1 2222").is_some());
        assert!(warning("::ffff:198.51.100.7 50022 ::ffff:192.0.2.1 2222").unwrap().contains(" 198.51.100.7,"));
    }

    #[test]
    fn who_is_not_shut_out_is_left_alone() {
        for connection in [
            "198.51.100.7 50022 192.0.2.1 22",
            "203.0.113.9 50022 192.0.2.1 2222",
            "2001:db8:9::7 50022 2001:db8::1 2222",
        ] {
            assert_eq!(warning(connection), None, "{connection}");
        }
    }

    #[test]
    fn what_is_no_session_is_none() {
        for text in ["", "198.51.100.7", "a b c d", "198.51.100.7 1 192.0.2.1 ssh"] {
            assert_eq!(Session::parse(text), None, "{text}");
        }
        assert!(Session::parse("fe80::1%eth0 1 fe80::2%eth0 22").is_some());
    }
}
