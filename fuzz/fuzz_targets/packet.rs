//! The reader of frames. See `tests/src/fuzz/packet.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tests::fuzz::run("packet", octets));
