use pgoutput::message::{Begin, Commit};
use pgoutput::replication::ReplicationMessage;
use pgoutput::{Lsn, Message, Oid, PgTimestamp, decode, encode};
use proptest::prelude::*;

use super::*;

const TOP: Xid = Xid(100);

fn data(wal_start: u64, payload: &[u8]) -> XLogData<'_> {
    let wal_start = Lsn::new(wal_start);
    XLogData { wal_start, wal_end: wal_start, sent_at: PgTimestamp::new(9), payload }
}

fn commit() -> StreamCommit {
    StreamCommit {
        xid: TOP,
        commit_lsn: Lsn::new(900),
        end_lsn: Lsn::new(950),
        committed_at: PgTimestamp::new(5),
    }
}

fn abort(sub_xid: Xid) -> StreamAbort {
    StreamAbort { xid: TOP, sub_xid, aborted: None }
}

/// A spill in a folder of its own.
struct Bench {
    spill: Spill,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new(server_version_num: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::make(directory.path(), "c").unwrap());
        Self { spill: Spill::new(folder, 1 << 20, server_version_num), directory }
    }

    /// One part of a transaction.
    fn part(&mut self, xid: Xid, messages: &[(Tag, Xid, u64, Vec<u8>)]) {
        self.spill.start(xid);
        for (tag, part, at, body) in messages {
            let piece = Piece { xid, part: *part, tag: *tag, body };
            let write = self.spill.keep(&piece, &data(*at, b""), received);
            self.write(write.unwrap());
        }
        let rest = self.spill.stop(xid);
        self.write(rest);
    }

    fn write(&mut self, write: Option<Write>) {
        if let Some(write) = write {
            self.spill.written(write.run()).unwrap();
        }
    }

    fn committed(&mut self) -> Replay {
        match self.spill.commit(&commit(), &data(950, b"")) {
            Committed::Kept(replay) => replay,
            Committed::Unclear | Committed::Unknown => panic!("it was kept"),
        }
    }

    /// What comes of the transaction: position and bytes of each message.
    fn replay(&mut self) -> Vec<(u64, Vec<u8>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut all = Vec::new();
            let mut replay = self.committed();
            while let Some(chunk) = self.spill.next_of(&mut replay).await.unwrap() {
                all.extend(chunk.messages().map(|message| match message {
                    ReplicationMessage::XLogData(data) => {
                        (data.wal_start.as_u64(), data.payload.to_vec())
                    }
                    ReplicationMessage::PrimaryKeepalive(_) => panic!("none was kept"),
                }));
            }
            all
        })
    }

    fn files(&self) -> usize {
        let folders = std::fs::read_dir(self.directory.path().join("tributary-c")).unwrap();
        let inside = |path: &std::path::Path| std::fs::read_dir(path).map_or(0, Iterator::count);
        folders.map(|entry| inside(&entry.unwrap().path())).sum()
    }
}

/// Bytes as they lie in a receive buffer, with some room behind them.
fn received(bytes: &[u8]) -> Bytes {
    let mut buffer = bytes::BytesMut::with_capacity(bytes.len() + 2 * block::BLOCK_BYTES);
    buffer.extend_from_slice(bytes);
    buffer.freeze()
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode::message(message, &mut out);
    out
}

fn begin(at: u64) -> (u64, Vec<u8>) {
    let StreamCommit { xid, commit_lsn, committed_at, .. } = commit();
    (at, encoded(&Message::Begin(Begin { final_lsn: commit_lsn, committed_at, xid })))
}

fn end() -> (u64, Vec<u8>) {
    let StreamCommit { commit_lsn, end_lsn, committed_at, .. } = commit();
    (950, encoded(&Message::Commit(Commit { commit_lsn, end_lsn, committed_at })))
}

fn insert(part: Xid, at: u64, body: &[u8]) -> (Tag, Xid, u64, Vec<u8>) {
    (Tag::Change(b'I'), part, at, body.to_vec())
}

fn relation(part: Xid, version: u8) -> (Tag, Xid, u64, Vec<u8>) {
    (Tag::Relation(Oid(7)), part, 0, vec![0, 0, 0, 7, version])
}

fn described(version: u8) -> (u64, Vec<u8>) {
    (0, vec![b'R', 0, 0, 0, 7, version])
}

