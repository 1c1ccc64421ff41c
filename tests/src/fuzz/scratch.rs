//! A file for targets that read files.

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A folder in memory, if the system has one, that goes with its thread.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = base.join(format!("knock-fuzz-{}-{:?}", std::process::id(), std::thread::current().id()));
        fs::create_dir_all(&path).expect("there is room for a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

thread_local! {
    static FOLDER: RefCell<Option<Folder>> = const { RefCell::new(None) };
}

/// Puts octets into a file that is its owner's alone, and hands it over.
pub fn with_file<T>(octets: &[u8], work: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(Folder::new);
        let path = folder.0.join("input");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).expect("a file");
        file.write_all(octets).expect("there is room");
        drop(file);
        work(&path)
    })
}
