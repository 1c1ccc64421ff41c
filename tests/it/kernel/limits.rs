//! Rules 15 and 16: what the kernel's own tables do when they are full.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::Result;
use knock_common::abi::counter::Counter::{
    AttemptAdvanced, AttemptLost, AttemptStarted, AttemptUntold, DenialUnlogged, DenyNew, EventLost, GrantExtended,
    GrantOpened, GrantRefused, KnockPacket, PassGranted,
};
use knock_common::abi::event::Kind;
use knock_common::addr::Addr;
use knock_common::gate::Verdict::{Deny, Pass};
use tests::harness::{Test, tests};
use tests::kernel::{Room, stay_on_cpu};
use tests::packet::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6, STRANGER_V4};

use super::gate::{CONFIG, Gate, NOW, alone, datagram, syn};

/// What a budget calls a second.
const SECOND: u64 = 1 << 30;

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::limits";
        a_full_table_refuses_the_new_grant_and_loses_no_old_one,
        the_budget_of_attempts_to_tell_of_is_one_per_second_and_cpu,
        a_flood_of_sources_pushes_out_the_oldest_attempts_and_no_grant,
        denials_are_logged_while_this_cpu_has_tokens,
        a_full_ring_loses_events_and_nothing_else,
    ]
}

/// A different source for each number.
fn forged(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + number)
}

fn a_full_table_refuses_the_new_grant_and_loses_no_old_one() -> Result<()> {
    alone(|| {
        let mut gate = Gate::with_room(CONFIG, Room { grants: 1, ..Room::default() })?;
        gate.judges("the first", &syn(CLIENT_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantOpened]);
        let stored = gate.0.all_grants();
        for _ in 0..3 {
            gate.judges("refused", &syn(STRANGER_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantRefused]);
        }
        assert_eq!(gate.0.all_grants(), stored);
        let kinds: Vec<u8> = gate.0.take_events().iter().map(|event| event.kind).collect();
        let refused = Kind::Refused as u8;
        assert_eq!(kinds, [Kind::Opened as u8, refused, refused, refused]);
        gate.judges("outside", &syn(STRANGER_V4, SERVER_V4, 2222).build(), Deny, &[DenyNew]);
        gate.judges("extended", &syn(CLIENT_V4, SERVER_V4, 6000).build(), Pass, &[KnockPacket, GrantExtended]);
        gate.judges("inside", &syn(CLIENT_V4, SERVER_V4, 2222).build(), Pass, &[PassGranted]);
        Ok(())
    })
}

fn the_budget_of_attempts_to_tell_of_is_one_per_second_and_cpu() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(&CONFIG.replace("[options]", "[options]\nattempt_rate = 2"))?;
        let begin = |gate: &mut Gate, number, is_told: bool| {
            let counters = [KnockPacket, AttemptStarted, AttemptUntold];
            let counters = if is_told { &counters[..2] } else { &counters };
            gate.judges("first knock", &syn(forged(number), SERVER_V4, 7000).build(), Pass, counters);
            assert_eq!(gate.0.take_events().len(), usize::from(is_told), "{number}");
        };
        let second = NOW / SECOND * SECOND;
        for (round, now) in [second, second + SECOND, second + 5 * SECOND].into_iter().enumerate() {
            let first = 10 * round as u32;
            gate.0.set_now(now);
            begin(&mut gate, first, true);
            gate.0.set_now(now + SECOND - 1);
            begin(&mut gate, first + 1, true);
            begin(&mut gate, first + 2, false);
            // Neither a repeat nor a next step begins anything.
            gate.judges("again", &syn(forged(first), SERVER_V4, 7000).build(), Pass, &[KnockPacket]);
            let next = datagram(forged(first), SERVER_V4, 8000).build();
            gate.judges("step 2", &next, Pass, &[KnockPacket, AttemptAdvanced]);
            let untold = datagram(forged(first + 2), SERVER_V4, 8000).build();
            gate.judges("step 2 of the one beyond", &untold, Pass, &[KnockPacket, AttemptAdvanced]);
            let _ = gate.0.take_events();
        }
        if std::thread::available_parallelism()?.get() > 1 {
            begin(&mut gate, 90, false);
            stay_on_cpu(1)?;
            begin(&mut gate, 91, true);
        }
        Ok(())
    })
}

