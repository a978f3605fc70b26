//! One worker, from its start to its end.
//!
//! In: [`WorkerOptions`], a token to stop. Out: the API on a socket, this worker's share of the group's connectors.
//! Order of a start: topics, everything that is in them, the API, then the group: a worker that is given connectors knows them all.
//! Order of an end: connectors first, so that what takes over elsewhere finds nobody; then what was told; then the group.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kafka::membership::{Assignment, Membership, MembershipEvent, MembershipSettings};
use kafka::{Class, Client, KafkaError};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::change::Changes;
use crate::clock::now_ms;
use crate::error::WorkerError;
use crate::follow::Follower;
use crate::group::Group;
use crate::host::Host;
use crate::logs;
use crate::metrics::Board;
use crate::options::WorkerOptions;
use crate::rest::{self, Api, Health, RestOptions, audit_topic};
use crate::telling::Teller;
use crate::topics::GroupTopics;
use crate::view::{Member, View};

/// Heartbeats in one session.
const BEATS_PER_SESSION: u32 = 6;
/// What is still said at the end, where Kafka listens.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// Runs a worker until it is told to stop.
///
/// `ready` is called once the API answers, with the address it is heard at.
///
/// Errors: [`WorkerError`].
pub async fn run(
    options: WorkerOptions,
    api: RestOptions,
    stop: &CancellationToken,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), WorkerError> {
    if let Some(refusal) = api.refusal(options.listen) {
        return Err(refusal);
    }
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|cause| WorkerError::Listen { address: options.listen, cause })?;
    let address = listener.local_addr().unwrap_or(options.listen);
    let member = options.member(address);
    let store = |cause: KafkaError| {
        let (group, cause) = (options.group.clone(), Box::new(cause));
        WorkerError::Store { group, cause }
    };
    let client = Client::connect(options.client.clone()).await.map_err(store)?;
    let mut worker =
        Worker::start(&options, &member, &client, api, listener).await.map_err(store)?;
    ready(address);
    let weight = weight(Arc::clone(&worker.view), worker.topics.clone());
    let settings = membership(&options, &member);
    let mut membership = Membership::join(&client, settings, weight).await.map_err(store)?;
    let lost = worker.work(&mut membership, stop).await;
    worker.end(membership, lost.is_none()).await;
    lost.map_or(Ok(()), |cause| Err(ended(&options, &member, cause)))
}

/// The parts of a worker.
struct Worker {
    topics: GroupTopics,
    view: Arc<View>,
    teller: Teller,
    host: Host,
    board: Board,
    health: watch::Sender<Health>,
    /// The API goes on until this.
    served: CancellationToken,
    tasks: JoinSet<()>,
}

impl Worker {
    /// Reads what the group's topics hold, and begins to answer.
    async fn start(
        options: &WorkerOptions,
        member: &Member,
        client: &Client,
        mut api: RestOptions,
        listener: TcpListener,
    ) -> Result<Self, KafkaError> {
        let cluster_id = client.cluster().await?.cluster_id.unwrap_or_default();
        let topics = GroupTopics::open(client, options).await?;
        let view = Arc::new(View::new());
        let mut tasks = JoinSet::new();
        let (follower, catch_up) = Follower::new(
            client.clone(),
            topics.clone(),
            options.seal_key.clone(),
            Arc::clone(&view),
        );
        tasks.spawn(follower.run());
        catch_up.now().await?;
        let teller = Teller::default();
        tasks.spawn(teller.clone().run(client.clone(), topics.clone()));
        let changes =
            Changes::new(client.clone(), options, topics.clone(), Arc::clone(&view), catch_up);
        let group = Group::new(options.clone(), cluster_id, Arc::clone(&view), changes);
        let (health, seen) = watch::channel(Health::Starting);
        let served = CancellationToken::new();
        let tls = api.tls.clone();
        let (audit, records) = mpsc::channel(audit_topic::WAITING_MAX);
        tasks.spawn(audit_topic::run(client.clone(), options.clone(), records));
        if let Some(lines) = api.lines.take() {
            let written = logs::run(client.clone(), options.clone(), member.id.clone(), lines);
            tasks.spawn(written);
        }
        let board = Board::default();
        let api = Api::new(group.clone(), api, seen, board.clone(), Some(audit));
        let router = rest::router(api);
        tasks.spawn(rest::serve(listener, tls, router, served.clone()));
        let id = member.id.clone();
        let (of_host, of_group) = (teller.clone(), topics.clone());
        let host = Host::new(group, id, of_group, Arc::clone(&view), of_host, board.clone());
        Ok(Self { topics, view, teller, host, board, health, served, tasks })
    }

