//! Which program a command runs, and who reads its words.

use super::change::{Deed, Families};
use super::shell::{Command, words_in};
use super::{firewalld, ipset, iptables, knock_add, nft, ufw};
use crate::config::PortNames;

/// Programs that change the firewall, or list it.
const FIREWALLS: [&str; 16] = [
    "iptables",
    "iptables-legacy",
    "iptables-nft",
    "ip6tables",
    "ip6tables-legacy",
    "ip6tables-nft",
    "nft",
    "ufw",
    "knock_add",
    "knock_helper_ipt.sh",
    "firewall-cmd",
    "ipset",
    "iptables-save",
    "ip6tables-save",
    "iptables-restore",
    "ip6tables-restore",
];

/// Programs that only say something: whether they run does not depend on a firewall, nor a firewall on them.
const TALKERS: [&str; 12] =
    ["echo", "printf", "logger", "mail", "mailx", "sendmail", "date", "true", ":", "wall", "cat", "tee"];

/// A program's name without its directory.
pub fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// The words of a program, without what runs it as somebody else.
pub fn words(words: &[String]) -> &[String] {
    match words {
        [first, rest @ ..] if base(first) == "sudo" => rest.strip_prefix(&["-n".to_owned()]).unwrap_or(rest),
        _ => words,
    }
}

/// The name of the program that some words run.
pub fn name(all: &[String]) -> &str {
    words(all).first().map_or("", |program| base(program))
}

/// True if a command is about the firewall: one of its programs is one, or it hands text with one to a program that
/// may run it.
pub fn is_firewalls(command: &Command) -> bool {
    let is_firewall = |words: &Vec<String>| FIREWALLS.contains(&name(words));
    if command.programs.iter().any(is_firewall) {
        return true;
    }
    let all_talk = command.programs.iter().all(|words| TALKERS.contains(&name(words)));
    let substitutes = command.text.contains(['$', '`']);
    (!all_talk || substitutes) && words_in(&command.text).any(|word| FIREWALLS.contains(&base(word)))
}

/// True if a command only says something.
pub fn only_talks(command: &Command) -> bool {
    command.programs.iter().all(|words| TALKERS.contains(&name(words)) || name(words) == "sleep")
}

/// What one program is asked to do.
///
/// # Errors
///
/// What is not understood, or has no counterpart, as the end of a sentence.
pub fn read(all: &[String], names: &PortNames) -> Result<Deed, String> {
    let [program, words @ ..] = words(all) else { return Err("it runs no program".to_owned()) };
    match base(program) {
        "iptables" | "iptables-legacy" | "iptables-nft" => iptables::read(Families::V4, words, names),
        "ip6tables" | "ip6tables-legacy" | "ip6tables-nft" => iptables::read(Families::V6, words, names),
        "nft" => nft::read(words, names),
        "ufw" => ufw::read(words, names),
        "firewall-cmd" => firewalld::read(words, names),
        "ipset" => ipset::read(words),
        "knock_add" | "knock_helper_ipt.sh" => knock_add::read(words, names),
        _ => Err(unknown(program)),
    }
}

/// Why a program is not understood.
pub fn unknown(program: &str) -> String {
    format!("{program} is no command of a firewall that is known here")
}
