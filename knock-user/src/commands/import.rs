//! `knockctl import`: a knockd.conf becomes our config.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::count;
use crate::client::table;
use crate::config::{InterfacePattern, PortNames, PortRange};
use crate::exit::Exit;
use crate::host::tables;
use crate::host::tools::say;
use crate::import::{self, DEFAULTS, Imported, Listing, Request};

/// Where knockd has it.
const DEFAULT_FILE: &str = "/etc/knockd.conf";
/// Standard input, or standard output.
const STANDARD: &str = "-";
/// Octets of a file; a device or a log named by mistake is larger.
const MAX_FILE: u64 = 1 << 20;

/// Arguments of `knockctl import`.
#[derive(clap::Args, Clone, Debug)]
pub struct ImportArgs {
    /// The file of knockd; - for standard input
    #[arg(default_value = DEFAULT_FILE)]
    pub file: PathBuf,
    /// Write here and not to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Overwrite the file that is there
    #[arg(long, requires = "output")]
    pub force: bool,
    /// What iptables-save, ip6tables-save or nft list ruleset has printed, or several of them, which says what chains and
    /// sets are for, and who is let in without a knock; asked of this host otherwise
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// The ports that are meant where a command names none, such as 2222/tcp
    #[arg(long, value_name = "PORT", value_delimiter = ',', conflicts_with = "rules")]
    pub ports: Vec<String>,
    /// Where the gate is to stand, whatever the file says
    #[arg(long, value_name = "IF")]
    pub interface: Option<String>,
    /// Show what would become of it, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Writes the config to `out` or to its file, and to `told` what a person should know.
/// [`Exit::Negative`] if a door is left out.
///
/// # Errors
///
/// If the file cannot be read, or is none that knockd would take, or the config cannot be written.
pub fn run(args: &ImportArgs, out: &mut dyn Write, told: &mut dyn Write) -> Result<Exit> {
    let name = args.file.display().to_string();
    let octets = read(&args.file)?;
    let names = PortNames::of_host();
    if let Some(interface) = &args.interface {
        InterfacePattern::parse(interface).map_err(|why| anyhow::anyhow!("--interface: {why}"))?;
    }
    let request = Request {
        file: name.clone(),
        ports: ports(&args.ports, &names)?,
        names,
        interface: args.interface.clone(),
        rules: &|listing| rules(args.rules.as_deref(), listing),
        defaults: fs::read_to_string(DEFAULTS).ok(),
        one_time: &one_time,
    };
    let imported = import::import(&octets, &request).map_err(|refusal| anyhow::anyhow!("{name}:{refusal}"))?;
    if args.dry_run {
        out.write_all(rows(&imported).as_bytes())?;
    } else {
        match args.output.as_deref().filter(|path| *path != Path::new(STANDARD)) {
            Some(path) => write(path, &imported.text, args.force)?,
            None => out.write_all(imported.text.as_bytes())?,
        }
    }
    // The config before what is said about it, on a terminal too.
    out.flush()?;
    told.write_all(summary(&name, &imported, args).as_bytes())?;
    let whole = imported.rows.iter().all(|row| !row.left_out);
    Ok(if whole { Exit::Done } else { Exit::Negative })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    let read = if path == Path::new(STANDARD) {
        io::stdin().take(MAX_FILE + 1).read_to_end(&mut octets)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut octets))
    };
    let help = match read.as_ref().map_err(io::Error::kind) {
        Err(io::ErrorKind::NotFound) => "name the file of knockd",
        Err(io::ErrorKind::PermissionDenied) => "run it as root: the sequences are secret",
        _ => "name a file of knockd",
    };
    let said = |error: io::Error| format!("{}: error: {error}\n  help: {help}", path.display());
    read.map_err(|error| anyhow::anyhow!(said(error)))?;
    if octets.len() as u64 > MAX_FILE {
        bail!(said(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(octets)
}

fn ports(texts: &[String], names: &PortNames) -> Result<Vec<PortRange>> {
    let port = |text: &String| {
        PortRange::parse(text, names)
            .map_err(|error| anyhow::anyhow!("--ports {text}: {error}\n  help: {}", error.help()))
    };
    texts.iter().map(port).collect()
}

/// What the packet filter has, or had; `None` if a program is not installed, and there is nothing that it alone would list.
fn rules(file: Option<&Path>, listing: Listing) -> Result<Option<String>, String> {
    if let Some(file) = file {
        return match listing {
            // Of iptables there is one listing for each family in it.
            Listing::LegacyIptables | Listing::LegacyIp6tables => Ok(None),
            _ => fs::read_to_string(file).map(Some).map_err(|error| format!("{}: {error}", file.display())),
        };
    }
    let program = listing.program();
    let unknown =
        |error: io::Error| format!("{program}: whether it would list rules is not known: {error}; run import as root");
    match listing {
        // Where it is not installed, others list all that it would.
        Listing::Iptables | Listing::Ip6tables => match say(program, &[]) {
            // It may be the kind that needs nftables, in a kernel that has none.
            Err(_) if tables::has_nftables().is_ok_and(|has| !has) => Ok(None),
            other => other,
        },
        Listing::LegacyIptables | Listing::LegacyIp6tables => {
            // Where no table is, it would make some.
            if !tables::has_iptables(listing.is_of(true)).map_err(unknown)? {
                return Ok(None);
            }
            if let Some(text) = say(program, &[])? {
                return Ok(Some(text));
            }
            // Before 1.8 there was one kind alone, and it had no other name.
            let (tool, old) =
                if listing.is_of(true) { ("iptables", Listing::Iptables) } else { ("ip6tables", Listing::Ip6tables) };
            let is_old = say(tool, &["--version"])?.is_some_and(|version| !version.contains("nf_tables"));
            let text = if is_old { say(old.program(), &[])? } else { None };
            text.map(Some).ok_or_else(|| missing(program))
        }
        Listing::Nft => match say(program, &["list", "ruleset"]) {
            Ok(Some(text)) => Ok(Some(text)),
            Ok(None) | Err(_) if !tables::has_nftables().map_err(unknown)? => Ok(None),
            Ok(None) => Err(missing(program)),
            Err(error) => Err(error),
        },
    }
}

fn missing(program: &str) -> String {
    format!("{program} is not installed, and the kernel has rules that it alone lists; install it")
}

/// Opens a file as knockd does.
fn one_time(name: &[u8]) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let path = Path::new(std::ffi::OsStr::from_bytes(name));
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.and_then(|file| file.take(MAX_FILE).read_to_end(&mut octets)).map_err(|error| error.to_string())?;
    Ok(octets)
}

/// Writes a file that only its owner may read: the sequences are secret.
fn write(path: &Path, text: &str, force: bool) -> Result<()> {
    let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let fill = |mut file: File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if !force {
        let file = create(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                anyhow::anyhow!("{}: is there already\n  help: --force overwrites it, -o names another", path.display())
            }
            _ => anyhow::anyhow!("{}: {error}", path.display()),
        })?;
        return fill(file).inspect_err(|_| drop(fs::remove_file(path))).with_context(|| path.display().to_string());
    }
    // The old one stays until the new one is whole.
    let mut name = path.file_name().with_context(|| format!("{}: names no file", path.display()))?.to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    let done = create(&new).and_then(fill).and_then(|()| fs::rename(&new, path));
    done.inspect_err(|_| drop(fs::remove_file(&new))).with_context(|| path.display().to_string())
}

