//! The captured tables of one connector: from a relation of the stream to an encoder plan and its topic.
//!
//! In: Relation messages, the catalog, and what is kept of each table ([`History`]). Out: a [`Captured`] for each relation,
//! made anew whenever the server describes it again, or what was in doubt about it is settled.
//! Never: a fact of the catalog that is newer than the stream; [`resolve`] decides that.

mod ahead;
mod described;
mod visible;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use envelope::{EncoderSettings, Notice, Table, TablePlan};
use kafka::Transaction;
use pgoutput::{Lsn, Oid, Relation, RelationColumn, Xid};
use postgres::Connection;
use postgres::catalog::{self, ColumnDescription, TableDescription, TypeDescription};
use tokio::sync::OnceCell;
use tracing::{debug, info};

use crate::error::ConnectorError;
use crate::history::Version;
use crate::history::log::History;
use crate::history::order::{Order, Point};
use crate::history::reading::{Reading, writers};
use crate::history::resolve::{Certainty, Evidence, resolve};
use crate::measure::{Tallies, Tally};
use crate::reselect::Reselect;
use crate::schemas::Schemas;
use crate::settings::Settings;
use crate::shape;
use crate::topics::Topics;

use ahead::{Ahead, Seen};

/// What to do with the changes of one relation.
#[derive(Debug)]
pub(crate) enum Captured {
    /// The settings leave this table out; a publication may contain it all the same.
    No,
    /// Encode them by this plan, into this topic.
    Yes(Box<CapturedTable>),
}

/// A captured table, ready to encode.
#[derive(Debug)]
pub(crate) struct CapturedTable {
    /// One writer per column.
    pub(crate) plan: TablePlan,
    /// Where its records go.
    pub(crate) topic: kafka::Topic,
    /// `post.processors`: what to read again when the stream does not carry it.
    pub(crate) reselects: Vec<Reselect>,
    /// What to read again where rows have to be whole.
    pub(crate) lacking: Option<Reselect>,
    /// What is counted of it.
    pub(crate) tally: Arc<Tally>,
}

/// All relations the stream has described.
pub(crate) struct Tables {
    settings: Arc<Settings>,
    encoder: Arc<EncoderSettings>,
    control: Connection,
    topics: Topics,
    schemas: Schemas,
    history: History,
    /// Labels of enums as they were when each was first seen, where those are wanted.
    first_labels: Option<HashMap<Oid, Vec<String>>>,
    by_oid: HashMap<Oid, Captured>,
    /// What plans say of their columns, until somebody asks.
    notices: Vec<Notice>,
    /// What was last read of each, in this session of the stream.
    readings: HashMap<Oid, Reading>,
    /// What was read of tables that the session has yet to describe.
    ahead: Ahead,
    /// Where the first of what is in doubt is settled.
    settles_at: Option<Lsn>,
    /// What committed before this had committed before the session of the stream began.
    session_began: Lsn,
    /// Counts sessions of the stream.
    session: u64,
    /// What a transaction has described in which every description is the first; `None` in an ordinary one.
    own_descriptions: Option<HashSet<Oid>>,
    /// Whether the relation in doubt was described anew.
    doubt_is_anew: bool,
    /// Set once what the transaction being decoded did can be read.
    shown: OnceCell<()>,
    tallies: Tallies,
}

/// Why and with what to look at a table's catalog.
struct Look {
    relation: Arc<Relation>,
    point: Point,
    settled: Vec<Xid>,
    /// The session of the stream that described the relation.
    session: u64,
    described_anew: bool,
    /// Whether what the transaction being decoded changed itself is taken as changed already.
    own: Option<bool>,
}

/// What came of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defined {
    /// It is known what to do with the table's changes.
    Known,
    /// The transaction that is being decoded changed the table itself, before or after this point: [`Tables::decide`].
    InDoubt,
}

impl Tables {
    /// Starts with none described.
    pub(crate) fn new(
        settings: &Arc<Settings>,
        encoder: Arc<EncoderSettings>,
        control: Connection,
        (topics, schemas): (Topics, Schemas),
        history: History,
    ) -> Self {
        Self {
            settings: Arc::clone(settings),
            encoder,
            control,
            topics,
            schemas,
            history,
            first_labels: None,
            by_oid: HashMap::new(),
            readings: HashMap::new(),
            ahead: Ahead::default(),
            settles_at: None,
            session_began: Lsn::ZERO,
            session: 0,
            own_descriptions: None,
            doubt_is_anew: false,
            shown: OnceCell::new(),
            notices: Vec::new(),
            tallies: Tallies::default(),
        }
    }

