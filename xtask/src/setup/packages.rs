//! Debian's packages: which ones, how to tell that they are there, what to type for them.

use std::path::Path;

use crate::pins::{LLVM_CONFIG, LLVM_PACKAGE};
use crate::{root, shell};

/// A package, and the files or programs that stand for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Debian's name.
    pub name: &'static str,
    /// A program's name, or a file's path from the root: looked for instead of asking dpkg, which
    /// is faster and holds on other systems too.
    files: &'static [&'static str],
    /// A service that its installation would start.
    pub service: Option<&'static str>,
}

/// A package without a service.
const fn package(name: &'static str, files: &'static [&'static str]) -> Package {
    Package { name, files, service: None }
}

/// A package with a service.
const fn server(name: &'static str, files: &'static [&'static str], service: &'static str) -> Package {
    Package { name, files, service: Some(service) }
}

/// What the lab and the tests of whole hosts run.
pub const LAB: &[Package] = &[
    server("openssh-server", &["sshd"], "ssh"),
    package("openssh-client", &["ssh", "ssh-keygen"]),
    // A client, and what our import is compared with.
    server("knockd", &["knock", "knockd"], "knockd"),
    package("iptables", &["iptables", "iptables-save"]),
    package("iproute2", &["ip", "ss"]),
    package("curl", &["curl"]),
    package("util-linux", &["unshare", "nsenter"]),
    package("ethtool", &["ethtool"]),
    package("bpftool", &["bpftool"]),
    // What scans.
    package("nmap", &["nmap"]),
    package("hping3", &["hping3"]),
    package("python3-scapy", &["/usr/bin/python3", "/usr/lib/python3/dist-packages/scapy/__init__.py"]),
    // In user space, so that it needs no module.
    package("wireguard-go", &["wireguard-go"]),
    package("wireguard-tools", &["wg"]),
    // For faults: calls that fail or kill, and clocks that lie.
    package("strace", &["strace"]),
    package("faketime", &["faketime"]),
    package("procps", &["ps", "sysctl"]),
    // Booted in namespaces, and asked about the unit.
    package("systemd", &["/lib/systemd/systemd", "systemctl", "journalctl", "systemd-analyze"]),
    // For its fail2ban-regex only.
    server("fail2ban", &["fail2ban-regex"], "fail2ban"),
    // With which it reads the journal.
    package("python3-systemd", &["/usr/lib/python3/dist-packages/systemd/journal.py"]),
    // For its syslogd.
    package("busybox", &["busybox"]),
    // NAT between the hosts, and what the kernel knows of connections.
    package("nftables", &["nft"]),
    package("conntrack", &["conntrack"]),
    // Packet filters that people have behind a gate, and the bus that one of them speaks by.
    server("ufw", &["ufw"], "ufw"),
    server("firewalld", &["firewalld", "firewall-cmd"], "firewalld"),
    package("dbus", &["dbus-daemon"]),
    // Datagrams that are not ours to shape.
    package("mosh", &["mosh-server", "mosh-client"]),
    package("bsdutils", &["script"]),
    package("bind9-dnsutils", &["dig"]),
];

/// What bpf-linker is built with.
pub const LINKER: &[Package] = &[package(LLVM_PACKAGE, &[LLVM_CONFIG])];

/// What Debian packages and tarballs are made with.
pub const DIST: &[Package] = &[
    // Asks the shared libraries for the packages that they come from.
    package("dpkg-dev", &["dpkg-shlibdeps"]),
    package("xz-utils", &["xz"]),
    package("tar", &["tar"]),
    package("gzip", &["gzip"]),
];

/// What the packages are tried with.
pub const DEBIAN: &[Package] = &[package("debootstrap", &["debootstrap"])];

/// What other kernels are booted with.
pub const GUESTS: &[Package] = &[
    package("busybox", &["busybox"]),
    package("cpio", &["cpio"]),
    package("kmod", &["modprobe", "depmod"]),
    package("xz-utils", &["xz"]),
    package("debian-archive-keyring", &["/usr/share/keyrings/debian-archive-keyring.gpg"]),
];

/// What the gate is measured beside, and what sends the frames.
pub const PEERS: &[Package] = &[
    package("xdp-tools", &["xdp-filter"]),
    package("nftables", &["nft"]),
    package("netsniff-ng", &["trafgen"]),
    server("fwknop-server", &["fwknopd"], "fwknop-server"),
    package("fwknop-client", &["fwknop"]),
];

/// Debian's own Rust, and the source of its core.
pub const COMPILER: &[Package] = &[
    package("rustc-web", &["/usr/bin/rustc"]),
    package("rust-web-src", &["/usr/lib/rustlib/src/rust/library/Cargo.lock"]),
    package("cargo-web", &["/usr/bin/cargo"]),
];

/// The clippy of Debian's Rust.
pub const CLIPPY: &[Package] = &[package("rust-web-clippy", &["/usr/bin/cargo-clippy"])];

/// Those that are not there.
pub fn missing(packages: &[Package]) -> Vec<Package> {
    let is_there = |file: &&str| match file.starts_with('/') {
        true => Path::new(file).exists(),
        false => shell::find(file).is_some(),
    };
    let is_missing = |package: &&Package| !package.files.iter().all(is_there);
    packages.iter().filter(is_missing).copied().collect()
}

/// Why we cannot install packages, if we cannot.
pub fn obstacle() -> Option<&'static str> {
    if shell::find("apt-get").is_none() {
        Some(
            "there is no apt-get (what follows are Debian's names: install the same with this system's own package manager)",
        )
    } else if root::is_root() {
        None
    } else {
        Some("installing needs root")
    }
}

/// Their names, with commas.
pub fn names(packages: &[Package]) -> String {
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    names.join(", ")
}

/// What a person would type for them.
pub fn install_line(packages: &[Package]) -> String {
    line(packages, if root::is_root() { "" } else { "sudo " })
}

fn line(packages: &[Package], sudo: &str) -> String {
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    format!("{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {}", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_missing_if_one_of_its_files_is() {
        let there = package("there", &["sh", "/proc/self"]);
        let half = package("half", &["sh", "/nonexistent/file"]);
        let gone = package("gone", &["no-such-program-anywhere"]);
        assert_eq!(missing(&[there, half, gone]), [half, gone]);
    }

    #[test]
    fn the_line_to_type_can_be_pasted() {
        assert_eq!(
            line(&LAB[..2], "sudo "),
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends openssh-server openssh-client"
        );
        assert_eq!(
            line(LINKER, ""),
            format!("apt-get update && apt-get install -y --no-install-recommends {LLVM_PACKAGE}")
        );
    }

    #[test]
    fn no_list_names_a_package_twice() {
        for list in [LAB, LINKER, DIST, DEBIAN, GUESTS, PEERS, COMPILER, CLIPPY] {
            for (index, package) in list.iter().enumerate() {
                assert!(!list[..index].iter().any(|other| other.name == package.name), "{}", package.name);
            }
        }
    }

    #[test]
    fn names_are_listed_with_commas() {
        assert_eq!(names(COMPILER), "rustc-web, rust-web-src, cargo-web");
        assert_eq!(names(&[]), "");
    }
}
