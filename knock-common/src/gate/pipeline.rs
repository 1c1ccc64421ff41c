//! Frame -> action: the one way through the gate. Every program of the kernel runs it, and so does the host build.

use crate::abi::rules::Role;
use crate::gate::env::Env;
use crate::packet::frame::Frame;
use crate::packet::{Other, Packet};

use super::fast_path::{FastPath, fast_path, role_of};
use super::verdict::Verdict;
use super::{judge_other, judge_role};

/// A program that has one frame before it: its surroundings, how it reads, and what it can do with the frame.
pub trait Program {
    /// Maps, clock, sockets, constants.
    type Env: Env;
    /// The first buffer of a frame.
    type Frame: Frame + ?Sized;
    /// What the program returns.
    type Action;

    /// True if its frames begin with an Ethernet header: most of those are told on the fast path.
    const HAS_FAST_PATH: bool;
    /// True if its frames may have several buffers.
    const HAS_BUFFERS: bool;

    /// The surroundings.
    fn env(&self) -> &Self::Env;
    /// The first buffer; where there are no others, the frame.
    fn frame(&self) -> &Self::Frame;

    /// Reads the headers from the first buffer into `packet`, which is blank, by
    /// [`Link::parse`](crate::packet::link::Link::parse).
    ///
    /// It is left to the program, because a BPF call chain has 512 octets of stack: in the kernel this is a function of
    /// its own, which has ended when the judging begins.
    ///
    /// # Errors
    ///
    /// What the frame is, if it is no TCP or UDP packet.
    fn read(&self, packet: &mut Packet) -> Result<(), Other>;
    /// The same across all buffers. Never called without [`Self::HAS_BUFFERS`].
    ///
    /// # Errors
    ///
    /// What the frame is, if it is no TCP or UDP packet.
    fn read_across(&self, packet: &mut Packet) -> Result<(), Other>;

    /// Is told of each verdict before it takes effect.
    #[inline(always)]
    fn trace(&self, _verdict: Verdict) {}
    /// Lets the frame go on.
    fn pass(&self) -> Self::Action;
    /// Drops it.
    fn drop(&self) -> Self::Action;
    /// Sends the answer to it back; drops it where that cannot be done.
    fn answer(&self) -> Self::Action;
}

/// Takes one frame through the gate: looks at it, reads it, judges it, moves attempts, grants and flows as it asks, and
/// acts on the verdict.
///
/// Each way out has its own copy of the code that acts. With one shared copy the verifier goes beyond what `kernel::cost`
/// allows.
#[inline(always)]
pub fn run<P: Program>(program: &P) -> P::Action {
    let (env, frame) = (program.env(), program.frame());
    let mut packet = Packet::BLANK;
    let glimpsed = if P::HAS_FAST_PATH { fast_path(env, frame, &mut packet) } else { FastPath::NotPlain };
    let (role, in_one) = match glimpsed {
        FastPath::Unrelated => return act(program, Verdict::Pass),
        // A copy of its own: what a flood hits does not share its registers with the long paths.
        FastPath::Concerns(role) if P::HAS_BUFFERS && matches!(role.role(), Role::Protected(_)) => {
            return act(program, judge_role(env, frame, &packet, role, true));
        }
        FastPath::Concerns(role) => (role, true),
        FastPath::NotPlain => {
            let in_one = match program.read(&mut packet) {
                Ok(()) => true,
                // What the first buffer does not hold may lie in the next.
                Err(Other::Malformed | Other::TinyFragment) if P::HAS_BUFFERS => match program.read_across(&mut packet)
                {
                    Ok(()) => false,
                    Err(other) => return act(program, judge_other(env, other)),
                },
                Err(other) => return act(program, judge_other(env, other)),
            };
            (role_of(env, &mut packet), in_one)
        }
    };
    act(program, judge_role(env, frame, &packet, role, in_one))
}

/// What becomes of the frame.
#[inline(always)]
fn act<P: Program>(program: &P, verdict: Verdict) -> P::Action {
    program.trace(verdict);
    match verdict {
        Verdict::Pass => program.pass(),
        Verdict::Deny | Verdict::Reject if is_lenient(program.env()) => program.pass(),
        Verdict::Deny => program.drop(),
        Verdict::Reject => program.answer(),
    }
}

/// True if nothing is denied: the gate only observes, or nobody has confirmed its trial in time.
#[inline(always)]
fn is_lenient<E: Env>(env: &E) -> bool {
    let until = env.trial_until();
    env.observes() || (until != 0 && env.now() > until)
}
