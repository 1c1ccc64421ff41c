//! `knockctl check`: what is wrong with a config, or weak.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::{count, unit};
use crate::config::DEFAULT_CONFIG;
use crate::config::{
    Config, ConfigError, Deny, Diagnostic, Severity, log_fault, missing_programs, remarks_on_hooks,
    remarks_on_listeners, remarks_on_published, remarks_on_strength, remarks_on_users,
};
use crate::exit::Exit;
use crate::host::{offloads, realtime};
use crate::kernel::choose;
use crate::kernel::{
    FEATURES, Interface, Need, kernel_release, list_interfaces, need_root, open_bpffs, remarks_on_filters, without_tags,
};
use crate::paths::Paths;
use crate::session::Session;

/// Arguments of `knockctl check`.
#[derive(clap::Args, Clone, Debug)]
pub struct CheckArgs {
    /// The config file
    #[arg(default_value = DEFAULT_CONFIG)]
    pub file: PathBuf,
    /// Only warn of files that others can read or change, and of interfaces that are not here: for a config that is
    /// not in its place yet
    #[arg(long)]
    pub any_mode: bool,
    /// Exit with 0 if `run` and `reload` would take it, though it is faulty
    #[arg(long)]
    pub loads: bool,
    /// Reads no config: says which of the features that the gate uses this kernel has (needs root)
    #[arg(long, conflicts_with_all = ["file", "any_mode", "loads"])]
    pub kernel: bool,
}

/// Prints all findings and a last line.
///
/// # Errors
///
/// If the file cannot be read.
pub fn run(args: &CheckArgs, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    if args.kernel {
        return kernel(out);
    }
    let file = args.file.display();
    let load = if args.any_mode { Config::load_anywhere } else { Config::load };
    let (findings, summary, exit) = match load(&args.file) {
        Ok((config, mut findings)) => {
            findings.extend(interfaces(&config, args.any_mode));
            findings.extend(remarks_on_published(&config, Severity::Error));
            findings.extend(remarks_on_strength(&config));
            findings.extend(remarks_on_listeners(&config));
            findings.extend(unit::remarks(&config));
            findings.extend(remarks_on_users(&config));
            findings.extend(missing_programs(&config));
            let session = Session::own().and_then(|session| session.warning(&config, paths));
            findings.extend(session.map(|warning| remark(&config, "", warning)));
            findings.extend(remarks_on_hooks(&config));
            findings.extend(pins(&config, paths));
            findings.extend(realtime::remark().map(|(message, help)| remark(&config, "", message).with_help(help)));
            let log_fault = log_fault(&config);
            let loads = log_fault.is_none();
            findings.extend(log_fault);
            findings.extend(remarks_on_filters(&config));
            let (services, doors) = (count(config.protecting().count(), "service"), count(config.doors.len(), "door"));
            if !loads {
                let summary = format!("refused ({})", tally(&findings));
                (findings, summary, Exit::Negative)
            } else if findings.iter().any(Diagnostic::is_error) {
                let exit = if args.loads { Exit::Done } else { Exit::Negative };
                let summary = format!("faulty ({}): it loads, and does not protect so", tally(&findings));
                (findings, summary, exit)
            } else {
                let warnings = count(findings.iter().map(|finding| finding.stands_for).sum(), "warning");
                (findings, format!("ok ({services}, {doors}, {warnings})"), Exit::Done)
            }
        }
        Err(ConfigError::Refused(findings)) => {
            let summary = format!("refused ({})", tally(&findings));
            (findings, summary, Exit::Negative)
        }
        Err(error @ ConfigError::Io { .. }) => bail!("{error:#}"),
    };
    for finding in findings {
        writeln!(out, "{finding:#}")?;
    }
    writeln!(out, "{file}: {summary}")?;
    Ok(exit)
}

/// A line for each feature that the gate uses, and a last one.
fn kernel(out: &mut dyn Write) -> Result<Exit> {
    need_root()?;
    let mut missing = 0;
    for feature in &FEATURES {
        let has = feature.is_there();
        missing += usize::from(!has && feature.need == Need::Always);
        let (word, need) = (if has { "yes" } else { "no" }, feature.need.words());
        writeln!(out, "{word:4}{} (Linux {}), {}: {need}", feature.name, feature.since, feature.purpose)?;
    }
    if let Some((message, help)) = realtime::remark() {
        writeln!(out, "warning: {message}\n  help: {help}")?;
    }
    let release = kernel_release();
    if missing == 0 {
        writeln!(out, "Linux {release}: ok")?;
        return Ok(Exit::Done);
    }
    writeln!(out, "Linux {release}: refused ({} without which there is no gate)", count(missing, "missing feature"))?;
    Ok(Exit::Negative)
}