#[test]
fn a_large_message_is_read_again_into_what_it_came_in() {
    let mut bench = Bench::new(150_000);
    let body = vec![b'x'; 3 * BUFFER_BYTES];
    bench.part(TOP, &[insert(TOP, 10, b"small"), insert(TOP, 20, &body), insert(TOP, 30, b"x")]);
    let (_, large) = bench.spill.large.as_ref().unwrap();
    let place = large.as_ptr().addr()..large.as_ptr().addr() + large.capacity();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut where_it_is = None;
    runtime.block_on(async {
        let mut replay = bench.committed();
        while let Some(chunk) = bench.spill.next_of(&mut replay).await.unwrap() {
            for message in chunk.messages() {
                let ReplicationMessage::XLogData(data) = message else { continue };
                if data.payload.ends_with(&body) {
                    where_it_is = Some(data.payload.as_ptr().addr());
                }
            }
        }
    });
    assert!(place.contains(&where_it_is.unwrap()));
}

#[test]
fn what_a_large_message_came_in_goes_with_its_transaction() {
    let mut bench = Bench::new(150_000);
    let body = vec![b'x'; 3 * BUFFER_BYTES];
    bench.part(TOP, &[insert(TOP, 10, &body)]);
    assert!(bench.spill.large.is_some());
    bench.spill.abort(&abort(TOP));
    assert!(bench.spill.large.is_none());
}

#[test]
fn what_rolled_back_is_left_out_and_the_rest_looks_like_any_transaction() {
    let mut bench = Bench::new(170_000);
    let (child, grandchild) = (Xid(101), Xid(102));
    bench.part(TOP, &[relation(child, 1), insert(child, 10, b"undone")]);
    bench.spill.abort(&abort(child));
    bench.part(TOP, &[relation(TOP, 1), insert(TOP, 20, b"a"), insert(grandchild, 20, b"undone")]);
    bench.spill.abort(&abort(grandchild));
    bench.part(TOP, &[relation(TOP, 1), insert(TOP, 30, b"b")]);
    let told = [begin(20), described(1), (20, b"Ia".to_vec()), (30, b"Ib".to_vec()), end()];
    assert_eq!(bench.replay(), told);
    assert_eq!((bench.files(), bench.spill.status()), (0, None));
    assert!(matches!(decode(&told[0].1, false), Ok(Message::Begin(_))));
}

#[test]
fn a_description_is_told_again_when_the_server_had_a_reason() {
    let mut bench = Bench::new(170_000);
    bench.part(TOP, &[relation(TOP, 1), insert(TOP, 10, b"a"), relation(TOP, 1)]);
    bench.part(TOP, &[insert(TOP, 20, b"b"), relation(TOP, 2), insert(TOP, 30, b"c")]);
    // Outside, the server has described the table since.
    bench.spill.outside(&described(3).1);
    let change = |at, body: &[u8]| (at, body.to_vec());
    let told = [
        begin(10),
        described(1),
        change(10, b"Ia"),
        described(1),
        change(20, b"Ib"),
        described(2),
        change(30, b"Ic"),
        end(),
        described(3),
    ];
    assert_eq!(bench.replay(), told);
}

#[test]
fn of_a_transaction_without_a_change_is_told_what_the_server_tells() {
    for (server_version_num, told) in [(170_000, vec![]), (140_000, vec![begin(950), end()])] {
        let mut bench = Bench::new(server_version_num);
        bench.part(TOP, &[insert(Xid(101), 10, b"undone")]);
        bench.spill.abort(&abort(Xid(101)));
        assert_eq!(bench.replay(), told);
    }
}

#[test]
fn a_transaction_that_rolled_back_leaves_nothing() {
    let mut bench = Bench::new(170_000);
    bench.part(TOP, &[insert(TOP, 10, b"undone")]);
    bench.part(Xid(200), &[insert(Xid(200), 11, b"other")]);
    let open = |bench: &Bench| bench.spill.status().map(|status| status.open);
    assert_eq!((bench.files(), open(&bench)), (2, Some(2)));
    bench.spill.abort(&abort(TOP));
    assert_eq!((bench.files(), open(&bench)), (1, Some(1)));
    assert!(matches!(bench.spill.commit(&commit(), &data(950, b"")), Committed::Unknown));
}

/// The server gives all logical messages of a transaction its own id, also those of subtransactions.
#[test]
fn a_message_that_may_have_rolled_back_makes_the_transaction_unclear() {
    let message = (Tag::Change(b'M'), TOP, 10, b"m".to_vec());
    for (before, after, is_unclear) in [(true, false, true), (false, true, false)] {
        let mut bench = Bench::new(170_000);
        let part = |wanted: bool| if wanted { vec![message.clone()] } else { Vec::new() };
        bench.part(TOP, &part(before));
        bench.spill.abort(&abort(Xid(101)));
        bench.part(TOP, &part(after));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let committed = bench.spill.commit(&commit(), &data(950, b""));
        assert_eq!(matches!(committed, Committed::Unclear), is_unclear);
    }
}

