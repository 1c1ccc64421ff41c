//! The runs of several machines: a file of them, one of each.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{Figure, Sheet};

/// One run of each machine, in the order in which they were measured; a list in the JSON.
#[derive(Clone, Debug)]
pub struct Runs(Vec<Sheet>);

impl Runs {
    /// A run alone.
    #[must_use]
    pub fn of(sheet: Sheet) -> Self {
        Self(vec![sheet])
    }

    /// Reads a file of them, of which there is at least one.
    ///
    /// # Errors
    ///
    /// If the file is none.
    pub fn read(file: &Path) -> Result<Self> {
        let json = fs::read(file).with_context(|| file.display().to_string())?;
        let parsed = serde_json::from_slice(&json);
        let runs: Vec<Sheet> = parsed.with_context(|| format!("{}: not a bench's JSON", file.display()))?;
        ensure!(!runs.is_empty(), "{}: it holds no run", file.display());
        Ok(Self(runs))
    }

    /// Reads a file that may not be there yet.
    ///
    /// # Errors
    ///
    /// If the file is another one.
    pub fn read_or_none(file: &Path) -> Result<Self> {
        match fs::metadata(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self(Vec::new())),
            _ => Self::read(file),
        }
    }

    /// Writes them as JSON.
    ///
    /// # Errors
    ///
    /// Of the file system.
    pub fn write(&self, file: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(&self.0)? + "\n";
        fs::write(file, json).with_context(|| file.display().to_string())
    }

    /// Adds a run behind the others, in place of the one that the same machine has made of the same: a run beside
    /// another commit is not one of the gate and its peers alone.
    pub fn put(&mut self, sheet: Sheet) {
        let is_other =
            |run: &Sheet| !run.machine.is_same(&sheet.machine) || run.beside.is_some() != sheet.beside.is_some();
        self.0.retain(is_other);
        self.0.push(sheet);
    }

    /// Those of the gate and its peers alone: what documents show.
    pub fn shown(&self) -> impl Iterator<Item = &Sheet> {
        self.0.iter().filter(|run| run.beside.is_none())
    }

    /// The last one of these.
    #[must_use]
    pub fn last(&self) -> Option<&Sheet> {
        self.shown().last()
    }

    /// The figures that all machines have by these ids, `*` at the end meaning all that begin so.
    #[must_use]
    pub fn rows(&self, id: &str) -> Vec<Row<'_>> {
        let is_meant = |figure: &&Figure| match id.strip_suffix('*') {
            Some(begin) => figure.id.starts_with(begin),
            None => figure.id == id,
        };
        let mut rows: Vec<Row<'_>> = Vec::new();
        for figure in self.shown().flat_map(|run| run.figures.iter().filter(is_meant)) {
            match rows.iter_mut().find(|row| row.id() == figure.id) {
                Some(row) => row.0.push(figure),
                None => rows.push(Row(vec![figure])),
            }
        }
        rows
    }
}

/// One figure, of each machine that has measured it.
#[derive(Clone, Debug)]
pub struct Row<'a>(pub Vec<&'a Figure>);

impl<'a> Row<'a> {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &'a str {
        &self.0[0].id
    }

    /// What has to be known to read it, as the last machine says it.
    #[must_use]
    pub fn note(&self) -> &'a str {
        self.0.last().map_or("", |figure| &figure.note)
    }

    /// The gate against a peer, on each machine that has both.
    #[must_use]
    pub fn ratios(&self, peer: &str) -> Vec<f64> {
        self.0.iter().filter_map(|figure| figure.ratio.get(peer).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Commit, Machine, Rounds};

    fn run(cpu: &str, ids: &[&str], value: f64) -> Sheet {
        let machine = Machine { cpu: cpu.into(), cpus: 2, memory_mib: 2048, kernel: "6.18".into(), load: 0.5 };
        let figure = |id: &&str| {
            let mut rounds = Rounds::default();
            rounds.own(value);
            rounds.figure(*id, "ns")
        };
        Sheet { figures: ids.iter().map(figure).collect(), ..Sheet::new(machine, true) }
    }

    fn values(runs: &Runs) -> Vec<(&str, f64)> {
        runs.0.iter().map(|run| (&*run.machine.cpu, run.figures[0].value)).collect()
    }

    #[test]
    fn a_run_takes_the_place_of_that_of_the_same_machine() {
        let mut runs = Runs::of(run("one", &["a.b"], 1.0));
        runs.put(run("two", &["a.b"], 2.0));
        runs.put(Sheet { machine: Machine { load: 0.1, ..run("one", &[], 0.0).machine }, ..run("one", &["a.b"], 3.0) });
        assert_eq!(values(&runs), [("two", 2.0), ("one", 3.0)]);
        let kernel = "6.19".to_owned();
        runs.put(Sheet { machine: Machine { kernel, ..run("one", &[], 0.0).machine }, ..run("one", &["a.b"], 4.0) });
        assert_eq!(values(&runs), [("two", 2.0), ("one", 3.0), ("one", 4.0)]);
    }

    #[test]
    fn a_run_beside_another_commit_is_kept_apart_and_not_shown() {
        let mut runs = Runs::of(run("one", &["a.b"], 1.0));
        let commit = Commit { hash: "0123".into(), is_base: false, missing: Vec::new() };
        runs.put(Sheet { beside: Some(commit), ..run("one", &["a.b"], 2.0) });
        assert_eq!(values(&runs), [("one", 1.0), ("one", 2.0)]);
        assert_eq!(runs.last().unwrap().figures[0].value, 1.0);
        assert_eq!(runs.rows("a.*")[0].0.len(), 1);
    }

    #[test]
    fn a_row_has_the_figure_of_each_machine_that_measured_it() {
        let mut runs = Runs::of(run("one", &["a.one", "b.one"], 1.0));
        runs.put(run("two", &["a.one", "a.two"], 2.0));
        let rows: Vec<_> = runs.rows("a.*").iter().map(|row| (row.id(), row.0.len())).collect();
        assert_eq!(rows, [("a.one", 2), ("a.two", 1)]);
        assert!(runs.rows("c.one").is_empty());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let file = std::env::temp_dir().join(format!("bench-runs-{}", std::process::id()));
        assert!(Runs::read(&file).is_err());
        let mut runs = Runs::read_or_none(&file).unwrap();
        runs.put(run("one", &["a.b"], 1.0));
        runs.write(&file).unwrap();
        assert_eq!(values(&Runs::read_or_none(&file).unwrap()), [("one", 1.0)]);
        fs::write(&file, "{}").unwrap();
        assert!(Runs::read_or_none(&file).is_err());
        fs::remove_file(file).unwrap();
    }
}
