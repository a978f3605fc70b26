//! The stream with transactions in progress, as a stream of committed ones.
//!
//! In: chunks of the walsender, in which parts of large transactions lie between whole ones. Out: the same chunks without those
//! parts, and each large transaction whole when it has committed, in the order of commits.
//! Nothing more is read from the walsender while a transaction is replayed; reports to PostgreSQL go on, they have a task of
//! their own.
//! Never: a message of a transaction that has not committed.
//! Source: PostgreSQL manual, "Logical Streaming Replication Protocol"; `docs/adr/0016-streamed-transactions.md`.

use std::future::pending;

use pgoutput::replication::{ReplicationMessage, XLogData, decode};
use pgoutput::{AssembleError, Lsn, Place, Streams, Tag, Xid};
use postgres::{Class, PostgresError, ReplicationStream, WalChunk};
use tokio::task::JoinHandle;

use crate::error::ConnectorError;
use crate::source::Chunk;
use crate::spill::{Committed, Replay, Spill, Write, Written};
use crate::status::StreamedStatus;

const NOT_SENT: &str = "for a transaction of which nothing came before";

/// A stream, and what is kept of transactions that it has sent in part.
pub(crate) struct Streamed {
    /// `None` once it is closed.
    stream: Option<ReplicationStream>,
    /// `None` if no transaction in progress was asked for.
    spill: Option<Spill>,
    places: Streams,
    /// The chunk that was read last, and how much of it was gone through.
    chunk: Option<WalChunk>,
    at: usize,
    writing: Option<JoinHandle<Written>>,
    replay: Option<Replay>,
    over: Option<Ended>,
}

/// Why transactions in progress cannot go on to come. Whole ones can.
#[derive(Debug)]
pub(crate) enum Ended {
    /// One came to the source by replication, and where it had committed there is told after its commit only.
    Origin,
    /// What of the one that committed here rolled back before is not known.
    Unclear(Lsn),
    /// The server failed. When it decodes a transaction that has not ended, what rolled back is in its way.
    Refused(PostgresError),
}

/// How far the chunk was gone through.
enum Route {
    /// Up to here it is for others.
    Pass(WalChunk),
    /// To its end, or to something that takes time.
    Kept,
    /// To what cannot be kept.
    Over,
}

/// What a message of a streamed transaction leads to.
enum Step {
    None,
    Write(Write),
    Replay(Replay),
    Over(Ended),
}

impl Streamed {
    /// What a walsender sends; with transactions in progress if there is a place to keep them.
    pub(crate) fn new(stream: ReplicationStream, spill: Option<Spill>) -> Self {
        Self {
            stream: Some(stream),
            spill,
            places: Streams::new(),
            chunk: None,
            at: 0,
            writing: None,
            replay: None,
            over: None,
        }
    }

    /// The next chunk, which may have nothing to say. Cancel-safe: a dropped future loses nothing.
    ///
    /// Errors: why the stream ended; what is wrong with the place where transactions are kept.
    pub(crate) async fn next(&mut self) -> Result<Chunk, ConnectorError> {
        let Some(stream) = self.stream.as_mut().filter(|_| self.over.is_none()) else {
            return pending().await;
        };
        let Some(spill) = &mut self.spill else {
            return Ok(Chunk::Wal(stream.next().await?));
        };
        if let Some(writing) = &mut self.writing {
            let written = writing.await;
            self.writing = None;
            spill.written(written.map_err(|_| ConnectorError::StageEnded { stage: "spill" })?)?;
        }
        if let Some(replay) = &mut self.replay {
            if let Some(chunk) = spill.next_of(replay).await? {
                return Ok(Chunk::Replay(chunk));
            }
            self.replay = None;
        }
        if self.chunk.is_none() {
            match stream.next().await {
                Ok(chunk) => self.chunk = Some(chunk),
                Err(error @ PostgresError::Statement { .. })
                    if error.class() == Class::Definite || error.is_decoding_failure() =>
                {
                    self.over = Some(Ended::Refused(error));
                    return Ok(Chunk::Over);
                }
                Err(error) => return Err(error.into()),
            }
            self.at = 0;
        }
        Ok(match self.route()? {
            Route::Pass(chunk) => Chunk::Wal(chunk),
            Route::Kept => Chunk::Kept,
            Route::Over => Chunk::Over,
        })
    }

