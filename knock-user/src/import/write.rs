//! The plan becomes text, section by section, in the order of knockd.conf.

use std::collections::HashMap;
use std::time::Duration;

use knock_common::abi::layout::MAX_TRUSTED;
use knock_common::packet::Transport;

use super::draft::{Draft, Knock};
use super::grammar::{Entry, File, Says, Section};
use super::meaning::Commands;
use super::names::{self, Names};
use super::options::{self, Options};
use super::outcome::{Look, Row};
use super::ports::Lookup;
use super::remark::Remark;
use super::request::Request;
use super::settle::{Candidate, Deed};
use super::text::Text;
use super::trusted::Trusted;
use crate::config::PortRange;

/// Networks that are listed one by one though they are not trusted.
const MOST_PROPOSED: usize = 20;

/// What becomes of one section that is a door.
pub enum Plan<'a> {
    /// A door, or several.
    Door(Box<Candidate<'a>>),
    /// Nothing, with remarks and the reason.
    LeftOut(Vec<Remark>, String),
}

/// A service of ours.
struct Service {
    name: String,
    ports: Vec<PortRange>,
    keepalive: bool,
}

/// The result, and what to say about it.
pub struct Written {
    /// The config.
    pub text: Text,
    /// One for each door of knockd.conf.
    pub rows: Vec<Row>,
    /// What a person should look at.
    pub looks: Vec<Look>,
    /// All ports that are protected.
    pub ports: Vec<PortRange>,
}

