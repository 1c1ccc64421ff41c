//! Questions to the kernel by netlink(7), one at a time: a dump that is read to its end, or an order and its
//! acknowledgement.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use rtnetlink::packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN,
    NetlinkBuffer, NlasIterator,
};
use rtnetlink::sys::{Socket, SocketAddr};
use socket2::SockRef;

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// Types of messages below are netlink's own.
const FIRST_OF_OTHERS: u16 = 16;
/// The longest that the kernel may take: it answers while it is asked, but may have to wait for others.
const PATIENCE: Duration = Duration::from_secs(5);
/// In octets. The kernel puts no more than half of that into one datagram, unless a single message is longer.
const ROOM: usize = 1 << 16;
/// So often is a dump begun again, if what it tells of changes meanwhile.
const ATTEMPTS: u32 = 8;

/// A question that is answered by a list.
#[derive(Clone, Copy)]
pub(super) struct Dump<'a> {
    /// `NETLINK_*`.
    pub(super) protocol: i32,
    /// The type of the question.
    pub(super) question: u16,
    /// The type of its answers.
    pub(super) answer: u16,
    /// What follows on the header.
    pub(super) body: &'a [u8],
}

impl Dump<'_> {
    /// What `read` makes of the bodies of the answers, without those of which it makes nothing. A list that changed while
    /// it was read is read anew.
    ///
    /// # Errors
    ///
    /// If the kernel refuses or does not answer, if `read` fails, and with [`ErrorKind::ResourceBusy`] if the list never
    /// stands still.
    pub(super) fn read<T>(&self, mut read: impl FnMut(&[u8]) -> Result<Option<T>>) -> Result<Vec<T>> {
        let mut room = ROOM;
        for _ in 0..ATTEMPTS {
            // A socket of its own: what an attempt before it has left unread is not seen.
            let mut channel = Channel::open(self.protocol, room)?;
            channel.send(self.question, NLM_F_DUMP, self.body)?;
            let mut found = Vec::new();
            let mut whole = true;
            loop {
                match channel.receive() {
                    Ok(()) => {}
                    Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                        whole = false;
                        break;
                    }
                    Err(error) => return Err(error),
                }
                if channel.lacks > 0 {
                    room = room.max(channel.lacks);
                    whole = false;
                    break;
                }
                let part = Part { octets: &channel.octets, answer: self.answer, sequence: channel.sequence };
                let progress = part.each(|body| {
                    found.extend(read(body)?);
                    Ok(())
                })?;
                whole &= progress.whole;
                if progress.last {
                    break;
                }
            }
            if whole {
                return Ok(found);
            }
        }
        Err(Error::new(ErrorKind::ResourceBusy, "what the kernel tells changes faster than it can be read"))
    }
}

/// A socket for orders and single questions.
pub(super) struct Channel {
    socket: Socket,
    octets: Vec<u8>,
    /// The whole length of a datagram for which there was no room; 0 if there was.
    lacks: usize,
    sequence: u32,
}

impl Channel {
    /// One that reads answers of up to `room` octets.
    fn open(protocol: i32, room: usize) -> Result<Self> {
        let socket = Socket::new(protocol as isize)?;
        // The kernel alone may write to it from here on.
        socket.connect(&SocketAddr::new(0, 0))?;
        SockRef::from(&socket).set_read_timeout(Some(PATIENCE))?;
        // Kernels before 4.20 know no such option, and answer more than they are asked.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket, octets: Vec::with_capacity(room), lacks: 0, sequence: 0 })
    }

    /// One for orders and single questions.
    ///
    /// # Errors
    ///
    /// If there is none for this protocol.
    pub(super) fn of(protocol: i32) -> Result<Self> {
        Self::open(protocol, ROOM)
    }