    /// Goes on through the chunk.
    fn route(&mut self) -> Result<Route, ConnectorError> {
        let Self { chunk: Some(chunk), spill: Some(spill), .. } = self else {
            return Ok(Route::Kept);
        };
        let mut from = self.at;
        while let Some((length, body)) = chunk.frame_at(self.at) {
            let ReplicationMessage::XLogData(data) = decode(body)? else {
                self.at += length;
                continue;
            };
            let mut places = self.places;
            let place = places.place(data.wal_start, data.payload)?;
            if place == Place::Outside {
                spill.outside(data.payload);
                self.at += length;
                continue;
            }
            if self.at > from {
                // What lies before it goes first.
                return Ok(Route::Pass(chunk.part(from..self.at)));
            }
            let step = step(place, &data, spill, self.places.open(), chunk)?;
            self.places = places;
            self.at += length;
            match step {
                Step::None => from = self.at,
                Step::Write(write) => {
                    self.let_go();
                    self.writing = Some(tokio::task::spawn_blocking(|| write.run()));
                    return Ok(Route::Kept);
                }
                Step::Replay(replay) => {
                    self.let_go();
                    self.replay = Some(replay);
                    return Ok(Route::Kept);
                }
                Step::Over(ended) => {
                    self.over = Some(ended);
                    return Ok(Route::Over);
                }
            }
        }
        let passed = (self.at > from).then(|| chunk.part(from..self.at));
        self.chunk = None;
        Ok(passed.map_or(Route::Kept, Route::Pass))
    }

    /// What of the chunk was gone through is not held while something else takes memory and time.
    fn let_go(&mut self) {
        self.chunk = self.chunk.take().and_then(|chunk| chunk.behind(self.at));
        self.at = 0;
    }

    /// Everything before `flushed` is in Kafka: PostgreSQL may forget it.
    pub(crate) fn acknowledge(&self, flushed: Lsn) {
        if let Some(stream) = &self.stream {
            stream.acknowledge(flushed);
        }
    }

    /// It came upon something that only a stream of whole transactions can pass.
    pub(crate) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// What is kept, if anything.
    pub(crate) fn status(&self) -> Option<StreamedStatus> {
        self.spill.as_ref().and_then(Spill::status)
    }

    /// Ends reading, and forgets what is kept; the slot is free then. Says what it came upon, if so.
    pub(crate) async fn close(&mut self) -> Option<Ended> {
        self.spill = None;
        if let Some(stream) = self.stream.take() {
            stream.close().await;
        }
        self.over.take()
    }
}

fn step(
    place: Place<'_>,
    data: &XLogData<'_>,
    spill: &mut Spill,
    open: Option<Xid>,
    chunk: &WalChunk,
) -> Result<Step, ConnectorError> {
    let write = match place {
        Place::Outside => None,
        Place::Start(xid) => {
            spill.start(xid);
            None
        }
        Place::Inside(piece) if piece.tag == Tag::Origin => return Ok(Step::Over(Ended::Origin)),
        Place::Inside(piece) => spill.keep(&piece, data, |part| chunk.share(part))?,
        Place::Stop => open.and_then(|xid| spill.stop(xid)),
        Place::Abort(abort) => {
            spill.abort(&abort);
            None
        }
        Place::Commit(commit) => {
            let (message, lsn, place) = ("Stream Commit", data.wal_start, NOT_SENT);
            return match spill.commit(&commit, data) {
                Committed::Kept(replay) => Ok(Step::Replay(replay)),
                Committed::Unclear => Ok(Step::Over(Ended::Unclear(commit.end_lsn))),
                Committed::Unknown => Err(AssembleError::OutOfOrder { message, lsn, place }.into()),
            };
        }
    };
    Ok(write.map_or(Step::None, Step::Write))
}
