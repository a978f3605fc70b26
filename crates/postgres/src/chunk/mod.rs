//! Reading a table chunk by chunk while the stream runs, each chunk in a short transaction of its own.
//!
//! In: a table, where the chunk before ended, how much to read. Out: a [`Chunk`]: rows as COPY text, and with them what
//! that very snapshot saw, so that the caller can tell which changes of the stream are in the rows and which are not.
//! Writes nothing. The table is locked against changes of its definition (`ACCESS SHARE`, what any SELECT takes) before the
//! snapshot is taken, so rows and description belong together.
//! Never here: which rows the stream makes stale, progress, retries.
//! Source: PostgreSQL manual, `LOCK TABLE` (notes on `REPEATABLE READ`), `COPY`, "System Information Functions".

mod plan;

use bytes::Bytes;
use futures_util::TryStreamExt;
use pgoutput::Oid;
use tokio_postgres::SimpleQueryMessage;

pub use self::plan::{Mark, Order};

use self::plan::{Leaf, end_of_records, key_query, last_key_query};
use crate::catalog::{self, CatalogHorizon, TableDescription, TableKind};
use crate::snapshot::{self, TableExtent};
use crate::sqlstate::is_undefined_table;
use crate::{Connection, ConnectionConfig, PostgresError, SlotName, TableName, connect};

const ACTION: &str = "read a chunk of a table";

/// A table that is renamed again and again is given up after this many attempts to lock it under its name.
const RENAMES_MAX: usize = 5;

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkQuery {
    /// The table; a partitioned root stands for all its partitions.
    pub table: Oid,
    /// A column to read in the order of, before the key.
    pub surrogate_key: Option<String>,
    /// Only rows for which this SQL condition holds.
    pub filter: Option<String>,
    /// Where the chunk before ended; `None` at the beginning.
    pub after: Option<Mark>,
    /// The last key of the table when its first chunk was read; `None` is looked up.
    pub until: Option<Mark>,
    /// Most rows of a chunk in the order of a key.
    pub rows_max: usize,
    /// Blocks of a chunk in the order of `ctid`.
    pub blocks_max: u32,
    /// Rows behind this many bytes are left for the next chunk.
    pub bytes_max: usize,
}

/// What was read.
#[derive(Debug)]
pub struct Chunk {
    /// The table as the snapshot saw it.
    pub description: TableDescription,
    /// The columns of a line: those that are wanted, then a surrogate key that is not among them.
    pub columns: Vec<String>,
    /// Which transactions the snapshot saw; what it saw had committed before `read_at`, where a record of the log ends.
    pub seen: CatalogHorizon,
    /// How the table is read.
    pub order: Order,
    /// Lines of COPY text, with their line feeds.
    pub lines: Vec<Bytes>,
    /// Whether the table is read to its end. In the order of a key: there are no more rows than these.
    pub is_last: bool,
    /// In the order of `ctid`: where the chunk ends. In the order of a key the last line says it.
    pub block_mark: Option<Mark>,
    /// The last key of the table when its first chunk was read.
    pub until: Option<Mark>,
    /// What was asked to begin behind does not fit the table any more (another key, rows moved by `VACUUM FULL`): the chunk
    /// is the first again.
    pub began_again: bool,
}

/// A session that reads chunks.
pub struct ChunkReader {
    connection: Connection,
    slot: SlotName,
    /// `wal_block_size`.
    log_page_bytes: u64,
}

impl ChunkReader {
    /// Opens the session. Rows that a policy would hide are an error, not a gap.
    pub async fn open(config: &ConnectionConfig, slot: &SlotName) -> Result<Self, PostgresError> {
        const PAGE: &str = "SELECT current_setting('wal_block_size')::int8";
        let connection = connect(config).await?;
        connection.run(ACTION, "SET row_security = off").await?;
        let rows = connection.query(ACTION, PAGE, &[]).await?;
        let log_page_bytes = rows.first().map_or(0, |row| row.get::<_, i64>(0));
        let log_page_bytes = u64::try_from(log_page_bytes).unwrap_or_default();
        Ok(Self { connection, slot: slot.clone(), log_page_bytes })
    }

