//! Reading tables as of an exported snapshot, by COPY, with as many readers as wanted.
//!
//! In: the snapshot's name and what to copy. Out: COPY text in chunks of whole lines, columns in the stream's order.
//! Each COPY has a transaction of its own, which imports the snapshot again, so that no table stays locked while others are
//! read: an `ALTER TABLE` that waits for such a lock makes every statement behind it wait too. A table whose rows were written
//! anew between two of them looks empty to the old snapshot; that is found out by its file.
//! Never here: parsing of values, progress, retries. A query must name a table that holds rows: `ONLY` keeps inheriting
//! tables out, and a partitioned root is read leaf by leaf, because a `ctid` says nothing across leaves.
//! Source: PostgreSQL manual, `COPY`, `SET TRANSACTION SNAPSHOT`, "TID Range Scan".

use bytes::{Buf, Bytes, BytesMut};
use pgoutput::Oid;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use crate::name::{quote_identifier, quote_literal};
use crate::session::{
    COPY_DATA, CommandError, HEADER_BYTES, Purpose, READ_BYTES, Session, cut, frame_len,
    impossible_length, server_error, unexpected, while_it_lives,
};
use crate::sqlstate::{is_missing_snapshot, is_redefined, statement_error};
use crate::{Connection, ConnectionConfig, PostgresError, ServerError, TableName};

/// A chunk is handed on once it has this size.
const CHUNK_BYTES: usize = 256 * 1024;

/// PostgreSQL can scan a range of `ctid`s without reading the whole table from here on.
pub(crate) const VERSION_NUM_TID_RANGE: u32 = 140_000;

const DURING: &str = "copying a table";

/// A range of a table's blocks, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtidRange {
    /// The first block.
    pub start_block: u32,
    /// The first block no longer in it; `None` reads to the end of the table.
    pub end_block: Option<u32>,
}

impl CtidRange {
    /// The whole table.
    pub const WHOLE: Self = Self { start_block: 0, end_block: None };

    /// Cuts the range into pieces of `step_blocks`, of a table that has `blocks` of them. A range without end keeps none: the
    /// last piece has what was added since.
    pub fn cut(self, blocks: u32, step_blocks: u32) -> Vec<Self> {
        let step = step_blocks.max(1);
        let end = self.end_block.unwrap_or(blocks);
        let mut pieces = Vec::new();
        let mut start_block = self.start_block;
        while let Some(next) = start_block.checked_add(step).filter(|next| *next < end) {
            pieces.push(Self { start_block, end_block: Some(next) });
            start_block = next;
        }
        pieces.push(Self { start_block, end_block: self.end_block });
        pieces
    }
}

/// What to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyQuery {
    /// The table that holds the rows: an ordinary table or a leaf partition.
    pub table: TableName,
    /// The columns, in the order the stream sends them.
    pub columns: Vec<String>,
    /// Only these blocks; `None` is the whole table.
    pub ctid_range: Option<CtidRange>,
    /// Only rows for which this SQL condition holds.
    pub predicate: Option<String>,
    /// Instead of the table, the rows of this SELECT (`snapshot.select.statement.overrides`); must have `columns`.
    /// It is read whole: `ctid_range` does not apply.
    pub select_override: Option<String>,
}

impl CopyQuery {
    /// The statement.
    pub fn sql(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| quote_identifier(name)).collect();
        let columns = columns.join(", ");
        let mut conditions = Vec::new();
        let source = if let Some(select) = &self.select_override {
            format!("({}) AS snapshot_override", select.trim().trim_end_matches(';'))
        } else {
            if let Some(range) = self.ctid_range {
                conditions.push(format!("ctid >= '({},0)'::tid", range.start_block));
                conditions.extend(range.end_block.map(|end| format!("ctid < '({end},0)'::tid")));
            }
            format!("ONLY {}", self.table.quoted())
        };
        conditions.extend(self.predicate.as_ref().map(|predicate| format!("({predicate})")));
        let filter = if conditions.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", conditions.join(" AND "))
        };
        format!("COPY (SELECT {columns} FROM {source}{filter}) TO STDOUT")
    }
}

