//! One PostgreSQL and one Apache Kafka, and databases in it that do not know of each other.
//!
//! In: nothing. Out: [`Database`]s with names, slots and topic prefixes of their own, so that tests run side by side.
//! Never: a server that outlives the process (crate `embedded` sees to that), a data folder that is left behind for
//! good: each start sweeps the folders of processes that are gone. A test that is over leaves no replication slot to those
//! that follow.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use embedded::{Kafka, KafkaOptions, Postgres, PostgresOptions, Silent};

use crate::connector::Connector;
use crate::session::Session;
use crate::tail::Tail;
use crate::wait::DEADLINE;
use crate::{Failure, Result};

/// Table each [`Database`] has: a row written last is awaited to know that everything before it has arrived.
pub const MARKER_TABLE: &str = "zz_marker";

const FOLDER_PREFIX: &str = "tributary-testkit-";

/// A running PostgreSQL and a running Kafka.
pub struct Stack {
    postgres: Postgres,
    kafka: Kafka,
    databases: AtomicU32,
    /// Names of databases that no test holds any more.
    done_with: Arc<Mutex<Vec<String>>>,
    _folder: Folder,
}

impl Stack {
    /// The one pair of servers of this process, started by the first caller.
    ///
    /// It lives on a runtime of its own, because each test's runtime ends with the test.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<std::result::Result<Stack, String>> = OnceLock::new();
        let started = SHARED.get_or_init(|| {
            let (sender, receiver) = mpsc::sync_channel(1);
            let spawned = std::thread::Builder::new()
                .name("stack".to_owned())
                .spawn(move || run_for_ever(&sender));
            spawned.map_err(|error| error.to_string())?;
            let started = receiver.recv();
            started.unwrap_or_else(|_| Err("the thread of the servers ended".to_owned()))
        });
        started
            .as_ref()
            .map_err(|text| Failure::new(format!("start of PostgreSQL and Kafka: {text}")))
    }

    /// Starts a pair of servers with these PostgreSQL settings added.
    pub async fn start(postgres_settings: &[(&str, &str)]) -> Result<Self> {
        let settings = postgres_settings.iter();
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let postgres =
            PostgresOptions { settings: settings.collect(), ..PostgresOptions::default() };
        Self::start_with(postgres, KafkaOptions::default()).await
    }

    /// Starts a pair of servers set up like this; their data lies in a folder of the stack's own.
    pub async fn start_with(postgres: PostgresOptions, kafka: KafkaOptions) -> Result<Self> {
        sweep(&std::env::temp_dir());
        let folder = Folder::create()?;
        let settings = [
            ("wal_level", "logical"),
            ("max_replication_slots", "200"),
            ("max_wal_senders", "100"),
            ("max_connections", "200"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut settings = Vec::from(settings);
        settings.extend(postgres.settings);
        settings.push(("timezone".to_owned(), "UTC".to_owned()));
        let data_dir = Some(folder.0.join("postgres"));
        let postgres = Postgres::start(PostgresOptions { data_dir, settings, ..postgres }, &Silent);
        let data_dir = Some(folder.0.join("kafka"));
        let kafka = Kafka::start(KafkaOptions { data_dir, ..kafka }, &Silent);
        let (postgres, kafka) = tokio::join!(postgres, kafka);
        Ok(Self {
            postgres: postgres?,
            kafka: kafka?,
            databases: AtomicU32::new(0),
            done_with: Arc::default(),
            _folder: folder,
        })
    }

    /// Stops both servers in order.
    pub async fn stop(self) -> Result<()> {
        self.kafka.stop().await?;
        self.postgres.stop(embedded::StopMode::Fast).await?;
        Ok(())
    }

    /// Ends the broker with SIGKILL. Only for a stack of the test's own.
    pub async fn kill_broker(&mut self) -> Result<()> {
        Ok(self.kafka.kill(1).await?)
    }

    /// Starts the broker again, at the same address and with what it had.
    pub async fn start_broker(&mut self) -> Result<()> {
        Ok(self.kafka.start_broker(1).await?)
    }

    /// Ends PostgreSQL as an administrator does, which ends every session, and starts it again at the same address. Only for a
    /// stack of the test's own.
    pub async fn restart_postgres(&mut self) -> Result<()> {
        Ok(self.postgres.restart(embedded::StopMode::Fast).await?)
    }

    /// Ends PostgreSQL as a crash does, and starts it again at the same address after a while. Only for a stack of the test's own.
    pub async fn crash_postgres(&mut self, away: Duration) -> Result<()> {
        self.postgres.shut_down(embedded::StopMode::Immediate).await;
        tokio::time::sleep(away).await;
        Ok(self.postgres.start_again().await?)
    }

    /// Creates a database with a name that begins with `label`, for one test.
    pub async fn database(&self, label: &str) -> Result<Database> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("{label}_{number}");
        let session = Session::connect(&self.postgres.url()).await?;
        self.drop_old_slots(&session).await?;
        session
            .run(&format!("create database \"{name}\" encoding 'UTF8' template template0"))
            .await?;
        let lease = Lease { name: name.clone(), done_with: Arc::clone(&self.done_with) };
        let database = Database { _lease: Some(Arc::new(lease)), ..self.existing_database(&name) };
        let session = database.session().await?;
        session
            .run(&format!("create table public.{MARKER_TABLE} (id bigint generated always as identity primary key, note text)"))
            .await?;
        Ok(database)
    }

    /// Drops the slots of databases that no test holds any more. One whose reader is not quite gone waits for the next call.
    async fn drop_old_slots(&self, session: &Session) -> Result<()> {
        let done_with = || self.done_with.lock().unwrap_or_else(PoisonError::into_inner);
        let names = std::mem::take(&mut *done_with());
        let mut kept = Vec::new();
        for name in names {
            let of_it = format!("from pg_replication_slots where database = '{name}'");
            let drop = format!("select pg_drop_replication_slot(slot_name) {of_it} and not active");
            // Refused where its reader comes back just now.
            let _ = session.run(&drop).await;
            if session.text(&format!("select count(*) {of_it}")).await?.as_deref() != Some("0") {
                kept.push(name);
            }
        }
        done_with().extend(kept);
        Ok(())
    }

    /// A database that is already there, such as `postgres`.
    pub fn existing_database(&self, name: &str) -> Database {
        Database {
            name: name.to_owned(),
            port: self.postgres.port(),
            bootstrap: self.kafka.bootstrap(),
            _lease: None,
        }
    }

    /// Process id of the PostgreSQL server's data folder owner, for messages.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// The PostgreSQL server, to be stopped and started. Only for a stack of the test's own.
    pub fn postgres_mut(&mut self) -> &mut Postgres {
        &mut self.postgres
    }

    /// The Kafka broker.
    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// `HOST:PORT` of the Kafka broker.
    pub fn bootstrap(&self) -> String {
        self.kafka.bootstrap()
    }
}

