//! Rule 4: no sweep of all ports walks through a sequence, whatever segments a door takes.

use knock_common::abi::counter::Counter::{AttemptEnded, AttemptStarted};
use tests::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6};
use tests::sweep::{Order, SEGMENTS, SEQUENCES, Sweep, config};

use crate::common::host_of;

#[test]
fn no_sweep_of_any_segments_in_any_order_opens_a_door() {
    for (name, flags) in SEGMENTS {
        let sweep = Sweep::new(CLIENT_V4, SERVER_V4, flags);
        for (sequence, orders) in SEQUENCES {
            for &order in orders {
                let host = host_of(&config(sequence));
                for frame in sweep.frames(order) {
                    let _ = host.judge(frame);
                }
                assert!(host.grants().is_empty(), "{name} {order:?} {sequence:?}");
                // Each attempt has met its end.
                let begun = host.counter(AttemptStarted);
                assert_eq!(host.counter(AttemptEnded), begun, "{name} {order:?} {sequence:?}");
                assert!(begun > 0, "{name} {order:?} {sequence:?}");
            }
        }
    }
}

#[test]
fn a_sweep_over_ipv6_opens_no_door() {
    for (name, flags) in SEGMENTS {
        let host = host_of(&config(SEQUENCES[0].0));
        for frame in Sweep::new(CLIENT_V6, SERVER_V6, flags).frames(Order::Up) {
            let _ = host.judge(frame);
        }
        assert!(host.grants().is_empty() && host.counter(AttemptStarted) > 0, "{name}");
    }
}