/// What to know of the interfaces of this host; nothing where they cannot be listed.
fn interfaces(config: &Config, elsewhere: bool) -> Vec<Diagnostic> {
    const KEY: &str = "options.interfaces";
    let Ok(all) = list_interfaces() else { return Vec::new() };
    let choice = choose(&config.options.interfaces, &all);
    if let Some(why) = choice.nowhere() {
        let severity = if elsewhere { Severity::Warning } else { Severity::Error };
        let message = format!("no interface of this host would have the gate, and nothing would be protected: {why}");
        let help = "name the interface over which others reach this host; `ip link` lists those that there are";
        let file = config.path.display().to_string();
        return vec![Diagnostic::of_file(file, KEY, severity, message).with_help(help)];
    }
    let remarks = choice.remarks().into_iter();
    let remarks = remarks.map(|(name, text)| remark(config, KEY, format!("{name}: {text}")));
    remarks.chain(untagged(config, &choice.fit, &all)).collect()
}

/// Where answers to what comes in a VLAN would leave without its tag; nothing where the cards cannot be asked.
fn untagged(config: &Config, fit: &[Interface], all: &[Interface]) -> Option<Diagnostic> {
    if config.options.deny != Deny::Reject {
        return None;
    }
    let features = offloads::features().unwrap_or_default();
    let takes_off = |index: u32| {
        features.get(&index).is_some_and(|on| on.iter().any(|feature| feature == offloads::TAKES_TAGS_OFF))
    };
    let cards: BTreeSet<_> = fit.iter().flat_map(|one| without_tags(one, all, takes_off)).collect();
    let names: Vec<_> = cards.into_iter().collect();
    let message = format!(
        "{}: the tag of a VLAN is taken off before the gate (rx-vlan-offload): an answer to what is denied in a VLAN leaves \
         without it, and may not be heard",
        names.join(", ")
    );
    let first = names.first()?;
    let help = format!(
        "`ethtool -K {first} rxvlan off`, or name the VLAN's own device in options.interfaces, or deny = \"drop\""
    );
    Some(remark(config, "options.deny", message).with_help(help))
}

fn remark(config: &Config, key: &str, message: String) -> Diagnostic {
    Diagnostic::of_file(config.path.display().to_string(), key, Severity::Warning, message)
}

/// What to know of the file system that the gate is to be pinned on.
fn pins(config: &Config, paths: &Paths) -> Option<Diagnostic> {
    let (message, help) = open_bpffs(paths)?;
    Some(remark(config, "", message).with_help(help))
}

