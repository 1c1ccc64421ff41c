//! `flood`: what a packet of a flood costs a host, and what somebody else keeps of the host meanwhile.

mod cost;
mod frames;
mod session;

use anyhow::Result;

use super::ground::Ground;
use super::peers::{Kind, usable};
use super::plan::Plan;
use super::rounds::{Rounds, order};
use super::sheet::Sheet;
use crate::kernel::Bare;
use crate::lab::Host;

use cost::cost;
use session::{Flood, Kept, kept};

const PEERS: [Kind; 5] = [Kind::Generic, Kind::Nftables, Kind::Knockd, Kind::Fwknop, Kind::Nobody];
/// An empty program that drops every frame: what it costs is the sender's, and the wire's.
const DROP: &str = "drop";
/// The share of a CPU that a flood takes of it by which sessions are measured, if nobody looks at its packets.
const SHARE: f64 = 0.4;

/// The section. All of it is on one CPU, the last: what a flood takes there, nobody else has.
///
/// # Errors
///
/// If the ground cannot be made, or the gate does not stand.
pub fn measure(plan: Plan<'_>, sheet: &mut Sheet) -> Result<()> {
    let ground = Ground::new(Some(cost::cpu()?))?;
    let kinds = usable(&plan.ours_and(&PEERS), "flood", &ground, sheet)?;
    let volleys = [frames::syns()?, frames::mixed()?];
    let times = plan.choose(6, 2);
    let mut costs = [Rounds::default(), Rounds::default()];
    let (mut echo, mut slow, mut transfer) = (Rounds::default(), Rounds::default(), Rounds::default());
    for turn in 0..plan.rounds() {
        let bare = Host::Server.enter(|| Bare::dropping()?.attach("eth0"))?;
        let mut least = f64::INFINITY;
        for (volley, costs) in volleys.iter().zip(&mut costs) {
            let one = cost(None, volley, times)?;
            costs.peer(DROP, one);
            least = least.min(one);
        }
        drop(bare);
        let flood = Flood { volley: &volleys[0], rate: SHARE * 1e6 / least };
        let quiet = kept(&*Kind::Nobody.start()?, ground.source(), None, plan)?;
        echo.peer("idle", quiet.echo);
        slow.peer("idle", quiet.slow);
        transfer.peer("idle", quiet.transfer);
        for kind in order(kinds.len(), turn).map(|index| kinds[index]) {
            let guard = kind.start()?;
            for (volley, costs) in volleys.iter().zip(&mut costs) {
                record(kind, costs, cost(guard.process(), volley, times)?);
            }
            let kept: Kept = kept(&*guard, ground.source(), Some(&flood), plan)?;
            record(kind, &mut echo, kept.echo);
            record(kind, &mut slow, kept.slow);
            record(kind, &mut transfer, kept.transfer);
        }
    }
    let [syns, mixed] = costs;
    let note = format!("{} packets a round, above an empty program that drops", volleys[0].count() * times);
    for (id, rounds) in [("cpu", syns), ("cpu_mixed", mixed)] {
        sheet.add(rounds.figure(format!("flood.{id}_whole"), "us").note("with the sender and the wire"));
        sheet.add(rounds.without(DROP, 0.001).figure(format!("flood.{id}"), "us").note(&note));
    }
    sheet.add(echo.figure("flood.session", "ms").note("one octet and back, on the CPU that is flooded"));
    sheet.add(slow.figure("flood.session_p99", "ms").note("what one round trip in a hundred takes longer than"));
    sheet.add(transfer.figure("flood.transfer", "MB/s").note("server to client, on the CPU that is flooded"));
    Ok(())
}

/// Here the article's system is known by what drops.
fn record(kind: Kind, rounds: &mut Rounds, value: f64) {
    if kind == Kind::Knockd { rounds.peer("iptables", value) } else { kind.record(rounds, value) }
}
