//! The XDP programs of the gate. Everything that decides is in `knock-common`; what is here are the maps and helpers that
//! it decides with.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod answer;
mod env;
mod explain;
mod frame;
mod globals;
mod hook;
mod interface_report;
mod maps;
mod programs;
mod scratch;
mod sockets;

/// Some helpers are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Never returns, so that the verifier refuses a program in which a panic can be reached.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
