//! Puts the BPF object that `KNOCK_BPF_OBJECT` names where the library embeds it. Without it the
//! host crates still build, for checks and for the client; `knockctl run` then says what to do.

use std::env;
use std::fs;
use std::path::Path;

const OBJECT: &str = "KNOCK_BPF_OBJECT";

fn main() {
    if env::var_os("CARGO_FEATURE_GATE").is_none() {
        return;
    }
    println!("cargo::rerun-if-env-changed={OBJECT}");
    let target = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("knock-gate");
    match env::var_os(OBJECT) {
        Some(object) => {
            println!("cargo::rerun-if-changed={}", Path::new(&object).display());
            fs::copy(&object, &target).unwrap_or_else(|error| panic!("{OBJECT}: {}: {error}", object.display()));
        }
        None => fs::write(&target, []).expect("OUT_DIR can be written"),
    }
}
