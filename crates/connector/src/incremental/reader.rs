//! The task that reads chunks, in a session of its own, so that the stream never waits for a table.
//!
//! In: one question at a time. Out: its answer, through a channel with one place.
//! With `read.only=false` it writes Debezium's marks into the signal table, before and after each chunk; nothing here needs them.
//! Source: Debezium documentation, `incremental.snapshot.watermarking.strategy`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres::catalog::TableDescription;
use postgres::chunk::{Chunk, ChunkQuery, ChunkReader, unfinished_transactions};
use postgres::{Class, PostgresError, quote_literal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{info, warn};
use uuid::Uuid;

use crate::error::ConnectorError;
use crate::settings::{MarkStrategy, Marks, Settings};
use crate::shape;

/// How often it is looked whether transactions are over.
const UNFINISHED_PAUSE: Duration = Duration::from_millis(100);
/// How long they are waited for in silence.
const UNFINISHED_SILENCE: Duration = Duration::from_secs(10);

/// A chunk to read.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) number: u64,
    pub(super) query: ChunkQuery,
    /// Before it is read.
    pub(super) pause: Duration,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Which question this is the answer to.
    pub(crate) number: u64,
    /// The chunk; `None` if the table is gone.
    pub(crate) outcome: Result<Option<Chunk>, PostgresError>,
    /// How long the server took.
    pub(crate) read_in: Duration,
}

/// The connector's end of the task.
pub(super) struct Reader {
    settings: Arc<Settings>,
    /// Transactions may have been delivered that nobody remembers.
    resumes: bool,
    running: Option<Running>,
}

struct Running {
    asks: mpsc::Sender<Ask>,
    answers: mpsc::Receiver<Answer>,
    /// Held for its drop: the task ends with the connector.
    _task: JoinSet<()>,
}

impl Reader {
    pub(super) fn new(settings: &Arc<Settings>, resumes: bool) -> Self {
        Self { settings: Arc::clone(settings), resumes, running: None }
    }

    /// Asks for a chunk. What was asked for before is still answered; says `false` while too much of that is left.
    pub(super) fn ask(&mut self, ask: Ask) -> bool {
        let running = match &mut self.running {
            Some(running) => running,
            None => self.running.insert(start(Work {
                settings: Arc::clone(&self.settings),
                marks: self.settings.incremental.marks.clone(),
                resumes: self.resumes,
            })),
        };
        running.asks.try_send(ask).is_ok()
    }

    /// The next answer; never, while nothing was asked for. Safe to cancel.
    ///
    /// Errors: [`ConnectorError::StageEnded`].
    pub(super) async fn answer(&mut self) -> Result<Answer, ConnectorError> {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let answer = running.answers.recv().await;
        answer.ok_or(ConnectorError::StageEnded { stage: "chunk reader" })
    }
}

struct Work {
    settings: Arc<Settings>,
    marks: Option<Marks>,
    resumes: bool,
}

fn start(work: Work) -> Running {
    // A question that is given up is followed by another before its answer has come.
    let (asks, inbox) = mpsc::channel(4);
    let (outbox, answers) = mpsc::channel(1);
    let mut task = JoinSet::new();
    task.spawn(work.run(inbox, outbox));
    Running { asks, answers, _task: task }
}

impl Work {
    async fn run(mut self, mut inbox: mpsc::Receiver<Ask>, outbox: mpsc::Sender<Answer>) {
        let mut reader = None;
        while let Some(ask) = inbox.recv().await {
            let Ask { number, query, pause } = ask;
            tokio::time::sleep(pause).await;
            let began = Instant::now();
            let outcome = match self.open(&mut reader).await {
                Ok(reader) => self.read(reader, &query).await,
                Err(error) => Err(error),
            };
            let answer = Answer { number, outcome, read_in: began.elapsed() };
            if outbox.send(answer).await.is_err() {
                return;
            }
        }
    }

