//! The servers of a run, and the paths that lead its connector to them.
//!
//! In: settings of PostgreSQL. Out: a PostgreSQL and a broker of the run's own, each behind a proxy. Writers and readers go directly.
//! Never: a proxy between the truth and the judge.

use embedded::{KafkaOptions, Listener, ListenerSecurity, PostgresOptions};

use super::network::Side;
use crate::proxy::Proxy;
use crate::stack::Stack;
use crate::{Failure, Result};

/// The broker's listener behind the proxy.
const PATH: &str = "PATH";

/// It looks often for Kafka transactions that were open for too long.
const CLEANUP: (&str, &str) =
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500");

/// Both servers, both paths.
pub struct Site {
    pub(super) stack: Stack,
    to_postgres: Proxy,
    to_kafka: Proxy,
}

impl Site {
    /// Starts everything.
    pub async fn start(postgres_settings: &[(&str, &str)]) -> Result<Self> {
        let to_kafka = Proxy::for_kafka()?;
        let settings = postgres_settings.iter();
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let postgres =
            PostgresOptions { settings: settings.collect(), ..PostgresOptions::default() };
        let listener = Listener {
            name: PATH.to_owned(),
            security: ListenerSecurity::Plaintext,
            settings: Vec::new(),
        };
        let kafka = KafkaOptions {
            listeners: vec![listener],
            advertised: vec![(PATH.to_owned(), to_kafka.address().port())],
            ..KafkaOptions::default()
        };
        let stack = Stack::start_with(postgres, kafka.set(CLEANUP.0, CLEANUP.1)).await?;
        let behind = stack.kafka().bootstrap_of(PATH);
        to_kafka.lead_to(&behind.ok_or_else(|| Failure::new("a listener is missing"))?)?;
        let to_postgres = Proxy::start(&format!("127.0.0.1:{}", stack.postgres().port()))?;
        Ok(Self { stack, to_postgres, to_kafka })
    }

    /// Stops both servers in order.
    pub async fn stop(self) -> Result<()> {
        self.stack.stop().await
    }

    /// The path to one side.
    pub(super) fn path(&self, side: Side) -> &Proxy {
        match side {
            Side::Postgres => &self.to_postgres,
            Side::Kafka => &self.to_kafka,
        }
    }
}
