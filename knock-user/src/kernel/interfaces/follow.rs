//! Interfaces that come, go and change names while the gate stands. Netlink only says that something
//! has changed; what has is read from the kernel each time, so that a message lost or seen twice
//! changes nothing.

use anyhow::Result;

use super::attach::{self, Attached};
use super::choose::{Choice, Covered, choose, needless};
use super::links;
use super::list::{self, Interface};
use crate::kernel::Firewall;
use crate::kernel::flows::TakeOver;

/// What has become of the gate on an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InterfaceChange {
    /// It appeared, and has the gate.
    Taken(Attached),
    /// Somebody detached the gate; it is back.
    PutBack(Attached),
    /// It is gone, and its link with it.
    Gone(String),
    /// It has another name, and keeps the gate.
    Renamed {
        /// As it was called.
        old: String,
        /// As it is called now.
        new: String,
        /// The config means the new name too.
        meant: bool,
    },
    /// Something to know of it.
    Noted {
        /// Its name.
        name: String,
        /// What.
        what: String,
    },
    /// It cannot have the gate.
    Refused {
        /// Its name.
        name: String,
        /// Why, and what to do.
        why: String,
    },
}

impl InterfaceChange {
    /// True if an administrator should look at it: a port may be open.
    #[must_use]
    pub const fn is_alarming(&self) -> bool {
        matches!(self, Self::PutBack(_) | Self::Refused { .. } | Self::Renamed { meant: false, .. })
    }

    /// The name of the interface.
    #[must_use]
    pub fn interface(&self) -> &str {
        match self {
            Self::Taken(attached) | Self::PutBack(attached) => &attached.name,
            Self::Gone(name) | Self::Noted { name, .. } | Self::Refused { name, .. } => name,
            Self::Renamed { new, .. } => new,
        }
    }

    /// The line of the log.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Taken(Attached { name, mode, .. }) => {
                format!("{name} ({}): it appeared: the gate stands there", mode.name())
            }
            Self::PutBack(Attached { name, mode, .. }) => {
                format!("{name} ({}): SOMEBODY DETACHED THE GATE: it is put back", mode.name())
            }
            Self::Gone(name) => format!("{name}: it is gone, and the gate on it: taken in again when it comes back"),
            Self::Renamed { old, new, meant: true } => format!("{old} is called {new} now: the gate goes on there"),
            Self::Renamed { old, new, meant: false } => format!(
                "{old} is called {new} now, WHICH options.interfaces DOES NOT NAME: the gate goes on there until the next \
                 reload or restart: add \"{new}\" to keep it"
            ),
            Self::Noted { name, what } => format!("{name}: {what}"),
            Self::Refused { name, why } => {
                format!(
                    "{name}: NO GATE THERE: {why} (tried again twice a minute, when {name} changes, and by `knockctl reload`)"
                )
            }
        }
    }
}

