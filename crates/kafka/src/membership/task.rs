//! The task of a membership: one loop, one owner of all its state.
//!
//! In: answers of the coordinator, commands of the owner, the clock. Out: the [`View`]. Every turn first
//! looks at the clock: a session that is over is over before anything else is heeded.
//! Invariant: the session ends here before it ends at the coordinator. Ours counts from when a heartbeat
//! was sent, the coordinator's from when that arrived, and ours is shorter by a tenth, in which the
//! owner lets go.

use std::{collections::BTreeSet, future::pending, pin::Pin, sync::Arc, time::Duration};

use kafka_protocol::protocol::StrBytes;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};
use tracing::{info, warn};

use super::{
    Command, Member, MembershipSettings, View,
    clock::Moment,
    lead::Weigh,
    requests::{Answered, Identity, Link},
    round::RoundAnswered,
};
use crate::{Class, Client, KafkaError, admin::text, codes::ErrorCode, pool::Pool};

/// Longest time between two looks at the clock: timers stand still while a machine sleeps.
const LOOK_AFTER_MAX: Duration = Duration::from_millis(500);
const PAUSE_FIRST: Duration = Duration::from_millis(50);

type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// The membership is over.
pub(super) struct Ended(pub(super) KafkaError);

/// Partitions that the owner was asked to let go.
pub(super) struct Revoking {
    pub(super) number: u64,
    pub(super) partitions: BTreeSet<i32>,
    /// Longer than this nobody waits.
    pub(super) until: Moment,
}

pub(super) struct Task {
    pub(super) client: Client,
    pub(super) settings: MembershipSettings,
    pub(super) weigh: Weigh,
    pub(super) partition_count: i32,
    pub(super) view: watch::Sender<View>,
    commands: mpsc::Receiver<Command>,
    /// Connections for heartbeats.
    pub(super) beats: Arc<Pool>,
    /// Connections for rounds, which may be busy for as long as one takes.
    pub(super) rounds: Arc<Pool>,
    pub(super) coordinator: Option<String>,
    pub(super) member_id: StrBytes,
    /// -1: it is in none.
    pub(super) generation: i32,
    /// What the owner works on, or may work on.
    pub(super) owned: BTreeSet<i32>,
    pub(super) revoking: Option<Revoking>,
    pub(super) revokes: u64,
    /// The newest list of all members.
    pub(super) members: Vec<Member>,
    /// When the newest request was sent that the coordinator acknowledged.
    alive_at: Option<Moment>,
    pub(super) beat: Pending<Answered<Option<ErrorCode>>>,
    pub(super) beat_generation: i32,
    pub(super) next_beat_at: Moment,
    pub(super) round: Pending<RoundAnswered>,
    pub(super) is_joining: bool,
    /// Why the next round is wanted, if one is.
    pub(super) wanted: Option<&'static str>,
    pub(super) next_round_at: Moment,
    /// Failures in a row.
    failures: u32,
}

/// What a turn of the loop is about.
enum Turn {
    Command(Option<Command>),
    Beat(Answered<Option<ErrorCode>>),
    Round(RoundAnswered),
    Look,
}

impl Task {
    pub(super) fn new(
        client: &Client,
        settings: MembershipSettings,
        weigh: Weigh,
        partition_count: i32,
        view: watch::Sender<View>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let (beats, rounds) = (Arc::new(client.pool()), Arc::new(client.pool()));
        let now = Moment::now();
        Self {
            client: client.clone(),
            settings,
            weigh,
            partition_count,
            view,
            commands,
            beats,
            rounds,
            coordinator: None,
            member_id: StrBytes::default(),
            generation: -1,
            owned: BTreeSet::new(),
            revoking: None,
            revokes: 0,
            members: Vec::new(),
            alive_at: None,
            beat: None,
            beat_generation: -1,
            next_beat_at: now,
            round: None,
            is_joining: false,
            wanted: Some("it started"),
            next_round_at: now,
            failures: 0,
        }
    }

