//! One request and its answer as bytes: which versions we speak, how a frame is built and read.
//!
//! In: messages of the codec. Out: frames, and the reverse. Never here: sockets, error codes.
//! Source: Kafka protocol guide, "Protocol Primitive Types", request and response headers.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use kafka_protocol::{
    messages::{self, ApiKey, RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, StrBytes, buf::ByteBuf},
};

/// Requests up to this size and answers up to the next are believed; more is a broken peer.
pub(crate) const FRAME_BYTES_MAX: usize = 512 << 20;

/// A request of the protocol.
pub(crate) trait Api: Encodable + HeaderVersion {
    /// Its number.
    const KEY: ApiKey;
    /// Its name, for messages.
    const NAME: &'static str;
    /// Lowest version we speak.
    const MIN: i16;
    /// Highest version we speak.
    const MAX: i16;
    /// Its answer.
    type Response: Decodable + HeaderVersion;
}

macro_rules! apis {
    ($($request:ident -> $response:ident, $key:ident $min:literal ..= $max:literal;)*) => {$(
        impl Api for messages::$request {
            const KEY: ApiKey = ApiKey::$key;
            const NAME: &'static str = stringify!($key);
            const MIN: i16 = $min;
            const MAX: i16 = $max;
            type Response = messages::$response;
        }
    )*};
}

apis! {
    // 3 names the client software and lists finalized features; 4 adds nothing for us.
    ApiVersionsRequest -> ApiVersionsResponse, ApiVersions 0..=3;
    // 13 names topics by id, which helps nobody here; 4 can forbid auto-creation.
    MetadataRequest -> MetadataResponse, Metadata 4..=12;
    FindCoordinatorRequest -> FindCoordinatorResponse, FindCoordinator 1..=6;
    InitProducerIdRequest -> InitProducerIdResponse, InitProducerId 0..=5;
    // From 4 it is the brokers' own request for batches of transactions.
    AddPartitionsToTxnRequest -> AddPartitionsToTxnResponse, AddPartitionsToTxn 0..=3;
    // 5 is TV2: it bumps the epoch with every transaction. Asked for only where TV2 is on.
    EndTxnRequest -> EndTxnResponse, EndTxn 0..=5;
    DescribeTransactionsRequest -> DescribeTransactionsResponse, DescribeTransactions 0..=0;
    DescribeProducersRequest -> DescribeProducersResponse, DescribeProducers 0..=0;
    // 12 is TV2: it adds partitions to the transaction. 13 names topics by id.
    ProduceRequest -> ProduceResponse, Produce 3..=12;
    // 13 names topics by id; 4 brought isolation levels.
    FetchRequest -> FetchResponse, Fetch 4..=12;
    // 2 brought isolation levels.
    ListOffsetsRequest -> ListOffsetsResponse, ListOffsets 2..=7;
    // From 8 on a request asks for several groups.
    OffsetFetchRequest -> OffsetFetchResponse, OffsetFetch 1..=7;
    // 5 brought static members.
    JoinGroupRequest -> JoinGroupResponse, JoinGroup 5..=9;
    SyncGroupRequest -> SyncGroupResponse, SyncGroup 3..=5;
    HeartbeatRequest -> HeartbeatResponse, Heartbeat 3..=4;
    LeaveGroupRequest -> LeaveGroupResponse, LeaveGroup 3..=5;
    CreateTopicsRequest -> CreateTopicsResponse, CreateTopics 2..=7;
    // 6 names topics by id as well.
    DeleteTopicsRequest -> DeleteTopicsResponse, DeleteTopics 1..=5;
    DescribeConfigsRequest -> DescribeConfigsResponse, DescribeConfigs 1..=4;
    SaslHandshakeRequest -> SaslHandshakeResponse, SaslHandshake 1..=1;
    SaslAuthenticateRequest -> SaslAuthenticateResponse, SaslAuthenticate 0..=2;
}

/// Builds the frame of a request in `frame`, an empty buffer.
///
/// Shape: int32 length · request header (api key, version, correlation id, client id) · body.
/// Errors: what the codec says about a field this version cannot carry.
pub(crate) fn encode<R: Api>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &StrBytes,
    mut frame: BytesMut,
) -> Result<BytesMut, String> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY as i16)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(client_id.clone()));
    let header_version = R::header_version(version);
    let header_bytes = header.compute_size(header_version).map_err(reason)?;
    let body_bytes = request.compute_size(version).map_err(reason)?;
    let frame_bytes = header_bytes + body_bytes;
    let length = i32::try_from(frame_bytes).ok().filter(|_| frame_bytes <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| format!("a request of {frame_bytes} bytes is too large"))?;
    frame.reserve(frame_bytes + 4);
    frame.put_i32(length);
    header.encode(&mut frame, header_version).map_err(reason)?;
    request.encode(&mut frame, version).map_err(reason)?;
    Ok(frame)
}

/// Reads an answer, its length already cut off. The correlation id was checked before.
pub(crate) fn decode<R: Api>(mut frame: Bytes, version: i16) -> Result<R::Response, String> {
    // The codec makes room for as many elements as an array says it has, before it looks for the first.
    read::<R>(&mut Wary { rest: frame.clone(), number: 0, digits: 0 }, version)?;
    read::<R>(&mut frame, version)
}

fn read<R: Api>(frame: &mut impl ByteBuf, version: i16) -> Result<R::Response, String> {
    ResponseHeader::decode(frame, R::Response::header_version(version)).map_err(reason)?;
    R::Response::decode(frame, version).map_err(reason)
}

