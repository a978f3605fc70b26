//! One way of one connection: bytes are read here and written there, as the fault of the moment lets them.
//!
//! In: a socket to read, one to write, orders. Out: how it ended. Never: a read while the way is silenced; so a sender sees
//! its buffers fill, as it does when nothing acknowledges what it sends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::frames::{self, Frames, RequestHeader};
use super::link::{Awaited, Shared};
use super::{Catch, Caught, END_TXN, Fate, Fault, Frame, Orders, Way};

const READ_BYTES: usize = 256 * 1024;
/// A throttled way is written so often in a second.
const THROTTLED_PIECES: u32 = 20;
/// How long the answer to a released request is waited for before its connection may end.
const LATE_ANSWER_MAX: Duration = Duration::from_secs(10);

/// Why a lane ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// A socket failed: the connection is closed.
    Broken,
    /// A fault asks for a reset of both sockets.
    Reset,
}

/// One way of one connection.
pub(super) struct Lane {
    way: Way,
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    buffer: BytesMut,
    /// `None` where the bytes are no frames of Kafka's.
    frames: Option<Frames>,
    orders: watch::Receiver<Orders>,
    shared: Shared,
    awaited: Awaited,
    /// Bytes of a [`Fault::ResetAfter`] that have passed here.
    counted_bytes: u64,
}

/// The peer gets a reset instead of an end once the socket is dropped.
pub(super) fn reset(socket: &TcpStream) {
    // Where it cannot be set, an ordinary end is a fault as well.
    let _ = socket.set_zero_linger();
}

impl Lane {
    pub(super) fn new(
        way: Way,
        from: OwnedReadHalf,
        to: OwnedWriteHalf,
        shared: &Shared,
        awaited: &Awaited,
    ) -> Self {
        Self {
            way,
            from,
            to,
            buffer: BytesMut::new(),
            frames: shared.is_kafka.then(Frames::default),
            orders: shared.orders.subscribe(),
            shared: shared.clone(),
            awaited: Arc::clone(awaited),
            counted_bytes: 0,
        }
    }

    /// Ends the socket that is read with a reset, once the other lane is dropped too; the one that is written ends without a word,
    /// because an end would come before the reset.
    pub(super) fn reset(self) {
        reset(self.from.as_ref());
        self.to.forget();
    }

    /// Reads and writes until the reading side ends, and ends the writing side.
    pub(super) async fn run(&mut self) -> Result<(), Ended> {
        loop {
            let fault = self.unsilenced().await?;
            self.buffer.reserve(READ_BYTES);
            tokio::select! {
                biased;
                changed = self.orders.changed() => {
                    changed.map_err(|_| Ended::Broken)?;
                    continue;
                }
                read = self.from.read_buf(&mut self.buffer) => {
                    if read.map_err(|_| Ended::Broken)? == 0 {
                        break;
                    }
                }
            }
            if let Fault::Delay(delay) = fault {
                sleep(delay).await;
            }
            self.forward().await?;
        }
        // A frame that never became whole.
        self.write(self.buffer.len()).await?;
        self.to.shutdown().await.map_err(|_| Ended::Broken)
    }

    /// The fault of the moment, as soon as it is not silence this way.
    async fn unsilenced(&mut self) -> Result<Fault, Ended> {
        let way = self.way;
        let orders = self.orders.wait_for(|orders| match orders.fault {
            Fault::Silence(silenced) => silenced.is_some_and(|silenced| silenced != way),
            _ => true,
        });
        orders.await.map(|orders| orders.fault).map_err(|_| Ended::Broken)
    }

    /// Writes what was read, as far as whole headers are there.
    async fn forward(&mut self) -> Result<(), Ended> {
        while !self.buffer.is_empty() {
            let fault = self.unsilenced().await?;
            let at_start = self.frames.as_ref().is_some_and(Frames::is_at_start);
            if at_start && !self.begin_frame(fault).await? {
                return Ok(());
            }
            let length = self.buffer.len();
            let available = self.frames.as_ref().map_or(length, |frames| frames.of(length));
            match fault {
                Fault::Throttle { bytes_per_second } => {
                    let piece = (bytes_per_second / THROTTLED_PIECES).max(1);
                    let piece = available.min(usize::try_from(piece).unwrap_or(usize::MAX));
                    self.write(piece).await?;
                    let bytes = u32::try_from(piece).unwrap_or(u32::MAX);
                    sleep(Duration::from_secs(1) * bytes / bytes_per_second.max(1)).await;
                }
                Fault::ResetAfter { bytes, way } if way == self.way => {
                    let left = usize::try_from(bytes - self.counted_bytes.min(bytes));
                    let piece = available.min(left.unwrap_or(usize::MAX));
                    self.write(piece).await?;
                    self.counted_bytes += piece as u64;
                    if self.counted_bytes >= bytes {
                        self.over();
                        return Err(Ended::Reset);
                    }
                }
                _ => {
                    self.counted_bytes = 0;
                    self.write(available).await?;
                }
            }
        }
        Ok(())
    }

