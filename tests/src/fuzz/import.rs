//! `knockctl import`: any octets are a knockd.conf that becomes a config, or one that is refused with
//! line and remedy.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use fastrand::Rng;
use knock_user::config::{PortNames, PortRange};
use knock_user::import::{Listing, Request, UNEXPECTED, import};

use crate::knockd::{bent, built};

/// What the host calls its ports; the same on every host.
static NAMES: LazyLock<PortNames> = LazyLock::new(|| PortNames::parse("ssh 22/tcp\nhttps 443/tcp\ndomain 53/udp\n"));

/// Any octets are a file.
pub fn run(file: &[u8]) {
    // Half of the files have their ports from --ports, the others from the rules.
    let given = file.len().is_multiple_of(2);
    let port = || PortRange::parse("2222/tcp", &NAMES).into_iter();
    let request = Request {
        file: "knockd.conf".into(),
        names: NAMES.clone(),
        interface: None,
        ports: if given { port().collect() } else { Vec::new() },
        rules: &|_: Listing| Ok(Some(String::from_utf8_lossy(file).into_owned())),
        defaults: None,
        one_time: &|path| {
            if path == b"/once" { Ok(b"7000,8000\n".to_vec()) } else { Err("No such file or directory".into()) }
        },
    };
    if let Err(refusal) = import(file, &request) {
        assert!(!refusal.message.contains(UNEXPECTED), "{refusal}");
        assert!(refusal.line > 0 && !refusal.help.is_empty(), "{refusal}");
    }
}

/// Files as knockd has them, right and nearly right, and such as people have, with the rules beside them.
pub fn seeds() -> Vec<Vec<u8>> {
    let made = (0..48).map(|seed| built(&mut Rng::with_seed(seed)));
    let bent = (0..16).map(|seed| bent(&mut Rng::with_seed(seed)));
    made.chain(bent).chain(people()).collect()
}

/// The files of `tests/cases/import`.
fn people() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/import");
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "conf" || end == "rules"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file can be read")).collect()
}
