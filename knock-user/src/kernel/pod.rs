//! Lets aya copy knock-common's types in and out of maps.

use aya::Pod;
use knock_common::abi::flow::FlowKey;
use knock_common::abi::grant::{Grant, GrantKey};
use knock_common::abi::key::Key;
use knock_common::abi::layout::InterfaceReport;
use knock_common::abi::rules::{Door, Knock, PortRoles, Service};
use knock_common::abi::trust_filter::TrustFilter;
use knock_common::abi::used::Used;
use knock_common::addr::Addr;

/// A value that is plain bytes. aya's own trait cannot be implemented for another crate's types.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct Plain<T>(pub T);

/// Types of knock-common that lie in maps.
///
/// # Safety
///
/// The type is `repr(C)`, has no padding, and every byte pattern that the kernel side writes is a
/// valid value, zeros among them.
pub unsafe trait InMap: Copy + 'static {
    /// What an array holds where nothing was written.
    #[must_use]
    fn cleared() -> Self {
        // SAFETY: zeros are a valid value, for which the trait stands.
        unsafe { std::mem::zeroed() }
    }
}

/// A [`Flow`](knock_common::abi::flow::Flow) as it was when it was read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FlowRecord {
    /// A [`FlowState`](knock_common::abi::flow::FlowState).
    pub state: u64,
    /// Tag of the service that it was let in to; 0 for one that stood before.
    pub service: u32,
    /// The key by which it came in; 0 for none.
    pub key: u32,
}

const _: () = assert!(size_of::<FlowRecord>() == size_of::<knock_common::abi::flow::Flow>());

// SAFETY: three numbers, 16 octets without padding.
unsafe impl InMap for FlowRecord {}
// SAFETY: words and two 16-bit numbers, 40 bytes (asserted in the layout).
unsafe impl InMap for FlowKey {}
// SAFETY: four words.
unsafe impl InMap for Addr {}
// SAFETY: words only, 24 bytes (asserted in the layout).
unsafe impl InMap for GrantKey {}
// SAFETY: words only, 48 bytes (asserted in the layout).
unsafe impl InMap for Grant {}
// SAFETY: words only, 32 bytes (asserted in the layout).
unsafe impl InMap for Used {}
// SAFETY: octets and words, their sum asserted in the layout.
unsafe impl InMap for Door {}
// SAFETY: octets and words, their sum asserted in the layout.
unsafe impl InMap for Service {}
// SAFETY: two 16-bit numbers.
unsafe impl InMap for PortRoles {}
// SAFETY: octets and words, their sum asserted in the layout.
unsafe impl InMap for Knock {}
// SAFETY: eight octets and a word (asserted in the layout).
unsafe impl InMap for InterfaceReport {}
// SAFETY: two words.
unsafe impl InMap for TrustFilter {}
// SAFETY: words only, 128 bytes (asserted in the layout).
unsafe impl InMap for Key {}

// SAFETY: transparent over a type that is plain by `InMap`.
unsafe impl<T: InMap> Pod for Plain<T> {}
