//! Bodies of `CopyData` on a replication connection.
//!
//! In: one body, without the `d` and length of `CopyData`. Out: the WAL data or keepalive in it; and the other way,
//! the bytes of a [`StandbyStatusUpdate`]. Never: reads the pgoutput message inside (that is [`crate::decode`]).
//! Source: PostgreSQL manual, "Streaming Replication Protocol", `START_REPLICATION`.

use crate::reader::Reader;
use crate::{DecodeError, Lsn, PgTimestamp};

/// What the server sends while it streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicationMessage<'a> {
    /// `w`: one message of the output plugin.
    XLogData(XLogData<'a>),
    /// `k`: where the server is, and whether it waits for an answer.
    PrimaryKeepalive(PrimaryKeepalive),
}

/// One message of the output plugin.
///
/// Shape: `Byte1('w')` · `Int64` `wal_start` · `Int64` `wal_end` · `Int64` `sent_at` · payload to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XLogData<'a> {
    /// Position of what the message is about; of a row change, its record in the log. Zero for Relation, Type, and a
    /// Begin that an Origin follows: so it is no watermark without a look at the message.
    pub wal_start: Lsn,
    /// The current end of WAL on the server; of logical replication, equal to `wal_start`.
    pub wal_end: Lsn,
    /// The server's clock when it sent this.
    pub sent_at: PgTimestamp,
    /// The pgoutput message.
    pub payload: &'a [u8],
}

/// The server's sign of life.
///
/// Shape: `Byte1('k')` · `Int64` `wal_end` · `Int64` `sent_at` · `Byte1` `reply_requested`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimaryKeepalive {
    /// Up to here the server has decoded, and sent what there was.
    pub wal_end: Lsn,
    /// The server's clock when it sent this.
    pub sent_at: PgTimestamp,
    /// The server wants a [`StandbyStatusUpdate`] at once, or it will close the connection.
    pub reply_requested: bool,
}

/// Reads the body of one `CopyData`.
///
/// Errors: [`DecodeError`] with the offset in `body`; never panics, whatever the bytes.
pub fn decode(body: &[u8]) -> Result<ReplicationMessage<'_>, DecodeError> {
    let mut reader = Reader::new("replication message", body);
    match reader.u8("tag")? {
        b'w' => {
            let mut reader = reader.renamed("XLogData");
            Ok(ReplicationMessage::XLogData(XLogData {
                wal_start: reader.lsn("wal_start")?,
                wal_end: reader.lsn("wal_end")?,
                sent_at: reader.timestamp("sent_at")?,
                payload: reader.rest(),
            }))
        }
        b'k' => {
            let mut reader = reader.renamed("PrimaryKeepalive");
            let keepalive = PrimaryKeepalive {
                wal_end: reader.lsn("wal_end")?,
                sent_at: reader.timestamp("sent_at")?,
                reply_requested: reader.flags("reply_requested", 1)? == 1,
            };
            reader.finish()?;
            Ok(ReplicationMessage::PrimaryKeepalive(keepalive))
        }
        tag => Err(DecodeError::UnknownMessage { protocol: "replication", tag }),
    }
}

/// What we tell the server: how far we are. The server may discard WAL before `flushed`.
///
/// Shape: `Byte1('r')` · `Int64` written · `Int64` flushed · `Int64` applied · `Int64` `sent_at` · `Byte1` `reply_requested`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandbyStatusUpdate {
    /// Received up to here.
    pub written: Lsn,
    /// Safe up to here; becomes the slot's `confirmed_flush_lsn`.
    pub flushed: Lsn,
    /// Visible to readers up to here.
    pub applied: Lsn,
    /// Our clock.
    pub sent_at: PgTimestamp,
    /// The server shall answer with a keepalive at once.
    pub reply_requested: bool,
}

impl StandbyStatusUpdate {
    /// Bytes of the body.
    pub const LENGTH_BYTES: usize = 34;

    /// The body of the `CopyData` to send.
    pub fn encode(&self) -> [u8; Self::LENGTH_BYTES] {
        let mut body = [0; Self::LENGTH_BYTES];
        body[0] = b'r';
        body[1..9].copy_from_slice(&self.written.as_u64().to_be_bytes());
        body[9..17].copy_from_slice(&self.flushed.as_u64().to_be_bytes());
        body[17..25].copy_from_slice(&self.applied.as_u64().to_be_bytes());
        body[25..33].copy_from_slice(&self.sent_at.micros().to_be_bytes());
        body[33] = u8::from(self.reply_requested);
        body
    }

    /// Reads what [`StandbyStatusUpdate::encode`] writes; for whoever plays the server.
    ///
    /// Errors: [`DecodeError`] with the offset in `body`.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("StandbyStatusUpdate", body);
        reader.expect(b'r', "tag", "`r`")?;
        let update = Self {
            written: reader.lsn("written")?,
            flushed: reader.lsn("flushed")?,
            applied: reader.lsn("applied")?,
            sent_at: reader.timestamp("sent_at")?,
            reply_requested: reader.flags("reply_requested", 1)? == 1,
        };
        reader.finish()?;
        Ok(update)
    }
}
