//! Which part of the code may import which: the order in `docs/layers.txt`, and no circles.

mod circles;
mod climbs;
mod groups;
mod imports;
mod modules;
mod order;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use self::circles::circles;
pub use self::groups::{Groups, PACKAGE};
use self::modules::{Edge, File, Modules};
pub use self::order::Order;
use crate::page::Written;
use crate::{paths, tidy};

/// The crates whose files are looked at, and their names in code.
const CRATES: [&str; 5] = ["knock_common", "knock_ebpf", "knock_user", "tests", "xtask"];
/// The file of the layers.
const LAYERS: &str = "docs/layers.txt";
/// The page that shows them.
const PAGE: &str = "ARCHITECTURE.md";
const TABLE: Written = Written {
    page: PAGE,
    begin: "<!-- layers: `cargo xtask layers` writes this table -->\n",
    end: "<!-- end of layers -->\n",
};

/// Holds every import, and the table of the page, against the file.
pub fn check() -> Result<()> {
    let order = order()?;
    let files = files()?;
    let names: Vec<PathBuf> = files.iter().map(|file| file.name.clone()).collect();
    let edges = Modules::new(files).edges();
    let mut faults = faults(&order, &names, &edges);
    let (groups, named) = (Groups::read()?, order.tests().collect());
    let without = order.tests().filter(|group| !groups.has(group));
    faults.extend(without.map(|group| format!("{LAYERS}: there is no group of tests {group}")));
    faults.extend(groups.unnamed(&named).map(|group| format!("{LAYERS}: no layer is tried by {group}")));
    if !TABLE.is(&order.table())? {
        faults.push(format!("{PAGE}: the table of layers is another than in {LAYERS}: `cargo xtask layers` writes it"));
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    println!("[lint] {} imports of {} files go one way", edges.len(), names.len());
    climbs::check()
}

/// The verb: writes the table, then checks.
pub fn verb() -> Result<()> {
    TABLE.write(&order()?.table())?;
    check()
}

fn faults(order: &Order, files: &[PathBuf], edges: &[Edge]) -> Vec<String> {
    let mut faults: Vec<String> = Vec::new();
    let homeless = files.iter().filter(|file| order.layer_of(file).is_none());
    faults.extend(homeless.map(|file| format!("{}: is in no layer of {LAYERS}", file.display())));
    faults.extend(order.without_files(files).into_iter().map(|part| format!("{LAYERS}: there is no {part}")));
    for edge in edges {
        if let (Some(from), Some(to)) = (order.layer_of(&edge.from), order.layer_of(&edge.to))
            && to > from
        {
            let (low, high) = (order.name(from), order.name(to));
            faults.push(format!("{}, but {low} stands below {high}", shown(edge)));
        }
    }
    for way in circles(edges) {
        let way: Vec<String> = way.into_iter().map(shown).collect();
        faults.push(format!("a circle:\n  {}", way.join("\n  ")));
    }
    faults
}

fn shown(edge: &Edge) -> String {
    format!("{}:{}: `{}` is of {}", edge.from.display(), edge.line, edge.path, edge.to.display())
}

/// The layers as they stand in the file.
pub fn order() -> Result<Order> {
    let text = fs::read_to_string(paths::workspace().join(LAYERS)).context(LAYERS)?;
    Order::parse(&text).context(LAYERS)
}

fn files() -> Result<Vec<File>> {
    let root = paths::workspace();
    let mut files = Vec::new();
    for krate in CRATES {
        let sources = tidy::rust_below(&root, &root.join(krate.replace('_', "-")).join("src"))?;
        files.extend(sources.iter().filter_map(|(name, text)| File::new(name, text, &CRATES)));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
        let order = Order::parse("one\n  low: the ground\n  high lib: above it\n").unwrap();
        let files: Vec<File> = files.iter().filter_map(|(name, text)| File::new(*name, text, &[])).collect();
        let names: Vec<PathBuf> = files.iter().map(|file| file.name.clone()).collect();
        faults(&order, &names, &Modules::new(files).edges())
    }

    #[test]
    fn an_arrow_upwards_a_circle_and_a_file_without_a_layer_are_faults() {
        let good = [("one/src/lib.rs", ""), ("one/src/high.rs", "use crate::low::A;"), ("one/src/low.rs", "")];
        assert_eq!(faults_of(&good), [""; 0]);
        let mut upwards = good;
        upwards[1].1 = "";
        upwards[2].1 = "\nuse crate::high::B;";
        let expected = "one/src/low.rs:2: `crate::high::B` is of one/src/high.rs, but low stands below high, lib";
        assert_eq!(faults_of(&upwards), [expected]);
        let mut circle = good;
        circle[2].1 = "use super::high::B;";
        assert_eq!(faults_of(&circle).len(), 2);
        let other = [&good[..], &[("one/src/other.rs", "")]].concat();
        assert_eq!(faults_of(&other), ["one/src/other.rs: is in no layer of docs/layers.txt"]);
    }
}
