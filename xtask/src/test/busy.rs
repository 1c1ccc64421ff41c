//! Processes that do nothing but keep CPUs busy, to see what the tests make of that.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// They end with this guard, or when the program that made them is gone.
pub struct Busy(Vec<Child>);

impl Busy {
    /// Starts so many.
    pub fn start(count: u32) -> Result<Self> {
        let mut busy = Self(Vec::new());
        for _ in 0..count {
            // It looks after its parent, so that nothing is left behind whatever becomes of that.
            let turns = "while [ -d /proc/$PPID ]; do i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; done";
            let mut command = Command::new("sh");
            command.args(["-c", turns]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            busy.0.push(command.spawn().context("cannot start sh")?);
        }
        if count > 0 {
            println!("[test] beside {count} busy processes");
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // An error means that it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn they_run_until_the_guard_goes() {
        let busy = Busy::start(2).unwrap();
        let places: Vec<PathBuf> = busy.0.iter().map(|child| format!("/proc/{}", child.id()).into()).collect();
        assert!(places.iter().all(|place| place.is_dir()));
        drop(busy);
        assert!(!places.iter().any(|place| place.is_dir()));
    }
}
