//! Files of one-time sequences. See `tests/src/fuzz/onetime.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tests::fuzz::run("onetime", octets));