    /// Writes so many bytes from the front.
    async fn write(&mut self, bytes: usize) -> Result<(), Ended> {
        if self.to.write_all(&self.buffer[..bytes]).await.is_err() {
            return Err(Ended::Broken);
        }
        self.buffer.advance(bytes);
        if self.way == Way::ToClient {
            self.shared.to_clients_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        if let Some(frames) = &mut self.frames {
            frames.passed(frames.of(bytes));
        }
        Ok(())
    }

    /// The fault has done what it was for; connections go on.
    fn over(&self) {
        self.shared.orders.send_modify(|orders| orders.fault = Fault::Pass);
    }

    /// A frame begins at the front of the buffer. Out: whether its header is there.
    async fn begin_frame(&mut self, fault: Fault) -> Result<bool, Ended> {
        let Some(whole) = frames::whole_bytes(&self.buffer) else {
            return Ok(false);
        };
        let caught = match (self.way, fault) {
            (Way::ToServer, Fault::Catch(catch)) => {
                if self.buffer.len() < frames::REQUEST_HEADER_BYTES.min(whole) {
                    return Ok(false);
                }
                self.catch_request(catch)
            }
            (Way::ToClient, _) if self.awaits_answer() => {
                if self.buffer.len() < whole {
                    return Ok(false);
                }
                self.catch_answer(fault)
            }
            _ => None,
        };
        match caught {
            None => self.pass_frame(),
            Some(Fate::Lost) => return Err(Ended::Reset),
            Some(Fate::Held) => self.hold(whole).await?,
        }
        Ok(true)
    }

    fn catch_request(&self, catch: Catch) -> Option<Fate> {
        let header = frames::request_header(&self.buffer)?;
        if header.api_key != catch.api_key {
            return None;
        }
        self.awaited().get_or_insert(header);
        if catch.frame == Frame::Answer {
            return None;
        }
        self.shared.caught.send_replace(Caught::Frame);
        self.over();
        Some(catch.fate)
    }

    fn catch_answer(&self, fault: Fault) -> Option<Fate> {
        let mut awaited = self.awaited();
        let header = (*awaited)?;
        if frames::answered(&self.buffer) != Some(header.correlation_id) {
            return None;
        }
        *awaited = None;
        drop(awaited);
        if let Fault::Catch(Catch { frame: Frame::Answer, fate, .. }) = fault {
            self.shared.caught.send_replace(Caught::Frame);
            self.over();
            return Some(fate);
        }
        if header.api_key == END_TXN {
            let code = frames::end_txn_error(&self.buffer, header.api_version);
            self.shared.caught.send_if_modified(|caught| {
                let released = *caught == Caught::Released;
                if released {
                    *caught = Caught::Answered(code.unwrap_or(-1));
                }
                released
            });
        }
        None
    }

    /// Waits until the frame at the front may go on, and sees a request through to its answer: whoever sent it may be gone.
    async fn hold(&mut self, whole: usize) -> Result<(), Ended> {
        let mut caught = self.shared.caught.subscribe();
        let freed = caught.wait_for(|caught| *caught != Caught::Frame).await;
        freed.map_err(|_| Ended::Broken)?;
        while self.buffer.len() < whole {
            if self.from.read_buf(&mut self.buffer).await.map_err(|_| Ended::Broken)? == 0 {
                return Err(Ended::Broken);
            }
        }
        self.pass_frame();
        if self.way == Way::ToServer {
            self.write(whole).await?;
            let answered = caught.wait_for(|caught| *caught != Caught::Released);
            // An answer that does not come is the test's to notice.
            let _ = timeout(LATE_ANSWER_MAX, answered).await;
        }
        Ok(())
    }

    fn pass_frame(&mut self) {
        if let Some(frames) = &mut self.frames {
            frames.begin(&self.buffer);
        }
    }

    fn awaits_answer(&self) -> bool {
        self.awaited().is_some()
    }

    fn awaited(&self) -> MutexGuard<'_, Option<RequestHeader>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
