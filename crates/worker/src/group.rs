//! The connectors of a group, and what may be asked for them: the one place where REST, the command line's requests and the worker meet.
//!
//! In: verbs. Out: views, and records of the config topic; whoever has the connector heeds them. Never: HTTP, a running connector.

use std::sync::Arc;

use connector::offsets;
use connector::settings::Settings;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::change::{Changes, Decision};
use crate::clock::now_ms;
use crate::error::GroupError;
use crate::options::WorkerOptions;
use crate::view::{ConnectorView, Member, View};
use crate::wanted::{Config, DestroyWanted, Patch, Target, Wanted, patched};

/// A handle on the connectors of a group; cheap to clone.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

struct Inner {
    options: WorkerOptions,
    cluster_id: String,
    view: Arc<View>,
    changes: Changes,
}

/// What is kept of a connector's position.
#[derive(Clone, Debug, PartialEq)]
pub struct Offsets {
    /// `topic.prefix`: the source partition is `{"server": …}`.
    pub server: String,
    /// The offset of it.
    pub offset: Map<String, Value>,
}

/// A change of a connector's configuration.
#[derive(Debug)]
pub struct Put {
    /// It is new.
    pub is_created: bool,
    /// What is wanted now.
    pub connector: ConnectorView,
}

impl Group {
    pub(crate) fn new(
        options: WorkerOptions,
        cluster_id: String,
        view: Arc<View>,
        changes: Changes,
    ) -> Self {
        Self(Arc::new(Inner { options, cluster_id, view, changes }))
    }

    /// What this worker was started with.
    pub fn options(&self) -> &WorkerOptions {
        &self.0.options
    }

    /// The id of the Kafka cluster the group lives on.
    pub fn cluster_id(&self) -> &str {
        &self.0.cluster_id
    }

    /// The workers of the group.
    pub fn members(&self) -> Vec<Member> {
        self.0.view.members()
    }

    /// Changes whenever anything of any connector does.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.view.changes()
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<String> {
        self.0.view.names()
    }

    /// All connectors, by name.
    pub fn connectors(&self) -> Vec<ConnectorView> {
        self.0.view.connectors()
    }

    /// One connector.
    ///
    /// Errors: [`GroupError::NotFound`].
    pub fn connector(&self, name: &str) -> Result<ConnectorView, GroupError> {
        self.0.view.connector(name).ok_or_else(|| not_found(name))
    }

    /// What the configuration means here.
    ///
    /// Errors: [`GroupError::Invalid`], [`GroupError::OtherName`].
    pub fn settings(&self, name: &str, config: &Config) -> Result<Settings, GroupError> {
        match config.get("name") {
            Some(inner) if inner != name => {
                Err(GroupError::OtherName { name: name.to_owned(), inner: inner.clone() })
            }
            _ => Ok(self.0.options.settings(name, config)?),
        }
    }

    /// Makes a connector.
    ///
    /// Errors: [`GroupError::Exists`], and those of [`Self::settings`].
    pub async fn create(
        &self,
        name: &str,
        config: Config,
        target: Target,
    ) -> Result<ConnectorView, GroupError> {
        let config = named(name, config);
        self.settings(name, &config)?;
        let decide = |wanted: Option<&Wanted>| match wanted {
            Some(_) => Err(GroupError::Exists { name: name.to_owned() }),
            None => Ok(write(Wanted::new(config.clone(), target, now_ms()))),
        };
        self.0.changes.make(name, decide).await?;
        self.connector(name)
    }

    /// Sets the whole configuration, of a new connector or of one there is.
    ///
    /// `expected`: the revision the caller has seen; another one refuses the change.
    ///
    /// Errors: [`GroupError::Changed`], and those of [`Self::settings`].
    pub async fn put_config(
        &self,
        name: &str,
        config: Config,
        expected: Option<u64>,
    ) -> Result<Put, GroupError> {
        let config = named(name, config);
        self.settings(name, &config)?;
        let is_created = std::sync::atomic::AtomicBool::new(false);
        let decide = |wanted: Option<&Wanted>| {
            is_created.store(wanted.is_none(), std::sync::atomic::Ordering::Relaxed);
            match wanted {
                None => Ok(write(Wanted::new(config.clone(), Target::Running, now_ms()))),
                Some(wanted) => {
                    is_expected(name, wanted, expected)?;
                    Ok(with_config(wanted, config.clone()))
                }
            }
        };
        self.0.changes.make(name, decide).await?;
        let is_created = is_created.into_inner();
        Ok(Put { is_created, connector: self.connector(name)? })
    }

    /// Sets some keys and removes those that are `None`; what others set meanwhile stays.
    ///
    /// Errors: [`GroupError::NotFound`], [`GroupError::Changed`], and those of [`Self::settings`].
    pub async fn patch_config(
        &self,
        name: &str,
        patch: &Patch,
        expected: Option<u64>,
    ) -> Result<ConnectorView, GroupError> {
        let decide = |wanted: Option<&Wanted>| {
            let wanted = wanted.ok_or_else(|| not_found(name))?;
            is_expected(name, wanted, expected)?;
            let config = named(name, patched(&wanted.config, patch));
            self.settings(name, &config)?;
            Ok(with_config(wanted, config))
        };
        self.0.changes.make(name, decide).await?;
        self.connector(name)
    }

    /// Lets a connector run, pause or stop; one that does already is left alone.
    ///
    /// Errors: [`GroupError::NotFound`].
    pub async fn set_target(&self, name: &str, target: Target) -> Result<(), GroupError> {
        let decide = |wanted: Option<&Wanted>| {
            let wanted = wanted.ok_or_else(|| not_found(name))?;
            if wanted.target == target {
                return Ok(Decision::Leave);
            }
            Ok(write(Wanted { target, ..wanted.next(now_ms()) }))
        };
        self.0.changes.make(name, decide).await
    }