fn a_flood_of_sources_pushes_out_the_oldest_attempts_and_no_grant() -> Result<()> {
    alone(|| {
        let room = Room { attempts: 256, grants: 16, ..Room::default() };
        let mut gate = Gate::with_room(&CONFIG.replace("[options]", "[options]\nattempt_rate = 1000000"), room)?;
        gate.judges("granted", &syn(CLIENT_V6, SERVER_V6, 6000).build(), Pass, &[KnockPacket, GrantOpened]);
        for number in 0..4096 {
            gate.0.set_now(NOW + u64::from(number));
            gate.judges("flood", &syn(forged(number), SERVER_V4, 7000).build(), Pass, &[KnockPacket, AttemptStarted]);
            // There is room for some thousands of them.
            if number % 1024 == 0 {
                drop(gate.0.take_events());
            }
        }
        let left: BTreeSet<Addr> = gate.0.all_attempts().into_keys().collect();
        assert!((1..=256).contains(&left.len()), "{} attempts", left.len());
        assert!(left.contains(&Addr::from(forged(4095))), "the newest is there");
        assert!(!left.contains(&Addr::from(forged(0))), "the oldest is not");
        assert_eq!(gate.0.all_counters()[AttemptLost as usize], 0);
        gate.judges("inside", &syn(CLIENT_V6, SERVER_V6, 2222).build(), Pass, &[PassGranted]);
        Ok(())
    })
}

fn denials_are_logged_while_this_cpu_has_tokens() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(CONFIG)?;
        gate.0.set_tokens(2);
        let frame = syn(CLIENT_V4, SERVER_V4, 2222).build();
        gate.judges("logged", &frame, Deny, &[DenyNew]);
        gate.judges("logged", &frame, Deny, &[DenyNew]);
        gate.judges("not logged", &frame, Deny, &[DenyNew, DenialUnlogged]);
        assert_eq!(gate.0.take_events().len(), 2);
        let mut left = gate.0.tokens();
        left.sort_unstable();
        assert_eq!(left[0], 0, "those of this CPU");
        assert!(left[1..].iter().all(|tokens| *tokens == 2), "those of the others: {left:?}");
        let mut silent = Gate::of(&CONFIG.replace("[options]", "[options]\nlog_denied = false"))?;
        silent.0.set_tokens(2);
        silent.judges("silent", &frame, Deny, &[DenyNew]);
        assert!(silent.0.take_events().is_empty());
        assert!(silent.0.tokens().iter().all(|tokens| *tokens == 2));
        Ok(())
    })
}

fn a_full_ring_loses_events_and_nothing_else() -> Result<()> {
    alone(|| {
        let mut gate = Gate::of(CONFIG)?;
        let frame = syn(STRANGER_V4, SERVER_V4, 2222).build();
        let mut told = 0;
        while gate.0.all_counters()[EventLost as usize] == 0 {
            assert_eq!(gate.0.judge_frame(&frame)?, Deny);
            told += 1;
            assert!(told < 100_000, "the ring has an end");
        }
        gate.judges("lost", &frame, Deny, &[DenyNew, EventLost]);
        gate.judges(
            "a grant, untold",
            &syn(CLIENT_V4, SERVER_V4, 6000).build(),
            Pass,
            &[KnockPacket, GrantOpened, EventLost],
        );
        gate.judges("inside", &syn(CLIENT_V4, SERVER_V4, 2222).build(), Pass, &[PassGranted]);
        assert_eq!(gate.0.take_events().len(), told - 1);
        gate.judges("room again", &frame, Deny, &[DenyNew]);
        assert_eq!(gate.0.take_events().len(), 1);
        Ok(())
    })
}
