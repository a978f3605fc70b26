//! The requests of a member, each with how it ended.
//!
//! In: who asks, and what. Out: [`Answered`]: the answer, when the request left, and which broker is the
//! coordinator. Never here: what an answer means for the member.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
        SyncGroupRequest, SyncGroupResponse, join_group_request::JoinGroupRequestProtocol,
        leave_group_request::MemberIdentity, sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::StrBytes,
};

use super::clock::Moment;
use crate::{
    Client, KafkaError,
    admin::{millis, text},
    answer::{self, Subject},
    codes::ErrorCode,
    coordinator::{Coordinated, find_coordinator},
    pool::Pool,
    wire::Api,
};

/// The protocol type of consumers: their tools show groups of this type.
const PROTOCOL_TYPE: &str = "consumer";
/// The name of our way to assign. Members that have another one cannot join.
const PROTOCOL: &str = "tributary";

/// How a request ended.
#[derive(Debug)]
pub(super) struct Answered<T> {
    /// The coordinator that was asked; `None` if it has to be looked for again.
    pub(super) coordinator: Option<String>,
    /// Just before the request was sent.
    pub(super) sent_at: Moment,
    pub(super) result: Result<T, KafkaError>,
}

/// A way to the coordinator.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) client: Client,
    /// Requests on one connection are answered in turn, and one may wait for a whole round.
    pub(super) pool: Arc<Pool>,
    pub(super) coordinator: Option<String>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) group: String,
    pub(super) instance_id: Option<StrBytes>,
    /// Empty: the coordinator has not given one.
    pub(super) member_id: StrBytes,
    /// -1: none.
    pub(super) generation: i32,
}

impl Identity {
    fn group_id(&self) -> GroupId {
        GroupId(text(&self.group))
    }
}

/// What a member says when it joins.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) subscription: Bytes,
    pub(super) reason: &'static str,
}

impl Link {
    pub(super) async fn join(self, who: Identity, joining: Joining) -> Answered<JoinGroupResponse> {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text(PROTOCOL))
            .with_metadata(joining.subscription);
        let request = JoinGroupRequest::default()
            .with_group_id(who.group_id())
            .with_session_timeout_ms(millis(joining.session_timeout))
            .with_rebalance_timeout_ms(millis(joining.rebalance_timeout))
            .with_member_id(who.member_id.clone())
            .with_group_instance_id(who.instance_id.clone())
            .with_protocol_type(text(PROTOCOL_TYPE))
            .with_protocols(vec![protocol])
            .with_reason(Some(text(joining.reason)));
        // It is answered when all members have come, or their time is over.
        let patience = joining.rebalance_timeout + self.client.config().request_timeout;
        self.ask(&who.group, &request, patience, |response| response.error_code).await
    }

    pub(super) async fn sync(
        self,
        who: Identity,
        assignments: Vec<SyncGroupRequestAssignment>,
        rebalance_timeout: Duration,
    ) -> Answered<SyncGroupResponse> {
        let request = SyncGroupRequest::default()
            .with_group_id(who.group_id())
            .with_generation_id(who.generation)
            .with_member_id(who.member_id.clone())
            .with_group_instance_id(who.instance_id.clone())
            .with_protocol_type(Some(text(PROTOCOL_TYPE)))
            .with_protocol_name(Some(text(PROTOCOL)))
            .with_assignments(assignments);
        // It is answered when the leader has sent the assignment.
        let patience = rebalance_timeout + self.client.config().request_timeout;
        self.ask(&who.group, &request, patience, |response| response.error_code).await
    }

    pub(super) async fn heartbeat(
        self,
        who: Identity,
        patience: Duration,
    ) -> Answered<Option<ErrorCode>> {
        let request = HeartbeatRequest::default()
            .with_group_id(who.group_id())
            .with_generation_id(who.generation)
            .with_member_id(who.member_id.clone())
            .with_group_instance_id(who.instance_id.clone());
        let answered = self.ask(&who.group, &request, patience, |response| response.error_code);
        let Answered { coordinator, sent_at, result } = answered.await;
        let result = result.map(|response| ErrorCode::check(response.error_code));
        Answered { coordinator, sent_at, result }
    }

    /// One attempt to leave.
    pub(super) async fn leave(self, who: Identity, patience: Duration) -> Result<(), KafkaError> {
        let member = MemberIdentity::default()
            .with_member_id(who.member_id.clone())
            .with_group_instance_id(who.instance_id.clone())
            .with_reason(Some(text("it was told to stop")));
        let request =
            LeaveGroupRequest::default().with_group_id(who.group_id()).with_members(vec![member]);
        let answered = self.ask(&who.group, &request, patience, |response| response.error_code);
        let response = answered.await.result?;
        let of_member = response.members.first().map_or(0, |member| member.error_code);
        match [response.error_code, of_member].into_iter().find_map(ErrorCode::check) {
            // Who is no member has left.
            None => Ok(()),
            Some(code) if code.is(ResponseError::UnknownMemberId) => Ok(()),
            Some(code) => Err(answer::refused(
                LeaveGroupRequest::NAME,
                Subject::Group(&who.group),
                code,
                None,
            )),
        }
    }

    /// Asks the coordinator, and looks for it first where that is needed.
    async fn ask<R: Api>(
        self,
        group: &str,
        request: &R,
        patience: Duration,
        code_of: impl Fn(&R::Response) -> i16,
    ) -> Answered<R::Response> {
        let mut sent_at = Moment::now();
        let attempt = async {
            let coordinator = match &self.coordinator {
                Some(known) => known.clone(),
                None => find(&self.client, group).await?,
            };
            let connection = self.pool.get(&coordinator).await?;
            sent_at = Moment::now();
            let response = connection.request(request, patience).await?;
            match ErrorCode::check(code_of(&response)) {
                Some(code) if code.is_coordinator_moving() => {
                    Err(answer::refused(R::NAME, Subject::Group(group), code, None))
                }
                _ => Ok((coordinator, response)),
            }
        };
        let outcome = attempt.await;
        match outcome {
            Ok((coordinator, response)) => {
                Answered { coordinator: Some(coordinator), sent_at, result: Ok(response) }
            }
            Err(error) => Answered { coordinator: None, sent_at, result: Err(error) },
        }
    }
}

async fn find(client: &Client, group: &str) -> Result<String, KafkaError> {
    let found = find_coordinator(client, Coordinated::Group(group)).await?;
    found.map_err(|code| answer::refused("FindCoordinator", Subject::Group(group), code, None))
}
