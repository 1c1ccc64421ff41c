//! `knockctl allow`: a grant without a knock.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use knock_common::abi::grant::HOST_BITS;
use knock_common::addr::Addr;

use super::source;
use crate::exit::Exit;
use crate::host::scope;
use crate::kernel::{Allowed, State, format_source, gates_for};
use crate::paths::Paths;
use crate::status::service;

/// Arguments of `knockctl allow`.
#[derive(clap::Args, Clone, Debug)]
pub struct AllowArgs {
    /// The address
    pub ip: String,
    /// One service only (default: all services that protect something)
    #[arg(short, long)]
    pub service: Option<String>,
    /// How long, such as 10m or 1h30m (default: until it is revoked, or a reboot)
    #[arg(long = "for", value_name = "SPAN", value_parser = crate::syntax::span::span)]
    pub span: Option<Duration>,
}

/// Writes the grants. What was done is said even if a later grant fails.
///
/// # Errors
///
/// No address, no such service, nothing loaded, not root, the table is full.
pub fn run(args: &AllowArgs, paths: &Paths, out: &mut dyn Write) -> Result<Exit> {
    let mut said = String::new();
    let outcome = allow(args, paths, &mut said);
    out.write_all(said.as_bytes())?;
    outcome.map(|()| Exit::Done)
}

fn allow(args: &AllowArgs, paths: &Paths, said: &mut String) -> Result<()> {
    let source = source::parse(&args.ip, paths)?;
    let mut state = State::open_to_change(paths)?;
    if source.interface() != 0 {
        need_gate(&args.ip, source, &gates_for(source.interface(), paths)?)?;
    }
    let services = state.services()?;
    for service in service::choose(&state.protecting()?, args.service.as_deref())? {
        let Allowed { had, made_room } = state.allow(service, source, args.span)?;
        *said += &line(source, service.name.as_str(), args.span, had);
        for gone in made_room {
            let name = service::name(&services, gone.key.service);
            *said += &format!(
                "{}: {name}: revoked, the youngest grant by a knock: the table was full (options.max_grants)\n",
                gone.source()
            );
        }
    }
    Ok(())
}

/// A link-local source has its grant where its packets are judged. Of each interface with the gate, its name and whether
/// that is so there.
fn need_gate(text: &str, source: Addr, gates: &[(String, bool)]) -> Result<()> {
    if gates.iter().any(|(_, judges)| *judges) {
        return Ok(());
    }
    bail!(
        "{text}: the gate does not stand on {}: it stands on {}: name the one over which the packets come",
        scope::name_of(source.interface()),
        gates.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    )
}

fn line(source: Addr, service: &str, span: Option<Duration>, had: bool) -> String {
    let span =
        span.map_or_else(|| "until revoked".to_owned(), |span| format!("for {}", humantime::format_duration(span)));
    let instead = if had { ", in place of the grant it had" } else { "" };
    let source = format_source(source, HOST_BITS);
    format!("{source}: {service}: allowed {span}{instead}\n")
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::parse;
    use super::*;
    use crate::syntax::span::span;

    #[test]
    fn spans_are_those_of_the_config() {
        assert_eq!(span("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(span("90"), Ok(Duration::from_secs(90)));
        assert!(span("0").is_err() && span("later").is_err() && span("11y").is_err());
    }

    #[test]
    fn a_link_local_source_is_where_the_gate_is() {
        let gates = |judging: bool| [("eth0".to_owned(), false), ("eth1".to_owned(), judging)];
        let (text, source) = ("fe80::7%lo", parse("fe80::7%lo").unwrap());
        let error = need_gate(text, source, &gates(false)).unwrap_err().to_string();
        assert!(error.starts_with("fe80::7%lo: the gate does not stand on lo: it stands on eth0, eth1: "), "{error}");
        assert!(need_gate(text, source, &gates(true)).is_ok());
    }

    #[test]
    fn the_answer_names_source_service_and_span() {
        let source = parse("192.0.2.7").unwrap();
        let ten = Some(Duration::from_secs(600));
        assert_eq!(line(source, "ssh2", ten, false), "192.0.2.7: ssh2: allowed for 10m\n");
        let again = "192.0.2.7: ssh2: allowed until revoked, in place of the grant it had\n";
        assert_eq!(line(source, "ssh2", None, true), again);
        let local = line(parse("fe80::7%lo").unwrap(), "ssh2", None, false);
        assert_eq!(local, "fe80::7%lo: ssh2: allowed until revoked\n");
    }
}
