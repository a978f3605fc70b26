//! A member of a classic consumer group, which learns by it which partitions of one topic are its own.
//!
//! In: a group, a topic, a weight for each partition. Out: [`MembershipEvent`]s. A task of its own
//! speaks to the coordinator, so that heartbeats go on while the owner is slow; what it knows is in one
//! view, from which [`Membership::next`] tells what is new. Members give and take partitions by
//! cooperative rounds: what a member keeps it keeps without a pause. Each assignment carries the list of
//! all members and what they have: it belongs to the generation it came with, and costs neither a second
//! question nor a permission, as `DescribeGroups` would. The list is in each member's part, so all of them
//! grow with the square of the number of members: fifty need a third of the one record in which the
//! coordinator keeps a group, and some ninety fill it.
//! Never here: records of the topic, committed offsets, what owning a partition means.
//! Source: Kafka protocol guide, `JoinGroup`, `SyncGroup`, `Heartbeat`, `LeaveGroup`; KIP-345 (static
//! members), KIP-394 (members ask for an id first), KIP-429 (cooperative rounds), KIP-800 (reasons).

mod assign;
mod beat;
mod clock;
mod lead;
mod metadata;
mod requests;
mod round;
mod task;

use std::{fmt, future::pending, panic::resume_unwind, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use crate::{Class, Client, KafkaError};
use clock::Moment;
use task::Task;

/// Commands on their way to the task.
const COMMANDS_MAX: usize = 8;
/// Heartbeats in one session: one may be lost, and one late.
const BEATS_PER_SESSION_MIN: u32 = 3;

/// Which group, which topic, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipSettings {
    /// `group.id`.
    pub group: String,
    /// The topic whose partitions the members share. It must exist.
    pub topic: String,
    /// `group.instance.id`: who starts again with it within the session gets back what it had, and the
    /// others notice nothing. `None`: a dynamic member, whose every start is a rebalance.
    pub instance_id: Option<String>,
    /// What all members are told of this one.
    pub user_data: Vec<u8>,
    /// `session.timeout.ms`: after so long without a heartbeat the others take over. Brokers take no
    /// less than their `group.min.session.timeout.ms`, 6 s if nobody set it.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`: also how soon a member hears of a rebalance. At most a third of the session.
    pub heartbeat_interval: Duration,
    /// `rebalance.timeout.ms`: longest time a round waits for a member, and for what it lets go.
    pub rebalance_timeout: Duration,
}

impl MembershipSettings {
    /// A dynamic member with nothing to say: session 6 s, heartbeats 1 s, rebalance 10 s.
    pub fn new(group: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            topic: topic.into(),
            instance_id: None,
            user_data: Vec::new(),
            session_timeout: Duration::from_secs(6),
            heartbeat_interval: Duration::from_secs(1),
            rebalance_timeout: Duration::from_secs(10),
        }
    }

    fn check(&self) -> Result<(), KafkaError> {
        let highest = self.session_timeout / BEATS_PER_SESSION_MIN;
        if self.heartbeat_interval.is_zero() || self.heartbeat_interval > highest {
            return Err(KafkaError::InvalidProperty {
                name: "heartbeat.interval.ms".into(),
                reason: format!(
                    "{:?} is not between 0 and a third of session.timeout.ms",
                    self.heartbeat_interval
                ),
                fix: format!("set it to at most {} ms", highest.as_millis()),
            });
        }
        Ok(())
    }
}

/// A member of the group, as all know it since the last round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What the coordinator calls it. A static member that started again since has another one.
    pub id: String,
    /// Its `group.instance.id`.
    pub instance_id: Option<String>,
    /// What it says of itself.
    pub user_data: Vec<u8>,
    /// What it was given, in order. A partition on its way from one member to another is nobody's.
    pub partitions: Vec<i32>,
}

/// What this member was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The group's generation.
    pub generation: i32,
    /// All partitions that are its own now, in order, without those it is asked to let go.
    pub partitions: Vec<i32>,
    /// All members, in order of their names.
    pub members: Vec<Member>,
}

/// What an owner of a membership is told.
#[derive(Clone, Debug)]
pub enum MembershipEvent {
    /// It is a member, and these are its own: all of them, also those it had before.
    Assigned(Assignment),
    /// These are to be another's. They stay its own until it says [`Membership::revoked`].
    Revoke {
        /// Partitions to let go, in order.
        partitions: Vec<i32>,
    },
    /// Nothing is its own any more, as of now. If the cause is [`Class::Transient`] it joins again by
    /// itself; otherwise this membership is over, and every further event is this one again.
    Lost {
        /// Why.
        cause: KafkaError,
    },
}

