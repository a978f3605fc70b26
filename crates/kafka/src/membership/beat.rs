//! Heartbeats: what keeps the session, and what they tell.
//!
//! In: the coordinator's answers. Out: a longer session, the wish for a round, or the end of what the
//! member had. Never here: rounds themselves.

use kafka_protocol::{ResponseError, messages::HeartbeatRequest};

use super::{
    clock::Moment,
    requests::Answered,
    task::{Ended, Task},
};
use crate::{
    KafkaError,
    answer::{self, Subject},
    codes::{Class, ErrorCode},
    wire::Api,
};

impl Task {
    /// Sends the next heartbeat, if one is due.
    pub(super) fn beat_if_due(&mut self) {
        if !self.is_member() || self.beat.is_some() || !self.next_beat_at.is_past() {
            return;
        }
        let patience = (self.settings.session_timeout / 2).min(self.request_timeout());
        let link = self.link(&self.beats);
        self.beat = Some(Box::pin(link.heartbeat(self.identity(), patience)));
        self.beat_generation = self.generation;
    }

    /// An answer to a heartbeat, or none.
    pub(super) fn heartbeat_answered(
        &mut self,
        answered: Answered<Option<ErrorCode>>,
    ) -> Result<(), Ended> {
        let Answered { coordinator, sent_at, result } = answered;
        self.coordinator = coordinator;
        let code = match result {
            Ok(code) => code,
            Err(error) => {
                self.next_beat_at = Moment::now() + self.pause_after_trouble();
                return self.troubled(error);
            }
        };
        self.next_beat_at = sent_at + self.settings.heartbeat_interval;
        let Some(code) = code else {
            self.alive(sent_at);
            return Ok(());
        };
        match ResponseError::try_from_code(code.as_i16()) {
            Some(ResponseError::RebalanceInProgress) => {
                self.alive(sent_at);
                // What it tells of an older generation than ours is what we came from.
                if self.beat_generation == self.generation && !self.is_joining() {
                    self.want_round("the group rebalances");
                }
                Ok(())
            }
            // The answer that brings the new generation is on its way, or was just here.
            Some(ResponseError::IllegalGeneration)
                if self.is_joining() || self.beat_generation != self.generation =>
            {
                Ok(())
            }
            _ => self.refused(HeartbeatRequest::NAME, code),
        }
    }

    /// The coordinator does not take us for the member we say we are.
    pub(super) fn refused(&mut self, api: &'static str, code: ErrorCode) -> Result<(), Ended> {
        let error = answer::refused(api, Subject::Group(&self.settings.group), code, None);
        match ResponseError::try_from_code(code.as_i16()) {
            Some(ResponseError::FencedInstanceId) => Err(Ended(KafkaError::InstanceFenced {
                group: self.settings.group.clone(),
                instance_id: self.settings.instance_id.clone().unwrap_or_default(),
                api,
                code,
            })),
            Some(ResponseError::UnknownMemberId) => {
                self.forget_member_id();
                self.lose(error);
                Ok(())
            }
            Some(ResponseError::IllegalGeneration) => {
                self.lose(error);
                Ok(())
            }
            _ if error.class() == Class::Transient => self.troubled(error),
            _ => Err(Ended(error)),
        }
    }
}
