//! What members tell each other through the coordinator, as bytes.
//!
//! Subscription and assignment are those of Kafka's consumers, so that its tools show the group. Their
//! user data is ours: in a subscription what the member says of itself, in an assignment the list of
//! all members.
//! In: names, partitions. Out: bytes, and the reverse; any bytes give a value or a reason, never a panic.
//! Source: `ConsumerProtocolSubscription`, `ConsumerProtocolAssignment` of the Kafka protocol; KIP-429.

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicName,
        consumer_protocol_assignment, consumer_protocol_subscription,
    },
    protocol::{Decodable, Encodable},
};

use super::Member;
use crate::admin::text;

/// 2 brought the generation of what is owned; 3 adds the rack. Of an assignment all versions are alike.
const VERSION: i16 = 2;
/// Of the list of members.
const ROSTER_VERSION: u8 = 0;

/// What a member wants and has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) user_data: Bytes,
    pub(super) generation: i32,
    pub(super) owned: BTreeSet<i32>,
}

impl Subscription {
    pub(super) fn encode(self, topic: &str) -> Result<Bytes, String> {
        let owned = consumer_protocol_subscription::TopicPartition::default()
            .with_topic(TopicName(text(topic)))
            .with_partitions(self.owned.into_iter().collect());
        let message = ConsumerProtocolSubscription::default()
            .with_topics(vec![text(topic)])
            .with_user_data(Some(self.user_data))
            .with_owned_partitions(vec![owned])
            .with_generation_id(self.generation);
        versioned(&message)
    }

    /// `None` if the member does not want this topic.
    pub(super) fn decode(mut bytes: Bytes, topic: &str) -> Result<Option<Self>, String> {
        let version = version(&mut bytes)?;
        let message = ConsumerProtocolSubscription::decode(&mut bytes, version).map_err(reason)?;
        if !message.topics.iter().any(|wanted| &**wanted == topic) {
            return Ok(None);
        }
        let owned = message.owned_partitions.iter().filter(|owned| &**owned.topic == topic);
        Ok(Some(Self {
            user_data: message.user_data.unwrap_or_default(),
            generation: message.generation_id,
            owned: owned.flat_map(|owned| owned.partitions.iter().copied()).collect(),
        }))
    }
}

/// What a member is given, and who else there is.
pub(super) fn encode_assignment(
    topic: &str,
    partitions: &BTreeSet<i32>,
    roster: Bytes,
) -> Result<Bytes, String> {
    let assigned = consumer_protocol_assignment::TopicPartition::default()
        .with_topic(TopicName(text(topic)))
        .with_partitions(partitions.iter().copied().collect());
    let message = ConsumerProtocolAssignment::default()
        .with_assigned_partitions(vec![assigned])
        .with_user_data(Some(roster));
    versioned(&message)
}

/// A member that the leader did not think of is given no bytes at all: that is nothing.
pub(super) fn decode_assignment(
    mut bytes: Bytes,
    topic: &str,
) -> Result<(BTreeSet<i32>, Vec<Member>), String> {
    if bytes.is_empty() {
        return Ok((BTreeSet::new(), Vec::new()));
    }
    let version = version(&mut bytes)?;
    let message = ConsumerProtocolAssignment::decode(&mut bytes, version).map_err(reason)?;
    let assigned = message.assigned_partitions.iter().filter(|given| &**given.topic == topic);
    let partitions = assigned.flat_map(|given| given.partitions.iter().copied()).collect();
    let roster = decode_roster(&message.user_data.unwrap_or_default())
        .ok_or_else(|| "the list of members cannot be read".to_owned())?;
    Ok((partitions, roster))
}

/// Shape: `u8` version · `u32` members · each: bytes id · `u8` 1 and bytes instance id, or `u8` 0 · bytes
/// user data · `u32` partitions · each `i32`. Bytes: `u32` length and they themselves.
pub(super) fn encode_roster(members: &[Member]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(ROSTER_VERSION);
    put_length(&mut out, members.len());
    for member in members {
        put_bytes(&mut out, member.id.as_bytes());
        out.put_u8(u8::from(member.instance_id.is_some()));
        if let Some(instance_id) = &member.instance_id {
            put_bytes(&mut out, instance_id.as_bytes());
        }
        put_bytes(&mut out, &member.user_data);
        put_length(&mut out, member.partitions.len());
        member.partitions.iter().for_each(|partition| out.put_i32(*partition));
    }
    out.freeze()
}

