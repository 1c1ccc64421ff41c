//! `knockctl import`. See `tests/src/fuzz/import.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tests::fuzz::run("import", octets));
