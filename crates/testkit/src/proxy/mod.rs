//! A TCP proxy on loopback that does to a connection what networks do, and, in front of Kafka, holds single frames back.
//!
//! In: a target, a [`Fault`] at any moment. Out: an address to connect to. It runs on a thread of its own, so that a test that
//! blocks does not silence it by accident. It hears loopback only and takes 256 connections at a time.
//! Never: bytes lost or changed in a connection that stays open. What is silenced goes on where it was, as TCP does when a
//! network heals.

mod broker;
mod frames;
mod lane;
mod link;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::Result;
use crate::wait::{Seen, eventually};

pub use broker::ProxiedKafka;

/// Connections at a time; more are closed at once.
const LINKS_MAX: usize = 256;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From whoever connects to the target.
    ToServer,
    /// From the target back.
    ToClient,
}

/// What is done to connections from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// All connections are closed now; new ones pass.
    Cut,
    /// All connections are reset now, and each new one as soon as it is accepted.
    Refuse,
    /// Nothing arrives any more, and nobody is told: half-open. `None` silences both ways. New connections are accepted.
    Silence(Option<Way>),
    /// Each piece arrives so much later.
    Delay(Duration),
    /// Each way of each connection carries so many bytes in a second.
    Throttle {
        /// At least 1.
        bytes_per_second: u32,
    },
    /// The connection that first carries so many bytes this way from now on is reset after the last of them. The others pass.
    ResetAfter {
        /// Bytes that still arrive.
        bytes: u64,
        /// Which way they are counted.
        way: Way,
    },
    /// The next frame of this kind is caught. Only in front of Kafka; everything else passes.
    Catch(Catch),
}

/// Which frame of the Kafka protocol is caught, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Catch {
    /// Api key of the request.
    pub api_key: i16,
    /// The request, or the answer to it.
    pub frame: Frame,
    /// What becomes of it.
    pub fate: Fate,
}

/// Half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// What the client sends.
    Request,
    /// What the broker answers: it has acted already.
    Answer,
}

/// What becomes of a caught frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays here, and all that follows it on its connection, until [`Proxy::release`].
    Held,
    /// It vanishes, and its connection is reset.
    Lost,
}

/// Api key of `Produce`.
pub const PRODUCE: i16 = 0;
/// Api key of `EndTxn`.
pub const END_TXN: i16 = 26;

/// What a caught frame has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caught {
    Nothing,
    /// Held, or lost.
    Frame,
    /// A held one has gone on.
    Released,
    /// A released request was answered with this error code.
    Answered(i16),
}

/// What all connections heed.
#[derive(Clone, Copy, Debug)]
struct Orders {
    target: Option<SocketAddr>,
    fault: Fault,
    /// Connections made before the last change of this number end.
    generation: u64,
    /// They end with a reset.
    resets: bool,
}

/// A running proxy. Dropping it closes every connection.
pub struct Proxy {
    address: SocketAddr,
    orders: Arc<watch::Sender<Orders>>,
    caught: Arc<watch::Sender<Caught>>,
    to_clients_bytes: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy in front of `target`, `HOST:PORT` with an IP address.
    pub fn start(target: &str) -> Result<Self> {
        let proxy = Self::listen(false)?;
        proxy.lead_to(target)?;
        Ok(proxy)
    }

    /// A proxy for a Kafka broker that does not run yet, since it must know the address it tells its clients before it starts:
    /// connections are reset until [`Proxy::lead_to`] says where they go.
    pub fn for_kafka() -> Result<Self> {
        Self::listen(true)
    }

    fn listen(is_kafka: bool) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let orders = Orders { target: None, fault: Fault::Pass, generation: 0, resets: false };
        let orders = Arc::new(watch::Sender::new(orders));
        let caught = Arc::new(watch::Sender::new(Caught::Nothing));
        let (stop, stopped) = oneshot::channel();
        let to_clients_bytes = Arc::new(AtomicU64::new(0));
        let shared = link::Shared {
            orders: Arc::clone(&orders),
            caught: Arc::clone(&caught),
            to_clients_bytes: Arc::clone(&to_clients_bytes),
            is_kafka,
        };
        let name = format!("proxy-{}", address.port());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = link::accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        })?;
        let thread = Some(thread);
        Ok(Self { address, orders, caught, to_clients_bytes, stop: Some(stop), thread })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that have come from the target to whoever connects to it, over all connections.
    pub fn to_clients_bytes(&self) -> u64 {
        self.to_clients_bytes.load(Ordering::Relaxed)
    }

    /// Connections that are made from now on go there.
    pub fn lead_to(&self, target: &str) -> Result<()> {
        let target: SocketAddr = target.parse()?;
        self.orders.send_modify(|orders| orders.target = Some(target));
        Ok(())
    }

    /// Does this from now on, to the connections there are and to new ones; what was done before ends.
    pub fn set(&self, fault: Fault) {
        if matches!(fault, Fault::Catch(_)) {
            self.caught.send_replace(Caught::Nothing);
        }
        self.orders.send_modify(|orders| {
            if matches!(fault, Fault::Cut | Fault::Refuse) {
                orders.generation += 1;
                orders.resets = fault == Fault::Refuse;
            }
            orders.fault = if fault == Fault::Cut { Fault::Pass } else { fault };
        });
    }

    /// Waits until a frame is caught.
    pub async fn caught(&self, within: Duration) -> Result<()> {
        self.wait_for("a frame is caught", within, |caught| {
            (caught != Caught::Nothing).then_some(())
        })
        .await
    }

    /// Lets a held frame go on, also if whoever sent it has closed its end.
    pub fn release(&self) {
        self.caught.send_if_modified(|caught| {
            let held = *caught == Caught::Frame;
            if held {
                *caught = Caught::Released;
            }
            held
        });
    }

    /// The error code that a released request was answered with; 0 is success.
    pub async fn answer_of_released(&self, within: Duration) -> Result<i16> {
        self.wait_for("a released request is answered", within, |caught| match caught {
            Caught::Answered(code) => Some(code),
            Caught::Nothing | Caught::Frame | Caught::Released => None,
        })
        .await
    }

    async fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(Caught) -> Option<T>,
    ) -> Result<T> {
        eventually(what, within, async || {
            let caught = *self.caught.borrow();
            Ok(wanted(caught).map_or_else(|| Seen::NotYet(format!("{caught:?}")), Seen::Yes))
        })
        .await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
