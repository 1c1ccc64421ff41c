//! Deletions that say how a rule is found: by a number, or by what a listing has of the source.

use super::address::IP;
use super::change::{By, Deed, Finder};
use super::program;
use super::shell::{Command, words_in};

/// Programs through which a listing goes.
const FILTERS: [&str; 9] = ["grep", "egrep", "fgrep", "awk", "sed", "cut", "head", "tail", "tr"];

/// What says that something is listed.
const LISTS: [&str; 8] = ["-L", "--list", "-S", "--list-rules", "list", "status", "iptables-save", "ip6tables-save"];

/// What says that something is deleted.
pub const DELETES: [&str; 7] = ["-D", "--delete", "delete", "destroy", "del", "-F", "flush"];

/// Reads a command of a firewall of which the shell works something out, or that goes through a pipe: a look whether a
/// rule of the source is there, or a deletion of what is found.
pub fn read(command: &Command) -> Option<Deed> {
    let words = || words_in(&command.text);
    if !command.text.contains(IP) {
        return None;
    }
    let lists = words().any(|word| LISTS.contains(&program::base(word)));
    // All that is not of the source is put back.
    let restores = words().any(|word| program::base(word).ends_with("tables-restore"));
    let removes = words().any(|word| word.starts_with("--remove-"));
    if lists && (words().any(|word| DELETES.contains(&word)) || restores || removes) {
        return Some(Deed::Find(By::Search));
    }
    let only_looks =
        command.odd.is_none() && command.programs.iter().skip(1).all(|words| FILTERS.contains(&program::name(words)));
    (lists && only_looks).then_some(Deed::Look)
}

/// True if a command line deletes a rule by its number somewhere, whichever rule has it then.
pub fn deletes_by_number(text: &str) -> bool {
    let words: Vec<&str> = words_in(text).collect();
    let number = |word: Option<&&str>| word.is_some_and(|word| word.parse::<u32>().is_ok());
    words.iter().enumerate().any(|(at, word)| {
        let behind = &words[at + 1..];
        match program::base(word) {
            "iptables" | "ip6tables" | "iptables-legacy" | "ip6tables-legacy" | "iptables-nft" | "ip6tables-nft" => {
                let delete = behind.iter().position(|word| matches!(*word, "-D" | "--delete"));
                delete.is_some_and(|delete| number(behind.get(delete + 2)))
            }
            "ufw" => {
                let delete = behind.iter().take(2).position(|word| *word == "delete");
                delete.is_some_and(|delete| number(behind.get(delete + 1)))
            }
            "nft" => {
                behind.iter().position(|word| *word == "handle").is_some_and(|handle| number(behind.get(handle + 1)))
                    && behind.first() == Some(&"delete")
            }
            _ => false,
        }
    })
}

impl Finder {
    /// True if its text names this word.
    pub fn names(&self, word: &str) -> bool {
        words_in(&self.text).any(|other| other == word)
    }

    /// True if the text has numbers beside those of a rule, such as a port.
    pub fn has_ports(&self) -> bool {
        self.by == By::Search && words_in(&self.text).any(|word| word.parse::<u16>().is_ok_and(|port| port >= 20))
    }
}