    /// Starts a connector again: it takes over from itself. With `only_failed`, one that has not failed is left alone.
    ///
    /// Errors: [`GroupError::NotFound`].
    pub async fn restart(
        &self,
        name: &str,
        only_failed: bool,
    ) -> Result<ConnectorView, GroupError> {
        let decide = |wanted: Option<&Wanted>| {
            let wanted = wanted.ok_or_else(|| not_found(name))?;
            let restarts = wanted.restarts + 1;
            Ok(write(Wanted {
                restarts,
                restarts_only_failed: only_failed,
                ..wanted.next(now_ms())
            }))
        };
        self.0.changes.make(name, decide).await?;
        self.connector(name)
    }

    /// Ends a connector. Its topics, its slot and its publication stay, as with Kafka Connect.
    ///
    /// Errors: [`GroupError::NotFound`].
    pub async fn delete(&self, name: &str) -> Result<(), GroupError> {
        let decide = |wanted: Option<&Wanted>| {
            wanted.map(|_| Decision::Delete).ok_or_else(|| not_found(name))
        };
        self.0.changes.make(name, decide).await
    }

    /// Ends a connector and takes away what it has at the source: its slot and its publication, and its topics if asked. Its worker does it;
    /// once it is done, the connector is not found any more.
    ///
    /// Errors: [`GroupError::NotFound`].
    pub async fn destroy(&self, name: &str, destroy: DestroyWanted) -> Result<(), GroupError> {
        let decide = |wanted: Option<&Wanted>| {
            let wanted = wanted.ok_or_else(|| not_found(name))?;
            Ok(write(Wanted { destroy: Some(destroy), ..wanted.next(now_ms()) }))
        };
        self.0.changes.make(name, decide).await
    }

    /// What is kept of a connector's position, by its source partition; `None` if nothing is.
    ///
    /// Errors: [`GroupError::NotFound`], those of its configuration and of Kafka.
    pub async fn offsets(&self, name: &str) -> Result<Option<Offsets>, GroupError> {
        let settings = self.settings(name, &self.connector(name)?.wanted.config)?;
        let offset = offsets::read(&settings).await?;
        let server = settings.encoder.topic_prefix.clone();
        Ok(offset.map(|offset| Offsets { server, offset }))
    }

    /// Sets where a stopped connector goes on, one of Debezium's included; `None` forgets it.
    ///
    /// Errors: [`GroupError::NotStopped`], [`GroupError::OtherPartition`], and those of [`offsets::write`].
    pub async fn set_offsets(
        &self,
        name: &str,
        offsets: Option<&Offsets>,
    ) -> Result<(), GroupError> {
        let view = self.connector(name)?;
        if view.wanted.target != Target::Stopped || view.is_running() {
            let state = view.connector_state().as_str().to_owned();
            return Err(GroupError::NotStopped { name: name.to_owned(), state });
        }
        let settings = self.settings(name, &view.wanted.config)?;
        if let Some(offsets) = offsets
            && offsets.server != settings.encoder.topic_prefix
        {
            return Err(GroupError::OtherPartition {
                name: name.to_owned(),
                server: offsets.server.clone(),
                topic_prefix: settings.encoder.topic_prefix.clone(),
            });
        }
        offsets::write(&settings, offsets.map(|offsets| &offsets.offset)).await?;
        Ok(())
    }

    /// Whether another connector of this group reads through the same publication.
    pub(crate) fn shares_publication(&self, name: &str, settings: &Settings) -> bool {
        let place = |settings: &Settings| {
            let source = &settings.source;
            (source.address(), source.dbname().to_owned(), settings.publication.name.clone())
        };
        let mine = place(settings);
        self.connectors().iter().filter(|other| other.name != name).any(|other| {
            self.settings(&other.name, &other.wanted.config)
                .is_ok_and(|settings| place(&settings) == mine)
        })
    }

    /// Forgets which topics a connector has written to.
    ///
    /// Errors: [`GroupError::NotFound`].
    pub async fn reset_topics(&self, name: &str) -> Result<(), GroupError> {
        let decide = |wanted: Option<&Wanted>| {
            let wanted = wanted.ok_or_else(|| not_found(name))?;
            let now = now_ms();
            Ok(write(Wanted { topics_reset_at_ms: now, ..wanted.next(now) }))
        };
        self.0.changes.make(name, decide).await
    }
}

fn write(wanted: Wanted) -> Decision {
    Decision::Write(Box::new(wanted))
}

/// What is configured so already is left alone: nothing starts again for it.
fn with_config(wanted: &Wanted, config: Config) -> Decision {
    if wanted.config == config {
        return Decision::Leave;
    }
    write(wanted.with_config(config, now_ms()))
}

fn not_found(name: &str) -> GroupError {
    GroupError::NotFound { name: name.to_owned() }
}

fn is_expected(name: &str, wanted: &Wanted, expected: Option<u64>) -> Result<(), GroupError> {
    match expected {
        Some(expected) if expected != wanted.revision => {
            Err(GroupError::Changed { name: name.to_owned(), expected, revision: wanted.revision })
        }
        _ => Ok(()),
    }
}

/// As Kafka Connect keeps it: with the name inside.
fn named(name: &str, mut config: Config) -> Config {
    config.entry("name".to_owned()).or_insert_with(|| name.to_owned());
    config
}