#[test]
fn more_than_may_be_kept_is_an_error() {
    let mut bench = Bench::new(170_000);
    bench.spill.start(TOP);
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let noise: Vec<u8> = (0..1_200_000).map(|_| next()).collect();
    let piece = Piece { xid: TOP, part: TOP, tag: Tag::Change(b'I'), body: &noise };
    let write = bench.spill.keep(&piece, &data(1, b""), Bytes::copy_from_slice).unwrap();
    let full = bench.spill.written(write.unwrap().run()).unwrap_err();
    assert_eq!(full.code(), "CO050");
}

#[test]
fn a_full_disk_may_have_room_later() {
    let mut bench = Bench::new(170_000);
    bench.part(TOP, &[insert(TOP, 10, b"a")]);
    let kept = bench.spill.status().unwrap().spilled_bytes;
    std::os::unix::fs::symlink("/dev/full", bench.spill.folder.path().join("1")).unwrap();
    bench.spill.start(Xid(200));
    let piece = Piece { xid: Xid(200), part: Xid(200), tag: Tag::Change(b'I'), body: b"a" };
    bench.spill.keep(&piece, &data(1, b""), Bytes::copy_from_slice).unwrap();
    let full = bench.spill.stop(Xid(200)).unwrap();
    let error = bench.spill.written(full.run()).unwrap_err();
    assert_eq!((error.code(), error.class()), ("CO052", crate::Class::Transient));
    let text = error.to_string();
    let folder = bench.spill.folder.path().display().to_string();
    assert!(text.contains(&format!("{kept} bytes")) && text.contains(&folder), "{text}");
}

#[test]
fn a_file_that_is_gone_is_an_error() {
    let mut bench = Bench::new(170_000);
    bench.part(TOP, &[insert(TOP, 10, b"a")]);
    std::fs::remove_dir_all(bench.directory.path().join("tributary-c")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let replayed = runtime.block_on(async {
        let mut replay = bench.committed();
        bench.spill.next_of(&mut replay).await
    });
    let error = replayed.err().unwrap();
    assert_eq!(error.code(), "CO051");
    bench.spill.start(TOP);
    let piece = Piece { xid: TOP, part: TOP, tag: Tag::Change(b'I'), body: b"a" };
    bench.spill.keep(&piece, &data(1, b""), Bytes::copy_from_slice).unwrap();
    let write = bench.spill.stop(TOP).unwrap();
    assert_eq!(bench.spill.written(write.run()).unwrap_err().code(), "CO051");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Each part: the transaction, and its messages with subtransaction and length; between parts some subtransactions roll back.
    #[test]
    fn transactions_come_whole_however_they_interleave(
        parts in prop::collection::vec((0..3_u32, prop::collection::vec((0..6_u32, 0..100_000_usize), 0..8), 0..12_u32), 1..12)
    ) {
        let mut bench = Bench::new(170_000);
        bench.spill.bytes_max = u64::MAX;
        let (mut kept, mut gone, mut at) = (Vec::new(), Vec::new(), 0);
        for (transaction, messages, rolls_back) in parts {
            let xid = Xid(TOP.0 + 100 * transaction);
            let messages: Vec<_> = messages.into_iter().map(|(part, length)| {
                at += 10;
                let body: Vec<u8> = (0..length).map(|n| n.to_le_bytes()[0] ^ u64::to_le_bytes(at)[0]).collect();
                insert(Xid(xid.0 + part), at, &body)
            }).collect();
            bench.part(xid, &messages);
            if xid == TOP {
                kept.extend(messages);
            }
            let part = Xid(xid.0 + rolls_back);
            if (1..6).contains(&rolls_back) && bench.spill.open.contains_key(&xid) {
                bench.spill.abort(&StreamAbort { xid, sub_xid: part, aborted: None });
                if xid == TOP { gone.push(part); }
            }
        }
        let kept: Vec<_> = kept.into_iter().filter(|(_, part, ..)| !gone.contains(part)).collect();
        if bench.spill.open.contains_key(&TOP) {
            let mut told: Vec<_> = kept.first().map(|(_, _, at, _)| begin(*at)).into_iter().collect();
            told.extend(kept.iter().map(|(_, _, at, body)| (*at, [b"I", &body[..]].concat())));
            told.extend(kept.first().map(|_| end()));
            prop_assert_eq!(bench.replay(), told);
        }
    }
}
