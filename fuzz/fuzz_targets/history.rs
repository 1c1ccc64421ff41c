//! Whole histories of packets, against the reference model. See `tests/src/fuzz/history.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tests::fuzz::run("history", octets));
