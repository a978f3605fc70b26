//! The leader's part of a round: from what all members say to what each is given.
//!
//! In: their subscriptions, the list of the round before, the weights. Out: one assignment for each.
//! Never here: requests but the one for the number of partitions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use kafka_protocol::{
    messages::{
        join_group_response::JoinGroupResponseMember,
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::StrBytes,
};
use tokio::time::timeout;
use tracing::warn;

use super::{
    Member,
    assign::{Claim, assign},
    metadata::{Subscription, encode_assignment, encode_roster},
};
use crate::Client;

/// Others wait meanwhile, and the number is hardly ever another one.
const PATIENCE: Duration = Duration::from_secs(1);

/// The weight of a partition.
pub(super) type Weigh = Arc<dyn Fn(i32) -> u64 + Send + Sync>;

/// What a leader needs to know.
pub(super) struct Lead {
    pub(super) client: Client,
    pub(super) group: String,
    pub(super) topic: String,
    /// As many as there were when last asked.
    pub(super) partition_count: i32,
    pub(super) weigh: Weigh,
    /// All members and what they were given, in the round before that this member knows of.
    pub(super) before: Vec<Member>,
    pub(super) joined: Vec<JoinGroupResponseMember>,
}

impl Lead {
    pub(super) async fn assignments(self) -> Vec<SyncGroupRequestAssignment> {
        let asked = timeout(PATIENCE, self.client.topic(&self.topic)).await;
        let partition_count = match asked {
            Ok(Ok(Some(found))) => found.topic.partition_count(),
            _ => self.partition_count,
        };
        let weights: Vec<u64> = (0..partition_count).map(|number| (self.weigh)(number)).collect();
        let members = self.members();
        let claims: Vec<Claim> = members.iter().map(|(_, _, claim)| claim.clone()).collect();
        let given = assign(&weights, &claims);
        let mut roster: Vec<Member> = members
            .iter()
            .zip(&given)
            .map(|((member, user_data, _), given)| Member {
                id: member.member_id.to_string(),
                instance_id: member.group_instance_id.as_ref().map(ToString::to_string),
                user_data: user_data.clone(),
                partitions: given.iter().copied().collect(),
            })
            .collect();
        roster.sort_by(|a, b| name(a).cmp(name(b)));
        let list = encode_roster(&roster);
        let encode = |member_id: &StrBytes, given: &BTreeSet<i32>| {
            let assignment = encode_assignment(&self.topic, given, list.clone());
            let assignment = assignment.unwrap_or_else(|reason| {
                warn!(group = self.group, "an assignment cannot be written: {reason}");
                bytes::Bytes::new()
            });
            SyncGroupRequestAssignment::default()
                .with_member_id(member_id.clone())
                .with_assignment(assignment)
        };
        let pairs = members.iter().zip(&given);
        pairs.map(|((member, _, _), given)| encode(&member.member_id, given)).collect()
    }

    /// Members of this topic, with what they say of themselves and what they hold.
    fn members(&self) -> Vec<(&JoinGroupResponseMember, Vec<u8>, Claim)> {
        let before: BTreeMap<&str, &Member> =
            self.before.iter().map(|member| (name(member), member)).collect();
        let mut members = Vec::new();
        for member in &self.joined {
            let subscription = match Subscription::decode(member.metadata.clone(), &self.topic) {
                Ok(Some(subscription)) => subscription,
                Ok(None) => continue,
                Err(reason) => {
                    warn!(group = self.group, member.id = %member.member_id, "member `{}` of group `{}` is given nothing, what it says cannot be read: {reason}", member.member_id, self.group);
                    continue;
                }
            };
            let name = member.group_instance_id.as_ref().unwrap_or(&member.member_id);
            let formerly = before.get(&**name).map(|before| before.partitions.iter().copied());
            let claim = Claim {
                name: name.to_string(),
                generation: subscription.generation,
                owned: subscription.owned,
                formerly: formerly.into_iter().flatten().collect(),
            };
            members.push((member, subscription.user_data.to_vec(), claim));
        }
        members
    }
}

/// What stays of a member when it starts again.
pub(super) fn name(member: &Member) -> &str {
    member.instance_id.as_deref().unwrap_or(&member.id)
}
