//! The tests of the host build once more, with the program in the kernel beside it: every frame goes
//! through both, and after every frame verdict, counters, events, grants and attempts must be the same.

mod common;

#[path = "../host/cases.rs"]
mod cases;
#[path = "../host/checksums.rs"]
mod checksums;
#[path = "../host/events.rs"]
mod events;
#[path = "../host/flows.rs"]
mod flows;
#[path = "../host/frames/mod.rs"]
mod frames;
#[path = "../host/gate.rs"]
mod gate;
#[path = "../host/knocks.rs"]
mod knocks;
#[path = "../host/lenient.rs"]
mod lenient;
#[path = "../host/limits.rs"]
mod limits;
#[path = "../host/link_local.rs"]
mod link_local;
#[path = "../host/lockouts.rs"]
mod lockouts;
#[path = "../host/segments.rs"]
mod segments;
#[path = "../host/tokens.rs"]
mod tokens;
#[path = "../host/truncation.rs"]
mod truncation;
#[path = "../host/zoneless.rs"]
mod zoneless;
