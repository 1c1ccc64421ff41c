//! The judgement of single frames. See `tests/src/fuzz/gate.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tests::fuzz::run("gate", octets));
