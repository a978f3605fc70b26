//! One request and its answer as bytes: which versions we speak, how a frame is built and read.
//!
//! In: messages of the codec. Out: frames, and the reverse. Never here: sockets, error codes.
//! Source: Kafka protocol guide, "Protocol Primitive Types", request and response headers.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{self, ApiKey, RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, StrBytes},
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
    // 12 is TV2: it adds partitions to the transaction. 13 names topics by id.
    ProduceRequest -> ProduceResponse, Produce 3..=12;
    // 13 names topics by id; 4 brought isolation levels.
    FetchRequest -> FetchResponse, Fetch 4..=12;
    // 2 brought isolation levels.
    ListOffsetsRequest -> ListOffsetsResponse, ListOffsets 2..=7;
    CreateTopicsRequest -> CreateTopicsResponse, CreateTopics 2..=7;
    // 6 names topics by id as well.
    DeleteTopicsRequest -> DeleteTopicsResponse, DeleteTopics 1..=5;
    DescribeConfigsRequest -> DescribeConfigsResponse, DescribeConfigs 1..=4;
    SaslHandshakeRequest -> SaslHandshakeResponse, SaslHandshake 1..=1;
    SaslAuthenticateRequest -> SaslAuthenticateResponse, SaslAuthenticate 0..=2;
}

/// Builds the frame of a request.
///
/// Shape: int32 length · request header (api key, version, correlation id, client id) · body.
/// Errors: what the codec says about a field this version cannot carry.
pub(crate) fn encode<R: Api>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &StrBytes,
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
    let mut frame = BytesMut::with_capacity(frame_bytes + 4);
    frame.put_i32(length);
    header.encode(&mut frame, header_version).map_err(reason)?;
    request.encode(&mut frame, version).map_err(reason)?;
    Ok(frame)
}

/// Reads an answer, its length already cut off. The correlation id was checked before.
pub(crate) fn decode<R: Api>(mut frame: Bytes, version: i16) -> Result<R::Response, String> {
    ResponseHeader::decode(&mut frame, R::Response::header_version(version)).map_err(reason)?;
    R::Response::decode(&mut frame, version).map_err(reason)
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
        let frame = encode(&request, 12, 7, &StrBytes::from_static_str("me")).unwrap();
        let length = i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
        assert_eq!(usize::try_from(length).unwrap(), frame.len() - 4);
        assert_eq!(frame[8..12], 7_i32.to_be_bytes());
    }

    #[test]
    fn versions_meet_at_the_highest_common_one_or_not_at_all() {
        assert_eq!(common_version((3, 12), (0, 9)), Some(9));
        assert_eq!(common_version((3, 12), (0, 14)), Some(12));
        assert_eq!(common_version((4, 12), (0, 3)), None);
        assert_eq!(common_version((4, 12), (13, 14)), None);
    }
}
