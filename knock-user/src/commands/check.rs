//! `knockctl check`: what is wrong with a config, or weak.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::count;
use crate::cli::DEFAULT_CONFIG;
use crate::config::{Config, ConfigError, Diagnostic, Severity};
use crate::exit::Exit;
use crate::firewall::{choose, list_interfaces};

/// Arguments of `knockctl check`.
#[derive(clap::Args, Clone, Debug)]
pub struct CheckArgs {
    /// The config file
    #[arg(default_value = DEFAULT_CONFIG)]
    pub file: PathBuf,
}

/// Prints all findings and a last line.
///
/// # Errors
///
/// If the file cannot be read.
pub fn run(args: &CheckArgs, out: &mut dyn Write) -> Result<Exit> {
    let file = args.file.display();
    let (findings, summary, exit) = match Config::load(&args.file) {
        Ok((config, mut findings)) => {
            findings.extend(interfaces(&config));
            let (services, doors) = (count(config.protecting().count(), "service"), count(config.doors.len(), "door"));
            let warnings = count(findings.len(), "warning");
            (findings, format!("ok ({services}, {doors}, {warnings})"), Exit::Done)
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

/// What to know of the interfaces of this host; nothing where they cannot be listed.
fn interfaces(config: &Config) -> Vec<Diagnostic> {
    let all = list_interfaces().unwrap_or_default();
    let remark = |(name, text): (String, String)| Diagnostic {
        file: config.path.display().to_string(),
        line: 0,
        column: 0,
        key: "options.interfaces".to_owned(),
        severity: Severity::Warning,
        message: format!("{name}: {text}"),
        help: None,
        excerpt: None,
    };
    choose(&config.options.interfaces, &all).remarks().into_iter().map(remark).collect()
}

/// `2 errors, 1 warning`.
pub fn tally(findings: &[Diagnostic]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    format!("{}, {}", count(errors, "error"), count(findings.len() - errors, "warning"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn check(text: &str) -> (String, Exit) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("knock.toml");
        fs::write(&file, text).unwrap();
        let mut out = Vec::new();
        let exit = run(&CheckArgs { file: file.clone() }, &mut out).unwrap();
        (String::from_utf8(out).unwrap().replace(file.to_str().unwrap(), "knock.toml"), exit)
    }

    const GOOD: &str = r#"
        options.interfaces = ["eth0"]
        services.ssh2.ports = ["2222/tcp"]
        doors.open = { service = "ssh2", sequence = ["7000/tcp", "9000/udp", "8000/tcp"], cmd_timeout = "60s" }
    "#;

    #[test]
    fn a_good_config_is_counted() {
        let (text, exit) = check(GOOD);
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("knock.toml: ok (1 service, 1 door, "), "{text}");
        assert_eq!(exit, Exit::Done);
    }

    #[test]
    fn mistakes_are_shown_with_their_lines() {
        let (text, exit) = check(&GOOD.replace("7000", "70000"));
        assert!(text.contains("doors.open.sequence[0]") && text.contains("70000/tcp"), "{text}");
        assert_eq!(text.lines().last(), Some("knock.toml: refused (1 error, 0 warnings)"));
        assert_eq!(exit, Exit::Negative);
    }

    #[test]
    fn a_missing_file_is_an_error_with_a_remedy() {
        let args = CheckArgs { file: "/nonexistent/knock.toml".into() };
        let error = run(&args, &mut Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/knock.toml: ") && error.contains("help: "), "{error}");
    }
}
