//! The status in both forms, as the daemon hands it to members of `options.status_group`.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::read::Reader;
use super::render;
use crate::paths::Paths;
use crate::runtime::status_path;

/// How long the daemon may take: to show a million grants takes seconds, and others may have asked before.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the daemon says to one too many, in place of a [`Shown`].
pub const BUSY: &[u8] = b"busy";

/// What `knockctl status` shows, in both forms. Nothing secret is in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// There is a gate, and it stands on an interface.
    #[serde(rename = "loaded")]
    pub stands: bool,
    /// Tables.
    pub text: String,
    /// One line of JSON.
    pub json: String,
}

impl Shown {
    /// As it is now, by the pins.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn now(reader: &mut Reader) -> Result<Self> {
        let snapshot = reader.read()?;
        Ok(Self { stands: snapshot.stands, text: render::text(&snapshot), json: render::json(&snapshot)? })
    }

    /// As the daemon says it to whoever may not read the pins, which is why it is asked: `refusal`.
    ///
    /// # Errors
    ///
    /// The refusal, and what else could help.
    pub fn ask(paths: &Paths, refusal: &Error) -> Result<Self> {
        const GROUP: &str = "options.status_group";
        match answer(paths) {
            Ok(answer) if answer.is_empty() => {
                bail!("{refusal}; or become a member of the group that {GROUP} names, and log in anew")
            }
            Ok(answer) if answer == BUSY => bail!("too many ask for the status at once: try again"),
            Ok(answer) => serde_json::from_slice(&answer).context("the daemon's answer was cut off: try again"),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                bail!("{refusal}; the daemon, which shows it to the group of {GROUP}, does not run")
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                bail!("the daemon has not answered within {} s: see its log", PATIENCE.as_secs())
            }
            // Of those who may pass through the folder, this is none.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && is_for_a_group(paths) => {
                bail!("{refusal}; or become a member of the group that {GROUP} names, and log in anew")
            }
            // There is no such group, or no daemon.
            Err(_) => Err(anyhow!("{refusal}")),
        }
    }
}

fn is_for_a_group(paths: &Paths) -> bool {
    fs::metadata(&paths.run).is_ok_and(|about| about.permissions().mode() & 0o010 != 0)
}

fn answer(paths: &Paths) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(status_path(paths))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // It closes at once where nobody is to be told anything.
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(answer),
    }
}
