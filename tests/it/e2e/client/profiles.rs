//! The file of profiles, as a user meets it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use anyhow::{Context as _, Result};
use tests::harness::{Test, tests};
use tests::lab::{Family, Host, Lab, Probe};

use super::super::{assert_fails, assert_says};
use super::{Home, gate};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::client::profiles";
        a_name_is_enough_to_knock,
        a_name_that_is_none_gets_its_remedy,
        a_file_that_others_can_read_is_refused,
        the_list_has_no_sequence,
    ]
}

fn a_name_is_enough_to_knock() -> Result<()> {
    let mut world = gate(Family::V4)?;
    for family in Family::ALL {
        world.family = family;
        assert_eq!(world.connect(Host::Client)?.0, Probe::Silent, "{}", family.name());
        let ran = Home::of(&world, "")?.knock(&["myserver"])?;
        assert_says(&ran, 0, &[]);
        assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""));
        world.must_open(Host::Client).context(family.name())?;
    }
    // Another file, and another directory of configs.
    let home = Home::of(&world, "")?;
    let other = home.dir.join("other.toml");
    fs::copy(home.file(), &other)?;
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600))?;
    chown(&other, Some(tests::lab::NOBODY), None)?;
    fs::rename(home.dir.join(".config"), home.dir.join("elsewhere"))?;
    assert_fails(&home.knock(&["myserver"])?, &["/run/home/.config/knock/client.toml"]);
    home.knock(&["--profiles", &other.display().to_string(), "myserver"])?.success()?;
    Host::Client.run(home.command(&["myserver"])?.env("XDG_CONFIG_HOME", home.dir.join("elsewhere")))?.success()?;
    fs::remove_dir_all(&home.dir)?;
    Ok(())
}

fn a_name_that_is_none_gets_its_remedy() -> Result<()> {
    let _lab = Lab::new()?;
    let home = Home::with("[hosts.myserver]\nsequence = [7000]\n")?;
    assert_fails(
        &home.knock(&["myservr"])?,
        &["myservr: no ports", "client.toml", "did you mean myserver?", "knockctl knock myservr 7000", "--list"],
    );
    fs::remove_file(home.file())?;
    assert_fails(&home.knock(&["myservr"])?, &["no ports, and no profiles", "/run/home/.config/knock/client.toml"]);
    for (line, words) in [
        ("sequence = [0]", &[":2:13: error: hosts.myserver.sequence[0]: port 0", "choose a port"][..]),
        ("sequence = [7000]\nhots = \"a\"", &[":3:1: error: hosts.myserver.hots: unknown key", "did you mean host?"]),
        ("sequence = [7000", &["client.toml:2:", "this is TOML"]),
    ] {
        let home = Home::with(&format!("[hosts.myserver]\n{line}\n"))?;
        assert_fails(&home.knock(&["myserver"])?, words);
    }
    Ok(())
}

fn a_file_that_others_can_read_is_refused() -> Result<()> {
    let _lab = Lab::new()?;
    let home = Home::with("[hosts.myserver]\nsequence = [7000]\n")?;
    for mode in [0o644, 0o640, 0o602] {
        fs::set_permissions(home.file(), fs::Permissions::from_mode(mode))?;
        if mode == 0o602 {
            chown(home.file(), Some(tests::lab::NOBODY), None)?;
        }
        assert_fails(&home.knock(&["myserver"])?, &["chmod 600 /run/home/.config/knock/client.toml"]);
    }
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o604))?;
    chown(home.file(), Some(1), Some(1))?;
    assert_fails(&home.knock(&["myserver"])?, &["another user"]);
    Ok(())
}

fn the_list_has_no_sequence() -> Result<()> {
    let _lab = Lab::new()?;
    let home = Home::with(
        "[hosts.b]\nhost = \"192.0.2.1\"\nsequence = [38211, 9407]\nport = 2222\n[hosts.a]\nsequence = [1]\n",
    )?;
    let list = home.knock(&["--list"])?.success()?;
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["PROFILE", "HOST", "FAMILY", "STEPS", "PORT", "OPEN", "THEN"]);
    assert_eq!(rows[1], ["b", "192.0.2.1", "any", "2", "2222", "-", "-"]);
    assert_eq!(rows[2], ["a", "a", "any", "1", "-", "-", "-"]);
    assert!(!list.contains("38211"), "{list}");
    Ok(())
}