/// The doors as a table. Of a sequence, only its length.
fn rows(imported: &Imported) -> String {
    let mut text = String::new();
    let rows: Vec<_> = imported
        .rows
        .iter()
        .map(|row| [row.line.to_string(), row.name.clone(), row.steps.clone(), row.becomes.clone()])
        .collect();
    table::append(&mut text, ["LINE", "DOOR", "STEPS", "WHAT BECOMES OF IT"], &rows, Clone::clone);
    text
}

/// What was imported, and what a person should look at.
fn summary(name: &str, imported: &Imported, args: &ImportArgs) -> String {
    let left_out = imported.rows.iter().filter(|row| row.left_out).count();
    let mut text = format!("{name}: {}", count(imported.rows.len() - left_out, "door"));
    text += if args.dry_run { " to import" } else { " imported" };
    if left_out > 0 {
        text += &format!(", {left_out} left out");
    }
    text += &match imported.looks.len() {
        0 => "\n".to_owned(),
        looks => format!(", {} to look at:\n", count(looks, "thing")),
    };
    for look in &imported.looks {
        let line = if look.line > 0 { format!("{}:", look.line) } else { String::new() };
        text += &format!("  {name}:{line} {}\n", look.text);
    }
    if !imported.ports.is_empty() {
        let ports: Vec<_> = imported.ports.iter().map(ToString::to_string).collect();
        let interfaces = imported.interfaces.join(" and ");
        text += &format!(
            "The gate will stand on {interfaces} in front of {}: let the packet filter pass that there, and only there.\n",
            ports.join(", ")
        );
    } else if imported.rows.iter().any(|row| !row.left_out) {
        text += "Nothing is protected: no door of that file lets sources in to a port.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const KNOCKD: &str = "[options]\ninterface = eth1\n[open]\nsequence = 7,9,8\ntcpflags = syn\n\
        command = iptables -I SSH2 -s %IP% -j ACCEPT\n";

    struct Ran {
        exit: Result<Exit>,
        out: String,
        told: String,
    }

    fn import(directory: &Path, text: &str, change: impl FnOnce(&mut ImportArgs)) -> Ran {
        let file = directory.join("knockd.conf");
        fs::write(&file, text).unwrap();
        let mut args = ImportArgs {
            file,
            output: None,
            force: false,
            rules: None,
            ports: vec!["2222/tcp".to_owned()],
            interface: None,
            dry_run: false,
        };
        change(&mut args);
        let (mut out, mut told) = (Vec::new(), Vec::new());
        let exit = run(&args, &mut out, &mut told);
        let text = |octets| String::from_utf8(octets).unwrap().replace(directory.to_str().unwrap(), "");
        Ran { exit, out: text(out), told: text(told) }
    }

    #[test]
    fn the_config_goes_to_standard_output() {
        let directory = tempfile::tempdir().unwrap();
        let ran = import(directory.path(), KNOCKD, |_| ());
        assert_eq!(ran.exit.unwrap(), Exit::Done);
        assert!(ran.out.contains("[services.ssh2]\nports = [\"2222/tcp\"]\n"), "{}", ran.out);
        assert!(
            ran.told.starts_with("/knockd.conf: 1 door imported\nThe gate will stand on eth1 in front of 2222/tcp"),
            "{}",
            ran.told
        );
    }

    #[test]
    fn a_file_is_private_and_not_overwritten_unless_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("knock.toml");
        let to =
            |force| import(directory.path(), KNOCKD, |args| (args.output, args.force) = (Some(path.clone()), force));
        let ran = to(false);
        assert_eq!((ran.exit.unwrap(), ran.out.as_str()), (Exit::Done, ""));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "mine").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = to(false).exit.unwrap_err().to_string();
        assert!(error.contains("is there already") && error.contains("--force"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(to(true).exit.unwrap(), Exit::Done);
        assert!(fs::read_to_string(&path).unwrap().contains("[services.ssh2]"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn a_dry_run_shows_a_table_without_sequences_and_writes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("knock.toml");
        let two = format!("{KNOCKD}[other]\nsequence = 65001,\n");
        let ran = import(directory.path(), &two, |args| (args.output, args.dry_run) = (Some(path.clone()), true));
        assert_eq!(ran.exit.unwrap(), Exit::Negative);
        let lines: Vec<_> = ran.out.lines().collect();
        assert_eq!(
            lines,
            [
                "LINE  DOOR   STEPS  WHAT BECOMES OF IT",
                "3     open   3      opens ssh2 (2222/tcp) for good",
                "7     other         left out: its sequence has port 0, which no host can knock here",
            ]
        );
        assert!(
            ran.told.starts_with("/knockd.conf: 1 door to import, 1 left out, 1 thing to look at:\n"),
            "{}",
            ran.told
        );
        assert!(!ran.told.contains("65001") && !path.exists());
    }

    #[test]
    fn ports_are_looked_up_in_a_file_of_rules() {
        let directory = tempfile::tempdir().unwrap();
        let rules = directory.path().join("rules");
        fs::write(&rules, "*filter\n-A INPUT -p tcp -m tcp --dport 2200 -j SSH2\nCOMMIT\n").unwrap();
        let with = |rules: PathBuf| {
            import(directory.path(), KNOCKD, |args| (args.rules, args.ports) = (Some(rules), Vec::new()))
        };
        assert!(with(rules).out.contains("ports = [\"2200/tcp\"]"));
        let error = with("/nonexistent".into()).exit.unwrap_err().to_string();
        assert!(error.contains(":6: error: its command names no port, and /nonexistent: No such file"), "{error}");
    }

    #[test]
    fn the_summary_says_that_nothing_is_protected() {
        let directory = tempfile::tempdir().unwrap();
        let hook = "[options]\ninterface = eth1\n[open]\nsequence = 7,9,8\ntcpflags = syn\ncommand = /bin/open %IP%\n";
        let ran = import(directory.path(), hook, |args| args.ports = Vec::new());
        assert!(
            ran.told.ends_with("Nothing is protected: no door of that file lets sources in to a port.\n"),
            "{}",
            ran.told
        );
        let ran = import(directory.path(), KNOCKD, |_| ());
        assert!(!ran.told.contains("Nothing is protected"), "{}", ran.told);
    }

    #[test]
    fn what_cannot_be_is_an_error_with_a_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let said = |text: &str, change: fn(&mut ImportArgs)| {
            let ran = import(directory.path(), text, change);
            let error = ran.exit.unwrap_err().to_string().replace(directory.path().to_str().unwrap(), "");
            assert_eq!((ran.out.as_str(), ran.told.as_str()), ("", ""));
            error
        };
        let said_of = |change| said(KNOCKD, change);
        assert!(
            said("[d]\n", |_| ()).starts_with("/knockd.conf:1: error: door \"d\" has no sequence\n  help: add a line")
        );
        assert!(said_of(|args| args.file = "/nonexistent".into()).starts_with("/nonexistent: error: No such file"));
        assert!(said_of(|args| args.file = "/dev/zero".into()).contains("large"));
        assert!(said_of(|args| args.ports = vec!["0".into()]).starts_with("--ports 0: port 0 is no port\n  help: "));
        assert!(said_of(|args| args.interface = Some("a/b".into())).starts_with("--interface: "));
        assert!(said_of(|args| args.output = Some("/nonexistent/knock.toml".into())).contains("No such file"));
        let once = "[d]\none_time_sequences = /nonexistent/once\n";
        assert!(said(once, |_| ()).starts_with("/knockd.conf:2: error: \"/nonexistent/once\": No such file"));
    }
}
