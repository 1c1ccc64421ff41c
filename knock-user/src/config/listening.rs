//! Who listens on this host, held against what is protected: a slip of the pen in a port protects nothing.

use std::collections::BTreeMap;

use knock_common::packet::Transport;

use super::Severity;
use super::model::Config;
use crate::host::{processes, sockets};
use crate::syntax::{Diagnostic, Port, PortRange};

/// What ssh servers call themselves: OpenSSH's, Dropbear's, TinySSH's.
const SSH_SERVERS: [&str; 3] = ["sshd", "dropbear", "tinysshd"];
/// The port of ssh, where whoever listens may not be asked for its name, or is systemd.
const SSH: Port = Port { number: 22, transport: Transport::Tcp };

/// Ports on which something listens that others can reach, and whether an ssh server is known to.
type Listeners = BTreeMap<(bool, u16), bool>;

/// Protected ports on which nothing listens, and ssh servers that are not protected: what listens now, in this network
/// namespace. Nothing where the kernel cannot be asked.
#[must_use]
pub fn remarks(config: &Config) -> Vec<Diagnostic> {
    let Ok(found) = sockets::listeners() else { return Vec::new() };
    let reachable = found.into_iter().filter(|one| !one.address.ip().is_loopback());
    let of_ssh = processes::sockets_of(&SSH_SERVERS);
    let mut listeners = Listeners::new();
    for one in reachable {
        *listeners.entry(key(one.transport, one.address.port())).or_default() |= of_ssh.contains(&one.inode);
    }
    of(config, &listeners)
}

fn key(transport: Transport, number: u16) -> (bool, u16) {
    (transport == Transport::Udp, number)
}

fn of(config: &Config, listeners: &Listeners) -> Vec<Diagnostic> {
    let file = config.path.display().to_string();
    let is_protected = |port: Port| config.protecting().flat_map(|one| &one.ports).any(|range| range.contains(port));
    let tcp = |number| Port { number, transport: Transport::Tcp };
    let of_tcp =
        listeners.iter().filter(|((is_udp, _), _)| !is_udp).map(|((_, number), is_ssh)| (tcp(*number), *is_ssh));
    let open: Vec<_> = of_tcp.filter(|(port, is_ssh)| (*is_ssh || *port == SSH) && !is_protected(*port)).collect();
    let meant = open.first().map(|(port, _)| *port);
    let mut found = Vec::new();
    for service in config.protecting() {
        for (at, range) in service.ports.iter().enumerate().filter(|(_, range)| is_idle(**range, listeners)) {
            let ports = if range.first == range.last { "it is" } else { "they are" };
            let help = match meant {
                Some(port) => format!("is it {port} that is meant?"),
                None => format!(
                    "all is well if {ports} forwarded to another host or a container, or what listens starts later"
                ),
            };
            let message = format!("nothing listens on {range} here");
            let key = format!("services.{}.ports[{at}]", service.name.as_str());
            found.push(Diagnostic::of_file(&file, key, Severity::Warning, message).with_help(help));
        }
    }
    for (port, is_ssh) in open {
        let who = if is_ssh { "an ssh server" } else { "something" };
        let message = format!("{who} listens on {port}, WHICH NO SERVICE PROTECTS: everybody reaches it");
        let help = format!("add \"{port}\" to the ports of a service");
        found.push(Diagnostic::of_file(&file, "services", Severity::Warning, message).with_help(help));
    }
    found
}

/// True if nothing listens there, and something should: programs such as mosh take a port of a range of UDP only once
/// they are needed.
fn is_idle(range: PortRange, listeners: &Listeners) -> bool {
    let is_udp = range.transport == Transport::Udp;
    let all = key(range.transport, range.first)..=key(range.transport, range.last);
    (!is_udp || range.first == range.last) && listeners.range(all).next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ports: &str, listeners: &[(&str, bool)]) -> Vec<String> {
        let text = format!(
            "[options]\ninterfaces = [\"eth0\"]\n[services.s]\nports = {ports}\n[doors.d]\nservice = \"s\"\n\
             sequence = [7, 9, 8]\n"
        );
        let config = Config::parse(&text, "k.toml").unwrap_or_else(|error| panic!("{error}")).0;
        let names = crate::syntax::PortNames::default();
        let listeners = listeners.iter().map(|(port, is_ssh)| {
            let port = Port::parse(port, &names).unwrap();
            (key(port.transport, port.number), *is_ssh)
        });
        of(&config, &listeners.collect()).iter().map(ToString::to_string).collect()
    }

    const OPEN: &str = "k.toml: warning: services: an ssh server listens on 22/tcp, WHICH NO SERVICE PROTECTS: everybody \
                        reaches it\n  help: add \"22/tcp\" to the ports of a service";

    #[test]
    fn a_protected_port_on_which_nothing_listens_is_named_with_the_one_that_was_meant() {
        let idle = "k.toml: warning: services.s.ports[0]: nothing listens on 2222/tcp here\n  help: is it 22/tcp that is meant?";
        assert_eq!(said("[\"2222/tcp\"]", &[("22/tcp", true)]), [idle, OPEN]);
        let idle = "k.toml: warning: services.s.ports[1]: nothing listens on 2222-2224/tcp here\n  help: all is well if they are \
                    forwarded to another host or a container, or what listens starts later";
        assert_eq!(said("[\"22/tcp\", \"2222-2224/tcp\"]", &[("22/tcp", true), ("2223/udp", false)]), [idle]);
    }

    #[test]
    fn an_ssh_server_that_is_not_protected_is_named() {
        assert_eq!(said("[\"80/tcp\"]", &[("80/tcp", false), ("22/tcp", true)]), [OPEN]);
        // On its own port it is known without a name; elsewhere it is not.
        assert_eq!(
            said("[\"80/tcp\"]", &[("80/tcp", false), ("22/tcp", false)]),
            [OPEN.replace("an ssh server", "something")]
        );
        assert!(
            said("[\"80/tcp\"]", &[("80/tcp", false), ("2022/tcp", true)])[0].contains("listens on 2022/tcp, WHICH")
        );
        assert!(said("[\"80/tcp\"]", &[("80/tcp", false), ("443/tcp", false), ("22/udp", false)]).is_empty());
    }

    #[test]
    fn what_listens_and_what_is_started_when_needed_is_no_slip() {
        assert!(said("[\"2222-2224/tcp\", \"53/udp\"]", &[("2224/tcp", true), ("53/udp", false)]).is_empty());
        assert!(said("[\"60000-61000/udp\"]", &[]).is_empty());
        assert_eq!(said("[\"51820/udp\"]", &[]).len(), 1);
    }
}
