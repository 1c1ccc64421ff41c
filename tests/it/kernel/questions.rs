//! Frames that only ask what would decide on them, as `knockctl explain` puts them.

use anyhow::{Context as _, Result};
use knock_common::abi::counter::Counter;
use knock_common::abi::grant::{Grant, GrantKey, HOST_BITS, Origin, Prefix};
use knock_common::abi::layout::QUESTION;
use knock_common::abi::rules::Name;
use knock_common::addr::Addr;
use knock_common::gate::Verdict;
use tests::harness::{Test, tests};
use tests::kernel::{Kernel, Run};

use super::gate::{CONFIG, Gate, NOW, alone, datagram, pairs};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests!["kernel::questions"; a_question_keeps_no_grant_alive]
}

/// What decides on the frame, by the program's answer.
fn ask(kernel: &Kernel, frame: &[u8]) -> Result<Option<Counter>> {
    let mut data = QUESTION.to_ne_bytes().to_vec();
    data.extend([0; 4]);
    data.extend(frame);
    let mut after = vec![0; data.len()];
    Run::new(&data).behind_metadata(8).copying_to(&mut after).on(kernel.fd())?;
    let number = u32::from_ne_bytes([after[4], after[5], after[6], after[7]]);
    Ok(number.checked_sub(1).and_then(|index| Counter::ALL.get(index as usize).copied()))
}

fn a_question_keeps_no_grant_alive() -> Result<()> {
    const WINDOW: u64 = 60_000_000_000;
    alone(|| {
        let mut gate =
            Gate::of(&CONFIG.replace("ports = [\"51820/udp\"]", "ports = [\"51820/udp\"]\nkeepalive = true"))?;
        let service = Name::new("wg").context("a name")?.tag();
        for (client, server) in pairs() {
            gate.0.set_now(NOW);
            let key = GrantKey::new(service, &Addr::from(client), &Prefix::new(HOST_BITS));
            gate.0.allow(key, Grant::new(NOW + WINDOW, NOW, WINDOW, 0, Origin::Knock));
            let frame = datagram(client, server, 51820).build();
            // So much of the window is gone that traffic moves its end.
            gate.0.set_now(NOW + WINDOW / 2);
            let (grants, counters) = (gate.0.all_grants(), gate.0.all_counters());
            assert_eq!(ask(&gate.0, &frame)?, Some(Counter::PassGranted), "{client}");
            assert_eq!(gate.0.all_grants(), grants, "{client}: a question");
            assert_eq!(gate.0.all_counters(), counters, "{client}: a question");
            gate.judges("traffic", &frame, Verdict::Pass, &[Counter::PassGranted, Counter::GrantExtended]);
            assert_eq!(gate.0.all_grants()[&key].until, NOW + WINDOW / 2 + WINDOW, "{client}: traffic");
        }
        Ok(())
    })
}