    /// A session of the stream begins, or has begun, when the log had come so far. It describes every relation, whether or not
    /// that has changed. What was read in the session before stays true, and so does what is in doubt.
    pub(crate) fn session_begins(&mut self, at: Lsn) {
        self.session_began = at;
        self.session += 1;
    }

    /// From here on an enum keeps the labels it has now.
    pub(crate) fn keep_first_labels(&mut self, labels: HashMap<Oid, Vec<String>>) {
        self.first_labels = Some(labels);
    }

    /// A new session of the stream begins, and with it every relation is described anew.
    pub(crate) fn forget_session(&mut self) {
        self.by_oid.clear();
        self.readings.clear();
        self.settles_at = None;
    }

    /// The server described a relation, for the first time or anew. A new version of a captured table is kept in the Kafka
    /// transaction.
    pub(crate) async fn define(
        &mut self,
        relation: &Arc<Relation>,
        point: Point,
        transaction: &mut Transaction,
    ) -> Result<Defined, ConnectorError> {
        if !self.settings.tables.captures(&relation.namespace, &relation.name) {
            debug!(schema = relation.namespace, table = relation.name, "not captured");
            self.by_oid.insert(relation.oid, Captured::No);
            return Ok(Defined::Known);
        }
        self.doubt_is_anew = self.is_described_anew(relation.oid);
        let look = self.look_of(relation, point, self.doubt_is_anew, None);
        self.look(look, transaction).await
    }

    /// Like [`Self::define`], when it is known by now whether the transaction had changed the table before this point.
    pub(crate) async fn decide(
        &mut self,
        relation: &Arc<Relation>,
        point: Point,
        after: bool,
        transaction: &mut Transaction,
    ) -> Result<(), ConnectorError> {
        let look = self.look_of(relation, point, after && self.doubt_is_anew, Some(after));
        self.look(look, transaction).await.map(drop)
    }

    /// Whether something that was in doubt can be settled where this source transaction begins.
    #[inline]
    pub(crate) fn has_doubts_to_settle(&self, point: Point) -> bool {
        self.settles_at.is_some_and(|at| at <= point.commit_lsn)
    }

    /// Looks again at what was in doubt until here.
    pub(crate) async fn settle(
        &mut self,
        point: Point,
        transaction: &mut Transaction,
    ) -> Result<(), ConnectorError> {
        let due =
            |reading: &&Reading| reading.settles_at().is_some_and(|at| at <= point.commit_lsn);
        let looks: Vec<Look> = self
            .readings
            .values()
            .filter(due)
            .map(|reading| Look {
                relation: Arc::clone(&reading.relation),
                point,
                settled: reading.settled_at(point),
                session: reading.session,
                described_anew: reading.is_passed(point),
                own: Some(false),
            })
            .collect();
        for look in looks {
            self.look(look, transaction).await?;
        }
        self.settles_at = self.readings.values().filter_map(Reading::settles_at).min();
        Ok(())
    }

    fn look_of(
        &self,
        relation: &Arc<Relation>,
        point: Point,
        described_anew: bool,
        own: Option<bool>,
    ) -> Look {
        let earlier = self.readings.get(&relation.oid);
        let settled = earlier.map(|earlier| earlier.settled_at(point)).unwrap_or_default();
        let (relation, session) = (Arc::clone(relation), self.session);
        Look { relation, point, settled, session, described_anew, own }
    }

