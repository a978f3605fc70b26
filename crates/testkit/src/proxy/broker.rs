//! A Kafka broker whose clients come through proxies.
//!
//! In: how many, and further options. Out: a broker with a listener behind each proxy, and its plain one for whoever only looks.
//! Each proxy is a path of its own, so that tests share the broker and no faults.

use std::sync::{Mutex, PoisonError};

use embedded::{Kafka, KafkaOptions, Listener, ListenerSecurity, Silent};

use super::Proxy;
use crate::{Failure, Result};

/// A running broker and the paths to it that nobody has taken.
pub struct ProxiedKafka {
    kafka: Kafka,
    paths: Mutex<Vec<Proxy>>,
}

impl ProxiedKafka {
    /// Starts a broker with so many paths.
    pub async fn start(paths: usize, mut options: KafkaOptions) -> Result<Self> {
        let name = |number: usize| format!("PATH{number}");
        let mut proxies = Vec::new();
        for number in 0..paths {
            let proxy = Proxy::for_kafka()?;
            options.advertised.push((name(number), proxy.address().port()));
            let security = ListenerSecurity::Plaintext;
            options.listeners.push(Listener { name: name(number), security, settings: Vec::new() });
            proxies.push(proxy);
        }
        let kafka = Kafka::start(options, &Silent).await?;
        for (number, proxy) in proxies.iter().enumerate() {
            let own = kafka.bootstrap_of(&name(number));
            proxy.lead_to(&own.ok_or_else(|| Failure::new("a listener is missing"))?)?;
        }
        Ok(Self { kafka, paths: Mutex::new(proxies) })
    }

    /// The broker itself.
    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// The broker itself, to be stopped and started. Only for one of the test's own.
    pub fn kafka_mut(&mut self) -> &mut Kafka {
        &mut self.kafka
    }

    /// A path that is this caller's from now on.
    pub fn path(&self) -> Result<Proxy> {
        let path = self.paths.lock().unwrap_or_else(PoisonError::into_inner).pop();
        path.ok_or_else(|| Failure::new("the broker was started with fewer paths"))
    }
}
