//! Files that are no config of ours, and whose they are.

/// True if a text is knockd's config, by lines that only such a file has: a sequence without quotes and brackets, or an option
/// without a value. No text that is TOML has one.
pub(super) fn is_knockd_conf(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim().to_ascii_lowercase();
        let Some((key, value)) = line.split_once('=') else { return line == "usesyslog" };
        let value = value.trim();
        match key.trim() {
            "sequence" => value.starts_with(|first: char| first.is_ascii_digit()) && value.contains([',', ':']),
            "one_time_sequences" | "start_command" | "command" | "logfile" | "pidfile" => value.starts_with('/'),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::is_knockd_conf;

    #[test]
    fn knockds_config_is_told_from_ours() {
        for text in [
            "[options]\n\tUseSyslog\n",
            "[openSSH]\n  Sequence    = 7000,8000,9000\n",
            "[d]\nsequence=7000:udp\n",
            "[d]\none_time_sequences = /etc/knockd/smtp\n",
            "[d]\ncommand = /sbin/iptables -A INPUT\n",
        ] {
            assert!(is_knockd_conf(text), "{text}");
        }
        for text in [
            "",
            "[doors.d]\nsequence = [\"7000/tcp\"]\nstart_command = \"/bin/true\"\n",
            "# UseSyslog\nlog = \"syslog\"\n",
            "[doors.d\nsequence = 7000\n",
            "[hosts]\nsequence = [7000, 8000]",
        ] {
            assert!(!is_knockd_conf(text), "{text}");
        }
    }
}
