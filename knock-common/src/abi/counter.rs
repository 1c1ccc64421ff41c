//! What is counted, per CPU: one reason for every verdict on a packet that concerns the gate, and
//! every change of state. Traffic to unrelated ports is not counted, so that it costs nothing.

/// Makes the enum and its tables from one list, so that none of them can miss a line.
macro_rules! counters {
    ($($variant:ident = $name:literal, $what:literal;)*) => {
        /// Index into the `COUNTERS` map.
        #[repr(u32)]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Counter {
            $(#[doc = $what] $variant,)*
        }

        impl Counter {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in `status --json`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it counts, for people.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }
        }
    };
}

counters! {
    PassGranted = "pass_granted", "packets passed under a grant";
    PassTrusted = "pass_trusted", "packets passed from a trusted network";
    PassFlow = "pass_flow", "packets passed of a connection that was let in before";
    PassConnected = "pass_connected", "packets passed of a connection that a socket here owns";
    PassNoSocket = "pass_no_socket", "packets passed that no socket here waits for";
    PassUnchecked = "pass_unchecked", "packets passed without a look-up (stealth = false)";
    PassLaterFragment = "pass_later_fragment", "fragments passed after the first";
    DenyNew = "deny_new", "new TCP connections denied";
    DenyUdp = "deny_udp", "UDP datagrams denied";
    DenyProbe = "deny_probe", "TCP probes of a listening port denied";
    DenyMalformed = "deny_malformed", "packets denied with headers that contradict themselves";
    DenyTooDeep = "deny_too_deep", "packets denied with too many VLAN tags or extension headers";
    DenyTinyFragment = "deny_tiny_fragment", "first fragments denied that hide ports or flags";
    DenyOverlap = "deny_overlap", "fragments denied that could overwrite TCP flags";
    RejectLimited = "reject_limited", "denials left without an answer: the source had its share of ICMP errors";
    KnockPacket = "knock_packet", "packets to a knock port";
    AttemptStarted = "attempt_started", "attempts started";
    AttemptAdvanced = "attempt_advanced", "attempts advanced by a step";
    AttemptEnded = "attempt_ended", "attempts ended by a wrong knock";
    AttemptUntold = "attempt_untold", "attempts started beyond attempt_rate, of which the log does not tell";
    AttemptLost = "attempt_lost", "attempts not started: no room in the table";
    KnockLockedOut = "knock_locked_out", "first knocks ignored: the source is locked out";
    BadChecksum = "bad_checksum", "knocks ignored for a wrong checksum";
    GrantOpened = "grant_opened", "grants written by a completed door";
    GrantExtended = "grant_extended", "grants extended by a completed door or by keepalive";
    GrantClosed = "grant_closed", "close doors completed";
    GrantRefused = "grant_refused", "grants refused: the table was full";
    GrantSpent = "grant_spent", "doors completed with a one-time sequence that was used before";
    TokenOpened = "token_opened", "grants written by a token";
    TokenExtended = "token_extended", "tokens that found the grant live";
    TokenClosed = "token_closed", "tokens that closed";
    TokenUnknown = "token_unknown", "datagrams with the form of a token, of no key that is known";
    TokenRefused = "token_refused", "tokens refused: a version, flag or lane that is not known";
    TokenStale = "token_stale", "tokens refused: older than the last one of the key";
    TokenRepeated = "token_repeated", "tokens that came again";
    TokenForged = "token_forged", "tokens refused: the MAC is wrong";
    TokenClock = "token_clock", "tokens refused: made too long ago, or too far ahead of this clock";
    TokenEarly = "token_early", "tokens refused: made before the gate noted when keys were last used";
    TokenSource = "token_source", "tokens refused: the key may not be used with, or without, a source in the token";
    TokenExpired = "token_expired", "tokens refused: the key has expired";
    TokenDoor = "token_door", "tokens refused: the key does not list the door";
    TokenFull = "token_full", "tokens used up in vain: the table of grants was full";
    TokenUntold = "token_untold", "tokens of which the log does not tell, by its rate limit";
    FlowLost = "flow_lost", "connections not noted: no room in the table";
    EventLost = "event_lost", "events lost: the ring buffer was full";
    DenialUnlogged = "denial_unlogged", "denials left out of the log by its rate limit";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_list() {
        for (index, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, index);
        }
    }
}
