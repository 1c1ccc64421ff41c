//! `knockctl import` beside knockd itself: the same files, the same clients, the same doors.

mod files;
mod knockd;
mod parity;
mod runs;
mod syslog;

use tests::harness::{Test, waiting_tests};

/// The tests.
pub fn tests() -> Vec<Test> {
    use files::{
        knockd_takes_what_the_import_takes, the_command_writes_what_the_daemon_reads,
        who_is_trusted_is_let_in_by_all_that_the_kernel_has,
    };
    use parity::{
        commands_for_ipv6_do_what_they_did_under_knockd, debians_file_does_what_it_did_under_knockd,
        one_time_sequences_do_what_they_did_under_knockd, the_articles_file_does_what_it_did_under_knockd,
    };
    waiting_tests![
        "e2e::import";
        knockd_takes_what_the_import_takes,
        the_command_writes_what_the_daemon_reads,
        who_is_trusted_is_let_in_by_all_that_the_kernel_has,
        the_articles_file_does_what_it_did_under_knockd,
        debians_file_does_what_it_did_under_knockd,
        one_time_sequences_do_what_they_did_under_knockd,
        commands_for_ipv6_do_what_they_did_under_knockd,
    ]
}
