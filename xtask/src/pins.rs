//! Every version that is pinned: toolchains, tools, and the Debian releases that kernels and packages come from.
//! Crates stand in `Cargo.toml` and `Cargo.lock`, and the stable Rust as `rust-version` in `Cargo.toml`.
//!
//! To raise one, change it here and run `cargo xtask lint` and `cargo xtask test`.

/// The nightly that compiles the BPF side where rustup can get it: the last one tried.
pub const NIGHTLY: &str = "nightly-2026-05-20";

/// The LLVM of bpf-linker, and what is named after its number.
macro_rules! llvm {
    ($number:literal) => {
        /// The LLVM of bpf-linker. That of the compiler must be the same: it writes the bitcode.
        pub const LLVM: u32 = $number;
        /// Where Debian's is.
        pub const LLVM_PREFIX: &str = concat!("/usr/lib/llvm-", $number);
        /// A program that shows that it is there.
        pub const LLVM_CONFIG: &str = concat!("/usr/lib/llvm-", $number, "/bin/llvm-config");
        /// Debian's package of it.
        pub const LLVM_PACKAGE: &str = concat!("llvm-", $number, "-dev");
        /// The option by which bpf-linker is built against it.
        pub const LLVM_FEATURE: &str = concat!("--features=llvm-", $number);
    };
}
llvm!(22);

/// Links the BPF side. It is built against [`LLVM`].
pub const BPF_LINKER: &str = "0.13.0";

/// Makes the Debian package.
pub const CARGO_DEB: &str = "3.8.0";

/// Builds and runs what is in `fuzz/`.
pub const CARGO_FUZZ: &str = "0.13.2";

/// Holds the crates that are built in against `deny.toml`.
pub const CARGO_DENY: &str = "0.20.2";

/// The Debian release that the package is for, and is tried on.
pub const PACKAGE_SUITE: &str = "bookworm";

/// The Debian release that the emulator is of.
pub const EMULATOR_SUITE: &str = "bookworm";

/// Kernels that are booted in the emulator, the oldest first: how the version begins, and the Debian release that has
/// it.
pub const KERNELS: [(&str, &str); 2] = [("6.1", "bookworm"), ("6.12", "trixie")];
