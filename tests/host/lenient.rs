//! A gate that only observes, or whose trial has ended, denies nothing, and says of each frame what it would have done.

use knock_common::abi::counter::Counter::{self, DenyMalformed, DenyNew};
use knock_common::gate::Verdict::{self, Deny, Pass, Reject};
use tests::memory::Memory;
use tests::packet::{CLIENT_V4, SERVER_V4};
use tests::tables::Tables;

use crate::common::{CONFIG, NOW, SECOND, datagram, host_like, syn};

/// The gate of [`CONFIG`], which answers or not, and is changed so.
fn gate(deny: &str, change: impl FnOnce(&mut Tables)) -> Memory {
    let mut tables = Tables::from_toml(&CONFIG.replace("[options]", &format!("[options]\ndeny = \"{deny}\"")));
    change(&mut tables);
    host_like(tables)
}

/// What becomes of a new connection, a datagram that is denied, and a frame that cannot be read.
fn verdicts(host: &Memory) -> [Verdict; 3] {
    let connection = syn(CLIENT_V4, SERVER_V4, 2222).build();
    let datagram = datagram(CLIENT_V4, SERVER_V4, 51820).build();
    [&connection, &datagram, &connection[..30]].map(|frame| host.judge(frame))
}

#[test]
fn a_gate_that_observes_denies_nothing_and_counts_what_it_would() {
    for deny in ["drop", "reject"] {
        let host = gate(deny, |tables| tables.observe = true);
        assert_eq!(verdicts(&host), [Pass; 3], "{deny}");
        assert_eq!([DenyNew, Counter::DenyUdp, DenyMalformed].map(|counter| host.counter(counter)), [1; 3], "{deny}");
    }
}

#[test]
fn a_trial_denies_until_it_ends_and_nothing_from_then_on() {
    for (deny, denied) in [("drop", [Deny; 3]), ("reject", [Reject, Reject, Deny])] {
        let host = gate(deny, |tables| tables.trial_until = NOW + SECOND);
        assert_eq!(verdicts(&host), denied, "{deny}");
        host.set_now(NOW + SECOND);
        assert_eq!(verdicts(&host), denied, "{deny}: in its last nanosecond");
        host.set_now(NOW + SECOND + 1);
        assert_eq!(verdicts(&host), [Pass; 3], "{deny}");
        assert_eq!(host.counter(DenyNew), 3, "{deny}");
    }
}

#[test]
fn a_gate_that_is_not_on_trial_denies_at_any_time() {
    let host = gate("drop", |_| {});
    for now in [0, NOW, u64::MAX] {
        host.set_now(now);
        assert_eq!(verdicts(&host), [Deny; 3], "at {now}");
    }
}