/// Starts the servers, hands them over and keeps their runtime alive until the process ends.
fn run_for_ever(sender: &mpsc::SyncSender<std::result::Result<Stack, String>>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = sender.send(Err(error.to_string()));
            return;
        }
    };
    runtime.block_on(async {
        let settings = [("fsync", "off"), ("deadlock_timeout", "50ms"), ("autovacuum", "off")];
        let started = Stack::start(&settings).await;
        let _ = sender.send(started.map_err(|failure| failure.to_string()));
        std::future::pending::<()>().await;
    });
}

/// One database and the Kafka beside it, as one test sees them.
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    port: u16,
    bootstrap: String,
    /// None where it was there before.
    _lease: Option<Arc<Lease>>,
}

/// Held by all copies of a [`Database`]; says when the last one is gone.
#[derive(Debug)]
struct Lease {
    name: String,
    done_with: Arc<Mutex<Vec<String>>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        self.done_with.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }
}

impl Database {
    /// Name of the database; also the prefix of its topics and the name of its slot and publication.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Port of PostgreSQL on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `postgres://` URL of a superuser.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// `postgres://` URL of `user`, without a password.
    pub fn url_of(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// `HOST:PORT` of the Kafka broker.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The same database, with topics on another broker.
    #[must_use]
    pub fn with_bootstrap(mut self, bootstrap: String) -> Self {
        self.bootstrap = bootstrap;
        self
    }

    /// A new session.
    pub async fn session(&self) -> Result<Session> {
        Session::connect(&self.url()).await
    }

    /// A session that has run `sql`: the usual beginning of a test.
    pub async fn with(&self, sql: &str) -> Result<Session> {
        let session = self.session().await?;
        session.run(sql).await?;
        Ok(session)
    }

    /// A connector for all tables of schema `public`, not started yet.
    pub fn connector(&self) -> Result<Connector> {
        Connector::new(self.clone())
    }

    /// Topic of a table, given as `schema.table`.
    pub fn topic(&self, table: &str) -> String {
        format!("{}.{table}", self.name)
    }

    /// A reader of a table's topic from its beginning.
    pub fn tail(&self, table: &str) -> Result<Tail> {
        Tail::open(&self.bootstrap, &self.topic(table))
    }

    /// Writes a marker row and waits for its event: everything committed before has arrived then.
    pub async fn sync(&self) -> Result<()> {
        self.sync_within(DEADLINE).await
    }

    /// As [`Database::sync`], with another deadline.
    pub async fn sync_within(&self, deadline: Duration) -> Result<()> {
        let session = self.session().await?;
        let insert =
            format!("insert into public.{MARKER_TABLE}(note) values ('sync') returning id");
        let id: Option<i64> = session.text(&insert).await?.and_then(|id| id.parse().ok());
        let mut tail = self.tail(&format!("public.{MARKER_TABLE}"))?;
        let found =
            tail.until(deadline, |event| event.payload()["after"]["id"].as_i64() == id).await;
        found.map(drop).map_err(|failure| failure.during("wait for the marker row"))
    }

    /// Waits for everything committed so far and returns all events of a table's topic.
    pub async fn events(&self, table: &str) -> Result<Vec<crate::event::Event>> {
        self.sync().await?;
        crate::tail::read_topic(&self.bootstrap, &self.topic(table)).await
    }
}

/// A folder for the data of one pair of servers, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{FOLDER_PREFIX}{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes data folders whose process is gone: a test process never drops what is shared by its tests.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX));
        let owner = rest.and_then(|rest| rest.split('-').next());
        if let Some(process_id) = owner
            && !Path::new("/proc").join(process_id).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
