//! The tools that list packet filters, run and waited for.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a listing may take: one of a million elements takes a second or two.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a tool has printed; `None` if it is not installed.
///
/// # Errors
///
/// What it says went wrong, or that it took too long.
pub fn say(tool: &str, arguments: &[&str]) -> Result<Option<String>, String> {
    let mut child = match start(tool, arguments) {
        Ok(Some(child)) => child,
        Ok(None) => return Ok(None),
        Err(error) => return Err(format!("{tool}: {error}")),
    };
    let (sender, receiver) = mpsc::channel();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    // Both at once: a pipe that nobody reads holds the tool up.
    let complaint = thread::spawn(move || read(err));
    thread::spawn(move || sender.send(read(out)));
    let said = receiver.recv_timeout(PATIENCE);
    if said.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("{tool}: {error}"))?;
    let text = said.map_err(|_| format!("{tool}: takes longer than {} s", PATIENCE.as_secs()))?;
    if status.success() {
        return Ok(Some(text));
    }
    let complaint = complaint.join().unwrap_or_default();
    Err(format!("{tool}: {}", complaint.lines().next().map_or_else(|| status.to_string(), str::to_owned)))
}

/// Starts a tool; a service's or a user's PATH may not have it.
fn start(tool: &str, arguments: &[&str]) -> io::Result<Option<Child>> {
    for folder in ["", "/usr/sbin/", "/sbin/", "/usr/local/sbin/"] {
        let program = format!("{folder}{tool}");
        let mut command = Command::new(OsStr::new(&program));
        command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null());
        match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(Some),
        }
    }
    Ok(None)
}

fn read(pipe: Option<impl io::Read>) -> String {
    let mut octets = Vec::new();
    if let Some(mut pipe) = pipe {
        // What came before an error is cut off, and is not read as a listing.
        let _ = pipe.read_to_end(&mut octets);
    }
    String::from_utf8_lossy(&octets).into_owned()
}