    async fn open<'a>(
        &mut self,
        reader: &'a mut Option<ChunkReader>,
    ) -> Result<&'a ChunkReader, PostgresError> {
        if let Some(open) = reader {
            return Ok(open);
        }
        let open = ChunkReader::open(&self.settings.source, &self.settings.slot.name).await?;
        if std::mem::take(&mut self.resumes) {
            wait_for_unfinished(&open).await?;
        }
        Ok(reader.insert(open))
    }

    async fn read(
        &mut self,
        reader: &ChunkReader,
        query: &ChunkQuery,
    ) -> Result<Option<Chunk>, PostgresError> {
        let settings = Arc::clone(&self.settings);
        let wanted = move |table: &TableDescription| {
            let read = shape::read_by_snapshot(table, &settings);
            read.columns.into_iter().map(|column| column.name).collect()
        };
        let Some(marks) = &self.marks else { return reader.read(query, &wanted).await };
        let id = Uuid::new_v4();
        let opened_at = now(reader).await?;
        if let Err(error) = reader.connection().run(MARK, &open_mark(marks, id, &opened_at)).await {
            if error.class() != Class::Definite {
                return Err(error);
            }
            warn!(
                "{} cannot be written to: chunks go without marks there, which only readers of that table's topic would see; grant INSERT, or set read.only=true: {error}",
                marks.table
            );
            self.marks = None;
            return reader.read(query, &wanted).await;
        }
        let chunk = reader.read(query, &wanted).await;
        let closed_at = now(reader).await?;
        let close = close_mark(marks, id, &opened_at, &closed_at);
        reader.connection().run(MARK, &close).await?;
        chunk
    }
}

const MARK: &str = "mark a chunk in the signal table";

/// After a restart nobody remembers which transactions were delivered before. Whatever had been delivered and could not be
/// seen was under way when the restart found it.
async fn wait_for_unfinished(reader: &ChunkReader) -> Result<(), PostgresError> {
    let began = Instant::now();
    let mut told = false;
    let mut left = unfinished_transactions(reader.connection()).await?;
    while !left.is_empty() {
        if !told && began.elapsed() > UNFINISHED_SILENCE {
            info!(
                "the incremental snapshot goes on when the transactions that were open at the restart are over: {}",
                left.join(", ")
            );
            told = true;
        }
        tokio::time::sleep(UNFINISHED_PAUSE).await;
        let now = unfinished_transactions(reader.connection()).await?;
        left.retain(|xid| now.contains(xid));
    }
    Ok(())
}

/// The server's time, as ISO 8601.
async fn now(reader: &ChunkReader) -> Result<String, PostgresError> {
    const SQL: &str =
        "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    let row = reader.connection().text_row(MARK, SQL).await?;
    Ok(row.into_iter().flatten().flatten().next().unwrap_or_default())
}

fn open_mark(marks: &Marks, id: Uuid, opened_at: &str) -> String {
    let data = format!("{{\"openWindowTimestamp\": \"{opened_at}\"}}");
    insert(marks, &format!("{id}-open"), "snapshot-window-open", &data)
}

fn close_mark(marks: &Marks, id: Uuid, opened_at: &str, closed_at: &str) -> String {
    match marks.strategy {
        MarkStrategy::InsertInsert => {
            let data = format!(
                "{{\"openWindowTimestamp\": \"{opened_at}\", \"closeWindowTimestamp\": \"{closed_at}\"}}"
            );
            insert(marks, &format!("{id}-close"), "snapshot-window-close", &data)
        }
        MarkStrategy::InsertDelete => {
            let id = quote_literal(&format!("{id}-open"));
            format!("DELETE FROM {} WHERE id = {id}", marks.table.quoted())
        }
    }
}

fn insert(marks: &Marks, id: &str, kind: &str, data: &str) -> String {
    let values = [id, kind, data].map(quote_literal).join(", ");
    format!("INSERT INTO {} VALUES ({values})", marks.table.quoted())
}
