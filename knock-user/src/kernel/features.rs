//! What the gate uses of the kernel, found out by trying it: distributions carry features back, and versions say
//! little.

use std::{fs, io};

use aya::maps::MapType;
use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported, is_map_supported};

use super::sys;

/// One thing that the kernel must have.
pub struct Feature {
    /// What it is called.
    pub name: &'static str,
    /// The version of Linux that had it first.
    pub since: &'static str,
    /// What the gate does with it.
    pub purpose: &'static str,
    /// When it is needed.
    pub need: Need,
    probe: Probe,
}

/// When a feature is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Without it there is no gate.
    Always,
    /// Without it, large frames in several buffers are not to be had in native mode.
    LargeFrames,
}

impl Need {
    /// What it says of a feature.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Always => "needed",
            Self::LargeFrames => "for large frames in native mode; without it the gate is one for frames in one buffer",
        }
    }
}

enum Probe {
    Map(MapType),
    Helper(BpfHelper),
    Code(&'static [u64], u32),
    Command(sys::Command),
    TakesOut,
}

/// `ENOTSUPP`, which the kernel has for itself.
const NOT_SUPPORTED: i32 = 524;

/// `BPF_F_XDP_HAS_FRAGS`.
const HAS_FRAGS: u32 = 1 << 5;

/// `r0 = 2; exit`: `XDP_PASS`.
const PASS: [u64; 2] = [0x0000_0002_0000_00b7, 0x0000_0000_0000_0095];

/// `*(u64 *)(r10 - 8) = 0; r0 = 0; r1 = 2; cmpxchg64(r10 - 8, r0, r1); r0 = 2; exit`.
const COMPARE_AND_SWAP: [u64; 6] =
    [0x0000_0000_fff8_0a7a, 0x0000_0000_0000_00b7, 0x0000_0002_0000_01b7, 0x0000_00f1_fff8_1adb, PASS[0], PASS[1]];

const fn always(name: &'static str, since: &'static str, purpose: &'static str, probe: Probe) -> Feature {
    Feature { name, since, purpose, need: Need::Always, probe }
}

const fn helper(name: &'static str, since: &'static str, purpose: &'static str, helper: BpfHelper) -> Feature {
    always(name, since, purpose, Probe::Helper(helper))
}

const fn large(name: &'static str, probe: Probe) -> Feature {
    Feature { name, since: "5.18", purpose: "frames in several buffers", need: Need::LargeFrames, probe }
}

/// All that the kernel program uses and an old kernel may lack.
pub const FEATURES: [Feature; 16] = [
    always("XDP links", "5.9", "a gate that outlives its daemon", Probe::Command(sys::Command::LINK_DETACH)),
    always("maps of type LRU hash", "4.10", "attempts", Probe::Map(MapType::LruHash)),
    always("maps of type LPM trie", "4.11", "trusted networks", Probe::Map(MapType::LpmTrie)),
    always("maps of type ring buffer", "5.8", "events", Probe::Map(MapType::RingBuf)),
    always("elements of maps by the thousand", "5.6", "status, reload", Probe::Command(sys::Command::LOOKUP_BATCH)),
    always("elements taken out of maps in one step", "5.14", "revoke, the sweep", Probe::TakesOut),
    always("64-bit compare-and-swap", "5.12", "attempts on several CPUs", Probe::Code(&COMPARE_AND_SWAP, 0)),
    helper("bpf_ktime_get_boot_ns", "5.8", "the ends of grants", BpfHelper::BPF_FUNC_ktime_get_boot_ns),
    helper("bpf_csum_diff", "4.16", "checksums", BpfHelper::BPF_FUNC_csum_diff),
    helper("bpf_skc_lookup_tcp", "5.2", "connections", BpfHelper::BPF_FUNC_skc_lookup_tcp),
    helper("bpf_sk_lookup_udp", "4.20", "ports on which something listens", BpfHelper::BPF_FUNC_sk_lookup_udp),
    helper("bpf_xdp_adjust_head", "4.10", "deny = \"reject\"", BpfHelper::BPF_FUNC_xdp_adjust_head),
    helper("bpf_xdp_adjust_tail", "4.18", "deny = \"reject\"", BpfHelper::BPF_FUNC_xdp_adjust_tail),
    large("XDP programs for frames in several buffers", Probe::Code(&PASS, HAS_FRAGS)),
    large("bpf_xdp_load_bytes", Probe::Helper(BpfHelper::BPF_FUNC_xdp_load_bytes)),
    large("bpf_xdp_get_buff_len", Probe::Helper(BpfHelper::BPF_FUNC_xdp_get_buff_len)),
];

impl Feature {
    /// True if the kernel has it. What cannot be found out counts as there: the program's load will tell.
    #[must_use]
    pub fn is_there(&self) -> bool {
        match self.probe {
            Probe::Map(kind) => is_map_supported(kind).unwrap_or(true),
            Probe::Helper(helper) => is_helper_supported(ProgramType::Xdp, helper).unwrap_or(true),
            Probe::Code(code, flags) => is_known(sys::takes(code, flags)),
            Probe::Command(command) => is_known(command.try_it()),
            Probe::TakesOut => is_known(sys::takes_out()),
        }
    }
}

/// True unless the kernel says that it does not know what it was asked for.
fn is_known(outcome: io::Result<()>) -> bool {
    let error = outcome.err().and_then(|error| error.raw_os_error());
    error.is_none_or(|error| ![libc::EINVAL, NOT_SUPPORTED].contains(&error))
}

/// True if the kernel has all that [`Need::LargeFrames`] takes.
pub fn has_large_frames() -> bool {
    FEATURES.iter().filter(|feature| feature.need == Need::LargeFrames).all(Feature::is_there)
}

/// What this kernel lacks of what the gate cannot do without, and the remedy; nothing if it has all.
pub fn missing() -> Option<String> {
    let missing: Vec<_> =
        FEATURES.iter().filter(|feature| feature.need == Need::Always && !feature.is_there()).collect();
    (!missing.is_empty()).then(|| lacks(&missing, &kernel_release()))
}

fn lacks(missing: &[&Feature], release: &str) -> String {
    let names: Vec<_> =
        missing.iter().map(|one| format!("{} ({}: Linux {})", one.name, one.purpose, one.since)).collect();
    format!("this kernel, Linux {release}, lacks {}: boot a later one", names.join(", "))
}

/// What the kernel calls its version.
#[must_use]
pub fn kernel_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".into(), |text| text.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_version_that_has_it() {
        let find = |name| FEATURES.iter().find(|feature| feature.name == name).unwrap();
        let text = lacks(&[find("maps of type ring buffer"), find("64-bit compare-and-swap")], "5.4.0");
        assert_eq!(
            text,
            "this kernel, Linux 5.4.0, lacks maps of type ring buffer (events: Linux 5.8), 64-bit compare-and-swap \
             (attempts on several CPUs: Linux 5.12): boot a later one"
        );
    }
}