    /// Runs until the owner leaves or drops it, or the membership is over.
    pub(super) async fn run(mut self) {
        loop {
            if let Err(Ended(cause)) = self.look() {
                return self.end(cause);
            }
            let look_after = self.look_after();
            let turn = tokio::select! {
                biased;
                command = self.commands.recv() => Turn::Command(command),
                answered = answer_of(&mut self.beat) => Turn::Beat(answered),
                answered = answer_of(&mut self.round) => Turn::Round(answered),
                () = sleep(look_after) => Turn::Look,
            };
            // What came while the process was stopped is of a session that may be over.
            let is_over = self.end_session_in_time();
            let outcome = match turn {
                Turn::Command(None) => return,
                Turn::Command(Some(Command::Leave(answer))) => return self.leave(answer).await,
                Turn::Command(Some(Command::Revoked(number))) => {
                    self.let_go(number);
                    Ok(())
                }
                Turn::Beat(_) | Turn::Round(_) if is_over => Ok(()),
                Turn::Beat(answered) => self.heartbeat_answered(answered),
                Turn::Round(answered) => self.round_answered(answered),
                Turn::Look => Ok(()),
            };
            if let Err(Ended(cause)) = outcome {
                return self.end(cause);
            }
        }
    }

    /// What is due by the clock.
    fn look(&mut self) -> Result<(), Ended> {
        self.end_session_in_time();
        if let Some(revoking) = &self.revoking
            && revoking.until.is_past()
        {
            let (group, number) = (&self.settings.group, revoking.number);
            warn!(group, partitions = ?revoking.partitions, "group `{group}`: partitions were not let go within {:?}, and go to others all the same", self.settings.rebalance_timeout);
            self.let_go(number);
        }
        self.join_if_wanted()?;
        self.beat_if_due();
        Ok(())
    }

    fn look_after(&self) -> Duration {
        let beat = (self.is_member() && self.beat.is_none()).then_some(self.next_beat_at);
        let round = (self.wanted.is_some() && self.round.is_none()).then_some(self.next_round_at);
        let revoke = self.revoking.as_ref().map(|revoking| revoking.until);
        let due = [beat, round, revoke, self.session_ends_at()].into_iter().flatten();
        due.map(Moment::left).chain([LOOK_AFTER_MAX]).min().unwrap_or(LOOK_AFTER_MAX)
    }

    /// True if it was over.
    fn end_session_in_time(&mut self) -> bool {
        let (Some(alive_at), Some(ends_at)) = (self.alive_at, self.session_ends_at()) else {
            return false;
        };
        if ends_at.is_past() {
            let (group, waited) = (self.settings.group.clone(), alive_at.elapsed());
            self.lose(KafkaError::SessionOver { group, waited });
        }
        ends_at.is_past()
    }

    fn session_ends_at(&self) -> Option<Moment> {
        let session = self.settings.session_timeout;
        self.alive_at.map(|alive_at| alive_at + session * 9 / 10)
    }

    /// The coordinator has acknowledged a request that was sent then.
    pub(super) fn alive(&mut self, sent_at: Moment) {
        self.alive_at = self.alive_at.max(Some(sent_at));
        if self.failures > 0 {
            self.failures = 0;
            let group = &self.settings.group;
            info!(group, "the coordinator of group `{group}` answers again");
        }
        let session_ends_at = self.session_ends_at();
        self.view.send_if_modified(|view| {
            view.session_ends_at = session_ends_at;
            false
        });
    }

    pub(super) fn is_member(&self) -> bool {
        self.generation >= 0
    }

