//! Test tools.

pub mod agree;
pub mod bench;
pub mod fuzz;
pub mod history;
pub mod kernel;
pub mod knockd;
pub mod lab;
pub mod memory;
pub mod model;
pub mod packet;
pub mod scan;
pub mod soak;
pub mod story;
pub mod tables;
pub mod trial;
pub mod vm;
