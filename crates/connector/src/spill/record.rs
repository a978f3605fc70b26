//! Records of a spill file: a message of a transaction in progress each, or the mark of a rollback. Pure.

use std::ops::Range;

use pgoutput::{Lsn, Xid};

/// Shape: `u32` part · `u64` position · `u32` length of what follows.
pub(super) const HEADER_BYTES: usize = 16;

/// Begins a record of `length` bytes, which come next.
pub(super) fn begin(part: Xid, at: u64, length: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&part.0.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
}

/// Some subtransaction has rolled back since the record before: no message is empty.
pub(super) fn mark(out: &mut Vec<u8>) {
    begin(Xid(0), 0, 0, out);
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The transaction, or the subtransaction of it that wrote this.
    pub(super) part: Xid,
    /// Position of the message; of a description, which has none, its number.
    pub(super) at: u64,
    /// Where the message is: from its tag on, without transaction id. Empty for a mark.
    pub(super) payload: Range<usize>,
}

impl Record {
    /// The position of a change.
    pub(super) fn lsn(&self) -> Lsn {
        Lsn::new(self.at)
    }
}

/// The record that begins at `start`. `Err` says how many bytes there must be for it.
pub(super) fn read(bytes: &[u8], start: usize) -> Result<Record, usize> {
    let behind = start + HEADER_BYTES;
    let header = bytes.get(start..behind).ok_or(behind)?;
    let (part, rest) = header.split_first_chunk::<4>().ok_or(behind)?;
    let (at, length) = rest.split_first_chunk::<8>().ok_or(behind)?;
    let length = length.first_chunk::<4>().ok_or(behind)?;
    let end = behind + u32::from_le_bytes(*length) as usize;
    if bytes.len() < end {
        return Err(end);
    }
    Ok(Record {
        part: Xid(u32::from_le_bytes(*part)),
        at: u64::from_le_bytes(*at),
        payload: behind..end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_once_it_is_whole() {
        let mut bytes = Vec::new();
        begin(Xid(9), 77, 3, &mut bytes);
        bytes.extend_from_slice(b"Iab");
        mark(&mut bytes);
        assert_eq!(read(&bytes, 0), Ok(Record { part: Xid(9), at: 77, payload: 16..19 }));
        assert_eq!(read(&bytes, 19), Ok(Record { part: Xid(0), at: 0, payload: 35..35 }));
        assert_eq!(read(&bytes[..18], 0), Err(19));
        assert_eq!(read(&bytes[..10], 0), Err(16));
        assert_eq!(read(&bytes, 35), Err(51));
    }
}
