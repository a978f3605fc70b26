//! Reading tables as of an exported snapshot, by COPY, with as many readers as wanted.
//!
//! In: the snapshot's name and what to copy. Out: COPY text in chunks of whole lines, columns in the stream's order.
//! Never here: parsing of values, progress, retries. A query must name a table that holds rows: `ONLY` keeps inheriting
//! tables out, and a partitioned root is read leaf by leaf, because a `ctid` says nothing across leaves.
//! Source: PostgreSQL manual, `COPY`, `SET TRANSACTION SNAPSHOT`, "TID Range Scan".

use bytes::{Buf, Bytes, BytesMut};
use pgoutput::Oid;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;

use crate::name::{quote_identifier, quote_literal};
use crate::session::{
    COPY_DATA, CommandError, HEADER_BYTES, Purpose, Session, frame_len, impossible_length,
    server_error, unexpected,
};
use crate::sqlstate::{is_missing_snapshot, statement_error};
use crate::{Connection, ConnectionConfig, PostgresError, ServerError, TableName};

/// A chunk is handed on once it has this size.
const CHUNK_BYTES: usize = 256 * 1024;

/// PostgreSQL can scan a range of `ctid`s without reading the whole table from here on.
const VERSION_NUM_TID_RANGE: u32 = 140_000;

const DURING: &str = "copying a table";

/// A range of a table's blocks, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtidRange {
    /// The first block.
    pub start_block: u32,
    /// The first block no longer in it; `None` reads to the end of the table.
    pub end_block: Option<u32>,
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
    /// A COPY was started and not read to its end.
    copying: bool,
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
        for statement in
            ["SET row_security = off", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]
        {
            let done = session.command(statement).await;
            done.map_err(|error| error.while_doing("begin the snapshot transaction"))?;
        }
        let import = format!("SET TRANSACTION SNAPSHOT {}", quote_literal(snapshot));
        match session.command(&import).await {
            Ok(_) => Ok(Self { session, copying: false }),
            Err(CommandError::Refused(source)) if is_missing_snapshot(&source.sqlstate) => {
                Err(PostgresError::SnapshotGone { snapshot: snapshot.to_owned(), source })
            }
            Err(error) => Err(error.while_doing("import the snapshot")),
        }
    }

    /// Starts a COPY. What was not read of the one before is read and thrown away first.
    pub async fn copy(&mut self, query: &CopyQuery) -> Result<CopyStream<'_>, PostgresError> {
        let action = format!("copy {}", query.table);
        if self.copying {
            let mut rest = CopyStream::new(self, action.clone());
            while rest.next().await?.is_some() {}
        }
        let sql = query.sql();
        self.session.wire.send(|buffer| frontend::query(&sql, buffer)).await?;
        self.copying = true;
        Ok(CopyStream::new(self, action))
    }
}

/// COPY text of one query, in chunks of whole lines.
pub struct CopyStream<'a> {
    reader: &'a mut SnapshotReader,
    action: String,
    lines: BytesMut,
    refused: Option<Box<ServerError>>,
}

impl<'a> CopyStream<'a> {
    fn new(reader: &'a mut SnapshotReader, action: String) -> Self {
        Self { reader, action, lines: BytesMut::new(), refused: None }
    }

    /// The next chunk: whole lines of COPY text format, each with its newline. `None` after the last. Cancel-safe.
    ///
    /// Errors: what the server said, once; the session's transaction is over then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, PostgresError> {
        while self.reader.copying {
            self.take_rows()?;
            if self.lines.len() >= CHUNK_BYTES {
                return Ok(Some(self.lines.split().freeze()));
            }
            match self.next_other()? {
                // A row, or nothing that is complete.
                None => self.reader.session.wire.receive(DURING).await?,
                Some(Message::ErrorResponse(body)) => {
                    self.refused = Some(Box::new(server_error(&body)));
                }
                Some(Message::ReadyForQuery(_)) => self.reader.copying = false,
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
            return Err(statement_error(self.action.clone(), refused));
        }
        Ok((!self.lines.is_empty()).then(|| self.lines.split().freeze()))
    }

    /// Moves the rows that have come into the chunk, until it is full. One `CopyData` of a server is one line.
    fn take_rows(&mut self) -> Result<(), PostgresError> {
        let unread = &mut self.reader.session.wire.unread;
        while self.lines.len() < CHUNK_BYTES {
            let Some(length) = frame_len(unread).map_err(impossible_length)? else {
                return Ok(());
            };
            if unread[0] != COPY_DATA || unread.len() < length {
                return Ok(());
            }
            self.lines.extend_from_slice(&unread[HEADER_BYTES..length]);
            unread.advance(length);
        }
        Ok(())
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

const SIZE: &str = "\
SELECT coalesce(pg_relation_size($1::oid::regclass), 0) / current_setting('block_size')::int8, \
       current_setting('block_size')::int8";

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

/// Cuts a table into ranges of about `bytes_per_chunk`; the last one is open. Before PostgreSQL 14, and for a table with
/// fewer bytes, the only range is the whole table (`None`). Of a partitioned root: plan its leaves
/// ([`crate::catalog::partition_leaves`]).
///
/// Plan after the snapshot was exported: then no row it sees lies in a block that is not counted.
pub async fn plan_chunks(
    connection: &Connection,
    table: Oid,
    bytes_per_chunk: u64,
) -> Result<Vec<Option<CtidRange>>, PostgresError> {
    if connection.server_version_num() < VERSION_NUM_TID_RANGE {
        return Ok(vec![None]);
    }
    let rows = connection.query("measure a table", SIZE, &[&table.0]).await?;
    let size = |index| {
        let number = rows.first().map_or(0, |row| row.get::<_, i64>(index));
        u64::try_from(number).unwrap_or(0)
    };
    Ok(ranges(size(0), size(1), bytes_per_chunk))
}

fn ranges(blocks: u64, block_bytes: u64, bytes_per_chunk: u64) -> Vec<Option<CtidRange>> {
    let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
    let step = bytes_per_chunk.checked_div(block_bytes).unwrap_or(1).max(1);
    let step = u32::try_from(step).unwrap_or(u32::MAX);
    if blocks <= step {
        return vec![None];
    }
    let starts = (0..blocks).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    let range = |start_block: u32| {
        let end_block = start_block.checked_add(step).filter(|end| *end < blocks);
        Some(CtidRange { start_block, end_block })
    };
    starts.map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_block_once_and_the_last_is_open() {
        let range = |start_block, end_block| Some(CtidRange { start_block, end_block });
        assert_eq!(ranges(0, 8192, 1 << 20), [None]);
        assert_eq!(ranges(128, 8192, 1 << 20), [None]);
        assert_eq!(
            ranges(300, 8192, 1 << 20),
            [range(0, Some(128)), range(128, Some(256)), range(256, None)]
        );
        assert_eq!(ranges(256, 8192, 1 << 20), [range(0, Some(128)), range(128, None)]);
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