/// Writes all of it.
pub fn write(
    file: &File,
    plans: &[(&Section, Plan<'_>)],
    services: Vec<Vec<PortRange>>,
    options: &Options,
    lookup: &Lookup,
    trusted: &Trusted,
    request: &Request<'_>,
) -> Written {
    let mut writer = Writer { text: Text::default(), rows: Vec::new(), looks: Vec::new() };
    let mut taken = Names::default();
    let doors: Vec<Vec<String>> = plans
        .iter()
        .map(|(section, plan)| {
            let wanted = String::from_utf8_lossy(&section.name);
            let count = match plan {
                Plan::Door(door) if door.left_out.is_none() && !door.is_bare() => {
                    services.iter().filter(|ports| door.is_for(ports)).count()
                }
                Plan::Door(door) if door.left_out.is_none() => 1,
                _ => 0,
            };
            (0..count).map(|_| taken.claim(&wanted)).collect()
        })
        .collect();
    // A door without a service has one of its own name, so no other service may have that.
    let mut own = Names::default();
    for ((_, plan), names) in plans.iter().zip(&doors) {
        if matches!(plan, Plan::Door(door) if door.is_bare()) {
            names.iter().for_each(|name| drop(own.claim(name)));
        }
    }
    let services: Vec<Service> = services
        .into_iter()
        .map(|ports| {
            let wanted = lookup.name(&ports).map(str::to_ascii_lowercase);
            let name = own.claim(&wanted.unwrap_or_else(|| names::of_ports(&ports, &request.names)));
            let of_udp = ports.iter().any(|port| port.transport == Transport::Udp);
            let is_timed = |door: &Candidate<'_>| door.opens() && door.is_for(&ports) && cmd_timeout(door).is_some();
            let keepalive = of_udp && plans.iter().any(|(_, plan)| matches!(plan, Plan::Door(door) if is_timed(door)));
            Service { name, ports, keepalive }
        })
        .collect();

    writer.text.comment(&format!("Imported from {} by knockctl {}.", request.file, env!("CARGO_PKG_VERSION")));
    writer.text.comment("Below each line of that file stands what became of it; LOOK marks what to look at.");
    for entry in &file.head {
        writer.comment(entry);
    }
    writer.text.blank();
    writer.options(file, options, trusted);
    for service in &services {
        writer.text.blank();
        writer
            .text
            .comment("knockd let sources in to these ports. Now the gate does, on its interfaces: let the packet");
        writer.text.comment("filter pass the ports there, or nobody gets in; and only there.");
        writer.text.section("services", &service.name);
        writer.text.strings("ports", &service.ports);
        if service.keepalive {
            writer
                .text
                .comment("Under knockd, connection tracking let UDP go on that was let in. So does this: traffic");
            writer.text.comment("moves the end of its grant.");
            writer.text.boolean("keepalive", true);
        }
    }
    if services.is_empty() {
        writer.text.blank();
        writer.text.comment("No door of that file lets sources in to a port: nothing is protected.");
        writer.text.sections("services");
    }
    for ((section, plan), names) in plans.iter().zip(&doors) {
        writer.door(section, plan, names, &services);
    }
    let ports = services.into_iter().flat_map(|service| service.ports).collect();
    Written { text: writer.text, rows: writer.rows, looks: writer.looks, ports }
}

/// Remarks by the entry that they are about, or the section.
type ByEntry<'a> = HashMap<Option<usize>, Vec<&'a Remark>>;

fn by_entry(remarks: &[Remark]) -> ByEntry<'_> {
    let mut by_entry = ByEntry::new();
    for remark in remarks {
        by_entry.entry(remark.entry).or_default().push(remark);
    }
    by_entry
}

struct Writer {
    text: Text,
    rows: Vec<Row>,
    looks: Vec<Look>,
}

impl Writer {
    fn comment(&mut self, entry: &Entry) {
        self.text.from(entry.line);
        self.text.comment(entry.text.trim_start_matches('#').trim_start());
    }

    fn remark(&mut self, line: usize, text: &str, look: bool) {
        self.text.remark(text, look);
        if look {
            self.looks.push(Look { line, text: text.to_owned() });
        }
    }

    /// The remarks of one entry, or of the section.
    fn remarks(&mut self, remarks: &ByEntry<'_>, entry: Option<usize>, line: usize) {
        for remark in remarks.get(&entry).into_iter().flatten() {
            crate::syntax::work::note();
            self.remark(line, &remark.text, remark.look);
        }
    }

    fn options(&mut self, file: &File, options: &Options, trusted: &Trusted) {
        self.text.section("options", "");
        if options.interface_line.is_none() {
            if let Some((because, look)) = &options.because {
                self.text.comment(because);
                if *look {
                    self.looks
                        .push(Look { line: 0, text: format!("interfaces = {:?}: {because}", options.interfaces) });
                }
            }
            self.text.strings("interfaces", &options.interfaces);
        }
        for section in &file.sections {
            let remarks = options::remarks(section, options);
            let remarks = by_entry(&remarks);
            if section.is_options() {
                self.text.quote(section.line, "[options]");
            }
            for (index, entry) in section.entries.iter().enumerate() {
                if !section.is_options() && entry.says != Says::UseSyslog {
                    continue;
                }
                if entry.says == Says::Comment {
                    self.comment(entry);
                    continue;
                }
                self.text.quote(entry.line, &entry.text);
                self.remarks(&remarks, Some(index), entry.line);
                if options.interface_line == Some(entry.line) {
                    if let Some((because, look)) = &options.because {
                        self.remark(entry.line, because, *look);
                    }
                    self.text.strings("interfaces", &options.interfaces);
                }
                if let Some(log) = options.log.as_deref().filter(|_| options.log_line == Some(entry.line)) {
                    self.text.string("log", log);
                    if log == "syslog" {
                        self.text.remark("by the name and facility that knockd has there", false);
                        self.text.string("syslog_ident", "knockd");
                        self.text.string("syslog_facility", "user");
                    }
                }
            }
        }
        self.trusted(trusted);
    }

    /// Whom the packet filter lets in without a knock.
    fn trusted(&mut self, trusted: &Trusted) {
        for why in &trusted.unread {
            self.text.comment(&format!("Whom the packet filter lets in is not wholly known: {why}"));
        }
        if !trusted.sure.is_empty() {
            let text = "the packet filter lets these in without a knock; trusted, they need none here either";
            self.text.comment(&format!("LOOK: {text}"));
            let networks: Vec<String> = trusted.sure.iter().map(ToString::to_string).collect();
            self.looks.push(Look { line: 0, text: format!("trusted = {networks:?}: {text}") });
            self.text.strings("trusted", &networks);
        }
        if trusted.left_off > 0 {
            let text = format!(
                "{} more that the packet filter lets in are not trusted: there is room for {MAX_TRUSTED} networks",
                trusted.left_off
            );
            self.text.comment(&format!("LOOK: {text}"));
            self.looks.push(Look { line: 0, text });
        }
        for (network, but) in trusted.proposed.iter().take(MOST_PROPOSED) {
            let text = format!("{network} is not trusted: {but}; if it is to need no knock, add it to trusted");
            self.text.comment(&format!("LOOK: {text}"));
            self.looks.push(Look { line: 0, text });
        }
        let more = trusted.proposed.len().saturating_sub(MOST_PROPOSED);
        if more > 0 {
            let text = format!("{more} more that the packet filter lets in, and that are not trusted");
            self.text.comment(&format!("LOOK: {text}"));
            self.looks.push(Look { line: 0, text });
        }
    }

    fn door(&mut self, section: &Section, plan: &Plan<'_>, names: &[String], services: &[Service]) {
        self.text.blank();
        self.text.quote(section.line, &format!("[{}]", String::from_utf8_lossy(&section.name)));
        match plan {
            Plan::LeftOut(remarks, why) => self.left_out(section, remarks, why, None),
            Plan::Door(door) => match &door.left_out {
                Some(why) => self.left_out(section, &door.draft.remarks, why, Some(&door.draft)),
                None => self.doors(door, names, services),
            },
        }
    }

    fn left_out(&mut self, section: &Section, remarks: &[Remark], why: &str, draft: Option<&Draft<'_>>) {
        let remarks = &by_entry(remarks);
        self.remark(section.line, &format!("left out: {why}"), true);
        self.remarks(remarks, None, section.line);
        for (index, entry) in section.entries.iter().enumerate() {
            if entry.says == Says::Comment {
                self.comment(entry);
            } else if entry.says != Says::UseSyslog {
                self.text.quote(entry.line, &entry.text);
                self.remarks(remarks, Some(index), entry.line);
            }
        }
        let name = String::from_utf8_lossy(&section.name).escape_debug().to_string();
        let steps = draft.map_or_else(String::new, steps);
        self.rows.push(Row { line: section.line, name, steps, becomes: format!("left out: {why}"), left_out: true });
    }

    fn doors(&mut self, door: &Candidate<'_>, names: &[String], services: &[Service]) {
        let draft = &door.draft;
        let line = draft.section.line;
        let mine: Vec<&Service> = services.iter().filter(|service| door.is_for(&service.ports)).collect();
        let becomes = becomes(door, &mine);
        let remarks = &by_entry(&draft.remarks);
        let wanted = String::from_utf8_lossy(&draft.section.name);
        if names.first().is_some_and(|name| *name != wanted) {
            let name = &names[0];
            self.remark(
                line,
                &format!("renamed: a name here is unique and has letters, digits, ., - and _: {name}"),
                true,
            );
        }
        self.remarks(remarks, None, line);
        self.text.comment(&format!("    {becomes}"));
        self.text.section("doors", &names[0]);
        if let Some(service) = mine.first() {
            self.text.string("service", &service.name);
        }
        if matches!(door.deed, Deed::Close(..)) {
            self.text.string("action", "close");
        }
        for (index, entry) in draft.section.entries.iter().enumerate() {
            match entry.says {
                Says::Comment => {
                    self.comment(entry);
                    continue;
                }
                // It stands among the options.
                Says::UseSyslog => continue,
                _ => {}
            }
            self.text.quote(entry.line, &entry.text);
            self.remarks(remarks, Some(index), entry.line);
            let later = &draft.section.entries[index + 1..];
            let same = |other: &Entry| std::mem::discriminant(&other.says) == std::mem::discriminant(&entry.says);
            if !later.iter().any(same) {
                self.entry(door, entry);
            }
        }
        self.defaults(door);
        for (name, service) in names.iter().zip(&mine).skip(1) {
            self.text.blank();
            self.text.comment(&format!("    The same knock, for the other ports of line {}.", draft.start_line()));
            self.text.section("doors", name);
            self.text.string("service", &service.name);
            self.again(door);
        }
        let name = names.join(", ");
        self.rows.push(Row { line, name, steps: steps(draft), becomes, left_out: false });
    }

    /// What a line becomes if it is the one that counts.
    fn entry(&mut self, door: &Candidate<'_>, entry: &Entry) {
        let draft = &door.draft;
        match entry.says {
            Says::Sequence(_) if matches!(draft.knock, Knock::Sequence(_)) => self.knock(draft),
            Says::OneTime(_) => self.knock(draft),
            Says::SeqTimeout(_) => self.text.string("seq_timeout", &seconds(draft.seq_timeout)),
            Says::TcpFlags(_) => self.text.strings("tcpflags", &draft.flags),
            Says::Target(_) => {
                if let Some(target) = draft.target {
                    self.text.string("target", &target.to_string());
                }
            }
            Says::CmdTimeout(_) => self.lasts(door),
            Says::Start(_) if !door.is_bare() => {
                let rest = door.hooks() != Commands::default();
                let text = if rest {
                    "the kernel does the firewall's part itself; the rest goes on as a hook"
                } else {
                    "the kernel does this itself"
                };
                self.text.remark(text, false);
            }
            Says::Stop(_) if matches!(&door.deed, Deed::Open(_, open) if open.stops) => {
                self.text.remark("the grant ends by itself", false);
            }
            _ => {}
        }
    }

    /// What no line said, and the commands.
    fn defaults(&mut self, door: &Candidate<'_>) {
        let has = |is: fn(&Says) -> bool| door.draft.section.entries.iter().any(|entry| is(&entry.says));
        self.text.from(door.draft.section.line);
        if !has(|says| matches!(says, Says::SeqTimeout(_))) {
            self.text.comment("    knockd's default:");
            self.text.string("seq_timeout", &seconds(door.draft.seq_timeout));
        }
        if !has(|says| matches!(says, Says::TcpFlags(_))) {
            self.text.comment("    safer than knockd's default, any TCP segment: a sweep of answers would open it");
            self.text.strings("tcpflags", &door.draft.flags);
        }
        if !has(|says| matches!(says, Says::CmdTimeout(_))) && cmd_timeout(door).is_some() {
            if door.draft.commands.stops() {
                self.text.comment("    knockd's default:");
            }
            self.lasts(door);
        }
        self.prefixes(door);
        self.hooks(&door.hooks());
    }

    /// All of it once more, for another service.
    fn again(&mut self, door: &Candidate<'_>) {
        if matches!(door.deed, Deed::Close(..)) {
            self.text.string("action", "close");
        }
        self.knock(&door.draft);
        self.text.string("seq_timeout", &seconds(door.draft.seq_timeout));
        self.text.strings("tcpflags", &door.draft.flags);
        if let Some(target) = door.draft.target {
            self.text.string("target", &target.to_string());
        }
        self.lasts(door);
        self.prefixes(door);
    }

    fn knock(&mut self, draft: &Draft<'_>) {
        match &draft.knock {
            Knock::Sequence(ports) => self.text.strings("sequence", ports),
            Knock::OneTime(path) => self.text.string("one_time_sequences", path),
        }
    }

    fn lasts(&mut self, door: &Candidate<'_>) {
        if let Some(time) = cmd_timeout(door) {
            self.text.string("cmd_timeout", &seconds(time));
        }
    }

    fn prefixes(&mut self, door: &Candidate<'_>) {
        let Deed::Open(_, open) = &door.deed else { return };
        for (name, bits) in [("grant_prefix_v4", open.prefix_v4), ("grant_prefix_v6", open.prefix_v6)] {
            if let Some(bits) = bits {
                self.text.number(name, bits);
            }
        }
    }

    /// The commands, those for IPv6 only if they differ.
    fn hooks(&mut self, commands: &Commands) {
        let pairs =
            [("start_command", &commands.start, &commands.start_6), ("stop_command", &commands.stop, &commands.stop_6)];
        for (name, v4, v6) in pairs {
            if let Some(command) = v4 {
                self.text.string(name, command);
            }
            if v6 != v4 {
                self.text.string(&format!("{name}_6"), v6.as_deref().unwrap_or_default());
            }
        }
    }
}

/// How long a grant lasts; `None`: for good, or there is none.
fn cmd_timeout(door: &Candidate<'_>) -> Option<Duration> {
    match &door.deed {
        Deed::Open(_, open) => {
            let stops = if open.stops { door.draft.cmd_timeout } else { None };
            stops.into_iter().chain(open.lasts).min()
        }
        Deed::Hooks(_) => door.draft.cmd_timeout,
        Deed::Close(..) | Deed::Log | Deed::Seek(_) => None,
    }
}

fn seconds(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

fn steps(draft: &Draft<'_>) -> String {
    match &draft.knock {
        Knock::Sequence(ports) => ports.len().to_string(),
        Knock::OneTime(_) => "from a file".to_owned(),
    }
}

/// What a door becomes, in words.
fn becomes(door: &Candidate<'_>, services: &[&Service]) -> String {
    let word = |service: &&Service| {
        let ports: Vec<_> = service.ports.iter().map(ToString::to_string).collect();
        format!("{} ({})", service.name, ports.join(", "))
    };
    let names: Vec<_> = services.iter().map(word).collect();
    let names = names.join(" and ");
    match &door.deed {
        Deed::Open(..) => match cmd_timeout(door) {
            Some(time) => format!("opens {names} for {}", seconds(time)),
            None => format!("opens {names} for good"),
        },
        Deed::Close(..) => format!("closes {names}"),
        Deed::Hooks(_) => "runs its commands, as hooks".to_owned(),
        Deed::Log | Deed::Seek(_) => "only logs".to_owned(),
    }
}
