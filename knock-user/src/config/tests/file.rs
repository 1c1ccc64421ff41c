//! Files as they are found.

use super::*;

#[test]
fn files_are_read_with_their_permissions() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(with_option("").as_bytes()).unwrap();
    let (config, warnings) = Config::load(file.path()).unwrap();
    assert_eq!(config.path, file.path());
    assert!(warnings.iter().all(|one| one.line > 0), "the file itself is private: {warnings:?}");
    let mut permit = |mode| {
        let mut permissions = file.as_file().metadata().unwrap().permissions();
        permissions.set_mode(mode);
        file.as_file_mut().set_permissions(permissions).unwrap();
        file.path().to_owned()
    };
    assert!(Config::load(&permit(0o640)).is_ok());
    for mode in [0o644, 0o646, 0o602] {
        let path = permit(mode);
        let error = Config::load(&path).unwrap_err().to_string();
        let file = path.display();
        assert!(error.starts_with(&format!("{file}: error: mode {mode:04o}: everybody on this host may ")), "{error}");
        assert!(
            error.ends_with(&format!("\n  help: chmod 0600 {file}, or 0640 where its group is to read it")),
            "{error}"
        );
        // Elsewhere than in its place it is only said.
        let (_, warnings) = Config::load_anywhere(&path).unwrap();
        assert!(warnings.iter().any(|one| one.message.contains("everybody on this host") && !one.is_error()));
    }
}

#[test]
fn knockds_config_is_told_from_ours_and_import_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[options]\n\tUseSyslog\n\n[openSSH]\n\tsequence = 7000,8000,9000\n").unwrap();
    let error = Config::load(file.path()).unwrap_err();
    let path = file.path().display();
    let expected = format!(
        "{path}: error: this is knockd's config, and not ours\n  help: `knockctl import {path} -o /etc/knock/knock.toml` \
         writes ours from it"
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_config_that_was_cut_off_before_its_services_is_refused() {
    let whole = with_option("");
    let cut = &whole[..whole.find("[services").unwrap()];
    let error = "k.toml:4:1: error: services: is missing: nothing would be protected";
    assert_said(cut, &[error]);
    // Doors of no service do not make it whole.
    let hook = "[doors.wake]\nsequence = [7, 9, 8]\nstart_command = \"true\"\n";
    assert_said(&format!("{OPTIONS}{hook}"), &["k.toml:6:1: error: services: is missing: nothing would be protected"]);
    assert_said(&format!("{OPTIONS}[services]\n{hook}"), &[]);
    assert_said(&format!("services = {{}}\n{OPTIONS}"), &["k.toml: warning: no service: nothing is protected"]);
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
