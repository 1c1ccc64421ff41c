//! A tunnel between two hosts in user space, as a VPN program makes it: a tun or tap device on each, and a
//! thread each way that hands on what comes out of one into the other.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::libc::{IFF_NO_PI, IFF_TAP, IFF_TUN, IFNAMSIZ, O_NONBLOCK, c_int};

use super::Host;

/// What the frames of a tunnel begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frames {
    /// The IP header.
    Tun,
    /// The IP header, and before it, for the program that has the device, its protocol as the kernel knows it
    /// (`struct tun_pi`).
    Told,
    /// An Ethernet header.
    Tap,
}

/// The head of `struct ifreq` (netdevice(7)), as long as the whole.
#[repr(C)]
struct Request {
    name: [u8; IFNAMSIZ],
    flags: i16,
    rest: [u8; 22],
}

// tun(4) of the kernel: `if_tun.h`.
nix::ioctl_write_ptr_bad!(set_interface, nix::request_code_write!(b'T', 202, size_of::<c_int>()), Request);
nix::ioctl_write_int_bad!(set_link_type, nix::request_code_write!(b'T', 205, size_of::<c_int>()));

/// A device that is there as long as this is.
pub struct Device(File);

impl Device {
    /// Makes a device on a host, which is down.
    ///
    /// # Errors
    ///
    /// If the kernel has no such devices.
    pub fn new(host: Host, name: &str, frames: Frames) -> Result<Self> {
        host.enter(|| {
            let open = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open("/dev/net/tun");
            let file = open.context("/dev/net/tun")?;
            let flags = i16::try_from(match frames {
                Frames::Tun => IFF_TUN | IFF_NO_PI,
                Frames::Told => IFF_TUN,
                Frames::Tap => IFF_TAP | IFF_NO_PI,
            })?;
            let mut request = Request { name: [0; IFNAMSIZ], flags, rest: [0; 22] };
            request.name[..name.len()].copy_from_slice(name.as_bytes());
            // SAFETY: the request is as long as the kernel reads, and outlives the call.
            unsafe { set_interface(file.as_raw_fd(), &raw const request) }
                .with_context(|| format!("{name} cannot be made"))?;
            Ok(Self(file))
        })
    }

    /// Lets a frame come to the device, as it is.
    ///
    /// # Errors
    ///
    /// If the device does not take it.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        (&self.0).write_all(frame).context("a frame for the tunnel")
    }

    /// The next frame within `patience` that the device sends and that is wanted.
    #[must_use]
    pub fn receive(&self, patience: Duration, wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let start = Instant::now();
        let mut frame = vec![0; 1 << 16];
        while start.elapsed() < patience {
            match (&self.0).read(&mut frame) {
                Ok(length) if wanted(&frame[..length]) => {
                    frame.truncate(length);
                    return Some(frame);
                }
                Ok(_) => {}
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
        None
    }

    /// Lets the device, which is down, pass for one of another type (`ARPHRD_*` of `if_arp.h`).
    ///
    /// # Errors
    ///
    /// If the kernel does not.
    pub fn pass_for(&self, kind: u16) -> Result<()> {
        // SAFETY: takes a number.
        unsafe { set_link_type(self.0.as_raw_fd(), c_int::from(kind)) }.context("its type cannot be set")?;
        Ok(())
    }
}

/// The tunnel, as long as this is.
pub struct Tunnel {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Tunnel {
    /// Joins two devices.
    ///
    /// # Errors
    ///
    /// If the files cannot be shared.
    pub fn new(one: &Device, other: &Device) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (from, to) in [(one, other), (other, one)] {
            let (from, to, stop) = (from.0.try_clone()?, to.0.try_clone()?, stop.clone());
            threads.push(thread::spawn(move || hand_on(&from, &to, &stop)));
        }
        Ok(Self { stop, threads })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

fn hand_on(mut from: &File, mut to: &File, stop: &AtomicBool) {
    let mut frame = [0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        match from.read(&mut frame) {
            // One that the other end does not take is lost, as on any wire.
            Ok(length) => drop(to.write(&frame[..length])),
            // Nothing is there, or the device is down.
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}
