//! Rust code as tokens and items, for what is planted in it and for what it imports.

mod code;
mod items;

pub use self::code::{Code, is_name};
pub use self::items::{Item, items};
