//! Frames that have broken a filter, ours or another's: each is judged as the beginning of its name says.

use knock_common::gate::Verdict;
use tests::fuzz::seeds::cases;
use tests::model::{Port, Protocol};
use tests::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6};

use crate::common::host;

#[test]
fn what_has_broken_a_filter_does_not_break_this_one() {
    let cases = cases("frames");
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    for case in cases {
        let host = host();
        host.change_sockets(|sockets| {
            sockets.listening.insert(Port(2222, Protocol::Tcp));
            sockets.connections.insert((CLIENT_V4.into(), 40_000, SERVER_V4.into(), 2222));
            sockets.connections.insert((CLIENT_V6.into(), 40_000, SERVER_V6.into(), 2222));
        });
        let verdict = host.judge(&case.octets);
        let expected = match case.name.split_once('-') {
            Some(("deny", _)) => Verdict::Deny,
            Some(("pass", _)) => Verdict::Pass,
            _ => panic!("{}: its name begins with neither deny- nor pass-", case.name),
        };
        assert_eq!(verdict, expected, "{}", case.name);
    }
}