/// An answer that is read for its structure alone, and in which no array can have more elements than there are bytes left. Numbers
/// that are no lengths come out of it changed.
struct Wary {
    rest: Bytes,
    /// The bytes before the next one that say another follows, as an unsigned varint, and how many they are: four at most.
    number: u64,
    digits: u32,
}

/// Bytes of an unsigned varint: five hold 32 bits.
const VARINT_BYTES_MAX: u32 = 5;

impl Buf for Wary {
    fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.rest
    }

    fn advance(&mut self, count: usize) {
        (self.number, self.digits) = (0, 0);
        self.rest.advance(count);
    }

    /// A byte of a varint, or a boolean. Which one is not known, so a varint may begin at any byte that says another follows it: the longest
    /// is looked at, whose number is the largest.
    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        let byte = self.rest.try_get_u8()?;
        let (goes_on, digit) = (byte & 0x80 != 0, u64::from(byte & 0x7F));
        let is_last = self.digits == VARINT_BYTES_MAX - 1;
        // One byte counts so few that nothing is lost by believing it; it may be no length.
        if self.digits > 0 && (is_last || !goes_on) {
            let number = self.number | digit << (7 * self.digits);
            let requested = usize::try_from(number).unwrap_or(usize::MAX);
            let available = self.rest.len();
            if requested > available + 1 {
                return Err(TryGetError { requested, available });
            }
        }
        if !goes_on {
            (self.number, self.digits) = (0, 0);
        } else if is_last {
            self.number = self.number >> 7 | digit << (7 * (self.digits - 1));
        } else {
            self.number |= digit << (7 * self.digits);
            self.digits += 1;
        }
        Ok(byte)
    }

    /// A length, or a number that is none.
    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        (self.number, self.digits) = (0, 0);
        let number = self.rest.try_get_i32()?;
        let one_too_many = i32::try_from(self.rest.len() + 1).unwrap_or(i32::MAX);
        Ok(number.min(one_too_many))
    }
}

impl ByteBuf for Wary {
    fn peek_bytes(&mut self, range: Range<usize>) -> Bytes {
        self.rest.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        (self.number, self.digits) = (0, 0);
        self.rest.split_to(size)
    }
}

/// The highest version both sides speak.
pub(crate) fn common_version(ours: (i16, i16), theirs: (i16, i16)) -> Option<i16> {
    let highest = ours.1.min(theirs.1);
    (highest >= ours.0.max(theirs.0)).then_some(highest)
}

/// The codec reports errors by a type of its own; its text is all there is to it.
#[expect(clippy::needless_pass_by_value, reason = "the shape `map_err` asks for")]
fn reason(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_its_own_length() {
        let request = messages::MetadataRequest::default().with_topics(None);
        let frame =
            encode(&request, 12, 7, &StrBytes::from_static_str("me"), BytesMut::new()).unwrap();
        let length = i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
        assert_eq!(usize::try_from(length).unwrap(), frame.len() - 4);
        assert_eq!(frame[8..12], 7_i32.to_be_bytes());
    }

    /// An answer to `Metadata` with `count` as the bytes of the number of brokers, and one broker of the largest numbers.
    fn metadata(version: i16, count: &[u8]) -> Bytes {
        let largest = &i32::MAX.to_be_bytes()[..];
        let (no_text, no_topics, tags, host) = match version {
            ..9 => (&[0xFF, 0xFF][..], &[0; 4][..], &[][..], &[1, 44][..]),
            _ => (&[0][..], &[1][..], &[0][..], &[0xAD, 2][..]),
        };
        let name = "h".repeat(300);
        let broker = [largest, host, name.as_bytes(), largest, no_text, tags].concat();
        [largest, tags, largest, count, &broker, no_text, largest, no_topics, tags].concat().into()
    }

    #[test]
    fn an_answer_is_read_whatever_its_numbers() {
        for (version, count) in [(4, &[0, 0, 0, 1][..]), (12, &[2])] {
            let frame = metadata(version, count);
            let read = decode::<messages::MetadataRequest>(frame.clone(), version).unwrap();
            assert_eq!((read.throttle_time_ms, *read.controller_id), (i32::MAX, i32::MAX));
            let broker = &read.brokers[0];
            assert_eq!((broker.host.len(), broker.port), (300, i32::MAX), "version {version}");
            let cut = frame.slice(..frame.len() - 1);
            assert!(decode::<messages::MetadataRequest>(cut, version).is_err());
        }
    }

    /// Room for what is announced would be more than the machine has.
    #[test]
    fn more_elements_than_there_are_bytes_are_refused() {
        for (version, count) in [(4, &[0x7F; 4][..]), (12, &[0xFF, 0xFF, 0xFF, 0xFF, 7])] {
            let frame = metadata(version, count);
            assert!(decode::<messages::MetadataRequest>(frame, version).is_err());
        }
        // A boolean that looks like the beginning of the number behind it: 2^31 partitions of a topic.
        let topic = [&[2, 0, 0, 2, b'a', 0x80, 0x80, 0x80, 0x80, 0x80, 0x08][..], &[0; 9]].concat();
        let frame = [&[0; 9][..], &[1, 0, 0, 0, 0, 1], &topic].concat();
        assert!(decode::<messages::MetadataRequest>(frame.into(), 9).is_err());
    }

    #[test]
    fn versions_meet_at_the_highest_common_one_or_not_at_all() {
        assert_eq!(common_version((3, 12), (0, 9)), Some(9));
        assert_eq!(common_version((3, 12), (0, 14)), Some(12));
        assert_eq!(common_version((4, 12), (0, 3)), None);
        assert_eq!(common_version((4, 12), (13, 14)), None);
    }
}
