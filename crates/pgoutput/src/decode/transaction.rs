//! The messages that begin, end, cut and prepare transactions.
//!
//! In: the bytes after the tag. Out: the message. Never: whether it may stand here.
//! Source: PostgreSQL manual, "Logical Replication Message Formats".

use crate::DecodeError;
use crate::message::{
    Aborted, Begin, BeginPrepare, Commit, CommitPrepared, Origin, Prepare, RollbackPrepared,
    StreamAbort, StreamCommit, StreamPrepare, StreamStart,
};
use crate::reader::Reader;

/// Shape: `Int64` `final_lsn` · `Int64` time · `Int32` xid.
pub(super) fn begin(mut reader: Reader<'_>) -> Result<Begin, DecodeError> {
    let message = Begin {
        final_lsn: reader.lsn("final_lsn")?,
        committed_at: reader.timestamp("committed_at")?,
        xid: reader.xid()?,
    };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int8` flags, zero · `Int64` `commit_lsn` · `Int64` `end_lsn` · `Int64` time.
pub(super) fn commit(mut reader: Reader<'_>) -> Result<Commit, DecodeError> {
    reader.flags("flags", 0)?;
    let message = Commit {
        commit_lsn: reader.lsn("commit_lsn")?,
        end_lsn: reader.lsn("end_lsn")?,
        committed_at: reader.timestamp("committed_at")?,
    };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int64` `commit_lsn` on the origin · `String` name.
pub(super) fn origin(mut reader: Reader<'_>) -> Result<Origin<'_>, DecodeError> {
    let message = Origin { commit_lsn: reader.lsn("commit_lsn")?, name: reader.string("name")? };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int32` xid · `Int8` first segment (1) or not (0).
pub(super) fn stream_start(mut reader: Reader<'_>) -> Result<StreamStart, DecodeError> {
    let message =
        StreamStart { xid: reader.xid()?, first_segment: reader.flags("first_segment", 1)? == 1 };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int32` xid · `Int8` flags, zero · `Int64` `commit_lsn` · `Int64` `end_lsn` · `Int64` time.
pub(super) fn stream_commit(mut reader: Reader<'_>) -> Result<StreamCommit, DecodeError> {
    let xid = reader.xid()?;
    reader.flags("flags", 0)?;
    let message = StreamCommit {
        xid,
        commit_lsn: reader.lsn("commit_lsn")?,
        end_lsn: reader.lsn("end_lsn")?,
        committed_at: reader.timestamp("committed_at")?,
    };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int32` xid · `Int32` xid of the subtransaction · with `streaming = parallel` `Int64` lsn · `Int64` time.
pub(super) fn stream_abort(mut reader: Reader<'_>) -> Result<StreamAbort, DecodeError> {
    let xid = reader.xid()?;
    let sub_xid = reader.u32("sub_xid").map(crate::Xid)?;
    // No version or flag tells: the option `streaming` decides, and with it the length.
    let aborted = if reader.rest().is_empty() {
        None
    } else {
        Some(Aborted { lsn: reader.lsn("abort lsn")?, at: reader.timestamp("aborted_at")? })
    };
    reader.finish()?;
    Ok(StreamAbort { xid, sub_xid, aborted })
}

/// Shape: `Int64` `prepare_lsn` · `Int64` `end_lsn` · `Int64` time · `Int32` xid · `String` gid.
pub(super) fn begin_prepare(mut reader: Reader<'_>) -> Result<BeginPrepare<'_>, DecodeError> {
    let message = BeginPrepare {
        prepare_lsn: reader.lsn("prepare_lsn")?,
        end_lsn: reader.lsn("end_lsn")?,
        prepared_at: reader.timestamp("prepared_at")?,
        xid: reader.xid()?,
        gid: reader.string("gid")?,
    };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int8` flags, zero · `Int64` `prepare_lsn` · `Int64` `end_lsn` · `Int64` time · `Int32` xid · `String` gid.
pub(super) fn prepare(mut reader: Reader<'_>) -> Result<Prepare<'_>, DecodeError> {
    reader.flags("flags", 0)?;
    let message = Prepare {
        prepare_lsn: reader.lsn("prepare_lsn")?,
        end_lsn: reader.lsn("end_lsn")?,
        prepared_at: reader.timestamp("prepared_at")?,
        xid: reader.xid()?,
        gid: reader.string("gid")?,
    };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int8` flags, zero · `Int64` `commit_lsn` · `Int64` `end_lsn` · `Int64` time · `Int32` xid · `String` gid.
pub(super) fn commit_prepared(mut reader: Reader<'_>) -> Result<CommitPrepared<'_>, DecodeError> {
    reader.flags("flags", 0)?;
    let message = CommitPrepared {
        commit_lsn: reader.lsn("commit_lsn")?,
        end_lsn: reader.lsn("end_lsn")?,
        committed_at: reader.timestamp("committed_at")?,
        xid: reader.xid()?,
        gid: reader.string("gid")?,
    };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int8` flags, zero · `Int64` `prepare_end_lsn` · `Int64` `rollback_end_lsn` · `Int64` time of prepare ·
/// `Int64` time of rollback · `Int32` xid · `String` gid.
pub(super) fn rollback_prepared(
    mut reader: Reader<'_>,
) -> Result<RollbackPrepared<'_>, DecodeError> {
    reader.flags("flags", 0)?;
    let message = RollbackPrepared {
        prepare_end_lsn: reader.lsn("prepare_end_lsn")?,
        rollback_end_lsn: reader.lsn("rollback_end_lsn")?,
        prepared_at: reader.timestamp("prepared_at")?,
        rolled_back_at: reader.timestamp("rolled_back_at")?,
        xid: reader.xid()?,
        gid: reader.string("gid")?,
    };
    reader.finish()?;
    Ok(message)
}

/// Shape: `Int8` flags, zero · `Int64` `prepare_lsn` · `Int64` `end_lsn` · `Int64` time · `Int32` xid · `String` gid.
pub(super) fn stream_prepare(mut reader: Reader<'_>) -> Result<StreamPrepare<'_>, DecodeError> {
    reader.flags("flags", 0)?;
    let message = StreamPrepare {
        prepare_lsn: reader.lsn("prepare_lsn")?,
        end_lsn: reader.lsn("end_lsn")?,
        prepared_at: reader.timestamp("prepared_at")?,
        xid: reader.xid()?,
        gid: reader.string("gid")?,
    };
    reader.finish()?;
    Ok(message)
}