/// A session that sees exactly what an exported snapshot saw.
pub struct SnapshotReader {
    session: Session,
    snapshot: String,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The snapshot is imported, nothing was copied in this transaction.
    Imported,
    /// A COPY was started and not read to its end.
    Copying,
    /// A COPY was read to its end; the transaction still holds the table's lock.
    Copied,
    /// No transaction is open.
    Ended,
}

impl SnapshotReader {
    /// Opens a session and imports the snapshot: `REPEATABLE READ READ ONLY`.
    ///
    /// Errors: [`PostgresError::SnapshotGone`] when the exporting session has ended.
    pub async fn open(config: &ConnectionConfig, snapshot: &str) -> Result<Self, PostgresError> {
        let mut session = Session::open(config, Purpose::Sql).await?;
        for statement in &config.initial_statements {
            let done = session.command(statement).await;
            done.map_err(|error| {
                error.while_doing(format!("run the initial statement `{statement}`"))
            })?;
        }
        // With row_security off a policy is an error; on, it would hide rows in silence.
        let done = session.command("SET row_security = off").await;
        done.map_err(|error| error.while_doing("prepare a session for a snapshot"))?;
        let mut reader = Self { session, snapshot: snapshot.to_owned(), state: State::Imported };
        reader.import().await?;
        Ok(reader)
    }

    async fn import(&mut self) -> Result<(), PostgresError> {
        let begun = self.session.command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
        begun.map_err(|error| error.while_doing("begin the snapshot transaction"))?;
        let import = format!("SET TRANSACTION SNAPSHOT {}", quote_literal(&self.snapshot));
        match self.session.command(&import).await {
            Ok(_) => Ok(()),
            Err(CommandError::Refused(source)) if is_missing_snapshot(&source.sqlstate) => {
                Err(PostgresError::SnapshotGone { snapshot: self.snapshot.clone(), source })
            }
            Err(error) => Err(error.while_doing("import the snapshot")),
        }
    }

    /// Starts a COPY in a transaction of its own. What was not read of the one before is read and thrown away first.
    ///
    /// Errors: as [`Self::open`].
    pub async fn copy(&mut self, query: &CopyQuery) -> Result<CopyStream<'_>, PostgresError> {
        let action = format!("copy {}", query.table);
        if self.state == State::Copying {
            let mut rest = CopyStream::new(self, query, action.clone());
            while rest.next().await?.is_some() {}
        }
        if self.state == State::Copied {
            self.end().await?;
        }
        if self.state == State::Ended {
            self.import().await?;
        }
        let sql = query.sql();
        self.session.wire.send(|buffer| frontend::query(&sql, buffer)).await?;
        self.state = State::Copying;
        Ok(CopyStream::new(self, query, action))
    }

    /// The file that holds the rows of the table of this name now; 0 if there is none. Asked right after a COPY of that table, which
    /// still holds its lock, it is the file that was read: also if another table had its name when the COPY was planned.
    pub async fn filenode(&mut self, table: &TableName) -> Result<u32, PostgresError> {
        let name = quote_literal(&table.quoted());
        let sql = format!("SELECT pg_relation_filenode(to_regclass({name}))");
        let rows = self.session.command(&sql).await;
        let rows = rows.map_err(|error| error.while_doing("look at the file of a table"))?;
        let filenode = rows.into_iter().flatten().flatten().next();
        Ok(filenode.and_then(|filenode| filenode.parse().ok()).unwrap_or_default())
    }

    /// Ends the transaction, and with it the lock on what was copied.
    pub async fn end(&mut self) -> Result<(), PostgresError> {
        let ended = self.session.command("ROLLBACK").await;
        ended.map_err(|error| error.while_doing("end the snapshot transaction"))?;
        self.state = State::Ended;
        Ok(())
    }
}

