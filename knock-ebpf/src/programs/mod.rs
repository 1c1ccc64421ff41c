//! The programs, one for each kind of interface and kernel. All run [`knock_common::gate::pipeline`].

mod action;
mod xdp;
mod xdp_ip;
