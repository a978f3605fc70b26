//! Asks a broker which brokers it knows.
//!
//! In: a port. Out: the ids of the brokers that are up. Never here: anything a client would need more than that.
//! Source: Kafka protocol guide, `ApiVersions` (18) version 0, `Metadata` (3) version 1, request header version 1.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const ANSWER_WAIT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u32 = 1_000_000;
const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;

/// Ids of the brokers that the broker on this port sees up; empty if it does not answer yet.
pub(super) async fn brokers_seen_by(port: u16) -> Vec<i32> {
    match timeout(ANSWER_WAIT, ask(port)).await {
        Ok(Ok(brokers)) => brokers,
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

async fn ask(port: u16) -> io::Result<Vec<i32>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let versions = exchange(&mut stream, API_VERSIONS, 0, &[]).await?;
    if !versions.starts_with(&[0, 0]) {
        return Err(io::Error::other("ApiVersions was answered with an error code"));
    }
    // An empty array asks for no topics, so that nothing is created by asking.
    let metadata = exchange(&mut stream, METADATA, 1, &0_i32.to_be_bytes()).await?;
    brokers(&metadata).ok_or_else(|| io::Error::other("Metadata was cut short"))
}

/// Sends one request and returns the body of its response.
async fn exchange(
    stream: &mut TcpStream,
    api_key: i16,
    version: i16,
    body: &[u8],
) -> io::Result<Vec<u8>> {
    const CLIENT_ID: &[u8] = b"\0\x09readiness";
    const CORRELATION_ID: i32 = 1;
    let mut request = Vec::new();
    request.extend_from_slice(&api_key.to_be_bytes());
    request.extend_from_slice(&version.to_be_bytes());
    request.extend_from_slice(&CORRELATION_ID.to_be_bytes());
    request.extend_from_slice(CLIENT_ID);
    request.extend_from_slice(body);
    let length = u32::try_from(request.len()).map_err(io::Error::other)?;
    stream.write_u32(length).await?;
    stream.write_all(&request).await?;
    let length = stream.read_u32().await?;
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::other("not a Kafka broker"));
    }
    let correlation_id = stream.read_i32().await?;
    if correlation_id != CORRELATION_ID {
        return Err(io::Error::other("not a Kafka broker"));
    }
    let mut response = vec![0; (length as usize).saturating_sub(4)];
    stream.read_exact(&mut response).await?;
    Ok(response)
}

/// Broker ids of a Metadata response, version 1: array of node id, host, port, nullable rack.
fn brokers(mut response: &[u8]) -> Option<Vec<i32>> {
    let count = usize::try_from(int32(&mut response)?).ok()?;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(int32(&mut response)?);
        skip_string(&mut response)?;
        int32(&mut response)?;
        skip_string(&mut response)?;
    }
    Some(ids)
}

fn int32(input: &mut &[u8]) -> Option<i32> {
    let (bytes, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(i32::from_be_bytes(*bytes))
}

fn skip_string(input: &mut &[u8]) -> Option<()> {
    let (bytes, rest) = input.split_first_chunk()?;
    // A negative length is a null string.
    let length = usize::try_from(i16::from_be_bytes(*bytes)).unwrap_or_default();
    *input = rest.get(length..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_ids_are_read_with_and_without_a_rack() {
        let response = [
            &2_i32.to_be_bytes()[..],
            &1_i32.to_be_bytes(),
            b"\0\x09127.0.0.1",
            &9092_i32.to_be_bytes(),
            &(-1_i16).to_be_bytes(),
            &3_i32.to_be_bytes(),
            b"\0\x09127.0.0.1",
            &9093_i32.to_be_bytes(),
            b"\0\x01a",
        ]
        .concat();
        assert_eq!(brokers(&response), Some(vec![1, 3]));
        assert_eq!(brokers(&response[..response.len() - 1]), None);
    }
}
