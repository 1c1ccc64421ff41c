//! The config. See `tests/src/fuzz/config.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tests::fuzz::run("config", octets));
