//! The client's profiles. See `tests/src/fuzz/profile.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tests::fuzz::run("profile", octets));