    /// Reads what the catalog says of a relation, and decides what of it is true at this point of the log.
    async fn look(
        &mut self,
        look: Look,
        transaction: &mut Transaction,
    ) -> Result<Defined, ConnectorError> {
        let Look { relation, point, settled, session, described_anew, own } = look;
        let oid = relation.oid;
        let Seen { now, horizon, is_visible } =
            self.see(oid, point, described_anew || own.is_some()).await?;
        let types = self.missing_types(&relation, now.as_ref()).await?;
        let created_by = now.as_ref().map(|now| now.created_by);
        let evidence = Evidence {
            relation: &relation,
            now: now.as_ref(),
            then: self.history.get(oid),
            order: &Order { horizon: &horizon, point, created_by, settled: &settled },
            described_anew,
            types: &types,
        };
        // Before this session began nothing but the stream itself could make the server describe a table anew.
        let only_by_stream = described_anew && point.commit_lsn < self.session_began;
        let own = own.or(only_by_stream.then_some(true));
        let Some((version, certainty)) = resolve(&evidence, own) else {
            return Ok(Defined::InDoubt);
        };
        let certainty = if is_visible { certainty } else { Certainty::UntilEnd };
        debug!(
            schema = relation.namespace,
            table = relation.name,
            xid = point.xid.0,
            described_anew,
            ?certainty,
            "described"
        );
        let reading = Reading {
            relation: Arc::clone(&relation),
            read_at: horizon.read_at,
            written_by: now.as_ref().map(writers).unwrap_or_default(),
            during: point.xid,
            session,
            certainty,
        };
        self.settles_at = self.settles_at.into_iter().chain(reading.settles_at()).min();
        self.readings.insert(oid, reading);
        if let Some(now) = &now {
            self.look_for_unpublished(&relation, now);
        }
        let table = self.join(&relation, &version);
        self.history.keep(oid, version, transaction)?;
        let known = self.get(oid);
        if !matches!(known, Some(Captured::Yes(known)) if *known.plan.table() == table) {
            let captured = Captured::Yes(Box::new(self.compile(table).await?));
            self.by_oid.insert(oid, captured);
        }
        Ok(Defined::Known)
    }

    /// What to do with the changes of a relation the stream has described.
    pub(crate) fn get(&self, oid: Oid) -> Option<&Captured> {
        self.by_oid.get(&oid)
    }

    /// What is to be known of columns since this was last asked.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What was counted of each table.
    pub(crate) fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// The session that reads the catalog.
    pub(crate) fn control(&self) -> &Connection {
        &self.control
    }

    /// The database they are in, as events name it.
    pub(crate) fn database(&self) -> &str {
        &self.encoder.database
    }

    /// Topics by name, made when first needed.
    pub(crate) fn topics(&mut self) -> &mut Topics {
        &mut self.topics
    }

    /// Ids of schemas, asked for when first needed.
    pub(crate) fn schemas(&mut self) -> &mut Schemas {
        &mut self.schemas
    }

    async fn compile(&mut self, table: Table) -> Result<CapturedTable, ConnectorError> {
        let mut plan = TablePlan::compile(table, &self.encoder)?;
        let ids = self.schemas.ids(plan.topic(), plan.schemas()).await?;
        plan.identify(ids);
        self.notices.extend(plan.notices());
        let topic = self.topics.ensure(plan.topic()).await?;
        info!(
            schema = plan.table().schema,
            table = plan.table().name,
            topic = plan.topic(),
            "captures table `{}.{}`",
            plan.table().schema,
            plan.table().name
        );
        let wanted = self.settings.reselects.iter();
        let reselects =
            wanted.filter_map(|settings| Reselect::new(plan.table(), settings)).collect();
        let lacking = Reselect::lacking(plan.table());
        let tally = self.tallies.of(&plan.table().schema, &plan.table().name);
        Ok(CapturedTable { plan, topic, reselects, lacking, tally })
    }

    /// Joins what the stream says of a table with what was decided about the rest.
    fn join(&mut self, relation: &Relation, version: &Version) -> Table {
        let mut table = shape::join(relation, version, &self.settings);
        if let Some(first_labels) = &mut self.first_labels {
            for column in &mut table.columns {
                shape::keep_labels(&mut column.data_type, first_labels);
            }
        }
        table
    }

    /// Types of columns the catalog no longer describes as the stream does: the table was dropped or altered since.
    async fn missing_types(
        &self,
        relation: &Relation,
        description: Option<&TableDescription>,
    ) -> Result<HashMap<Oid, TypeDescription>, ConnectorError> {
        let mut types = HashMap::new();
        for column in &relation.columns {
            if described(column, description).is_none() && !types.contains_key(&column.type_oid) {
                let found = catalog::describe_type(&self.control, column.type_oid).await?;
                types.extend(found.map(|found| (column.type_oid, found)));
            }
        }
        Ok(types)
    }
}

/// The catalog's column of the same name and type, if there still is one.
fn described<'a>(
    column: &RelationColumn,
    description: Option<&'a TableDescription>,
) -> Option<&'a ColumnDescription> {
    description?
        .columns
        .iter()
        .find(|found| found.name == column.name && found.type_.oid == column.type_oid)
}
