//! The interfaces on which frames of a test come: loopback, and two ports of a bond. The bond itself need not be there:
//! it is a number in what the program is told of its ports.

/// That of a test run in the kernel, unless another is named.
pub const LO: u32 = 1;
/// The ports. A network that [`enter_network`](crate::kernel::enter_network) makes has interfaces with these numbers.
pub const PORTS: [u32; 2] = [2, 3];
/// Whose ports they are.
pub const BOND: u32 = 9;
/// All on which frames come.
pub const ALL: [u32; 3] = [LO, PORTS[0], PORTS[1]];
