//! Tags to names: what the log says of an event, in knockd's own words where it had some.

use std::time::Duration;

use knock_common::abi::event::{Event, Kind};
use knock_common::abi::grant::{FOR_GOOD, GrantKey, HOST_BITS};
use knock_common::addr::Addr;

use super::event_log::Record;
use crate::config::Config;
use crate::kernel::{format_network, format_source};

/// Names of doors and services by their tags.
pub struct Names {
    doors: Vec<(u32, String)>,
    services: Vec<(u32, String)>,
    /// Nothing is denied.
    observe: bool,
}

impl Names {
    /// The names that `config` gives; `observe` if nothing is denied.
    pub fn of(config: &Config, observe: bool) -> Self {
        let name = |name: &knock_common::abi::rules::Name| (name.tag(), name.as_str().to_owned());
        Self {
            doors: config.doors.iter().map(|door| name(&door.name)).collect(),
            services: config.services.iter().map(|service| name(&service.name)).collect(),
            observe,
        }
    }

    /// What to log of a kernel event.
    pub fn records(&self, event: &Event, kind: Kind) -> Vec<Record> {
        let source = format_source(event.source, HOST_BITS);
        let (door, service) = (find(&self.doors, event.door), find(&self.services, event.service));
        let transport = if event.transport == 17 { "udp" } else { "tcp" };
        let port = format!("{}/{transport}", event.port);
        let base = |name: &str, text: String| Record {
            source: Some(source.clone()),
            port: Some(port.clone()),
            stage: (event.step != 0).then_some(event.step),
            ..Record::of(name, text)
        };
        let of_door = |name: &str, text: String| Record { door: Some(door.to_owned()), ..base(name, text) };
        let of_both = |name: &str, text: String| Record { service: Some(service.to_owned()), ..of_door(name, text) };
        // A token has no steps.
        let stage = || (event.step != 0).then(|| of_door("stage", format!("{source}: {door}: Stage {}", event.step)));
        let with_stage = |record: Record| stage().into_iter().chain([record]).collect();
        let of_token = |name: &str, text: &str| {
            let by = format!("{:08x}", event.key.swap_bytes());
            vec![of_door(name, format!("{source}: {door}: key {by}: {text}"))]
        };
        match kind {
            Kind::Stage => stage().into_iter().collect(),
            Kind::Wrong => {
                vec![of_door("wrong", format!("{source}: {door}: wrong knock (stage {}): {port}", event.step))]
            }
            Kind::Opened | Kind::Extended => {
                let mut text = format!("{source}: {door}: OPEN SESAME: {service}");
                if event.bits != 0 && event.bits != 128 {
                    text += &format!(" for {}", format_network(event.source, event.bits.into()));
                }
                let left = (event.until != FOR_GOOD).then(|| event.until.saturating_sub(event.at));
                text += &left.map_or_else(
                    || " for good".to_owned(),
                    |left| {
                        format!(
                            " for {}",
                            humantime::format_duration(Duration::from_secs(left.div_ceil(1_000_000_000)))
                        )
                    },
                );
                if kind == Kind::Extended {
                    text += " (extended)";
                }
                let name = if kind == Kind::Opened { "opened" } else { "extended" };
                let seconds = left.map(|left| left.div_ceil(1_000_000_000));
                with_stage(Record { until_seconds: seconds, ..of_both(name, text) })
            }
            Kind::Closed => with_stage(of_both("closed", format!("{source}: {door}: closed {service}"))),
            Kind::Refused => {
                let text = format!(
                    "{source}: {door}: no grant for {service}: the table is full (options.max_grants); `knockctl allow` makes room"
                );
                with_stage(of_both("refused", text))
            }
            Kind::Spent => {
                let text = format!("{source}: {door}: this one-time sequence was used before: nothing is opened");
                with_stage(of_both("spent", text))
            }
            Kind::Elsewhere => {
                of_token("elsewhere", "a token that was used before came from here: somebody has a copy")
            }
            Kind::Clock => of_token("clock", "the token is outside the window: one of the two clocks is wrong"),
            Kind::Early => of_token("early", "the token was made before the gate began: send another one"),
            Kind::Mode => of_token("mode", "the key may not be used in this way: see `source` of the key"),
            Kind::Outlived => of_token("outlived", "the key has expired"),
            Kind::Unlisted => of_token("unlisted", "the key does not list the door"),
            Kind::Denied => {
                let what = if self.observe { "would deny" } else { "did not knock" };
                let text = format!("{what}: {source} -> :{port}");
                vec![Record { service: Some(service.to_owned()), ..base("denied", text) }]
            }
        }
    }

    /// What to log of an attempt that ran out.
    pub fn timeout(&self, source: Addr, door: u32, stage: u8) -> Record {
        let (source, door) = (format_source(source, HOST_BITS), find(&self.doors, door));
        Record {
            source: Some(source.clone()),
            door: Some(door.to_owned()),
            stage: Some(stage),
            ..Record::of("timeout", format!("{source}: {door}: sequence timeout (stage {stage})"))
        }
    }

    /// What to log of a grant that ended with its time; `door` is the tag of the door that wrote it, 0 if none did.
    pub fn expired(&self, key: &GrantKey, door: u32) -> Record {
        let (source, service) = (format_source(key.source, key.bits), find(&self.services, key.service));
        let door = (door != 0).then(|| find(&self.doors, door).to_owned());
        let text = format!("{source}: {service}: expired");
        Record { source: Some(source), service: Some(service.to_owned()), door, ..Record::of("expired", text) }
    }
}

fn find(names: &[(u32, String)], tag: u32) -> &str {
    names.iter().find(|(other, _)| *other == tag).map_or("(no longer configured)", |(_, name)| name)
}
