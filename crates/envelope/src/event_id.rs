//! The id in the header of a record. In: the change's id. Out: its text. Never: two records of one change with one id: who
//! drops repeated ids would drop the create of a key change together with its delete.

use crate::position::SourcePosition;
use crate::settings::EncoderSettings;

/// Renders the id of one record: the change's, and after a dot which of its further records it is.
pub(crate) fn write(
    settings: &EncoderSettings,
    at: &SourcePosition<'_>,
    number: u8,
    out: &mut Vec<u8>,
) -> bool {
    let (Some(_), Some(id)) = (&settings.event_id_header, at.event_id) else {
        return false;
    };
    out.clear();
    write_lsn(id.commit_lsn.as_u64(), out);
    out.push(b':');
    write_lsn(id.change_lsn.as_u64(), out);
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(id.repeat).as_bytes());
    if number > 0 {
        out.extend_from_slice(&[b'.', b'0' + number]);
    }
    true
}

fn write_lsn(lsn: u64, out: &mut Vec<u8>) {
    write_hex(lsn >> 32, out);
    out.push(b'/');
    write_hex(lsn & 0xFFFF_FFFF, out);
}

fn write_hex(value: u64, out: &mut Vec<u8>) {
    let digits = (67 - (value | 1).leading_zeros()) / 4;
    out.extend(
        (0..digits).rev().map(|digit| b"0123456789ABCDEF"[(value >> (4 * digit) & 15) as usize]),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgoutput::{EventId, Lsn};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_read_like_those_of_changes(commit: u64, change: u64, repeat: u32, shift in 0..64) {
            let id = EventId {
                commit_lsn: Lsn::new(commit >> shift),
                change_lsn: Lsn::new(change),
                repeat,
            };
            let mut settings = EncoderSettings::new("p", "d", "1");
            settings.event_id_header = Some("id".to_owned());
            let at = SourcePosition {
                event_id: Some(id),
                snapshot: crate::SnapshotMarker::False,
                committed_at_unix_us: 0,
                processed_at_unix_ns: 0,
                xid: None,
                lsn: None,
                last_commit_lsn: None,
                origin: None,
                origin_lsn: None,
            };
            let mut out = Vec::new();
            prop_assert!(write(&settings, &at, 0, &mut out));
            prop_assert_eq!(String::from_utf8(out.clone()).unwrap(), id.to_string());
            prop_assert!(write(&settings, &at, 2, &mut out));
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{id}.2"));
        }
    }
}
