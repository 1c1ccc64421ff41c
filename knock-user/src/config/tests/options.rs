//! What is said of `[options]`.

use super::*;

#[test]
fn errors_in_options_are_named() {
    for (line, message) in [
        ("colour = 1", "3:1: error: options.colour: unknown key"),
        ("log = 1", "3:7: error: options.log: must be a string, not a number"),
        ("log_denied = 1", "3:14: error: options.log_denied: must be true or false, not a number"),
        ("mode = \"skb\"", "3:8: error: options.mode: \"skb\" is not known here"),
        ("on_exit = []", "3:11: error: options.on_exit: must be a string, not a list"),
        ("deny = \"answer\"", "3:8: error: options.deny: \"answer\" is not known here"),
        ("max_grants = 0", "3:14: error: options.max_grants: must be from 1 to 16777216"),
        ("max_grants = 99999999999999999999", "3:14: error: options.max_grants: must be from 1 to 16777216"),
        ("max_attempts = -1", "3:16: error: options.max_attempts: must be from 1 to 16777216"),
        ("max_flows = 0", "3:13: error: options.max_flows: must be from 1 to 16777216"),
        ("flow_idle = \"999ms\"", "3:13: error: options.flow_idle: shorter than 1s"),
        ("flow_idle = \"25h\"", "3:13: error: options.flow_idle: longer than 1day"),
        ("attempt_rate = 1.5", "3:16: error: options.attempt_rate: must be a number, not a number with a point"),
        ("trusted = \"192.0.2.0/24\"", "3:11: error: options.trusted: must be a list, not a string"),
        ("trusted = [1979-05-27]", "3:12: error: options.trusted[0]: must be a string, not a date"),
        ("trusted = [\"192.0.2.0/33\"]", "3:12: error: options.trusted[0]: \"192.0.2.0/33\" is no network"),
        (
            "trusted = [\"192.0.2.7/24\"]",
            "3:12: error: options.trusted[0]: 192.0.2.7/24 has bits set behind its prefix",
        ),
        (
            "trusted = [\"::/0\"]",
            "3:12: error: options.trusted[0]: ::/0 holds all IPv4 addresses as well (::ffff:0:0/96)",
        ),
    ] {
        assert_said(&with_option(line), &[&format!("k.toml:{message}")]);
    }
}

#[test]
fn too_many_trusted_networks_are_an_error() {
    let networks: Vec<String> = (0..1025).map(|n| format!("\"10.{}.{}.0/24\"", n / 256, n % 256)).collect();
    assert_said(
        &with_option(&format!("trusted = [{}]", networks.join(", "))),
        &["k.toml:3:11: error: options.trusted: 1025 networks, more than 1024"],
    );
}

#[test]
fn errors_in_interfaces_are_named() {
    for (value, message) in [
        ("[]", "2:14: error: options.interfaces: no interface"),
        ("\"eth0\"", "2:14: error: options.interfaces: must be a list, not a string"),
        ("[true]", "2:15: error: options.interfaces[0]: must be a string, not true or false"),
        ("[\"\"]", "2:15: error: options.interfaces[0]: an interface has a name"),
        (
            "[\"a/b\"]",
            "2:15: error: options.interfaces[0]: \"a/b\" can be no interface: a slash, colon, blank or control character",
        ),
        (
            "[\"a\\u0000\"]",
            "2:15: error: options.interfaces[0]: \"a\\0\" can be no interface: a slash, colon, blank or control character",
        ),
        (
            "[\"sixteen-octets-x\"]",
            "2:15: error: options.interfaces[0]: \"sixteen-octets-x\" can be no interface: longer than 15 octets",
        ),
        ("[\"eth[0\"]", "2:15: error: options.interfaces[0]: \"eth[0\" is no pattern: invalid range pattern"),
    ] {
        let text =
            format!("[options]\ninterfaces = {value}\n{SERVICE}[doors.d]\nservice = \"s\"\nsequence = [7, 9, 8]\n");
        assert_said(&text, &[&format!("k.toml:{message}")]);
    }
    let missing = "k.toml:1:1: error: options.interfaces: is missing";
    assert_said("", &["k.toml:1:1: error: services: is missing: nothing would be protected", missing]);
    assert_said("services = {}\n", &[missing]);
    assert_said("options = {}\nservices = {}\n", &["k.toml:1:11: error: options.interfaces: is missing"]);
    assert_said("options = 1\nservices = {}\n", &["k.toml:1:11: error: options: must be a section, not a number"]);
}

#[test]
fn every_option_stands_in_the_guide_and_in_the_example() {
    let code = include_str!("../options.rs");
    let (guide, example) = (include_str!("../../../../README.md"), include_str!("../../../../examples/knock.toml"));
    let named = code.split("table").skip(1).filter_map(|call| {
        let (head, rest) = call.split_once('"')?;
        let is_call = [".take(", ".need(report, ", ", report, "].contains(&head);
        is_call.then(|| rest.split_once('"').map(|(name, _)| name)).flatten()
    });
    let names: Vec<&str> = named.collect();
    assert!(names.len() > 15 && names.contains(&"interfaces") && names.contains(&"stealth"), "{names:?}");
    for name in names {
        assert!(guide.contains(&format!("`{name}`")), "{name} is not in README");
        assert!(example.contains(&format!("{name} = ")), "{name} is not in examples/knock.toml");
    }
}