    /// Does its share until it is told to stop, or has lost its place in the group for good.
    async fn work(
        &mut self,
        membership: &mut Membership,
        stop: &CancellationToken,
    ) -> Option<KafkaError> {
        let mut wishes = self.view.wishes();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                event = membership.next() => {
                    if let Some(cause) = self.heed(event, membership).await {
                        return Some(cause);
                    }
                }
                Ok(()) = wishes.changed() => self.host.reconcile(),
                () = self.host.next_ended() => {}
            }
        }
    }

    /// Takes and lets go of partitions; the cause if the place in the group is lost for good.
    async fn heed(
        &mut self,
        event: MembershipEvent,
        membership: &Membership,
    ) -> Option<KafkaError> {
        match event {
            MembershipEvent::Assigned(assignment) => {
                self.view.set_members(members(&assignment));
                self.board.assigned(&assignment, now_ms());
                let (partitions, workers) = (&assignment.partitions, assignment.members.len());
                info!(partitions = partitions.len(), workers, "has its share of the group");
                self.host.assign(partitions.iter().copied().collect()).await;
                self.health.send_replace(Health::Healthy);
                None
            }
            MembershipEvent::Revoke { partitions } => {
                self.host.revoke(&partitions.into_iter().collect()).await;
                membership.revoked().await;
                None
            }
            MembershipEvent::Lost { cause } => {
                warn!(
                    code = cause.code(),
                    "lost its place in the group, lets go of all connectors: {cause}"
                );
                self.health.send_replace(Health::Unhealthy { reason: cause.to_string() });
                self.board.lost();
                self.host.revoke_all().await;
                (cause.class() != Class::Transient).then_some(cause)
            }
        }
    }

    /// Ends everything in order; says goodbye to the group if it is a member of it.
    async fn end(mut self, membership: Membership, is_member: bool) {
        info!("stops: connectors first, then the API");
        self.host.revoke_all().await;
        let told = timeout(FAREWELL_MAX, self.teller.flushed()).await;
        if is_member {
            let left = timeout(FAREWELL_MAX, membership.leave()).await;
            if !matches!((told, left), (Ok(()), Ok(Ok(())))) {
                warn!("Kafka does not answer: the others take over when the session is over");
            }
        }
        self.served.cancel();
        self.tasks.shutdown().await;
    }
}

/// How this worker appears in the group.
fn membership(options: &WorkerOptions, member: &Member) -> MembershipSettings {
    MembershipSettings {
        instance_id: Some(member.id.clone()),
        user_data: member.url.clone().into_bytes(),
        session_timeout: options.session_timeout,
        heartbeat_interval: options.session_timeout / BEATS_PER_SESSION,
        ..MembershipSettings::new(&options.group, options.configs_topic())
    }
}

/// A partition weighs as much as connectors live in it.
fn weight(view: Arc<View>, topics: GroupTopics) -> impl Fn(i32) -> u64 + Send + Sync + 'static {
    move |partition| {
        let names = view.names();
        names.iter().filter(|name| topics.partition_of(name) == partition).count() as u64
    }
}

fn members(assignment: &Assignment) -> Vec<Member> {
    let members = assignment.members.iter().map(|member| Member {
        id: member.instance_id.clone().unwrap_or_else(|| member.id.clone()),
        url: String::from_utf8_lossy(&member.user_data).into_owned(),
    });
    members.collect()
}

/// Why a worker that lost its place for good ends.
fn ended(options: &WorkerOptions, member: &Member, cause: KafkaError) -> WorkerError {
    let group = options.group.clone();
    if cause.class() == Class::Fenced {
        return WorkerError::Replaced { group, worker: member.id.clone() };
    }
    WorkerError::Store { group, cause: Box::new(cause) }
}