    /// The session, for statements between two chunks.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Reads one chunk; `None` if the table does not exist (any more). `wanted` says which columns, one at least, with those of
    /// every key.
    ///
    /// Errors: what the server says to the condition or the table; the session can go on after it.
    pub async fn read(
        &self,
        query: &ChunkQuery,
        wanted: &(dyn Fn(&TableDescription) -> Vec<String> + Sync),
    ) -> Result<Option<Chunk>, PostgresError> {
        let read = self.read_in_transaction(query, wanted).await;
        let end = if read.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.connection.run(ACTION, end).await;
        let chunk = read?;
        ended?;
        Ok(chunk)
    }

    async fn read_in_transaction(
        &self,
        query: &ChunkQuery,
        wanted: &(dyn Fn(&TableDescription) -> Vec<String> + Sync),
    ) -> Result<Option<Chunk>, PostgresError> {
        let Some(description) = self.lock(query.table).await? else { return Ok(None) };
        let columns = wanted(&description);
        // Of the transaction's one snapshot, which the first look under the lock has taken.
        let mut seen = catalog::horizon(&self.connection, &self.slot).await?;
        seen.read_at = end_of_records(seen.read_at, self.log_page_bytes);
        let order = Order::of(&description, query.surrogate_key.as_deref());
        let mut chunk = Chunk {
            description,
            columns,
            seen,
            order,
            lines: Vec::new(),
            is_last: false,
            block_mark: None,
            until: query.until.clone(),
            began_again: false,
        };
        match chunk.order.clone() {
            _ if chunk.columns.is_empty() => chunk.is_last = true,
            Order::Key(key) => {
                let more = key.iter().filter(|name| !chunk.columns.contains(name));
                let more: Vec<String> = more.cloned().collect();
                chunk.columns.extend(more);
                self.read_by_key(query, &key, &mut chunk).await?;
            }
            Order::Ctid => self.read_by_ctid(query, &mut chunk).await?,
        }
        Ok(Some(chunk))
    }

