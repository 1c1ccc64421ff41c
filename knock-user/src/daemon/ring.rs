//! The ring buffer: the kernel's events, and what is there that is none.

use anyhow::Result;
use aya::maps::{MapData, RingBuf};
use knock_common::abi::event::{Event, Kind};
use tokio::io::unix::AsyncFd;

/// Records that are read at once, so that a flood does not keep timers and signals waiting.
const BATCH: usize = 1024;

/// What was there.
#[derive(Default)]
pub struct Read {
    /// The events.
    pub events: Vec<Event>,
    /// Records of another size or kind than this version knows.
    pub unread: u64,
    /// There may be more.
    pub is_full: bool,
}

/// Waits for records, and takes all that are there, up to so many.
///
/// # Errors
///
/// Of the descriptor.
pub async fn drain(ring: &mut AsyncFd<RingBuf<MapData>>) -> Result<Read> {
    let mut guard = ring.readable_mut().await?;
    let mut read = Read::default();
    for _ in 0..BATCH {
        let Some(record) = guard.get_inner_mut().next() else {
            guard.clear_ready();
            return Ok(read);
        };
        match event(&record) {
            Some(event) => read.events.push(event),
            None => read.unread += 1,
        }
    }
    read.is_full = true;
    Ok(read)
}

/// A record as an event, if it is one of this version.
fn event(record: &[u8]) -> Option<Event> {
    if record.len() != size_of::<Event>() {
        return None;
    }
    // SAFETY: the record is of the event's size, and every pattern of its integers is one.
    let event = unsafe { record.as_ptr().cast::<Event>().read_unaligned() };
    Kind::from_number(event.kind).map(|_| event)
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn a_record_of_another_size_or_kind_is_no_event() {
        let mut octets = vec![0; size_of::<Event>()];
        octets[offset_of!(Event, kind)] = Kind::Denied as u8;
        octets[offset_of!(Event, step)] = 7;
        assert_eq!(event(&octets).map(|event| (event.kind, event.step)), Some((Kind::Denied as u8, 7)));
        let longer = [octets.as_slice(), &[0; 8]].concat();
        for other in [&longer[..], &octets[..octets.len() - 8], &[]] {
            assert_eq!(event(other), None, "{}", other.len());
        }
        octets[offset_of!(Event, kind)] = 0xff;
        assert_eq!(event(&octets), None);
    }
}
