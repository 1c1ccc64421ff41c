//! Files such as people have, each with what it must become: `tests/cases/import`.
//!
//! Beside a `.conf` stands a `.right`: all lines of the config that are no comments, then remarks. `# look N: text` is
//! something to look at about line N of the file, of which there are no others; `# says: text` stands in the comments.
//! A `.rules` is what --rules gets, and a `.default` what /etc/default/knockd says.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::syntax::PortNames;

struct Case {
    name: String,
    conf: Vec<u8>,
    right: String,
    rules: Option<String>,
    defaults: Option<String>,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/import");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "conf"));
    paths.sort();
    let case = |path: PathBuf| Case {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        conf: fs::read(&path).unwrap(),
        right: fs::read_to_string(path.with_extension("right")).unwrap_or_default(),
        rules: fs::read_to_string(path.with_extension("rules")).ok(),
        defaults: fs::read_to_string(path.with_extension("default")).ok(),
    };
    paths.into_iter().map(case).collect()
}

/// What is wrong with what a file becomes.
fn faults(case: &Case) -> Vec<String> {
    let rules = |_| case.rules.clone().map(Some).ok_or_else(|| "no rules are known here".to_owned());
    let request = Request {
        file: "knockd.conf".into(),
        names: PortNames::parse("ssh 22/tcp\nhttp 80/tcp\nhttps 443/tcp\nopenvpn 1194/udp\n"),
        interface: None,
        ports: Vec::new(),
        rules: &rules,
        defaults: case.defaults.clone(),
        one_time: &|_| Err("No such file or directory".into()),
    };
    let imported = match import(&case.conf, &request) {
        Ok(imported) => imported,
        Err(refusal) => {
            let wanted = case.right.lines().filter_map(|line| line.strip_prefix("# refused: "));
            let said = refusal.to_string();
            let wanted: Vec<_> = wanted.collect();
            let fits = !wanted.is_empty() && wanted.iter().all(|text| said.contains(text));
            return if fits { Vec::new() } else { vec![said] };
        }
    };
    let is_key = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let keys = |text: &str| text.lines().filter(is_key).map(str::to_owned).collect::<Vec<_>>();
    let mut faults = Vec::new();
    let (is, right) = (keys(&imported.text), keys(&case.right));
    if is != right {
        faults.push(format!("is\n{}", is.join("\n")));
        faults.push(format!("should be\n{}", right.join("\n")));
    }
    let mut looks = imported.looks.clone();
    for line in case.right.lines() {
        if let Some((number, text)) = line.strip_prefix("# look ").and_then(|rest| rest.split_once(": ")) {
            let at = looks.iter().position(|look| look.line.to_string() == number && look.text.contains(text));
            match at {
                Some(at) => drop(looks.remove(at)),
                None => faults.push(format!("nothing to look at: {line}")),
            }
        } else if let Some(text) = line.strip_prefix("# says: ")
            && !imported.text.lines().any(|line| line.starts_with('#') && line.contains(text))
        {
            faults.push(format!("does not say: {text}"));
        }
    }
    faults.extend(looks.iter().map(|look| format!("more to look at: {}: {}", look.line, look.text)));
    faults
}

#[test]
fn what_people_have_becomes_what_is_right() {
    let cases = cases();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    let mut wrong = String::new();
    for case in &cases {
        let faults = faults(case);
        if !faults.is_empty() {
            wrong += &format!("== {}\n{}\n", case.name, faults.join("\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