/// COPY text of one query, in chunks of whole lines.
pub struct CopyStream<'a> {
    reader: &'a mut SnapshotReader,
    action: String,
    /// The statement was made from nothing but the table's description.
    is_plain: bool,
    lines: BytesMut,
    refused: Option<Box<ServerError>>,
}

impl<'a> CopyStream<'a> {
    fn new(reader: &'a mut SnapshotReader, query: &CopyQuery, action: String) -> Self {
        let is_plain = query.select_override.is_none() && query.predicate.is_none();
        Self { reader, action, is_plain, lines: BytesMut::new(), refused: None }
    }

    /// The next chunk: whole lines of COPY text format, each with its newline. `None` after the last. Cancel-safe.
    ///
    /// Errors: what the server said, once; the session's transaction is over then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, PostgresError> {
        while self.reader.state == State::Copying {
            if self.take_rows()? {
                return Ok(Some(std::mem::take(&mut self.lines).freeze()));
            }
            match self.next_other()? {
                // A row, or nothing that is complete.
                None => {
                    let Session { wire, facts, config } = &mut self.reader.session;
                    while_it_lives(config, facts, wire.receive(DURING)).await?;
                }
                Some(Message::ErrorResponse(body)) => {
                    self.refused = Some(Box::new(server_error(&body)));
                }
                Some(Message::ReadyForQuery(_)) => self.reader.state = State::Copied,
                Some(
                    Message::CopyOutResponse(_)
                    | Message::CopyDone
                    | Message::CommandComplete(_)
                    | Message::NoticeResponse(_)
                    | Message::ParameterStatus(_),
                ) => {}
                Some(_) => return Err(unexpected("a COPY")),
            }
        }
        if let Some(refused) = self.refused.take() {
            return Err(if self.is_plain && is_redefined(&refused.sqlstate) {
                PostgresError::Redefined { action: self.action.clone(), source: Some(refused) }
            } else {
                statement_error(self.action.clone(), refused)
            });
        }
        Ok((!self.lines.is_empty()).then(|| self.lines.split().freeze()))
    }

    /// Moves the rows that have come into the chunk; says whether it is full. One `CopyData` of a server is one line. A row that is
    /// larger than a chunk is one, and is not copied.
    fn take_rows(&mut self) -> Result<bool, PostgresError> {
        let unread = &mut self.reader.session.wire.unread;
        while self.lines.len() < CHUNK_BYTES {
            let Some(length) = frame_len(unread).map_err(impossible_length)? else {
                return Ok(false);
            };
            if unread[0] != COPY_DATA {
                return Ok(false);
            }
            if let Some(missing) = length.checked_sub(unread.len()).filter(|missing| *missing > 0) {
                // At once, since a buffer that doubles takes three times what it needs; and so that the last read has room.
                unread.reserve(missing + READ_BYTES);
                return Ok(false);
            }
            if length > CHUNK_BYTES {
                if self.lines.is_empty() {
                    self.lines = cut(unread, length);
                    self.lines.advance(HEADER_BYTES);
                }
                return Ok(true);
            }
            if self.lines.is_empty() {
                self.lines.reserve(CHUNK_BYTES + length);
            }
            self.lines.extend_from_slice(&unread[HEADER_BYTES..length]);
            unread.advance(length);
        }
        Ok(true)
    }

    /// The next message, if it is complete and not a row.
    fn next_other(&mut self) -> Result<Option<Message>, PostgresError> {
        let unread = &mut self.reader.session.wire.unread;
        if unread.first() == Some(&COPY_DATA) {
            return Ok(None);
        }
        let parsed = Message::parse(unread);
        parsed.map_err(|error| PostgresError::Protocol { what: error.to_string() })
    }
}

