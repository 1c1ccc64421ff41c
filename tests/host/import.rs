//! `knockctl import` with thousands of files that nobody wrote: whatever knockd takes becomes a config.
//! The seeds are fixed, so a file that fails once fails always.

use fastrand::Rng;
use knock_user::config::{PortNames, PortRange};
use knock_user::import::{Listing, Request, UNEXPECTED, import};
use tests::knockd::{bent, built};

/// How many files.
const FILES: u64 = 10_000;

/// True if the file was imported; then its config was parsed on the way.
fn check(seed: u64, file: &[u8]) -> bool {
    let names = PortNames::default();
    let request = Request {
        file: "knockd.conf".into(),
        ports: PortRange::parse("2222/tcp", &names).into_iter().collect(),
        names,
        interface: Some("eth0".into()),
        rules: &|_: Listing| Err("nobody asks".into()),
        defaults: None,
        one_time: &|_| Err("No such file or directory".into()),
    };
    match import(file, &request) {
        Ok(imported) => {
            let quotes = imported.text.matches("# knockd.conf ").count();
            assert!(quotes >= imported.rows.len(), "seed {seed}: a door is missing");
            true
        }
        Err(refusal) => {
            let shown = String::from_utf8_lossy(file);
            assert!(!refusal.message.contains(UNEXPECTED), "seed {seed}: {refusal}\n{shown}");
            assert!(refusal.line > 0 && !refusal.help.is_empty(), "seed {seed}: {refusal}\n{shown}");
            false
        }
    }
}

#[test]
fn every_file_that_knockd_takes_becomes_a_config() {
    let imported = (0..FILES).filter(|&seed| check(seed, &built(&mut Rng::with_seed(seed)))).count();
    assert!(imported > FILES as usize / 3, "only {imported} of {FILES}");
}

#[test]
fn no_change_of_a_few_octets_makes_the_import_fall() {
    let imported = (0..FILES).filter(|&seed| check(seed, &bent(&mut Rng::with_seed(seed)))).count();
    assert!(imported > FILES as usize / 8, "only {imported} of {FILES}");
}