    /// Gives an order, and waits until it is done.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub(super) fn order(&mut self, kind: u16, body: &[u8]) -> Result<()> {
        self.ask(kind, kind, body).map(drop)
    }

    /// Asks for one thing; the body of the answer, which is of the type `answer`.
    ///
    /// # Errors
    ///
    /// What the kernel says against it.
    pub(super) fn ask(&mut self, kind: u16, answer: u16, body: &[u8]) -> Result<Option<Vec<u8>>> {
        self.send(kind, NLM_F_ACK, body)?;
        let mut found = None;
        loop {
            self.receive()?;
            let part = Part { octets: &self.octets, answer, sequence: self.sequence };
            let keep = |body: &[u8]| {
                found = Some(body.to_vec());
                Ok(())
            };
            if part.each(keep)?.last {
                return Ok(found);
            }
        }
    }

    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<()> {
        self.sequence += 1;
        let mut octets = Vec::with_capacity(HEADER + body.len());
        octets.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        octets.extend(kind.to_ne_bytes());
        octets.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        octets.extend(self.sequence.to_ne_bytes());
        octets.extend([0; 4]);
        octets.extend(body);
        self.socket.send(&octets, 0).map(drop)
    }

    /// Reads a datagram, or as much of it as there is room for.
    fn receive(&mut self) -> Result<()> {
        loop {
            self.octets.clear();
            match self.socket.recv(&mut self.octets, libc::MSG_TRUNC) {
                Ok(length) => {
                    self.lacks = if length > self.octets.len() { length } else { 0 };
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(Error::new(ErrorKind::TimedOut, "the kernel does not answer"));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// A datagram of answers.
struct Part<'a> {
    octets: &'a [u8],
    /// The type of the messages that matter.
    answer: u16,
    /// Of the question; messages of others are passed over.
    sequence: u32,
}

/// How far an answer is.
#[derive(PartialEq, Eq, Debug)]
struct Progress {
    /// Nothing follows.
    last: bool,
    /// Nothing is known to be missing.
    whole: bool,
}

impl Part<'_> {
    /// Hands the bodies of messages to `each`, up to the last.
    fn each(&self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<Progress> {
        let mut octets = self.octets;
        let mut progress = Progress { last: false, whole: true };
        while !octets.is_empty() && !progress.last {
            let message = NetlinkBuffer::new_checked(octets).map_err(nonsense)?;
            let length = message.length() as usize;
            let (kind, flags, sequence) = (message.message_type(), message.flags(), message.sequence_number());
            let body = octets.get(HEADER..length).ok_or_else(|| nonsense("a message shorter than its header"))?;
            octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
            if sequence != self.sequence {
                continue;
            }
            progress.whole &= flags & NLM_F_DUMP_INTR == 0;
            match kind {
                // Both begin with what went wrong, or 0; of a dump also if it was told of something before.
                NLMSG_DONE | NLMSG_ERROR => {
                    let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                    if code < 0 {
                        return Err(Error::from_raw_os_error(code.wrapping_neg()));
                    }
                    progress.last = true;
                }
                NLMSG_OVERRUN => progress.whole = false,
                kind if kind == self.answer && kind >= FIRST_OF_OTHERS => each(body)?,
                _ => {}
            }
        }
        Ok(progress)
    }
}

/// The attributes in `octets`: type, without its flags, and value.
pub(super) fn attributes(octets: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8])>> {
    NlasIterator::new(octets).map(|attribute| {
        let attribute = attribute.map_err(nonsense)?;
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        Ok((kind, &attribute.into_inner()[4..length]))
    })
}

/// An error that says that something is no message of netlink.
pub(super) fn nonsense(why: impl Into<DecodeError>) -> Error {
    Error::new(ErrorKind::InvalidData, format!("no message of netlink: {}", why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: u16 = 20;

    fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut octets = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        octets.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
        octets.extend([sequence.to_ne_bytes(), [0; 4]].concat());
        octets.extend(body);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    }

    fn read(octets: &[u8]) -> (Result<Progress>, Vec<Vec<u8>>) {
        let mut bodies = Vec::new();
        let part = Part { octets, answer: ANSWER, sequence: 1 };
        let progress = part.each(|body| {
            bodies.push(body.to_vec());
            Ok(())
        });
        (progress, bodies)
    }

    #[test]
    fn answers_are_told_up_to_the_last_and_those_to_others_are_not() {
        let octets = [
            message(ANSWER, 0, 1, b"one"),
            message(ANSWER, 0, 2, b"another's"),
            message(ANSWER + 1, 0, 1, b"another kind"),
            message(ANSWER, 0, 1, b"two"),
        ]
        .concat();
        let (progress, bodies) = read(&octets);
        assert_eq!(progress.unwrap(), Progress { last: false, whole: true });
        assert_eq!(bodies, [b"one", b"two"]);
        let octets = [message(NLMSG_DONE, 0, 1, &[0; 4]), message(ANSWER, 0, 1, b"late")].concat();
        let (progress, bodies) = read(&octets);
        assert_eq!(progress.unwrap(), Progress { last: true, whole: true });
        assert!(bodies.is_empty());
    }

    #[test]
    fn a_list_that_changed_is_not_whole() {
        for octets in [
            message(ANSWER, NLM_F_DUMP_INTR, 1, b"one"),
            message(NLMSG_DONE, NLM_F_DUMP_INTR, 1, &[0; 4]),
            message(NLMSG_OVERRUN, 0, 1, &[]),
        ] {
            assert!(!read(&octets).0.unwrap().whole, "{octets:?}");
        }
    }

    #[test]
    fn a_refusal_is_an_error_with_its_number() {
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            let octets = message(kind, 0, 1, &(-libc::ENOENT).to_ne_bytes());
            assert_eq!(read(&octets).0.unwrap_err().raw_os_error(), Some(libc::ENOENT));
        }
    }

    #[test]
    fn broken_messages_are_errors() {
        let whole = message(ANSWER, 0, 1, b"four");
        for length in 1..whole.len() {
            assert!(read(&whole[..length]).0.is_err(), "{length}");
        }
        for length in [0_u32, 3, 15, 21, u32::MAX] {
            let mut octets = whole.clone();
            octets[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(read(&octets).0.is_err(), "{length}");
        }
        for octets in [&[5, 0, 1][..], &[3, 0, 1, 0], &[9, 0, 1, 0, 0, 0, 0, 0]] {
            assert!(attributes(octets).any(|attribute| attribute.is_err()), "{octets:?}");
        }
        assert_eq!(attributes(&[5, 0, 1, 0x80, 7, 0, 0, 0]).next().unwrap().unwrap(), (1, &[7][..]));
    }

    #[test]
    fn a_datagram_for_which_there_is_no_room_is_asked_for_again() {
        let mut channel = Channel::open(libc::NETLINK_ROUTE, 64).unwrap();
        // RTM_GETLINK, `struct ifinfomsg`: the loopback device takes more than that.
        channel.send(18, NLM_F_DUMP, &[0; 16]).unwrap();
        channel.receive().unwrap();
        assert!(channel.lacks > 64);
        let links = Dump { protocol: libc::NETLINK_ROUTE, question: 18, answer: 16, body: &[0; 16] };
        assert!(!links.read(|body| Ok(Some(body.len()))).unwrap().is_empty());
    }
}
