//! The task that owns a socket: writes requests, reads answers, watches the oldest one's deadline.
//!
//! In: [`Outgoing`] requests. Out: frames to their responders, in order. Never here: what the bytes
//! mean. It ends when all handles are gone or at the first failure, which it leaves in `cause`.

use std::{collections::VecDeque, io, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{Cause, open::Stream};
use crate::{KafkaError, wire::FRAME_BYTES_MAX};

/// Requests written and not yet answered.
const IN_FLIGHT_MAX: usize = 32;
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// A request with whoever waits for its answer.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) frame: Bytes,
    pub(super) correlation_id: i32,
    pub(super) api: &'static str,
    pub(super) patience: Duration,
    pub(super) responder: oneshot::Sender<Bytes>,
}

struct InFlight {
    correlation_id: i32,
    api: &'static str,
    patience: Duration,
    deadline: Instant,
    responder: oneshot::Sender<Bytes>,
}

pub(super) struct Driver {
    pub(super) broker: String,
    pub(super) requests: mpsc::Receiver<Outgoing>,
    pub(super) cause: Cause,
}

impl Driver {
    /// Runs until the connection ends. Waiters are dropped only after the cause is known.
    pub(super) async fn run(mut self, stream: Stream) {
        let (reader, writer) = tokio::io::split(stream);
        let mut in_flight = VecDeque::with_capacity(IN_FLIGHT_MAX);
        let ended = self.exchange(reader, Writer::new(writer), &mut in_flight).await;
        if let Err(error) = ended {
            tracing::debug!(broker = %self.broker, "connection ended: {error}");
            // Only this task sets it, and only here, so it cannot be set already.
            drop(self.cause.set(error));
        }
        self.requests.close();
    }

    async fn exchange(
        &mut self,
        mut reader: ReadHalf<Stream>,
        mut writer: Writer,
        in_flight: &mut VecDeque<InFlight>,
    ) -> Result<(), KafkaError> {
        let mut received = BytesMut::with_capacity(READ_BUFFER_BYTES);
        loop {
            let deadline = in_flight.front().map_or_else(Instant::now, |oldest| oldest.deadline);
            tokio::select! {
                read = reader.read_buf(&mut received) => {
                    match read {
                        Ok(0) => return Err(self.lost("the broker closed it")),
                        Ok(_) => self.deliver(&mut received, in_flight)?,
                        Err(error) => return Err(self.lost(&error.to_string())),
                    }
                }
                written = writer.write(), if writer.has_work() => {
                    written.map_err(|error| self.lost(&error.to_string()))?;
                }
                outgoing = self.requests.recv(),
                    if !writer.has_work() && in_flight.len() < IN_FLIGHT_MAX =>
                {
                    let Some(outgoing) = outgoing else { return Ok(()) };
                    writer.frame = outgoing.frame;
                    in_flight.push_back(InFlight {
                        correlation_id: outgoing.correlation_id,
                        api: outgoing.api,
                        patience: outgoing.patience,
                        deadline: Instant::now() + outgoing.patience,
                        responder: outgoing.responder,
                    });
                }
                () = sleep_until(deadline), if !in_flight.is_empty() => {
                    return Err(self.timed_out(in_flight));
                }
            }
        }
    }

    /// Hands every complete frame to the oldest waiter.
    fn deliver(
        &self,
        received: &mut BytesMut,
        in_flight: &mut VecDeque<InFlight>,
    ) -> Result<(), KafkaError> {
        while received.len() >= 4 {
            let length = u32::from_be_bytes([received[0], received[1], received[2], received[3]]);
            let length = length as usize;
            if !(4..=FRAME_BYTES_MAX).contains(&length) {
                return Err(self.not_kafka(format!("an answer of {length} bytes is announced")));
            }
            if received.len() < 4 + length {
                received.reserve(4 + length - received.len());
                return Ok(());
            }
            received.advance(4);
            let frame = received.split_to(length).freeze();
            let correlation_id = i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
            let Some(oldest) = in_flight.pop_front() else {
                return Err(self.not_kafka("an answer came that nobody asked for".into()));
            };
            if oldest.correlation_id != correlation_id {
                let (expected, api) = (oldest.correlation_id, oldest.api);
                let text = format!("answer {correlation_id} came instead of {expected} to {api}");
                return Err(self.not_kafka(text));
            }
            // A waiter that gave up is no reason to stop: its answer is of no use to others.
            drop(oldest.responder.send(frame));
        }
        received.reserve(READ_BUFFER_BYTES);
        Ok(())
    }

    fn timed_out(&self, in_flight: &VecDeque<InFlight>) -> KafkaError {
        let oldest = in_flight.front();
        KafkaError::RequestTimedOut {
            broker: self.broker.clone(),
            api: oldest.map_or("request", |oldest| oldest.api),
            waited: oldest.map_or(Duration::ZERO, |oldest| oldest.patience),
        }
    }

    fn lost(&self, reason: &str) -> KafkaError {
        KafkaError::ConnectionLost { broker: self.broker.clone(), reason: reason.into() }
    }

    fn not_kafka(&self, reason: String) -> KafkaError {
        KafkaError::Protocol { broker: self.broker.clone(), api: "a request", reason }
    }
}

/// The frame being written. Keeps what a cancelled write has sent.
struct Writer {
    half: WriteHalf<Stream>,
    frame: Bytes,
    needs_flush: bool,
}

impl Writer {
    fn new(half: WriteHalf<Stream>) -> Self {
        Self { half, frame: Bytes::new(), needs_flush: false }
    }

    fn has_work(&self) -> bool {
        self.frame.has_remaining() || self.needs_flush
    }

    /// Cancel-safe: `frame` and `needs_flush` say what is left to do.
    async fn write(&mut self) -> io::Result<()> {
        while self.frame.has_remaining() {
            self.needs_flush = true;
            if self.half.write_buf(&mut self.frame).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        // TLS may still hold records back.
        self.half.flush().await?;
        self.needs_flush = false;
        Ok(())
    }
}