impl Firewall {
    /// True if a change of the interface may concern the gate: also that of a port of one that has it.
    #[must_use]
    pub fn cares_for(&self, link: &Interface) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(&link.name))
            || self.attached.iter().any(|attached| [Some(link.index), link.master].contains(&Some(attached.index)))
    }

    /// Attaches the program to an interface that has just been announced, before all are looked at: it
    /// may be up in a moment. Only where nothing speaks against it; whatever fails or is left out here is
    /// for [`Self::follow`], which must come next.
    pub fn hurry(&mut self, link: &Interface) {
        let new = link.xdp.is_none() && !self.attached.iter().any(|attached| attached.index == link.index);
        let alone = link.lower.is_none() && link.master.is_none();
        let plain = alone && choose(&self.patterns, std::slice::from_ref(link)).fit == [link.clone()];
        // A pin of that name is of an interface that is gone, or has another name by now.
        let free = !self.paths.link(&link.name).exists();
        if new && plain && free && !self.refused.contains_key(&link.index) && self.take_in(link, &[]).is_ok() {
            self.hurried.insert(link.index);
        }
    }

    /// Brings the gate to the interfaces that there are now: new ones get the same program, with
    /// the same rules, as those on which it stands.
    ///
    /// An interface that could not have the gate is tried again only once something about it has
    /// changed, or after [`Self::try_refused_again`].
    ///
    /// # Errors
    ///
    /// If interfaces or pins cannot be read. What concerns one interface only is a [`InterfaceChange::Refused`].
    pub fn follow(&mut self) -> Result<Vec<InterfaceChange>> {
        let mut all = list::list()?;
        let links = links::reconcile(&self.paths, &all)?;
        // The interface of a link that has ended may still be in a list that was read before: with a program
        // that would seem to be another's.
        if !links.gone.is_empty() {
            all = list::list()?;
        }
        let choice = choose(&self.patterns, &all);
        let mut changes = Vec::new();
        for (old, new) in &links.renamed {
            let meant = self.patterns.iter().any(|pattern| pattern.matches(new));
            changes.push(InterfaceChange::Renamed { old: old.clone(), new: new.clone(), meant });
        }
        let was_here = |name: &str| {
            let index = self.attached.iter().find(|attached| attached.name == *name)?.index;
            all.iter().find(|interface| interface.index == index)
        };
        let detached: Vec<_> = links.gone.iter().filter_map(|name| was_here(name)).map(|one| one.index).collect();
        changes.extend(links.gone.iter().filter(|name| was_here(name).is_none()).cloned().map(InterfaceChange::Gone));

        let standing: Vec<_> = all.iter().filter(|interface| links.stands_on(interface)).collect();
        self.reply_sources.reconcile(&mut self.program, &standing, &all);
        let again = std::mem::take(&mut self.again);
        let mut before = std::mem::take(&mut self.refused);
        let mut take_over = None;
        let mut taken: Vec<_> = std::mem::take(&mut self.hurried).into_iter().collect();
        for interface in choice.fit.iter().filter(|interface| taken.contains(&interface.index)) {
            changes.extend(self.notes(interface, &choice, &all));
        }
        for interface in choice.fit.iter().filter(|interface| !links.stands_on(interface)) {
            // One that has changed is tried again; what stands against it is said again only if it is something else.
            let said = match before.remove(&interface.index) {
                Some(same) if !again && same.0 == *interface => {
                    self.refused.insert(interface.index, same);
                    continue;
                }
                other => other.map(|(_, why)| why),
            };
            // What has come over it until now was never judged.
            if interface.up && take_over.is_none() {
                take_over.insert(TakeOver::find(self.program.rules())).note(&mut self.program);
            }
            match self.take_in(interface, &all) {
                Ok(()) => {
                    taken.push(interface.index);
                    changes.extend(self.notes(interface, &choice, &all));
                }
                Err(error) => {
                    let (name, why) = (interface.name.clone(), without_name(&error, &interface.name));
                    if said.is_none_or(|said| said != why) {
                        changes.push(InterfaceChange::Refused { name, why: why.clone() });
                    }
                    self.refused.insert(interface.index, (interface.clone(), why));
                }
            }
        }
        if let Some(take_over) = take_over {
            take_over.finish(&self.paths, &mut self.program);
        }
        let without = |(interface, _): &&(Interface, String)| !links.stands_on(interface);
        for (interface, why) in choice.unfit.iter().filter(without) {
            if before.remove(&interface.index).is_none_or(|(_, before)| before != *why) {
                changes.push(InterfaceChange::Refused { name: interface.name.clone(), why: why.clone() });
            }
            self.refused.insert(interface.index, (interface.clone(), why.clone()));
        }
        self.absent = choice.absent;
        let covered = choice.covered.into_iter().filter(|one| without(&one));
        let covered = covered.map(|(interface, why)| (interface.index, (interface.name, why))).collect::<Covered>();
        for (index, (name, why)) in &covered {
            if !self.covered.contains_key(index) {
                changes.push(InterfaceChange::Noted { name: name.clone(), what: needless(why) });
            }
        }
        self.covered = covered;

        let all = if taken.is_empty() { all } else { list::list()? };
        self.attached = attach::attached(&links::read(&self.paths, &all)?, &all);
        for attached in self.attached.iter().filter(|attached| taken.contains(&attached.index)) {
            let change =
                if detached.contains(&attached.index) { InterfaceChange::PutBack } else { InterfaceChange::Taken };
            changes.push(change(attached.clone()));
        }
        let news = self.reply_sources.news(&all).into_iter();
        changes.extend(news.map(|(name, what)| InterfaceChange::Noted { name, what }));
        if !changes.is_empty() {
            self.tell();
        }
        Ok(changes)
    }

    /// Lets the next [`Self::follow`] try what was refused even if nothing about it has changed: what stood against
    /// it may be in the driver, at the other end of the cable, or have been want of memory. Says whether there is any.
    pub fn try_refused_again(&mut self) -> bool {
        self.again = !self.refused.is_empty();
        self.again
    }

    /// What to know of an interface that was just taken in.
    fn notes(&self, interface: &Interface, choice: &Choice, all: &[Interface]) -> Vec<InterfaceChange> {
        let remarks =
            choice.remarks.iter().filter(|(name, _)| *name == interface.name).map(|(_, remark)| remark.clone());
        let below = list::with_all_below(std::slice::from_ref(interface), all);
        let open = self.verifies_by_kind && below.iter().any(Interface::leaves_checksums_open);
        let checksums = open.then(|| {
            "its frames may come before their checksums are filled in, and are then no knocks: `knockctl reload` \
             turns verify_checksums off"
                .to_owned()
        });
        remarks.chain(checksums).map(|what| InterfaceChange::Noted { name: interface.name.clone(), what }).collect()
    }

    /// Attaches the program to one more interface.
    fn take_in(&mut self, interface: &Interface, all: &[Interface]) -> Result<()> {
        attach::refuse_foreign(&links::Links::default(), std::slice::from_ref(interface))?;
        self.program.prepare(&interface.layer)?;
        let before = self.reply_sources.put(&mut self.program, interface, all);
        let attached = attach::attach_new(&self.paths, interface, all, self.mode, &mut self.program);
        if attached.is_err() {
            self.reply_sources.take_back(&mut self.program, before);
        }
        attached
    }
}

/// The text of an error, which names the interface first as a rule.
fn without_name(error: &anyhow::Error, name: &str) -> String {
    let text = format!("{error:#}");
    text.strip_prefix(&format!("{name}: ")).map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::XdpMode;

    #[test]
    fn what_may_leave_a_port_open_is_alarming() {
        let attached = || Attached { name: "eth1".into(), index: 3, mode: XdpMode::Native };
        let renamed = |meant| InterfaceChange::Renamed { old: "eth1".into(), new: "lan0".into(), meant };
        assert!(
            !InterfaceChange::Taken(attached()).is_alarming() && InterfaceChange::PutBack(attached()).is_alarming()
        );
        assert!(!renamed(true).is_alarming() && renamed(false).is_alarming());
        assert_eq!(renamed(false).interface(), "lan0");
        let refused = InterfaceChange::Refused { name: "eth1".into(), why: "busy".into() };
        assert!(refused.is_alarming() && refused.text().starts_with("eth1: NO GATE THERE: busy"));
    }

    #[test]
    fn an_error_names_the_interface_once() {
        let error = anyhow::anyhow!("eth1: native mode refused");
        assert_eq!(without_name(&error, "eth1"), "native mode refused");
        assert_eq!(without_name(&error, "eth2"), "eth1: native mode refused");
    }
}
