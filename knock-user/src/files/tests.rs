//! Directories and files that others could have a hand in.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn folder(directory: &tempfile::TempDir) -> Folder {
    Folder::make(&directory.path().join("ours"), Way::Whole, 0o700).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & BITS
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_is_made_with_its_parents_and_shut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/ours");
    Folder::make(&path, Way::Whole, 0o700).unwrap();
    assert_eq!(mode(&path), 0o700);
    for (before, widest, after) in
        [(0o777, 0o700, 0o700), (0o755, 0o750, 0o750), (0o750, 0o750, 0o750), (0, 0o750, 0o700)]
    {
        set_mode(&path, before);
        Folder::make(&path, Way::Whole, widest).unwrap();
        assert_eq!(mode(&path), after, "{before:o} {widest:o}");
    }
}

#[test]
fn a_parent_that_others_can_write_is_refused_unless_it_is_sticky() {
    let directory = tempfile::tempdir().unwrap();
    let parent = directory.path().join("parent");
    fs::create_dir(&parent).unwrap();
    let make = || Folder::make(&parent.join("ours"), Way::Whole, 0o700);
    for refused in [0o777, 0o707] {
        set_mode(&parent, refused);
        let error = make().unwrap_err().to_string();
        assert!(error.contains("others can put") && error.contains("`chmod go-w "), "{error}");
        // Nothing is asked of parents that are not on bpffs, where only those on bpffs count.
        assert!(Folder::make(&parent.join("ours"), Way::Bpffs, 0o700).is_ok());
    }
    set_mode(&parent, 0o1777);
    assert!(make().is_ok());
}

#[test]
fn a_link_or_a_file_in_the_place_of_a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (link, file) = (directory.path().join("link"), directory.path().join("file"));
    symlink(directory.path(), &link).unwrap();
    fs::write(&file, "").unwrap();
    for (path, what) in [(&link, "a symbolic link: `rm "), (&file, "no directory: `rm ")] {
        for error in [Folder::make(path, Way::Whole, 0o700), Folder::open(path, Way::Whole)].map(Result::unwrap_err) {
            assert!(error.to_string().contains(what), "{error}");
        }
    }
    // A link of our own on the way is as good as the directory.
    Folder::make(&link.join("ours"), Way::Whole, 0o700).unwrap();
    assert_eq!(mode(&directory.path().join("ours")), 0o700);
}

#[test]
fn links_that_go_round_come_to_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (directory.path().join("one"), directory.path().join("other"));
    symlink("other", &one).unwrap();
    symlink("one", &other).unwrap();
    let error = Folder::make(&one.join("ours"), Way::Whole, 0o700).unwrap_err().to_string();
    assert!(error.contains("too many symbolic links"), "{error}");
}

#[test]
fn what_is_not_there_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let error = Folder::open(&directory.path().join("none/ours"), Way::Whole).unwrap_err();
    assert_eq!(kind_of(&error), Some(ErrorKind::NotFound));
    assert!(!is_want_of_room(&error));
    let full = Error::new(io::Error::from(rustix::io::Errno::NOSPC)).context("a path");
    assert!(is_want_of_room(&full) && !is_want_of_room(&anyhow!("a refusal")));
}

#[test]
fn a_file_is_put_in_the_place_of_another_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let ours = folder(&directory);
    for text in ["a longer one", "short"] {
        ours.replace("file", text.as_bytes(), |_| Ok(())).unwrap();
        assert_eq!(ours.read("file").unwrap(), text.as_bytes());
        assert_eq!(mode(&ours.path().join("file")), 0o600);
    }
    let failed = ours.replace("file", b"never", |_| Err(io::Error::other("no room")));
    assert!(format!("{:#}", failed.unwrap_err()).ends_with("ours/file: no room"));
    assert_eq!(ours.read("file").unwrap(), b"short");
    assert!(!ours.path().join("file-new").exists());
}

#[test]
fn what_others_could_write_or_is_no_file_gives_way_to_a_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let ours = folder(&directory);
    let (victim, path) = (directory.path().join("victim"), ours.path().join("file"));
    fs::write(&victim, "victim").unwrap();
    let open = || ours.write("file", OFlags::WRONLY | OFlags::APPEND).unwrap().write_all(b"ours").unwrap();
    symlink(&victim, &path).unwrap();
    open();
    fs::remove_file(&path).unwrap();
    fs::hard_link(&victim, &path).unwrap();
    open();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "victim");
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("ours", 0o600));
    // One of ours goes on, and is shut.
    set_mode(&path, 0o644);
    open();
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("oursours", 0o600));
    fs::remove_file(&path).unwrap();
    symlink(&victim, &path).unwrap();
    assert!(ours.read("file").is_err());
}

#[test]
fn files_that_others_can_open_are_shut_and_links_refused() {
    let directory = tempfile::tempdir().unwrap();
    let ours = folder(&directory);
    let file = ours.path().join("file");
    fs::write(&file, "").unwrap();
    fs::create_dir(ours.path().join("directory")).unwrap();
    set_mode(&file, 0o666);
    ours.need_own_files().unwrap();
    assert_eq!(mode(&file), 0o600);
    symlink("file", ours.path().join("link")).unwrap();
    let error = ours.need_own_files().unwrap_err().to_string();
    assert!(error.contains("ours/link: it is a symbolic link: `rm "), "{error}");
}
