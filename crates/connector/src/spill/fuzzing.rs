//! Spill files of arbitrary bytes. For fuzzers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use pgoutput::replication::{ReplicationMessage, XLogData};
use pgoutput::{Lsn, PgTimestamp, StreamCommit, Xid};

use super::Kept;
use super::block;
use super::described::Described;
use super::folder::Folder;
use super::replay::Replay;

/// See [`crate::fuzzing::spill_blocks`].
pub(crate) fn blocks(bytes: &[u8]) {
    let _ = read(bytes);
    let mut file = Vec::new();
    let (one, other) = bytes.split_at(bytes.len() / 3);
    let written = block::write(&mut file, [one, other]);
    assert_eq!(written.ok(), u64::try_from(file.len()).ok());
    assert_eq!(read(&file).ok().as_deref(), Some(bytes));
    // The checksum is right and the rest is not.
    if let Some(packed) = bytes.get(12..) {
        let mut forged = bytes.to_vec();
        forged[4..8]
            .copy_from_slice(&u32::try_from(packed.len()).unwrap_or_default().to_le_bytes());
        forged[8..12].copy_from_slice(&crc32c::crc32c(packed).to_le_bytes());
        let _ = read(&forged);
    }
}

fn read(mut file: &[u8]) -> std::io::Result<Vec<u8>> {
    let (mut packed, mut out) = (Vec::new(), Vec::new());
    while !file.is_empty() {
        let before = (file.len(), out.len());
        let read = block::read(&mut file, &mut packed, &mut out)?;
        assert_eq!(u64::try_from(before.0 - file.len()).ok(), Some(read));
        assert!(out.len() - before.1 <= block::BLOCK_BYTES);
    }
    Ok(out)
}

/// See [`crate::fuzzing::spill_records`].
pub(crate) fn records(bytes: &[u8]) {
    static FOLDER: OnceLock<Option<Arc<Folder>>> = OnceLock::new();
    let folder =
        FOLDER.get_or_init(|| Folder::make(&std::env::temp_dir(), "fuzzed").ok().map(Arc::new));
    let (Some(folder), Some((&aborted, raw))) = (folder, bytes.split_first()) else { return };
    let lsn = Lsn::new(900);
    let commit = StreamCommit {
        xid: Xid(100),
        commit_lsn: lsn,
        end_lsn: Lsn::new(950),
        committed_at: PgTimestamp::new(5),
    };
    let kept = Kept {
        file: Arc::new(folder.file()),
        bytes: 0,
        messages: 0,
        aborted: (0..u32::from(aborted)).map(Xid).collect(),
        is_marked: false,
        has_message: false,
        is_unclear: false,
    };
    let data =
        XLogData { wal_start: lsn, wal_end: lsn, sent_at: PgTimestamp::new(9), payload: b"" };
    let mut replay = Replay::start(kept, &commit, &data, Vec::new(), false);
    let mut tags: BTreeMap<u8, u64> = BTreeMap::new();
    for chunk in replay.of_bytes(raw, &mut Described::default()) {
        for message in chunk.messages() {
            let ReplicationMessage::XLogData(data) = message else { continue };
            assert!(data.payload.len() <= raw.len().max(64));
            *tags.entry(data.payload.first().copied().unwrap_or_default()).or_default() += 1;
        }
    }
    let count = |tag| tags.get(&tag).copied().unwrap_or_default();
    assert!(count(b'C') >= count(b'B').min(1), "what begins ends");
}
