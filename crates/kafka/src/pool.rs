//! Connections by address, opened when first needed and again when they broke.
//!
//! In: an address. Out: a usable [`Connection`]. One pool belongs to one user: a broker works on one
//! request of a connection at a time, so a waiting fetch would delay a produce request behind it.
//! Never here: which broker to ask, retries.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Mutex as AsyncMutex;
use tokio_rustls::rustls;

use crate::{KafkaError, config::ClientConfig, connection::Connection};

/// How connections are opened; shared by all pools of a client.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) config: ClientConfig,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

type Slot = Arc<AsyncMutex<Option<Arc<Connection>>>>;

/// Connections of one user.
#[derive(Debug)]
pub(crate) struct Pool {
    opener: Arc<Opener>,
    slots: Mutex<HashMap<String, Slot>>,
}

impl Pool {
    pub(crate) fn new(opener: Arc<Opener>) -> Self {
        Self { opener, slots: Mutex::new(HashMap::new()) }
    }

    /// The connection to `address`. Others that ask for the same address wait for one attempt.
    pub(crate) async fn get(&self, address: &str) -> Result<Arc<Connection>, KafkaError> {
        let slot = self.slot(address);
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| connection.is_usable()) {
            return Ok(Arc::clone(connection));
        }
        let opened =
            Connection::open(address, &self.opener.config, self.opener.tls.as_ref()).await?;
        let opened = Arc::new(opened);
        *slot = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn slot(&self, address: &str) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(address) {
            return Arc::clone(slot);
        }
        Arc::clone(slots.entry(address.into()).or_default())
    }
}
