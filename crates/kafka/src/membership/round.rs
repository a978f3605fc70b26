//! A round: `JoinGroup`, then `SyncGroup`, and what the member has after it.
//!
//! In: the coordinator's answers. Out: partitions that came, and partitions to let go. A round goes on
//! beside the heartbeats; nobody waits for the owner in it: what the owner still works on is claimed.

use std::collections::BTreeSet;

use kafka_protocol::{
    ResponseError,
    messages::{JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse},
};
use tracing::{debug, warn};

use super::{
    Assignment,
    clock::Moment,
    lead::{Lead, name},
    metadata::{Subscription, decode_assignment},
    requests::{Answered, Joining},
    task::{Ended, Revoking, Task},
};
use crate::{KafkaError, codes::ErrorCode, wire::Api};

/// The answer to one of the two requests of a round.
pub(super) enum RoundAnswered {
    Joined(Answered<JoinGroupResponse>),
    Synced(Answered<SyncGroupResponse>),
}

impl Task {
    /// Begins a round, if one is wanted.
    pub(super) fn join_if_wanted(&mut self) -> Result<(), Ended> {
        if self.round.is_some() || !self.next_round_at.is_past() {
            return Ok(());
        }
        let Some(reason) = self.wanted.take() else { return Ok(()) };
        let subscription = Subscription {
            user_data: self.settings.user_data.clone().into(),
            generation: self.generation,
            owned: self.owned.clone(),
        };
        let subscription = subscription
            .encode(&self.settings.topic)
            .map_err(|reason| Ended(self.unwritable(reason)))?;
        let joining = Joining {
            session_timeout: self.settings.session_timeout,
            rebalance_timeout: self.settings.rebalance_timeout,
            subscription,
            reason,
        };
        debug!(group = self.settings.group, "joins group `{}`: {reason}", self.settings.group);
        let link = self.link(&self.rounds);
        let join = link.join(self.identity(), joining);
        self.round = Some(Box::pin(async { RoundAnswered::Joined(join.await) }));
        self.is_joining = true;
        Ok(())
    }

    pub(super) fn round_answered(&mut self, answered: RoundAnswered) -> Result<(), Ended> {
        self.is_joining = false;
        match answered {
            RoundAnswered::Joined(Answered { coordinator, sent_at, result }) => {
                self.coordinator = coordinator;
                match result {
                    Ok(response) => self.joined(response, sent_at),
                    Err(error) => self.round_failed(error),
                }
            }
            RoundAnswered::Synced(Answered { coordinator, sent_at, result }) => {
                self.coordinator = coordinator;
                match result {
                    Ok(response) => self.synced(response, sent_at),
                    Err(error) => self.round_failed(error),
                }
            }
        }
    }

    fn round_failed(&mut self, error: KafkaError) -> Result<(), Ended> {
        self.want_round("the coordinator was away");
        self.next_round_at = Moment::now() + self.pause_after_trouble();
        self.troubled(error)
    }

    fn joined(&mut self, response: JoinGroupResponse, sent_at: Moment) -> Result<(), Ended> {
        if let Some(code) = ErrorCode::check(response.error_code) {
            return match ResponseError::try_from_code(response.error_code) {
                Some(ResponseError::MemberIdRequired) => {
                    self.member_id = response.member_id;
                    self.want_round("it has an id now");
                    Ok(())
                }
                _ => self.round_refused(JoinGroupRequest::NAME, code),
            };
        }
        let leads = response.leader == response.member_id && !response.skip_assignment;
        self.member_id = response.member_id;
        self.generation = response.generation_id;
        if self.owned.is_empty() {
            // There is nothing to lose, and the round may have taken longer than a session.
            self.alive(Moment::now());
        } else {
            self.alive(sent_at);
        }
        let lead = Lead {
            client: self.client.clone(),
            group: self.settings.group.clone(),
            topic: self.settings.topic.clone(),
            partition_count: self.partition_count,
            weigh: self.weigh.clone(),
            before: self.members.clone(),
            joined: response.members,
        };
        let (link, who) = (self.link(&self.rounds), self.identity());
        let rebalance_timeout = self.settings.rebalance_timeout;
        self.round = Some(Box::pin(async move {
            let assignments = if leads { lead.assignments().await } else { Vec::new() };
            RoundAnswered::Synced(link.sync(who, assignments, rebalance_timeout).await)
        }));
        Ok(())
    }

    fn synced(&mut self, response: SyncGroupResponse, sent_at: Moment) -> Result<(), Ended> {
        if let Some(code) = ErrorCode::check(response.error_code) {
            return self.round_refused(SyncGroupRequest::NAME, code);
        }
        self.alive(sent_at);
        let decoded = decode_assignment(response.assignment, &self.settings.topic);
        let (given, members) = decoded.unwrap_or_else(|reason| {
            let group = &self.settings.group;
            warn!(group, "group `{group}`: what the leader sent cannot be read, it counts as nothing: {reason}");
            Default::default()
        });
        self.members = members;
        self.take(&given);
        self.correct_what_others_know();
        Ok(())
    }

    /// Takes what is new, and asks for what is another's now.
    fn take(&mut self, given: &BTreeSet<i32>) {
        self.owned.extend(given);
        let mut partitions: BTreeSet<i32> = self.owned.difference(given).copied().collect();
        if let Some(revoking) = &self.revoking {
            // The owner may have begun to let go: what comes back meanwhile comes back after that.
            partitions.extend(&revoking.partitions);
        }
        let is_known = |revoking: &Revoking| revoking.partitions == partitions;
        if !partitions.is_empty() && !self.revoking.as_ref().is_some_and(is_known) {
            self.revokes += 1;
            let until = Moment::now() + self.settings.rebalance_timeout;
            self.revoking = Some(Revoking { number: self.revokes, partitions, until });
        }
        let revoking = self.revoking.as_ref().map(|revoking| &revoking.partitions);
        let is_kept = |number: &&i32| !revoking.is_some_and(|revoking| revoking.contains(number));
        let assignment = Assignment {
            generation: self.generation,
            partitions: self.owned.iter().filter(is_kept).copied().collect(),
            members: self.members.clone(),
        };
        let revoking = revoking.into_iter().flatten().copied().collect();
        let number = self.revokes;
        self.view.send_modify(|view| {
            view.revoke = number;
            view.revoking = revoking;
            view.round += 1;
            view.assignment = Some(assignment);
        });
    }

    /// A static member that starts again gets back what it had without a round; the list it gets then is
    /// the one of the round before, where it has another id. So nobody hears that it says something else
    /// of itself, and nobody gives away what it was about to let go when it died.
    fn correct_what_others_know(&mut self) {
        let Some(instance_id) = &self.settings.instance_id else { return };
        let Some(ours) = self.members.iter().find(|member| name(member) == instance_id) else {
            return;
        };
        if ours.id == *self.member_id {
            return;
        }
        let given: usize = self.members.iter().map(|member| member.partitions.len()).sum();
        if ours.user_data != self.settings.user_data {
            self.want_round("it says something else of itself");
        } else if given < usize::try_from(self.partition_count).unwrap_or(0) {
            self.want_round("it started again, and a partition is nobody's");
        }
    }

    fn round_refused(&mut self, api: &'static str, code: ErrorCode) -> Result<(), Ended> {
        self.want_round("the group began another round");
        if code.is(ResponseError::RebalanceInProgress) {
            return Ok(());
        }
        self.next_round_at = Moment::now() + self.pause_after_trouble();
        self.refused(api, code)
    }
}