fn decode_roster(mut bytes: &[u8]) -> Option<Vec<Member>> {
    // A later version of ours may say more; whom it names is not guessed.
    if bytes.is_empty() || bytes.try_get_u8().ok()? != ROSTER_VERSION {
        return Some(Vec::new());
    }
    let mut members = Vec::new();
    for _ in 0..bytes.try_get_u32().ok()? {
        let id = get_text(&mut bytes)?;
        let instance_id = match bytes.try_get_u8().ok()? {
            0 => None,
            _ => Some(get_text(&mut bytes)?),
        };
        let user_data = get_bytes(&mut bytes)?.to_vec();
        let mut partitions = Vec::new();
        for _ in 0..bytes.try_get_u32().ok()? {
            partitions.push(bytes.try_get_i32().ok()?);
        }
        members.push(Member { id, instance_id, user_data, partitions });
    }
    Some(members)
}

fn put_length(out: &mut BytesMut, length: usize) {
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.put_slice(bytes);
}

fn get_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn get_text(bytes: &mut &[u8]) -> Option<String> {
    String::from_utf8(get_bytes(bytes)?.to_vec()).ok()
}

fn versioned(message: &impl Encodable) -> Result<Bytes, String> {
    let mut bytes = BytesMut::new();
    bytes.put_i16(VERSION);
    message.encode(&mut bytes, VERSION).map_err(reason)?;
    Ok(bytes.freeze())
}

/// A newer version is read as the newest we know: later ones only add at the end.
fn version(bytes: &mut Bytes) -> Result<i16, String> {
    match bytes.try_get_i16() {
        Ok(version) if version >= 0 => Ok(version.min(3)),
        _ => Err("there is no version in front".into()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` asks for")]
fn reason(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    fn members() -> impl Strategy<Value = Vec<Member>> {
        let member = (".{0,9}", option::of(".{0,9}"), vec(any::<u8>(), 0..20), vec(0..99, 0..9));
        let member = member.prop_map(|(id, instance_id, user_data, partitions)| Member {
            id,
            instance_id,
            user_data,
            partitions,
        });
        vec(member, 0..6)
    }

    #[test]
    fn no_bytes_are_no_partitions() {
        assert_eq!(decode_assignment(Bytes::new(), "t").unwrap(), (BTreeSet::new(), Vec::new()));
    }

    #[test]
    fn a_member_of_another_topic_wants_nothing_of_ours() {
        let subscription =
            Subscription { user_data: Bytes::new(), generation: 1, owned: [1].into() };
        let bytes = subscription.encode("theirs").unwrap();
        assert_eq!(Subscription::decode(bytes, "ours").unwrap(), None);
    }

    proptest! {
        #[test]
        fn an_assignment_is_read_as_it_was_written(roster in members(), partitions in vec(0..99, 0..9)) {
            let partitions: BTreeSet<i32> = partitions.into_iter().collect();
            let bytes = encode_assignment("configs", &partitions, encode_roster(&roster)).unwrap();
            prop_assert_eq!(decode_assignment(bytes, "configs").unwrap(), (partitions, roster));
        }

        #[test]
        fn a_subscription_is_read_as_it_was_written(user_data in vec(any::<u8>(), 0..20), generation in -1..99, owned in vec(0..99, 0..9)) {
            let written = Subscription { user_data: user_data.into(), generation, owned: owned.into_iter().collect() };
            let bytes = written.clone().encode("configs").unwrap();
            prop_assert_eq!(Subscription::decode(bytes, "configs").unwrap(), Some(written));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..60), roster in members(), cut in any::<prop::sample::Index>()) {
            drop(decode_roster(&bytes));
            let whole = encode_roster(&roster);
            drop(decode_roster(&whole[..cut.index(whole.len())]));
        }
    }
}
