//! What `knockctl check` can know of the places where uses have to be marked, before a daemon tries.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};

use crate::config::{Config, Diagnostic, Severity};
use crate::sequences::{out_of_reach, remedy};

/// The service, as it is set up on this host.
struct Unit {
    /// It keeps its part of the file system to itself, as it comes.
    guarded: bool,
    /// `ReadWritePaths=`, with what drop-ins add.
    writable: Vec<PathBuf>,
}

/// Files whose uses could not be marked: by the service as it is set up here, or by root on this host.
#[must_use]
pub fn remarks(config: &Config) -> Vec<Diagnostic> {
    let unit = Unit::of_host();
    let remark = |(path, key, message): (&Path, String, String)| {
        let file = config.path.display().to_string();
        Diagnostic::of_file(file, key, Severity::Warning, format!("{}: {message}", path.display()))
    };
    let doors = config.doors.iter().filter_map(|door| {
        let path = &door.one_time.as_ref()?.path;
        let why = unit.as_ref().and_then(|unit| unit.keeps_out(path)).or_else(|| cannot_change(path))?;
        Some((path.as_path(), format!("doors.{}.one_time_sequences", door.name.as_str()), why))
    });
    doors.map(remark).collect()
}

impl Unit {
    /// None where systemd does not run, or does not know the service.
    fn of_host() -> Option<Self> {
        if !Path::new("/run/systemd/system").is_dir() {
            return None;
        }
        let properties = "--property=LoadState,ProtectSystem,ProtectHome,PrivateTmp,ReadWritePaths";
        let mut show = Command::new("systemctl");
        let output = show.args(["show", properties, "knockctl.service"]).stderr(Stdio::null()).output().ok()?;
        Self::parse(str::from_utf8(&output.stdout).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let property = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        if property("LoadState")? != "loaded" {
            return None;
        }
        let guarded = ["ProtectSystem", "ProtectHome", "PrivateTmp"].map(|name| property(name).unwrap_or("no"));
        let writable = property("ReadWritePaths").unwrap_or_default().split_whitespace();
        let writable = writable.map(|path| path.trim_start_matches(['-', '+']).into()).collect();
        Some(Self { guarded: guarded != ["no"; 3], writable })
    }

    fn keeps_out(&self, path: &Path) -> Option<String> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let allowed = !self.guarded || self.writable.iter().any(|folder| path.starts_with(folder));
        if allowed { None } else { out_of_reach(&path) }
    }
}

/// Why root could not change the file here. Whoever is not root learns nothing by asking.
fn cannot_change(path: &Path) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    // The file is written anew beside the old one.
    let folder = path.parent()?;
    let error: io::Error = access(folder, Access::WRITE_OK).err()?.into();
    Some(format!("cannot be changed: {error}: the door will shut after its next use: {}", remedy(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "ReadWritePaths=-/etc/knock /sys/fs/bpf /etc/once.d\nLoadState=loaded\nProtectSystem=full\n\
                         ProtectHome=read-only\nPrivateTmp=yes\n";

    #[test]
    fn drop_ins_count() {
        let unit = Unit::parse(SHOWN).unwrap();
        assert_eq!(unit.keeps_out(Path::new("/etc/once.d/ssh")), None);
        assert_eq!(unit.keeps_out(Path::new("/etc/knock/ssh")), None);
        assert!(unit.keeps_out(Path::new("/etc/other/ssh")).unwrap().contains("may not write there"));
        let open = SHOWN.replace("full", "no").replace("read-only", "no").replace("yes", "no");
        assert_eq!(Unit::parse(&open).unwrap().keeps_out(Path::new("/etc/other/ssh")), None);
    }

    #[test]
    fn a_service_that_is_not_there_keeps_nobody_out() {
        assert!(Unit::parse(&SHOWN.replace("LoadState=loaded", "LoadState=not-found")).is_none());
        assert!(Unit::parse("").is_none());
    }
}
