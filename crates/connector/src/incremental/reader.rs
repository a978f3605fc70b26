//! The task that reads chunks, in a session of its own, so that the stream never waits for a table.
//!
//! In: one question at a time. Out: its answer, through a channel with one place. Nothing is asked before it is ready: what it has
//! to wait for at first may take long, and changes are noted for as long as a question is open.
//! With `read.only=false` it writes Debezium's marks into the signal table, before and after each chunk; nothing here needs them.
//! Source: Debezium documentation, `incremental.snapshot.watermarking.strategy`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postgres::catalog::TableDescription;
use postgres::chunk::{Chunk, ChunkQuery, ChunkReader, unfinished_transactions};
use postgres::{Class, PostgresError, publication, quote_literal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{Instrument as _, info, warn};
use uuid::Uuid;

use crate::error::ConnectorError;
use crate::settings::{Autocreate, MarkStrategy, Marks, Settings};
use crate::shape;
use crate::spans;

/// How often it is looked whether transactions are over.
const UNFINISHED_PAUSE: Duration = Duration::from_millis(100);
/// How long they are waited for in silence.
const UNFINISHED_SILENCE: Duration = Duration::from_secs(10);

/// A chunk to read.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) number: u64,
    pub(super) query: ChunkQuery,
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
    first: First,
    running: Option<Running>,
}

/// What has to be done before the first chunk is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// Nothing.
    Read,
    /// Transactions may have been delivered that nobody remembers: those that are under way now have to end.
    Wait,
    /// The same; and tables have joined the publication, which may have to be said again.
    WaitAndAnnounce,
}

struct Running {
    asks: mpsc::Sender<Ask>,
    answers: mpsc::Receiver<Answer>,
    /// Until it is ready.
    ready: Option<oneshot::Receiver<Result<(), PostgresError>>>,
    /// Held for its drop: the task ends with the connector.
    _task: JoinSet<()>,
}

impl Reader {
    pub(super) fn new(settings: &Arc<Settings>, first: First) -> Self {
        Self { settings: Arc::clone(settings), first, running: None }
    }

    /// A chunk can be asked for.
    pub(super) fn is_ready(&self) -> bool {
        let ready = |running: &Running| running.ready.is_none() && running.asks.capacity() > 0;
        self.running.as_ref().is_some_and(ready)
    }

    /// Returns once a chunk can be asked for, while none is awaited. Safe to cancel.
    ///
    /// Errors: what made it impossible.
    pub(super) async fn ready(&mut self) -> Result<(), ConnectorError> {
        let running = match &mut self.running {
            Some(running) => running,
            None => self.running.insert(start(Work {
                settings: Arc::clone(&self.settings),
                marks: self.settings.incremental.marks.clone(),
                first: self.first,
            })),
        };
        let ended = || ConnectorError::StageEnded { stage: "chunk reader" };
        if let Some(ready) = &mut running.ready {
            let outcome = ready.await.map_err(|_| ended())?;
            running.ready = None;
            outcome?;
        }
        // Answers to what was given up.
        while running.asks.capacity() == 0 {
            running.answers.recv().await.ok_or_else(ended)?;
        }
        Ok(())
    }

    /// Asks for a chunk. What was asked for before is still answered. Says `false` while it is not ready.
    pub(super) fn ask(&mut self, ask: Ask) -> bool {
        let Some(running) = self.running.as_mut().filter(|running| running.ready.is_none()) else {
            return false;
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
    first: First,
}

fn start(work: Work) -> Running {
    // A question that is given up is followed by another before its answer has come.
    let (asks, inbox) = mpsc::channel(4);
    let (outbox, answers) = mpsc::channel(1);
    let (is_ready, ready) = oneshot::channel();
    let mut task = JoinSet::new();
    task.spawn(work.run(inbox, is_ready, outbox).in_current_span());
    Running { asks, answers, ready: Some(ready), _task: task }
}

impl Work {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Ask>,
        is_ready: oneshot::Sender<Result<(), PostgresError>>,
        outbox: mpsc::Sender<Answer>,
    ) {
        let reader = match self.open().await {
            Ok(reader) => reader,
            Err(error) => {
                // Whoever waited is gone if this fails.
                let _ = is_ready.send(Err(error));
                return;
            }
        };
        if is_ready.send(Ok(())).is_err() {
            return;
        }
        while let Some(Ask { number, query }) = inbox.recv().await {
            let began = Instant::now();
            let span = spans::chunk(&self.settings);
            let outcome = self.read(&reader, &query).instrument(span.clone()).await;
            spans::chunk_read(&span, &outcome);
            let answer = Answer { number, outcome, read_in: began.elapsed() };
            if outbox.send(answer).await.is_err() {
                return;
            }
        }
    }

    async fn open(&self) -> Result<ChunkReader, PostgresError> {
        let reader = ChunkReader::open(&self.settings.source, &self.settings.slot.name).await?;
        if self.first != First::Read {
            wait_for_unfinished(&reader).await?;
        }
        if self.first == First::WaitAndAnnounce {
            announce(&reader, &self.settings).await?;
        }
        Ok(reader)
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

/// A change of the publication does not reach transactions that were under way: what they change is decoded by what was published
/// when they began, and servers before 13.21, 14.18, 15.13, 16.9 and 17.5 then go on to decode later ones by that. Now that they
/// are over, and so what they wrote will be read, the publication is said again, which makes the server look anew.
async fn announce(reader: &ChunkReader, settings: &Settings) -> Result<(), PostgresError> {
    let connection = reader.connection();
    let name = &settings.publication.name;
    if settings.publication.mode == Autocreate::Disabled {
        return Ok(());
    }
    let Some(publication) = publication::read(connection, name).await? else { return Ok(()) };
    connection
        .run("announce a publication", &publication::same_options_statement(&publication))
        .await
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
