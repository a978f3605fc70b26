//! Connections: one socket here, one there, and a lane each way between them.
//!
//! In: accepted sockets, orders. Out: two lanes, until one of them fails, both have ended, or an order ends them.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::frames::RequestHeader;
use super::lane::{Ended, Lane, reset};
use super::{Caught, Fault, LINKS_MAX, Orders, Way};

/// A pause after a failed `accept`, which is most often a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What the proxy and its connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) orders: Arc<watch::Sender<Orders>>,
    pub(super) caught: Arc<watch::Sender<Caught>>,
    /// Bytes all connections have brought to their clients.
    pub(super) to_clients_bytes: Arc<AtomicU64>,
    /// What passes are frames of the Kafka protocol.
    pub(super) is_kafka: bool,
}

/// What the two lanes of one connection share: the request whose answer is looked for.
pub(super) type Awaited = Arc<Mutex<Option<RequestHeader>>>;

/// Accepts until it is dropped.
pub(super) async fn accept(listener: std::net::TcpListener, shared: Shared) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut links = JoinSet::new();
    loop {
        while links.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let orders = *shared.orders.borrow();
        match orders.target {
            Some(_) if orders.fault == Fault::Refuse || links.len() >= LINKS_MAX => reset(&client),
            Some(target) => {
                links.spawn(run(client, target, shared.clone()));
            }
            None => reset(&client),
        }
    }
}

async fn run(client: TcpStream, target: std::net::SocketAddr, shared: Shared) {
    let mut orders = shared.orders.subscribe();
    let generation = orders.borrow_and_update().generation;
    let Ok(server) = TcpStream::connect(target).await else {
        reset(&client);
        return;
    };
    // Where it cannot be set, pieces come a little later.
    let _ = client.set_nodelay(true).and(server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let awaited = Awaited::default();
    let mut there = Lane::new(Way::ToServer, from_client, to_server, &shared, &awaited);
    let mut back = Lane::new(Way::ToClient, from_server, to_client, &shared, &awaited);
    let resets = {
        let both = async { tokio::try_join!(there.run(), back.run()) };
        tokio::select! {
            ended = both => matches!(ended, Err(Ended::Reset)),
            changed = orders.wait_for(|orders| orders.generation != generation) => {
                changed.is_ok_and(|orders| orders.resets)
            }
        }
    };
    if resets {
        there.reset();
        back.reset();
    }
}