/// `2 errors, 1 warning`.
pub fn tally(findings: &[Diagnostic]) -> String {
    let of = |is_error| -> usize {
        findings.iter().filter(|finding| finding.is_error() == is_error).map(|finding| finding.stands_for).sum()
    };
    format!("{}, {}", count(of(true), "error"), count(of(false), "warning"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn check(text: &str) -> (String, Exit) {
        check_with(text, 0o600, &[])
    }

    fn check_with(text: &str, mode: u32, flags: &[&str]) -> (String, Exit) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("knock.toml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut out = Vec::new();
        let (any_mode, loads) = (flags.contains(&"--any-mode"), flags.contains(&"--loads"));
        let args = CheckArgs { file: file.clone(), any_mode, loads, kernel: false };
        let exit = run(&args, &Paths::below(directory.path()), &mut out).unwrap();
        (String::from_utf8(out).unwrap().replace(file.to_str().unwrap(), "knock.toml"), exit)
    }

    const GOOD: &str = r#"
        options.interfaces = ["lo"]
        services.ssh2.ports = ["2222/tcp"]
        doors.open = { service = "ssh2", sequence = ["7100/tcp", "9000/udp", "8000/tcp"], cmd_timeout = "60s" }
    "#;

    #[test]
    fn a_good_config_is_counted() {
        let (text, exit) = check(GOOD);
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("knock.toml: ok (1 service, 1 door, "), "{text}");
        assert_eq!(exit, Exit::Done);
    }

    #[test]
    fn a_sequence_that_everybody_knows_is_a_fault() {
        let text = GOOD.replace("7100", "7000");
        let (said, exit) = check(&text);
        assert!(said.contains("knock.toml: error: doors.open.sequence: EVERYBODY KNOWS THIS SEQUENCE"), "{said}");
        assert!(said.lines().last().unwrap().starts_with("knock.toml: faulty (1 error, "), "{said}");
        assert_eq!(exit, Exit::Negative);
        // Wherever it is to be used. But it is loaded.
        assert_eq!(check_with(&text, 0o600, &["--any-mode"]).1, Exit::Negative);
        assert_eq!(check_with(&text, 0o600, &["--loads"]).1, Exit::Done);
    }

    #[test]
    fn what_could_be_stronger_is_a_warning() {
        let (said, exit) = check(&GOOD.replace(", cmd_timeout = \"60s\"", ""));
        assert!(said.contains("knock.toml: warning: doors.open: opens for good"), "{said}");
        assert!(said.contains("knock.toml: warning: doors.open.sequence: 31 bits of room"), "{said}");
        assert_eq!(exit, Exit::Done);
    }

    #[test]
    fn mistakes_are_shown_with_their_lines() {
        let (text, exit) = check(&GOOD.replace("7100", "71000"));
        assert!(text.contains("doors.open.sequence[0]") && text.contains("71000/tcp"), "{text}");
        assert_eq!(text.lines().last(), Some("knock.toml: refused (1 error, 0 warnings)"));
        assert_eq!(exit, Exit::Negative);
    }

    #[test]
    fn all_mistakes_are_counted_and_not_all_are_shown() {
        let keys: String = (0..5000).map(|n| format!("options.key{n} = 1\n")).collect();
        let (text, exit) = check(&format!("{GOOD}{keys}"));
        assert_eq!(text.lines().last(), Some("knock.toml: refused (5000 errors, 0 warnings)"));
        assert!(text.contains("and 4900 more errors") && text.lines().count() < 1000, "{}", text.lines().count());
        assert_eq!(exit, Exit::Negative);
    }

    #[test]
    fn what_the_daemon_would_refuse_is_refused_unless_it_is_elsewhere() {
        let fault = "knock.toml: error: mode 0644: everybody on this host may read this file, and its sequences";
        let (text, exit) = check_with(GOOD, 0o644, &[]);
        assert!(text.starts_with(fault) && text.ends_with("knock.toml: refused (1 error, 0 warnings)\n"), "{text}");
        assert_eq!(exit, Exit::Negative);
        let (text, exit) = check_with(GOOD, 0o644, &["--any-mode"]);
        assert!(text.starts_with(&fault.replace("error", "warning")), "{text}");
        assert_eq!(exit, Exit::Done);
    }

    #[test]
    fn a_gate_on_no_interface_is_a_fault_unless_it_is_for_elsewhere() {
        let slip = GOOD.replace("\"lo\"", "\"ol\"");
        let fault = "knock.toml: error: options.interfaces: no interface of this host would have the gate, and nothing \
                     would be protected: ol is not there (";
        let (text, exit) = check(&slip);
        assert!(
            text.contains(fault) && text.lines().last().unwrap().starts_with("knock.toml: faulty (1 error, "),
            "{text}"
        );
        assert_eq!(exit, Exit::Negative);
        assert_eq!(check_with(&slip, 0o600, &["--loads"]).1, Exit::Done);
        let (text, exit) = check_with(&slip, 0o600, &["--any-mode"]);
        assert!(text.contains(&fault.replace("error", "warning")), "{text}");
        assert_eq!(exit, Exit::Done);
        // With one that is there, the other is awaited.
        let (text, exit) = check(&GOOD.replace("\"lo\"", "\"lo\", \"ol\""));
        assert!(text.contains("warning: options.interfaces: ol: not there yet"), "{text}");
        assert_eq!(exit, Exit::Done);
        // What is refused is not loaded either.
        assert_eq!(check_with(&slip.replace("7100", "71000"), 0o600, &["--loads"]).1, Exit::Negative);
    }

    #[test]
    fn what_is_named_and_missing_is_found() {
        let (said, exit) =
            check(&GOOD.replace("cmd_timeout = \"60s\"", "cmd_timeout = 60, start_command = \"/no/such\""));
        assert!(said.contains("warning: doors.open.start_command: /no/such: there is no such program"), "{said}");
        assert_eq!(exit, Exit::Done);
        let (said, exit) =
            check(&GOOD.replace("cmd_timeout = \"60s\"", "cmd_timeout = 60, start_command = \"sleep 60\""));
        assert!(said.contains("sleeps for 1m, and is killed"), "{said}");
        assert_eq!(exit, Exit::Done);
        // Without its log the daemon does not start.
        let text = GOOD.replace("services.ssh2", "options.log = \"/no/such/log\"\nservices.ssh2");
        for flags in [&[][..], &["--loads"]] {
            let (said, exit) = check_with(&text, 0o600, flags);
            assert!(said.contains("error: options.log: /no/such: there is no such directory"), "{said}");
            assert!(said.lines().last().unwrap().starts_with("knock.toml: refused (1 error, "), "{said}");
            assert_eq!(exit, Exit::Negative);
        }
    }

    #[test]
    fn a_missing_file_is_an_error_with_a_remedy() {
        let args = CheckArgs { file: "/nonexistent/knock.toml".into(), any_mode: false, loads: false, kernel: false };
        let error = run(&args, &Paths::default(), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/knock.toml: ") && error.contains("help: "), "{error}");
    }
}
