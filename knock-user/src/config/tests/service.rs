//! What is said of services.

use super::*;

#[test]
fn errors_in_services_are_named() {
    for (section, messages) in [
        ("[services.s]\n", &["3:1: error: services.s.ports: is missing"][..]),
        ("[services.s]\nports = []\n", &["4:9: error: services.s.ports: no port"]),
        ("[services.s]\nports = [0]\n", &["4:10: error: services.s.ports[0]: port 0 cannot be protected"]),
        ("[services.s]\nports = [65536]\n", &["4:10: error: services.s.ports[0]: port 65536 does not exist"]),
        (
            "[services.s]\nports = [\"20-10/tcp\"]\n",
            &["4:10: error: services.s.ports[0]: the range ends before it begins"],
        ),
        ("[services.s]\nports = [\"1/sctp\"]\n", &["4:10: error: services.s.ports[0]: unknown protocol \"sctp\""]),
        (
            "[services.s]\nports = [1]\nkeepalive = \"yes\"\n",
            &["5:13: error: services.s.keepalive: must be true or false, not a string"],
        ),
        ("[services.s]\nports = [1]\nport = 2\n", &["5:1: error: services.s.port: unknown key"]),
        ("[services.\"\"]\nports = [1]\n", &["3:11: error: services.: an empty name"]),
        (
            "[services.\"a b\"]\nports = [1]\n",
            &["3:11: error: services.a b: a name with a blank, a colon or a control character"],
        ),
        (
            "[services.\"a:b\"]\nports = [1]\n",
            &["3:11: error: services.a:b: a name with a blank, a colon or a control character"],
        ),
        (
            "[services.\"a\\u0007\"]\nports = [1]\n",
            &["3:11: error: services.a\\u{7}: a name with a blank, a colon or a control character"],
        ),
        (
            "[services.a23456789012345678901234567890123]\nports = [1]\n",
            &["3:11: error: services.a23456789012345678901234567890123: a name of 33 octets, more than 32"],
        ),
        (
            "[services.a]\nports = [\"10-20\"]\n[services.b]\nports = [\"20/udp\", \"15-30/tcp\"]\n",
            &["6:20: error: services.b.ports[1]: port 15/tcp is in service a as well"],
        ),
        ("[services]\ns = 1\n", &["4:5: error: services.s: must be a section, not a number"]),
    ] {
        let messages: Vec<String> = messages.iter().map(|message| format!("k.toml:{message}")).collect();
        assert_eq!(said(&format!("{OPTIONS}{section}"), &Host::default()), messages, "of\n{section}");
    }
}
