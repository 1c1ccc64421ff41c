//! A syslogd that keeps what it is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use tests::lab::Dev;

/// It listens on `/dev/log` until it is dropped.
pub struct Syslog {
    said: Arc<Mutex<String>>,
    _dev: Dev,
}

impl Syslog {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// If `/dev/log` is not to be had.
    pub fn start() -> Result<Self> {
        let dev = Dev::new()?;
        let socket = dev.log()?;
        socket.set_read_timeout(None)?;
        let said = Arc::<Mutex<String>>::default();
        let writer = Arc::clone(&said);
        // It waits for a datagram for ever, and ends with the tests.
        thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(length) = socket.recv(&mut buffer) {
                let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let mut said = writer.lock().unwrap_or_else(PoisonError::into_inner);
                *said += &line;
                said.push('\n');
            }
        });
        Ok(Self { said, _dev: dev })
    }

    /// What it has been told.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
