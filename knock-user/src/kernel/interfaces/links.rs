//! Our pinned links, and which interfaces they stand on. A link belongs to an interface's index, for
//! names change; its pin is named after the interface for people, and follows when it is renamed.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result, anyhow};
use log::warn;

use super::list::Interface;
use crate::kernel::sys;
use crate::paths::Paths;

/// A pinned link.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Link {
    /// What its pin is named after.
    name: String,
    /// Its program's id.
    program: u32,
    /// Its interface's index; 0 if it stands nowhere any more.
    index: u32,
}

/// The links as they are once their pins agree with the interfaces.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Links {
    /// Names of pins by the index of their interface.
    pub standing: BTreeMap<u32, String>,
    /// Names of pins that stood nowhere any more.
    pub gone: Vec<String>,
    /// Old and new names of interfaces that were renamed.
    pub renamed: Vec<(String, String)>,
}

impl Links {
    /// True if the gate stands on the interface.
    #[must_use]
    pub fn stands_on(&self, interface: &Interface) -> bool {
        self.standing.contains_key(&interface.index)
    }
}

/// Names of interfaces with a pinned link.
pub fn pinned(paths: &Paths) -> Result<Vec<String>> {
    let entries = match fs::read_dir(paths.links()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(anyhow!(error).context(paths.links().display().to_string())),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(Paths::interface_of(&entry?.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names)
}

/// The program of a pinned link, and the index of its interface; zeroes if the pin is no link of ours, and so
/// stands nowhere.
///
/// # Errors
///
/// If it cannot be told: then nobody must take it for one that stands nowhere.
pub fn where_is(paths: &Paths, name: &str) -> Result<(u32, u32)> {
    let pin = paths.link(name);
    match sys::xdp_link(&pin) {
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok((0, 0)),
        found => found.with_context(|| format!("{}: cannot be looked at", pin.display())),
    }
}

/// Where the links stand, without changing anything.
pub fn read(paths: &Paths, interfaces: &[Interface]) -> Result<Links> {
    let link = |name: String| {
        let (program, index) = where_is(paths, &name)?;
        Ok(Link { name, program, index })
    };
    let links = pinned(paths)?.into_iter().map(link).collect::<Result<_>>()?;
    Ok(compare(links, interfaces))
}

/// Removes the pins of links that stand nowhere, and lets the names of pins follow their interfaces.
pub fn reconcile(paths: &Paths, interfaces: &[Interface]) -> Result<Links> {
    let links = read(paths, interfaces)?;
    for name in &links.gone {
        release(paths, name)?;
    }
    // In two steps: two interfaces may have changed names with each other.
    // No interface has such a name, and if we are killed in between, it reads back as what it is.
    let beside = |new: &str| paths.link(&format!("%{new}"));
    for (old, new) in &links.renamed {
        let (from, to) = (paths.link(old), beside(new));
        fs::rename(&from, &to).with_context(|| format!("{}: cannot be renamed", from.display()))?;
    }
    for (_, new) in &links.renamed {
        let (from, to) = (beside(new), paths.link(new));
        fs::rename(&from, &to).with_context(|| format!("{}: cannot be renamed", from.display()))?;
    }
    Ok(links)
}

/// Detaches a link, and removes its pin.
pub fn release(paths: &Paths, name: &str) -> Result<()> {
    let pin = paths.link(name);
    if let Err(error) = sys::detach(&pin) {
        // A pin that is no link of ours goes all the same.
        warn!("{}: cannot be detached: {error}", pin.display());
    }
    fs::remove_file(&pin).with_context(|| format!("{}: cannot be removed", pin.display()))
}

/// An interface that was moved to another network namespace takes its link along, with an index that
/// may be another's here: only the interface that runs the link's program counts.
fn compare(mut links: Vec<Link>, interfaces: &[Interface]) -> Links {
    let find = |link: &Link| {
        let runs = |interface: &&Interface| interface.xdp.is_some_and(|(id, _)| id == link.program);
        interfaces.iter().filter(|_| link.index != 0).find(|one| one.index == link.index && runs(one))
    };
    // The one under its own name first.
    links.sort_by_key(|link| find(link).is_none_or(|interface| interface.name != link.name));
    let mut result = Links::default();
    for link in links {
        match find(&link).filter(|interface| !result.stands_on(interface)) {
            Some(interface) => {
                result.standing.insert(interface.index, interface.name.clone());
                if interface.name != link.name {
                    result.renamed.push((link.name, interface.name.clone()));
                }
            }
            None => result.gone.push(link.name),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::XdpMode;
    use crate::kernel::interfaces::list::tests::interface;

    fn link(name: &str, index: u32) -> Link {
        Link { name: name.into(), program: 7, index }
    }

    fn gated(name: &str, index: u32) -> Interface {
        Interface { xdp: Some((7, XdpMode::Native)), ..interface(name, index) }
    }

    fn names(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect()
    }

    #[test]
    fn a_link_belongs_to_the_index() {
        let links = compare(vec![link("eth0", 2), link("eth1", 3)], &[gated("eth0", 2), gated("lan0", 3)]);
        assert_eq!(links.standing, BTreeMap::from([(2, "eth0".to_owned()), (3, "lan0".to_owned())]));
        assert_eq!(links.renamed, names(&[("eth1", "lan0")]));
        assert!(links.gone.is_empty());
    }

    #[test]
    fn a_new_interface_under_the_old_name_has_no_link() {
        let links = compare(vec![link("eth0", 0)], &[interface("eth0", 9)]);
        assert_eq!(links.gone, ["eth0"]);
        assert!(links.standing.is_empty());
    }

    #[test]
    fn names_may_change_hands() {
        let links = compare(vec![link("eth0", 2), link("eth1", 3)], &[gated("eth1", 2), gated("eth0", 3)]);
        assert_eq!(links.renamed, names(&[("eth0", "eth1"), ("eth1", "eth0")]));
    }

    #[test]
    fn an_interface_elsewhere_is_not_ours_for_its_index() {
        // eth5 went to another network namespace, where it has the index that eth0 has here.
        let links = compare(vec![link("eth5", 2), link("eth0", 2)], &[gated("eth0", 2)]);
        assert_eq!(links.gone, ["eth5"]);
        assert_eq!(links.standing, BTreeMap::from([(2, "eth0".to_owned())]));
        // Here nobody runs its program.
        assert_eq!(compare(vec![link("eth5", 2)], &[interface("eth0", 2)]).gone, ["eth5"]);
    }
}
