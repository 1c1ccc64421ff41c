//! Where the log goes.

use super::*;

fn options(lines: &str) -> Options {
    let (text, host) = (with_option(lines), Host::default());
    parse(&text, "k.toml", Path::new("k.toml"), &host).unwrap_or_else(|error| panic!("{error}")).0.options
}

fn syslog(ident: &str, facility: &str) -> LogTarget {
    let facility = Facility::parse(facility).unwrap();
    LogTarget::Syslog(SyslogOptions { ident: ident.to_owned(), facility })
}

#[test]
fn the_places_for_the_log_are_known() {
    let log = |lines: &str| options(lines).log;
    assert_eq!(log(""), LogTarget::Stderr);
    assert_eq!(log("log = \"stderr\""), LogTarget::Stderr);
    assert_eq!(log("log = \"journal\""), LogTarget::Journal);
    assert_eq!(log("log = \"/var/log/knock.log\""), LogTarget::File("/var/log/knock.log".into()));
    assert_eq!(log("log = \"syslog\""), syslog("knock", "daemon"));
    let named = "log = \"syslog\"\nsyslog_ident = \"knockd\"\nsyslog_facility = \"local3\"";
    assert_eq!(log(named), syslog("knockd", "local3"));
    assert_eq!((Facility::parse("local3").unwrap().code(), Facility::parse("kern")), (19, None));
}

#[test]
fn errors_in_the_log_are_named() {
    let neither = "is neither \"syslog\", \"journal\", \"stderr\" nor the absolute path of a file";
    for (lines, message) in [
        ("log = \"a.log\"", format!("3:7: error: options.log: \"a.log\" {neither}")),
        ("log = \"Syslog\"", format!("3:7: error: options.log: \"Syslog\" {neither}")),
        ("log = \"/var/log/\"", format!("3:7: error: options.log: \"/var/log/\" {neither}")),
        ("syslog_ident = \"a\"", "3:16: error: options.syslog_ident: is for log = \"syslog\" only".to_owned()),
        (
            "log = \"journal\"\nsyslog_facility = \"user\"",
            "4:19: error: options.syslog_facility: is for log = \"syslog\" only".to_owned(),
        ),
        (
            "log = \"syslog\"\nsyslog_facility = \"kern\"",
            "4:19: error: options.syslog_facility: \"kern\" is not known here".to_owned(),
        ),
        (
            "log = \"syslog\"\nsyslog_ident = \"a b\"",
            "4:16: error: options.syslog_ident: \"a b\" is no name for syslog".to_owned(),
        ),
        (
            "log = \"syslog\"\nsyslog_ident = \"\"",
            "4:16: error: options.syslog_ident: \"\" is no name for syslog".to_owned(),
        ),
        ("log_denied_rate = 0", "3:19: error: options.log_denied_rate: must be from 1 to 1000".to_owned()),
        (
            "log_denied = false\nlog_denied_rate = 5",
            "4:19: warning: options.log_denied_rate: has no effect: log_denied is false".to_owned(),
        ),
    ] {
        assert_said(&with_option(lines), &[&format!("k.toml:{message}")]);
    }
}

#[test]
fn the_rate_of_denials_is_read() {
    assert_eq!(options("").log_denied_rate, LOG_DENIED_RATE);
    assert_eq!((options("").log_rate, options("log_rate = 7").log_rate), (LOG_RATE, 7));
    assert_eq!(options("log_denied_rate = 1000").log_denied_rate, 1000);
}
