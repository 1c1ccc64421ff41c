//! What kernel and loader share: the types in the maps, their names and sizes, and what is done with one value of them.
//!
//! All of them are plain data of a fixed layout. A change of size or meaning needs a higher [`layout::LAYOUT_VERSION`].

pub mod attempt;
pub mod attempt_filter;
pub mod counter;
pub mod event;
pub mod flags;
pub mod flow;
pub mod grant;
pub mod key;
pub mod layout;
pub mod protocol;
pub mod report_budget;
pub mod rules;
pub mod token;
pub mod trust_filter;
pub mod used;
