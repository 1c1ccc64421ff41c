//! Whom to write to: one field of the root `Cargo.toml`, which whoever runs the project sets. SECURITY.md names the field,
//! packages have it as their maintainer, and no other file has an address.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{paths, shell, tidy};

/// The manifest with the field, how the field's line begins, and what it is called in a document.
const MANIFEST: &str = "Cargo.toml";
const FIELD: &str = "contact = ";
const NAMED: &str = "`contact` in `Cargo.toml`";
/// The document that says whom to write to, and where in it.
const DOCUMENT: &str = "SECURITY.md";
const HEAD: &str = "## Reporting\n";
/// What names somebody to write to in a manifest of a package, and what it is to be instead.
const SECOND: [&str; 2] = ["authors", "maintainer"];
/// Ends of names that no mail server has (RFC 2606), and that documentation may use.
const NOWHERE: [&str; 3] = ["invalid", "test", "localhost"];
const DOCUMENTATION: [&str; 4] = ["example", "example.com", "example.net", "example.org"];

/// Holds the field, and all files, against these rules.
pub fn check() -> Result<()> {
    let contact = read()?;
    let mut faults = Vec::new();
    let document = fs::read_to_string(paths::workspace().join(DOCUMENT)).with_context(|| DOCUMENT.to_owned())?;
    if !section(&document).contains(NAMED) {
        faults.push(format!("{DOCUMENT}: does not name {NAMED} under \"{}\"", HEAD.trim_end()));
    }
    for file in tidy::files()? {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let name = file.strip_prefix(paths::workspace()).unwrap_or(&file).display().to_string();
        faults.extend(places(&name, &text).into_iter().map(|(line, fault)| format!("{name}:{line}: {fault}")));
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    println!("[lint] contact: {}", contact.as_deref().unwrap_or("not set"));
    Ok(())
}

/// The contact as the maintainer of a package: what is set, or that nothing is, in the form of a name and an address.
pub fn maintainer() -> Result<String> {
    Ok(read()?.unwrap_or_else(|| "no contact is set <>".to_owned()))
}

/// The field; `None` if it is empty.
fn read() -> Result<Option<String>> {
    let mut cargo = shell::cargo("metadata");
    let metadata = shell::read(cargo.args(["--locked", "--no-deps", "--format-version=1", "--quiet"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let field = metadata["metadata"]["knock"]["contact"].as_str();
    parse(field.with_context(|| format!("{MANIFEST}: has no [workspace.metadata.knock] with {FIELD}\"..\""))?)
}

/// A contact is a name and an address that mail can be delivered to, or nothing.
fn parse(field: &str) -> Result<Option<String>> {
    if field.is_empty() {
        return Ok(None);
    }
    let parts = field.strip_suffix('>').and_then(|field| field.split_once(" <"));
    let Some((name, address)) = parts else { bail!("{MANIFEST}: {FIELD}{field:?}: write \"NAME <ADDRESS>\", or \"\"") };
    ensure!(!name.trim().is_empty() && !name.contains(['<', '>', ',']), "{MANIFEST}: {FIELD}{field:?}: no name");
    let domain = addresses(address).first().filter(|found| **found == address).and_then(|found| found.split_once('@'));
    let Some((_, domain)) = domain else { bail!("{MANIFEST}: {FIELD}{field:?}: no address") };
    ensure!(
        !is_of(domain, &NOWHERE) && !is_of(domain, &DOCUMENTATION),
        "{MANIFEST}: {FIELD}{field:?}: nothing can be delivered there"
    );
    Ok(Some(field.to_owned()))
}

/// The section of the document that says whom to write to.
fn section(document: &str) -> &str {
    let behind = document.split_once(HEAD).map_or("", |(_, behind)| behind);
    behind.split("\n## ").next().unwrap_or_default()
}

/// Lines of a file that name somebody to write to, but for the field.
fn places(name: &str, text: &str) -> Vec<(usize, String)> {
    let is_manifest = name.rsplit('/').next() == Some(MANIFEST);
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if name == MANIFEST && line.starts_with(FIELD) {
            continue;
        }
        let key = line.split(['=', '.']).next().unwrap_or_default().trim();
        if is_manifest && SECOND.contains(&key) {
            found.push((index + 1, format!("`{key}`: who it is stands in {NAMED}, and nowhere else")));
        }
        for address in addresses(line) {
            if !address.split_once('@').is_some_and(|(_, domain)| is_of(domain, &DOCUMENTATION)) {
                found.push((index + 1, format!("{address}: an address stands in {NAMED}, and nowhere else")));
            }
        }
    }
    found
}

/// Whether a name is one of these, or below one of them.
fn is_of(domain: &str, names: &[&str]) -> bool {
    let domain = domain.to_ascii_lowercase();
    names.iter().any(|name| domain.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// The mail addresses of a line: those to a name that has a dot, does not end in a number, and is no unit of systemd.
fn addresses(line: &str) -> Vec<&str> {
    let is_local = |c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c);
    let is_domain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    let address = |(at, _): (usize, &str)| {
        let begin = line[..at].rfind(|c| !is_local(c)).map_or(0, |before| before + 1);
        let behind = &line[at + 1..];
        let length = behind.find(|c| !is_domain(c)).unwrap_or(behind.len());
        let domain = behind[..length].trim_end_matches(['.', '-']);
        let (host, last) = domain.rsplit_once('.')?;
        let is_domain = last.len() > 1 && last.chars().all(|c| c.is_ascii_alphabetic());
        let is_name = is_domain && !host.is_empty() && last != "service";
        (begin < at && is_name).then(|| &line[begin..=at + domain.len()])
    };
    line.match_indices('@').filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address that this file does not contain.
    fn at(domain: &str) -> String {
        format!("security@{domain}")
    }

    #[test]
    fn a_contact_is_a_name_and_an_address_that_can_be_written_to_or_nothing() {
        let good = format!("The Team <{}>", at("knock.dev"));
        assert_eq!(parse(&good).unwrap(), Some(good));
        assert_eq!(parse("").unwrap(), None);
        let bad = [
            " ".to_owned(),
            "The Team".to_owned(),
            "The Team <>".to_owned(),
            "The Team <nobody>".to_owned(),
            at("knock.dev"),
            format!(" <{}>", at("knock.dev")),
            format!("A, B <{}>", at("knock.dev")),
            format!("The Team <{} >", at("knock.dev")),
            format!("The Team <{}>", at("knock.invalid")),
            format!("The Team <{}>", at("example.org")),
            format!("The Team <{}>", at("mail.Example")),
        ];
        for field in bad {
            assert!(parse(&field).is_err(), "{field:?}");
        }
    }

    #[test]
    fn the_field_is_read_from_the_manifest() {
        assert!(maintainer().unwrap().ends_with('>'));
    }

    #[test]
    fn a_second_place_is_a_fault() {
        let lines = |name: &str, text: &str| places(name, text).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
        let address = at("knock.dev");
        let field = format!("a = 1\n{FIELD}\"The Team <{address}>\"\n");
        assert_eq!(lines(MANIFEST, &field), [0; 0]);
        assert_eq!(lines("xtask/Cargo.toml", &field), [2]);
        assert_eq!(lines("README.md", &format!("text\nwrite to {address}.\n")), [2]);
        assert_eq!(lines("README.md", &format!("[us](mailto:{})\n", at("knock.invalid"))), [1]);
        let manifest =
            "maintainer = \"us\"\nauthors = [\"us\"]\nauthors.workspace = true\nmaintainer-scripts = \"a\"\n";
        assert_eq!(lines("knock-user/Cargo.toml", manifest), [1, 2, 3]);
        assert_eq!(lines("README.md", manifest), [0; 0]);
    }

    #[test]
    fn what_is_no_address_of_anybody_is_none() {
        let text = format!(
            "ssh me@192.0.2.1 me@host {} {} @a.b a@ x@y.z1 b@.service b@c.service\n",
            at("example.org"),
            at("mail.example")
        );
        assert_eq!(places("README.md", &text), []);
    }

    #[test]
    fn the_section_is_that_of_reporting() {
        let document = format!("# A\n{HEAD}\n{NAMED}\n\n## Other\n");
        assert!(section(&document).contains(NAMED));
        assert!(!section(&document.replace(HEAD, "## Else\n")).contains(NAMED));
        assert!(!section(&format!("{HEAD}\n## Other\n{NAMED}\n")).contains(NAMED));
    }
}
