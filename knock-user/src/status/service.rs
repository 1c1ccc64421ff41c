//! Services of the running rules, by name and by tag.

use anyhow::{Result, bail};
use knock_common::abi::rules::Service;

/// The service with this name; without a name, all of them.
///
/// # Errors
///
/// Names the services that there are.
pub fn choose<'a>(services: &'a [Service], name: Option<&str>) -> Result<Vec<&'a Service>> {
    if services.is_empty() {
        bail!("there is no service: add one to the config and reload");
    }
    let chosen: Vec<_> =
        services.iter().filter(|service| name.is_none_or(|name| service.name.as_str() == name)).collect();
    if let (true, Some(name)) = (chosen.is_empty(), name) {
        let names: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
        bail!("no such service: {name}: name one of {}", names.join(", "));
    }
    Ok(chosen)
}

/// The name of the service with this tag. A grant may outlive the service that it is for.
pub fn name(services: &[Service], tag: u32) -> String {
    let service = services.iter().find(|service| service.tag == tag);
    service.map_or_else(|| format!("removed-{tag:08x}"), |service| service.name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use knock_common::abi::grant::Prefix;
    use knock_common::abi::rules::{MAX_PREFIXES, Name};

    use super::*;

    fn service(name: &str) -> Service {
        let name = Name::new(name).unwrap();
        let prefixes = [Prefix::NONE; MAX_PREFIXES];
        Service { name, tag: name.tag(), prefixes_v4: prefixes, prefixes_v6: prefixes, keepalive: 0 }
    }

    #[test]
    fn without_a_name_all_are_meant() {
        let services = [service("ssh2"), service("dns")];
        let names =
            |name| choose(&services, name).unwrap().iter().map(|service| service.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names(None), ["ssh2", "dns"]);
        assert_eq!(names(Some("dns")), ["dns"]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known() {
        let error = choose(&[service("ssh2"), service("dns")], Some("ssh")).unwrap_err().to_string();
        assert_eq!(error, "no such service: ssh: name one of ssh2, dns");
        assert!(choose(&[], None).unwrap_err().to_string().contains("add one"));
    }

    #[test]
    fn a_removed_service_is_told_apart() {
        let services = [service("ssh2")];
        assert_eq!(name(&services, services[0].tag), "ssh2");
        assert_eq!(name(&services, 0xab), "removed-000000ab");
    }
}