    /// Begins the transaction and locks the table under the name it has, before the transaction has a snapshot.
    async fn lock(&self, table: Oid) -> Result<Option<TableDescription>, PostgresError> {
        const NAME: &str = "SELECT n.nspname::text, c.relname::text FROM pg_class c \
                            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
        for _ in 0..RENAMES_MAX {
            let rows = self.connection.query(ACTION, NAME, &[&table.0]).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let name = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
            let begin = format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                 LOCK TABLE ONLY {} IN ACCESS SHARE MODE",
                name.quoted()
            );
            match self.connection.run(format!("lock {name}"), &begin).await {
                Ok(()) => {}
                // Dropped or renamed between the two statements: the next look tells.
                Err(error) if is_undefined_table(&error) => {
                    self.connection.run(ACTION, "ROLLBACK").await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            match catalog::describe_table(&self.connection, table).await? {
                Some(description) if description.table_name() == name => {
                    return Ok(Some(description));
                }
                _ => self.connection.run(ACTION, "ROLLBACK").await?,
            }
        }
        Ok(None)
    }

    async fn read_by_key(
        &self,
        query: &ChunkQuery,
        columns: &[String],
        chunk: &mut Chunk,
    ) -> Result<(), PostgresError> {
        let fits = |mark: &Mark| matches!(mark, Mark::Key { columns: of, .. } if of == columns);
        let mut after = query.after.as_ref();
        chunk.began_again = !after.is_none_or(fits);
        if chunk.began_again || !chunk.until.as_ref().is_none_or(fits) {
            chunk.until = None;
            after = None;
        }
        if chunk.until.is_none() {
            let last = last_key_query(&chunk.description, columns, query.filter.as_deref());
            let values = self.connection.text_row(ACTION, &last).await?;
            let values = values.map(|values| values.into_iter().flatten().collect::<Vec<_>>());
            let Some(values) = values.filter(|values| values.len() == columns.len()) else {
                chunk.is_last = true;
                return Ok(());
            };
            chunk.until = Some(Mark::Key { columns: columns.to_vec(), values });
        }
        let sql = key_query(chunk, columns, query, after);
        let is_cut = self.copy(&sql, query.bytes_max, &mut chunk.lines).await?;
        chunk.is_last = !is_cut && chunk.lines.len() < query.rows_max;
        Ok(())
    }

    async fn read_by_ctid(
        &self,
        query: &ChunkQuery,
        chunk: &mut Chunk,
    ) -> Result<(), PostgresError> {
        let leaves = self.leaves(&chunk.description).await?;
        let begun = query.after.as_ref();
        let leaf = match begun {
            Some(Mark::Block { leaf, block, blocks, .. }) if block >= blocks => {
                leaves.iter().find(|next| next.oid.0 > *leaf)
            }
            Some(Mark::Block { leaf, .. }) => leaves.iter().find(|next| next.oid.0 >= *leaf),
            Some(Mark::Key { .. }) | None => leaves.first(),
        };
        chunk.began_again = matches!(begun, Some(Mark::Key { .. }));
        let Some(leaf) = leaf else {
            chunk.is_last = true;
            return Ok(());
        };
        let (mut block, mut blocks) = (0, leaf.blocks);
        if let Some(Mark::Block { leaf: of, filenode, block: next, blocks: total }) = begun
            && *of == leaf.oid.0
            && next < total
        {
            if *filenode == leaf.filenode {
                (block, blocks) = (*next, *total);
            } else {
                chunk.began_again = true;
            }
        }
        let end = block.saturating_add(query.blocks_max.max(1)).min(blocks);
        let sql = leaf.query(&chunk.columns, block..end, query.filter.as_deref(), self.server());
        // A range of blocks is read whole: where a row would be cut off there is no key to go on from.
        self.copy(&sql, usize::MAX, &mut chunk.lines).await?;
        let (of, filenode) = (leaf.oid.0, leaf.filenode);
        chunk.block_mark = Some(Mark::Block { leaf: of, filenode, block: end, blocks });
        let is_last_leaf = leaves.last().is_some_and(|last| last.oid == leaf.oid);
        chunk.is_last = end >= blocks && is_last_leaf;
        Ok(())
    }

    fn server(&self) -> u32 {
        self.connection.server_version_num()
    }

    /// The tables that hold the rows, in the order of their oids.
    async fn leaves(&self, table: &TableDescription) -> Result<Vec<Leaf>, PostgresError> {
        let parts = match table.kind {
            TableKind::PartitionedRoot => {
                catalog::partition_leaves(&self.connection, table.oid).await?
            }
            TableKind::Ordinary | TableKind::Partition => vec![(table.oid, table.table_name())],
        };
        let mut leaves = Vec::new();
        for (oid, name) in parts {
            let Some(extent) = snapshot::extent(&self.connection, oid).await? else { continue };
            let TableExtent { filenode, blocks, .. } = extent;
            leaves.push(Leaf { oid, name, filenode, blocks });
        }
        leaves.sort_by_key(|leaf| leaf.oid.0);
        Ok(leaves)
    }

    /// Copies lines until they have `bytes_max` together, but one at least; says whether some were left.
    async fn copy(
        &self,
        sql: &str,
        bytes_max: usize,
        lines: &mut Vec<Bytes>,
    ) -> Result<bool, PostgresError> {
        let stream = self.connection.answered(ACTION, self.connection.copy_out(sql)).await?;
        let mut stream = std::pin::pin!(stream);
        let mut bytes = 0;
        let mut is_cut = false;
        while let Some(line) = self.connection.answered(ACTION, stream.try_next()).await? {
            bytes += line.len();
            is_cut |= bytes > bytes_max && !lines.is_empty();
            if !is_cut {
                lines.push(line);
            }
        }
        Ok(is_cut)
    }
}

/// Transactions that hold the lock on their own id: every one that has written and is not over, also one whose commit is in
/// the log and waits for a standby. Ids are 32 bits wide.
///
/// Source: PostgreSQL manual, `pg_locks`.
pub async fn unfinished_transactions(
    connection: &Connection,
) -> Result<Vec<String>, PostgresError> {
    const SQL: &str = "SELECT transactionid FROM pg_locks \
                       WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted";
    let asked = connection.answered("list transactions", connection.simple_query(SQL));
    let messages = asked.await?;
    let id = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    Ok(messages.iter().filter_map(id).collect())
}
