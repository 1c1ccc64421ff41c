//! What the program is told of the interfaces on which it answers, while they come and go.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, Map, MapData, MapInfo};
use knock_common::abi::layout::{InterfaceReport, MAX_INTERFACES, name};
use tests::harness::{Test, tests};
use tests::lab::{Config, Family, Late, TIMEOUT, until};
use tests::story::World;

use super::links::{assert_place, program};

/// The tests.
pub fn tests() -> Vec<Test> {
    tests![
        "e2e::answers";
        interfaces_that_are_gone_take_no_room,
        without_room_for_an_answer_the_gate_stands_all_the_same,
    ]
}

/// The table of the program that runs: by interface index, octets of a [`InterfaceReport`].
type Table = HashMap<MapData, u32, [u8; size_of::<InterfaceReport>()]>;

/// That of the program on a device.
fn table(device: &str) -> Result<Table> {
    let id = program(device)?;
    let mut programs = aya::programs::loaded_programs().filter_map(Result::ok);
    let program = programs.find(|program| u64::from(program.id()) == id).context("the program is loaded")?;
    for id in program.map_ids()?.context("the kernel tells the maps")? {
        if MapInfo::from_id(id)?.name_as_str() == Some(name::INTERFACES) {
            return Ok(Map::HashMap(MapData::from_id(id)?).try_into()?);
        }
    }
    anyhow::bail!("the program has no such map")
}

fn indices(table: &Table) -> Result<BTreeSet<u32>> {
    Ok(table.keys().collect::<Result<_, _>>()?)
}

/// The table of the program on a device, in which there is one entry, filled up but for `room` interfaces more.
pub fn fill(device: &str, room: u32) -> Result<Table> {
    let mut table = table(device)?;
    let told = indices(&table)?;
    assert_eq!(told.len(), 1, "{told:?}");
    for index in 1_000_000..1_000_000 + MAX_INTERFACES - 1 - room {
        table.insert(index, [0; size_of::<InterfaceReport>()], 0)?;
    }
    Ok(table)
}

/// A gate that answers, on what there is and what comes, and its table with room for `room` interfaces more.
fn nearly_full(room: u32) -> Result<(World, Table, BTreeSet<u32>)> {
    let config = Config::lab().set("interfaces", "[\"eth0\", \"late*\"]").option("deny", "\"reject\"");
    let world = World::guarded(Family::V4, &config)?;
    let table = fill("eth0", room)?;
    let told = indices(&table)?;
    Ok((world, table, told))
}

/// The late interface appears, and the daemon has said `text` since.
fn appear(world: &mut World, text: &str) -> Result<()> {
    let daemon = world.gate()?;
    let mark = daemon.mark();
    Late::FIRST.appear()?;
    daemon.wait_after(mark, text)?;
    assert_place("late0", "native", "up")
}

fn vanish(world: &mut World) -> Result<()> {
    let daemon = world.gate()?;
    let mark = daemon.mark();
    Late::FIRST.vanish()?;
    daemon.wait_after(mark, "late0: it is gone").map(drop)
}

fn interfaces_that_are_gone_take_no_room() -> Result<()> {
    const ROOM: u32 = 3;
    let (mut world, table, before) = nearly_full(ROOM)?;
    let mut seen = BTreeSet::new();
    for round in 0..3 * ROOM {
        appear(&mut world, "late0 (native): it appeared")?;
        let told = indices(&table)?;
        let new: Vec<u32> = told.difference(&before).copied().collect();
        assert!(new.len() == 1 && seen.insert(new[0]), "round {round}: {new:?} of {seen:?}");
        assert!(before.is_subset(&told));
        vanish(&mut world)?;
        // The kernel announces its end in several messages.
        let is_as_before = || indices(&table).ok().filter(|told| *told == before);
        until(&format!("the table as it was, in round {round}"), TIMEOUT, is_as_before)?;
    }
    Ok(())
}

fn without_room_for_an_answer_the_gate_stands_all_the_same() -> Result<()> {
    let (mut world, mut table, before) = nearly_full(0)?;
    appear(&mut world, "late0: what is denied there is dropped, not answered: the gate stands on more than")?;
    assert_eq!(indices(&table)?, before);
    // The next one finds room again.
    vanish(&mut world)?;
    table.remove(&1_000_000)?;
    appear(&mut world, "late0 (native): it appeared")?;
    assert_eq!(indices(&table)?.len(), before.len());
    let said = world.gate()?.after(0).join("\n");
    assert_eq!(said.matches("dropped, not answered").count(), 1, "{said}");
    Ok(())
}
