//! What stands between the rules and the kernel: verdicts as XDP actions, maps, sockets.

use super::mutant::{Mutant, mutants};

/// Bugs of it. Only the loaded program has them.
pub(super) const MUTANTS: &[Mutant] = mutants! {
    in "knock-ebpf"
    "PASS" {
        6 "in the kernel what passes is dropped":
            "xdp_action::XDP_PASS" => "xdp_action::XDP_DROP", kernel();
        14 "in the kernel what passes is aborted":
            "xdp_action::XDP_PASS" => "xdp_action::XDP_ABORTED", kernel();
    }
    "DROP" {
        9 "in the kernel what is denied passes":
            "xdp_action::XDP_DROP" => "xdp_action::XDP_PASS", kernel();
    }
    "observes" {
        9 "in the kernel every gate only observes":
            "globals::observe()" => "!globals::observe()", kernel();
    }
    "trial_until" {
        9 "in the kernel no trial ends":
            "globals::trial_until()" => "0", kernel();
    }
    "send" {
        12 "in the kernel an answer is written over several buffers":
            "if frame.is_all() {" => "if true {", kernel();
    }
    "send_back" {
        12 "in the kernel an answer is dropped":
            "xdp_action::XDP_TX" => "xdp_action::XDP_DROP", kernel();
    }
    "heeds" {
        4 "in the kernel only what opens a flow is looked at":
            "globals::heeds(flags)" => "flags.opens()", kernel();
    }
    "find_by" {
        10 "a listener is a connection":
            "state == LISTEN" => "state == 0", kernel();
        10 "a connection is a listener":
            "state == LISTEN" => "state != 0", kernel();
        11 "any UDP socket is connected":
            "state != ESTABLISHED" => "false", kernel();
    }
    "find" {
        10 "a connection over IPv4 is looked for from its other end":
            "Tuple4 { saddr: flow.source.words()[3], daddr: flow.dest.words()[3], sport, dport }"
            => "Tuple4 { saddr: flow.dest.words()[3], daddr: flow.source.words()[3], sport, dport }", kernel();
        10 "a connection over IPv6 is looked for by the octets of a number":
            "let (sport, dport) = (flow.sport.to_be(), flow.dport.to_be());"
            => "let (sport, dport) = (flow.sport, flow.dport);", kernel();
    }
    "trusts" {
        8 "in the kernel a trusted network is one that is not there":
            "maps::TRUSTED.get(AddrKey::new(&source.on_wire()).key()).is_some()"
            => "maps::TRUSTED.get(AddrKey::new(&source.on_wire()).key()).is_none()", kernel();
        8 "in the kernel the filter holds nobody":
            "is_some_and(|filter| filter.may_hold(&source.on_wire()))" => "is_none()", kernel();
    }
    "is_own" {
        10 "in the kernel every address is this host's":
            "is_some_and(|&own| own != 0)" => "is_none_or(|_| true)", kernel();
    }
    "put_flow" {
        19 "in the kernel a flow is written only over one that is there":
            "BPF_NOEXIST" => "BPF_EXIST", kernel();
    }
    "grant_end" {
        8 "in the kernel a grant is for every service":
            "u64::from(key.service) | u64::from(key.bits) << 32" => "u64::from(key.bits) << 32", kernel();
    }
    "put_grant" {
        15 "in the kernel a grant is written only over one that is there":
            "maps::GRANTS.insert(key, grant, u64::from(BPF_ANY))"
            => "maps::GRANTS.insert(key, grant, u64::from(BPF_EXIST))", kernel();
    }
    "scope" {
        15 "in the kernel a port of a bond is a link of its own":
            "Some(place) if report.scope != 0 => report.scope," => "Some(place) if false => report.scope,", kernel();
    }
    "use_up" {
        5 "in the kernel a one-time sequence opens every time":
            "maps::SPENT.insert(key, used, u64::from(BPF_NOEXIST))"
            => "maps::SPENT.insert(key, used, u64::from(BPF_ANY))", kernel();
    }
};