/// What the task knows, for its owner. Newer knowledge takes the place of older: an owner that was away
/// hears what is so now.
#[derive(Debug, Default)]
struct View {
    /// How often everything was lost, and why the last time.
    losses: u64,
    loss: Option<KafkaError>,
    /// Number of the newest wish to let go, and what it is about as long as it is not answered.
    revoke: u64,
    revoking: Vec<i32>,
    /// Number of the newest assignment, and it as long as it holds.
    round: u64,
    assignment: Option<Assignment>,
    /// When the session is over, if no further heartbeat is acknowledged.
    session_ends_at: Option<Moment>,
}

/// What the owner was told of a [`View`].
#[derive(Debug, Default)]
struct Told {
    losses: u64,
    revoke: u64,
    round: u64,
}

enum Command {
    /// The owner let go of what this wish was about.
    Revoked(u64),
    /// Leave, and say how it went.
    Leave(oneshot::Sender<Result<(), KafkaError>>),
}

/// A member of a group. Dropping it stops it without leaving, as a crash would: the others take over
/// when its session is over.
#[derive(Debug)]
pub struct Membership {
    view: watch::Receiver<View>,
    told: Told,
    commands: mpsc::Sender<Command>,
    task: JoinSet<()>,
}

impl Membership {
    /// Starts to join; the first [`MembershipEvent::Assigned`] says that it is a member. `weigh` tells
    /// the weight of a partition where this member is the leader of a round: it must answer at once.
    ///
    /// Errors: [`KafkaError::TopicMissing`], [`KafkaError::InvalidProperty`], those of connections.
    /// Whatever hinders it later is told by [`MembershipEvent::Lost`], or passes.
    pub async fn join(
        client: &Client,
        settings: MembershipSettings,
        weigh: impl Fn(i32) -> u64 + Send + Sync + 'static,
    ) -> Result<Self, KafkaError> {
        settings.check()?;
        let topic = client.topic(&settings.topic).await?;
        let topic = topic.ok_or_else(|| KafkaError::TopicMissing { topic: settings.topic.clone() });
        let partition_count = topic?.topic.partition_count();
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (sender, view) = watch::channel(View::default());
        let task = Task::new(client, settings, Arc::new(weigh), partition_count, sender, receiver);
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run());
        Ok(Self { view, told: Told::default(), commands, task: tasks })
    }

    /// The next event. Safe to cancel. What was lost is told before anything that came after it, and a
    /// session that is over by our own clock is told as lost before anything else.
    pub async fn next(&mut self) -> MembershipEvent {
        loop {
            if let Some(event) = self.news() {
                return event;
            }
            if self.view.changed().await.is_err() && !self.is_over() {
                match self.task.join_next().await {
                    Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
                    // It was aborted, and so is whoever waits here.
                    _ => pending::<()>().await,
                }
            }
        }
    }

    /// The owner let go of everything it was last asked to. Safe to repeat.
    pub async fn revoked(&self) {
        // A task that ended waits for no answer.
        drop(self.commands.send(Command::Revoked(self.told.revoke)).await);
    }

    /// Leaves: the others get its partitions at once. Whatever it worked on must be let go before.
    ///
    /// Errors: those of the coordinator; then the others take over when the session is over.
    pub async fn leave(self) -> Result<(), KafkaError> {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::Leave(answer)).await.is_err() {
            // It was over.
            return Ok(());
        }
        answered.await.unwrap_or(Ok(()))
    }

    fn is_over(&self) -> bool {
        let view = self.view.borrow();
        view.loss.as_ref().is_some_and(|cause| cause.class() != Class::Transient)
    }

    /// What the view says that was not told.
    fn news(&mut self) -> Option<MembershipEvent> {
        let view = self.view.borrow_and_update();
        let told = &mut self.told;
        if let Some(cause) = &view.loss
            && (view.losses > told.losses || cause.class() != Class::Transient)
        {
            told.losses = view.losses;
            return Some(MembershipEvent::Lost { cause: cause.clone() });
        }
        if view.session_ends_at.is_some_and(Moment::is_past) {
            // The task is about to say so; nothing it said before holds.
            return None;
        }
        if view.revoke > told.revoke {
            told.revoke = view.revoke;
            if !view.revoking.is_empty() {
                return Some(MembershipEvent::Revoke { partitions: view.revoking.clone() });
            }
        }
        if view.round > told.round {
            told.round = view.round;
            return view.assignment.clone().map(MembershipEvent::Assigned);
        }
        None
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked(_) => "Revoked",
            Self::Leave(_) => "Leave",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_as_long_as_the_session_is_refused() {
        let settings = MembershipSettings {
            heartbeat_interval: Duration::from_secs(3),
            ..MembershipSettings::new("g", "t")
        };
        let error = settings.check().unwrap_err();
        assert_eq!(error.code(), "KA002");
        assert!(error.to_string().contains("2000 ms"), "{error}");
        assert!(MembershipSettings::new("g", "t").check().is_ok());
    }
}
