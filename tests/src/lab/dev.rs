//! A `/dev` of one's own, for `/dev/log`.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use super::{Mount, sandbox};

/// The guard: the devices are as before, and `/dev/log` is whatever one makes it, until it is dropped.
pub struct Dev {
    _overlay: Mount,
    _memory: Mount,
}

impl Dev {
    /// Lays it over the host's. There is no `/dev/log` yet.
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn new() -> Result<Self> {
        let place = Path::new(sandbox::DIR).join("dev");
        fs::create_dir_all(&place)?;
        let memory = Mount::new("tmpfs", &place)?;
        for name in ["changes", "work"] {
            fs::create_dir(place.join(name))?;
        }
        let place = place.display();
        let options = format!("lowerdir=/dev,upperdir={place}/changes,workdir={place}/work");
        mount(Some("overlay"), "/dev", Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .context("cannot lay anything over /dev")?;
        let this = Self { _overlay: Mount::adopt(Path::new("/dev")), _memory: memory };
        let _ = fs::remove_file("/dev/log");
        Ok(this)
    }

    /// Listens on `/dev/log`, as a syslogd does that was just started.
    ///
    /// # Errors
    ///
    /// If that is not to be had.
    pub fn log(&self) -> Result<UnixDatagram> {
        let _ = fs::remove_file("/dev/log");
        let socket = UnixDatagram::bind("/dev/log").context("/dev/log")?;
        socket.set_read_timeout(Some(super::TIMEOUT))?;
        Ok(socket)
    }
}
