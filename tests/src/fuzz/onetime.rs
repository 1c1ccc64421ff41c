//! Files of one-time sequences: none is good for two times, and a mark changes its line and no other.

use std::fs;
use std::sync::LazyLock;
use std::time::SystemTime;

use knock_user::config::{Port, PortNames};
use knock_user::sequences::{Sheet, SheetLine};

use super::scratch;

static NAMES: LazyLock<PortNames> = LazyLock::new(|| PortNames::parse("ssh 22/tcp\nhttps 443/tcp\ndomain 53/udp\n"));

/// Any octets are a file.
pub fn run(octets: &[u8]) {
    scratch::with_file(octets, |path| {
        let read = || Sheet::read(path, &NAMES).expect("a regular file can be read");
        let mut sheet = read();
        let unused: Vec<(usize, Vec<Port>)> = sheet.unused().map(|(line, ports)| (line, ports.to_vec())).collect();
        for (index, (line, sequence)) in unused.iter().enumerate() {
            assert!((1..=32).contains(&sequence.len()), "line {line}");
            assert!(unused[..index].iter().all(|(_, other)| other != sequence), "line {line} is good for two times");
            assert!(sheet.used().all(|used| used != sequence), "line {line} was used before");
        }
        let Some((line, sequence)) = unused.last() else { return };
        let before: Vec<SheetLine> = sheet.lines().to_vec();
        sheet.mark(&[(*line, "192.0.2.7".into(), SystemTime::UNIX_EPOCH)]).expect("it can be written");
        let again = read();
        assert_eq!(again.lines(), sheet.lines());
        assert!(again.used().any(|used| used == sequence), "the mark of line {line} is not read again");
        for (index, (old, new)) in before.iter().zip(again.lines()).enumerate() {
            assert!(index == *line || old == new, "a mark of line {line} has changed line {index}");
        }
        let written = fs::read(path).expect("it can be read");
        let (old, new): (Vec<_>, Vec<_>) =
            (octets.split(|octet| *octet == b'\n').collect(), written.split(|octet| *octet == b'\n').collect());
        assert_eq!(old.len(), new.len());
        assert!((0..old.len()).all(|index| index == *line || old[index] == new[index]));
    });
}

/// Files as an administrator writes them.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "# the list on my phone\n17203/tcp, 45110/udp, 8842/tcp\n60921:udp,2077:tcp,31900:tcp\n",
        "# used 2026-01-17T09:12:44Z by 192.0.2.7: 38211/tcp, 9407/udp, 52630/tcp\n38211,9407:udp,52630\nssh\n",
        " 7000 : UDP , 8000 \r\n7000/udp,8000/tcp\n\n#\n0\n70000\n7000,,\n",
        "# used up: see the list\n# used 2026-01-01T00:00:00Z by ::1: 1,2\n1,2",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
