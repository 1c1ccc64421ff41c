//! Files as they are found.

use super::*;

#[test]
fn files_are_read_with_their_permissions() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(with_option("").as_bytes()).unwrap();
    let (config, warnings) = Config::load(file.path()).unwrap();
    assert_eq!(config.path, file.path());
    assert!(warnings.iter().all(|one| one.line > 0), "the file itself is private: {warnings:?}");
    let mut open = file.as_file().metadata().unwrap().permissions();
    open.set_mode(0o644);
    file.as_file().set_permissions(open).unwrap();
    let (_, warnings) = Config::load(file.path()).unwrap();
    assert!(warnings.iter().any(|one| one.message.starts_with("everybody on this host")));
}

#[test]
fn files_that_are_no_config_are_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let error = Config::load(&missing).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: error: No such file", missing.display())), "{error}");
    assert!(error.contains("\n  help: name another file"), "{error}");
    let error = Config::load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("Is a directory") && error.contains("help: name a file in it"), "{error}");
    let error = Config::load(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(error.contains("far too large"), "{error}");

    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"[options]\n# caf\xe9\n").unwrap();
    let error = Config::load(&latin).unwrap_err().to_string();
    assert!(
        error.ends_with("latin.toml:2:6: error: not UTF-8 from here on\n  help: save the file as UTF-8"),
        "{error}"
    );
}