    pub(super) fn is_joining(&self) -> bool {
        self.is_joining
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            group: self.settings.group.clone(),
            instance_id: self.settings.instance_id.as_deref().map(text),
            member_id: self.member_id.clone(),
            generation: self.generation,
        }
    }

    pub(super) fn link(&self, pool: &Arc<Pool>) -> Link {
        let (client, pool) = (self.client.clone(), Arc::clone(pool));
        Link { client, pool, coordinator: self.coordinator.clone() }
    }

    pub(super) fn request_timeout(&self) -> Duration {
        self.client.config().request_timeout
    }

    /// The first reason stands: it is why the round is wanted.
    pub(super) fn want_round(&mut self, reason: &'static str) {
        self.wanted.get_or_insert(reason);
    }

    pub(super) fn forget_member_id(&mut self) {
        self.member_id = StrBytes::default();
    }

    /// Grows with the failures in a row, up to the time between two heartbeats.
    pub(super) fn pause_after_trouble(&self) -> Duration {
        let grown = PAUSE_FIRST * 2_u32.saturating_pow(self.failures.min(16));
        grown.min(self.settings.heartbeat_interval)
    }

    /// A request failed in a way that may pass, or cannot.
    pub(super) fn troubled(&mut self, error: KafkaError) -> Result<(), Ended> {
        if error.class() != Class::Transient {
            return Err(Ended(error));
        }
        if self.failures == 0 {
            let group = &self.settings.group;
            warn!(
                group,
                code = error.code(),
                "the coordinator of group `{group}` is away: what is ours stays so until the session is over, and it is asked again: {error}"
            );
        }
        self.failures = self.failures.saturating_add(1);
        Ok(())
    }

    /// A subscription that the codec refuses: its user data or topic is too long.
    pub(super) fn unwritable(&self, reason: String) -> KafkaError {
        let broker = self.coordinator.clone().unwrap_or_default();
        KafkaError::Protocol { broker, api: "JoinGroup", reason }
    }

    /// The owner has let go, or its time is over.
    fn let_go(&mut self, number: u64) {
        let Some(revoking) = self.revoking.take_if(|revoking| revoking.number == number) else {
            return;
        };
        self.owned.retain(|partition| !revoking.partitions.contains(partition));
        self.want_round("it let go of partitions");
        self.view.send_if_modified(|view| {
            view.revoking.clear();
            false
        });
    }

    /// Nothing is ours any more. It joins again, as whom it was if the coordinator still knows it: an
    /// empty id would push out a process that has taken its place meanwhile.
    pub(super) fn lose(&mut self, cause: KafkaError) {
        let was_member = self.is_member();
        self.owned.clear();
        self.revoking = None;
        self.generation = -1;
        self.alive_at = None;
        self.beat = None;
        self.round = None;
        self.is_joining = false;
        // The connection may be waiting for a round that nobody is interested in.
        self.rounds = Arc::new(self.client.pool());
        self.want_round("it lost what it had");
        if was_member {
            self.view.send_modify(|view| forget(view, cause));
        }
    }

    /// The last word.
    fn end(self, cause: KafkaError) {
        self.view.send_modify(|view| forget(view, cause));
    }

    async fn leave(mut self, answer: oneshot::Sender<Result<(), KafkaError>>) {
        self.beat = None;
        self.round = None;
        self.rounds = Arc::new(self.client.pool());
        let left = if self.member_id.is_empty() { Ok(()) } else { self.leave_in_time().await };
        // Who asked may be gone, and then nobody wants to know.
        drop(answer.send(left));
    }

    /// Asks until the coordinator answers, for at most a session: then it is no member anyway.
    async fn leave_in_time(&mut self) -> Result<(), KafkaError> {
        let until = Moment::now() + self.settings.session_timeout;
        loop {
            let (link, left) = (self.link(&self.rounds), until.left());
            let attempt = link.leave(self.identity(), left);
            let error = match timeout(left, attempt).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => KafkaError::RequestTimedOut {
                    broker: self.coordinator.clone().unwrap_or_default(),
                    api: "LeaveGroup",
                    waited: self.settings.session_timeout,
                },
            };
            if error.class() != Class::Transient || until.is_past() {
                return Err(error);
            }
            self.coordinator = None;
            self.failures = self.failures.saturating_add(1);
            sleep(self.pause_after_trouble().min(until.left())).await;
        }
    }
}

fn forget(view: &mut View, cause: KafkaError) {
    view.losses += 1;
    view.loss = Some(cause);
    view.revoking.clear();
    view.assignment = None;
    view.session_ends_at = None;
}

/// The answer to what is on its way; none as long as nothing is. Safe to cancel.
async fn answer_of<T>(on_its_way: &mut Pending<T>) -> T {
    match on_its_way {
        Some(answer) => {
            let answered = answer.await;
            *on_its_way = None;
            answered
        }
        None => pending().await,
    }
}