/// The first transaction id that no snapshot taken now can see, as 64 bits.
///
/// Source: PostgreSQL manual, "Transaction ID and Snapshot Information Functions".
pub async fn xmax(connection: &Connection) -> Result<u64, PostgresError> {
    const SQL: &str = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";
    let rows = connection.query("read the current snapshot", SQL, &[]).await?;
    let text: &str = rows.first().map_or("", |row| row.get(0));
    text.parse().map_err(|_| PostgresError::Protocol {
        what: format!("pg_snapshot_xmax() is `{text}`, not a number"),
    })
}

/// How the rows of a table are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableExtent {
    /// Its file: another one has its rows in other places.
    pub filenode: u32,
    /// Blocks of the file.
    pub blocks: u32,
    /// Bytes of a block.
    pub block_bytes: u64,
}

/// Looks how the rows of a table are stored; `None` if it is gone. Of a partitioned root: look at its leaves
/// ([`crate::catalog::partition_leaves`]).
///
/// Looked at after the snapshot was exported, no row it sees lies in a block that is not counted.
pub async fn extent(
    connection: &Connection,
    table: Oid,
) -> Result<Option<TableExtent>, PostgresError> {
    const SQL: &str = "SELECT pg_relation_filenode($1::oid), \
         coalesce(pg_relation_size($1::oid::regclass), 0) / current_setting('block_size')::int8, \
         current_setting('block_size')::int8";
    let rows = connection.query("measure a table", SQL, &[&table.0]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let filenode: Option<u32> = row.get(0);
    Ok(filenode.map(|filenode| TableExtent {
        filenode,
        blocks: u32::try_from(row.get::<_, i64>(1)).unwrap_or(u32::MAX),
        block_bytes: u64::try_from(row.get::<_, i64>(2)).unwrap_or_default(),
    }))
}

/// Whether the server can read some blocks of a table without reading all of it.
pub fn reads_ranges(connection: &Connection) -> bool {
    connection.server_version_num() >= VERSION_NUM_TID_RANGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_block_once_and_only_a_range_without_end_has_a_piece_without() {
        let range = |start_block, end_block| CtidRange { start_block, end_block };
        let whole = CtidRange::WHOLE;
        assert_eq!(whole.cut(0, 128), [whole]);
        assert_eq!(whole.cut(128, 128), [whole]);
        let pieces = [range(0, Some(128)), range(128, Some(256)), range(256, None)];
        assert_eq!(whole.cut(300, 128), pieces);
        assert_eq!(whole.cut(256, 128), [range(0, Some(128)), range(128, None)]);
        assert_eq!(range(100, Some(150)).cut(999, 128), [range(100, Some(150))]);
        assert_eq!(range(5, Some(9)).cut(7, 3), [range(5, Some(8)), range(8, Some(9))]);
        assert_eq!(range(900, None).cut(300, 128), [range(900, None)]);
        assert_eq!(whole.cut(u32::MAX, u32::MAX - 1).len(), 2);
    }

    #[test]
    fn a_query_says_exactly_which_rows_and_columns() {
        let mut query = CopyQuery {
            table: TableName::new("s", "T"),
            columns: vec!["a".to_owned(), "b\"c".to_owned()],
            ctid_range: Some(CtidRange { start_block: 5, end_block: Some(9) }),
            predicate: Some("a > 1 OR b".to_owned()),
            select_override: None,
        };
        assert_eq!(
            query.sql(),
            "COPY (SELECT \"a\", \"b\"\"c\" FROM ONLY \"s\".\"T\" WHERE ctid >= '(5,0)'::tid \
             AND ctid < '(9,0)'::tid AND (a > 1 OR b)) TO STDOUT"
        );
        query.select_override = Some("select * from s.\"T\" where a = 2;".to_owned());
        query.predicate = None;
        assert_eq!(
            query.sql(),
            "COPY (SELECT \"a\", \"b\"\"c\" FROM (select * from s.\"T\" where a = 2) \
             AS snapshot_override) TO STDOUT"
        );
    }
}
