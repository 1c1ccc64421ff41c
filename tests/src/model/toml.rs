//! The config as the text that an administrator would write.

use std::fmt::Write as _;

use super::Nanos;
use super::config::{Action, Config, Door, Flags};

const NAMES: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];

impl Config {
    /// The config file. Service and door number N are called `sN` and `dN`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::from("[options]\ninterfaces = [\"eth0\"]\n");
        let _ = writeln!(text, "trusted = {}", list(&self.trusted));
        let _ = writeln!(text, "stealth = {}", self.stealth);
        let _ = writeln!(text, "flow_idle = \"{}\"", duration(self.flow_idle));
        let _ = writeln!(text, "verify_checksums = {}", self.verify_checksums);
        let _ = writeln!(text, "log_denied = {}", self.log_denied);
        if self.lockout {
            text.push_str("lockout = { after = 5, for = \"10m\" }\n");
        }
        if self.reject {
            text.push_str("deny = \"reject\"\n");
        }
        let _ = writeln!(text, "attempt_rate = {}", self.attempt_rate);
        for (index, service) in self.services.iter().enumerate() {
            let _ = writeln!(text, "\n[services.s{index}]\nports = {}", list(&service.ports));
            if service.keepalive {
                text.push_str("keepalive = true\n");
            }
        }
        for (index, door) in self.doors.iter().enumerate() {
            let _ = writeln!(text, "\n[doors.d{index}]");
            write_door(&mut text, door);
        }
        text
    }
}

fn write_door(text: &mut String, door: &Door) {
    let _ = writeln!(text, "service = \"s{}\"", door.service);
    if door.action == Action::Close {
        text.push_str("action = \"close\"\n");
    }
    let _ = writeln!(text, "sequence = {}", list(&door.sequence));
    if door.flags != Flags::SYN {
        let _ = writeln!(text, "tcpflags = {}", list(&names(door.flags)));
    }
    if let Some(target) = door.target {
        let _ = writeln!(text, "target = \"{target}\"");
    }
    let _ = writeln!(text, "seq_timeout = \"{}\"", duration(door.seq_timeout));
    if let Some(cmd_timeout) = door.cmd_timeout {
        let _ = writeln!(text, "cmd_timeout = \"{}\"", duration(cmd_timeout));
    }
    if door.prefix_v4 != 32 {
        let _ = writeln!(text, "grant_prefix_v4 = {}", door.prefix_v4);
    }
    if door.prefix_v6 != 128 {
        let _ = writeln!(text, "grant_prefix_v6 = {}", door.prefix_v6);
    }
}

fn list(items: &[impl ToString]) -> String {
    let quoted: Vec<_> = items.iter().map(|item| format!("\"{}\"", item.to_string())).collect();
    format!("[{}]", quoted.join(", "))
}

fn names(flags: Flags) -> Vec<String> {
    let set = (0..8).filter(|bit| flags.set >> bit & 1 == 1).map(|bit| NAMES[bit].to_string());
    let clear = (0..8).filter(|bit| flags.clear >> bit & 1 == 1).map(|bit| format!("!{}", NAMES[bit]));
    set.chain(clear).collect()
}

fn duration(span: Nanos) -> String {
    assert_eq!(span % 1_000_000, 0, "{span} ns are no whole milliseconds");
    format!("{}ms", span / 1_000_000)
}
