//! Apache Kafka brokers that end with us.
//!
//! In: [`KafkaOptions`]. Out: one or three brokers in `KRaft` combined mode that see each other, on ports of 127.0.0.1.
//! Never here: topics, clients. A plaintext listener is always there; listeners with TLS or SASL come beside it.

mod broker;
mod configuration;
mod format;
mod install;
mod options;
mod probe;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tracing::debug;

pub use self::options::{
    KafkaOptions, KafkaVersion, Listener, ListenerSecurity, SaslMechanism, SaslUser, TlsClientAuth,
    TlsFiles,
};
use self::{
    broker::Broker,
    configuration::{Cluster, Ports},
    install::Programs,
};
use crate::{EmbeddedError, Event, Progress, log, ports};

const READY_POLL: Duration = Duration::from_millis(50);
const PORT_ATTEMPTS: u32 = 5;

/// A running cluster. Dropping it ends the brokers; temporary folders go too.
#[derive(Debug)]
pub struct Kafka {
    /// Broker 1, 2, … at index 0, 1, …
    brokers: Vec<Broker>,
    options: KafkaOptions,
    programs: Programs,
}

impl Kafka {
    /// Starts the brokers and waits until each answers and sees all others.
    ///
    /// Errors: what is missing, with the command that installs it; a broker that ends or stays silent, with the end of its log.
    pub async fn start(
        options: KafkaOptions,
        progress: &dyn Progress,
    ) -> Result<Self, EmbeddedError> {
        if !matches!(options.brokers, 1 | 3) {
            return Err(EmbeddedError::Version {
                product: "a cluster with this number of brokers:",
                asked: options.brokers.to_string(),
                offered: "1, 3",
            });
        }
        let programs = Programs::provide(options.version, progress).await?;
        let step = format!("start Apache Kafka {}", options.version.as_str());
        progress.event(Event::Started { step: &step, total_bytes: None });
        let checkpoint = format::checkpoint(&programs, &options).await?;
        let folders = folders(&options)?;
        let cluster_id = cluster_id(&folders).unwrap_or_else(format::random_id);
        for (number, folder) in (1..).zip(&folders) {
            format::format(&folder.path().join("data"), &cluster_id, number, &checkpoint)?;
            let (name, content) = programs.log4j();
            folder.write(name, content)?;
            folder.write_stores(&options.listeners)?;
        }
        let brokers = folders.into_iter().map(Broker::new).collect();
        let mut kafka = Self { brokers, options, programs };
        kafka.launch_all().await?;
        progress.event(Event::Finished { step: &step });
        Ok(kafka)
    }

    /// Plaintext addresses of all brokers, `127.0.0.1:PORT[,127.0.0.1:PORT…]`.
    pub fn bootstrap(&self) -> String {
        self.addresses(|ports| Some(ports.plaintext))
    }

    /// Addresses of all brokers on one of the listeners asked for in the options; `None` if there is no such listener.
    pub fn bootstrap_of(&self, listener: &str) -> Option<String> {
        let index = self.options.listeners.iter().position(|one| one.name == listener)?;
        Some(self.addresses(|ports| ports.others.get(index).copied()))
    }

    /// Which version runs.
    pub fn version(&self) -> KafkaVersion {
        self.options.version
    }

    /// Folder with Kafka's jars, to run its tools: `java -cp '<folder>/*' org.apache.kafka.tools.consumer.ConsoleConsumer …`.
    pub fn libs_dir(&self) -> &Path {
        &self.programs.libs_dir
    }

    /// The Java that runs the brokers.
    pub fn java(&self) -> &Path {
        &self.programs.java
    }

    /// Process id of a broker, numbered from 1; `None` if it does not run.
    pub fn pid(&self, broker: i32) -> Option<u32> {
        self.brokers[self.index(broker).ok()?].pid()
    }

    /// Log file of a broker, numbered from 1.
    pub fn log_file(&self, broker: i32) -> Result<PathBuf, EmbeddedError> {
        Ok(self.brokers[self.index(broker)?].log())
    }

    /// Stops all brokers: in order if their data is kept, at once if it is temporary. Temporary folders are gone when this returns.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        for broker in &mut self.brokers {
            broker.begin_stop();
        }
        for broker in self.brokers {
            broker.stop().await?;
        }
        Ok(())
    }

    /// Kills one broker, numbered from 1, with SIGKILL. Its data stays for [`Self::start_broker`]. Safe to repeat.
    pub async fn kill(&mut self, broker: i32) -> Result<(), EmbeddedError> {
        let index = self.index(broker)?;
        self.brokers[index].kill().await;
        Ok(())
    }

    /// Starts a killed broker again, on its ports and data, and waits until it sees itself and the others that run.
    pub async fn start_broker(&mut self, broker: i32) -> Result<(), EmbeddedError> {
        let index = self.index(broker)?;
        if self.brokers[index].pid().is_some() {
            return Ok(());
        }
        let begun = Instant::now();
        loop {
            self.brokers[index].launch(&self.programs, self.options.heap_mib)?;
            let Err(error) = self.wait_until_ready(begun).await else {
                return Ok(());
            };
            // Its port may serve as somebody's outgoing one for a moment.
            if !self.brokers[index].lost_its_port() || begun.elapsed() > self.options.deadline {
                return Err(error);
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    fn index(&self, broker: i32) -> Result<usize, EmbeddedError> {
        let count = self.brokers.len();
        usize::try_from(broker)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .filter(|index| *index < count)
            .ok_or(EmbeddedError::NoSuchBroker { broker, count })
    }

    fn addresses(&self, port: impl Fn(&Ports) -> Option<u16>) -> String {
        let ports = self.brokers.iter().filter_map(|broker| port(broker.ports()));
        ports.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Starts all brokers on free ports; on a collision all end and start on others.
    async fn launch_all(&mut self) -> Result<(), EmbeddedError> {
        let mut attempt = 1;
        loop {
            let ports = free_ports(&self.options)?;
            for (number, broker) in (1..).zip(&mut self.brokers) {
                let cluster = Cluster { options: &self.options, ports: &ports };
                broker.configure(&cluster, number)?;
                broker.launch(&self.programs, self.options.heap_mib)?;
            }
            let Err(error) = self.wait_until_ready(Instant::now()).await else {
                return Ok(());
            };
            let collided = self.brokers.iter().any(Broker::lost_its_port);
            if !collided || attempt == PORT_ATTEMPTS {
                return Err(error);
            }
            debug!(attempt, "a port was taken");
            attempt += 1;
            for broker in &mut self.brokers {
                broker.kill().await;
            }
        }
    }

    /// Waits until each broker that was started sees all that were.
    async fn wait_until_ready(&self, begun: Instant) -> Result<(), EmbeddedError> {
        let server =
            |number| format!("Apache Kafka {} broker {number}", self.options.version.as_str());
        let started: Vec<(i32, &Broker)> =
            (1..).zip(&self.brokers).filter(|(_, broker)| broker.is_wanted()).collect();
        for (number, broker) in &started {
            loop {
                if let Some((number, code, log)) = started
                    .iter()
                    .find_map(|(number, broker)| Some((*number, broker.exit_code()?, broker.log())))
                {
                    let tail = log::tail(&log);
                    return Err(EmbeddedError::Exited { server: server(number), code, log, tail });
                }
                let seen = probe::brokers_seen_by(broker.ports().plaintext).await;
                if started.iter().all(|(number, _)| seen.contains(number)) {
                    break;
                }
                let waited = begun.elapsed();
                if waited > self.options.deadline {
                    let log = broker.log();
                    let tail = log::tail(&log);
                    return Err(EmbeddedError::NotReady {
                        server: server(*number),
                        waited,
                        log,
                        tail,
                    });
                }
                tokio::time::sleep(READY_POLL).await;
            }
        }
        Ok(())
    }
}

fn folders(options: &KafkaOptions) -> Result<Vec<broker::Folder>, EmbeddedError> {
    (1..=options.brokers)
        .map(|number| match &options.data_dir {
            Some(parent) => broker::Folder::given(&parent.join(format!("broker-{number}"))),
            None => broker::Folder::temporary(),
        })
        .collect()
}

/// The cluster id of folders that have been used before.
fn cluster_id(folders: &[broker::Folder]) -> Option<String> {
    folders.iter().find_map(|folder| {
        let text = fs::read_to_string(folder.path().join("data/meta.properties")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("cluster.id=")).map(str::to_owned)
    })
}

fn free_ports(options: &KafkaOptions) -> Result<Vec<Ports>, EmbeddedError> {
    let each = 2 + options.listeners.len();
    let all = ports::free(each * options.brokers)?;
    Ok(all
        .chunks(each)
        .map(|ports| Ports {
            plaintext: ports[0],
            controller: ports[1],
            others: ports[2..].to_vec(),
        })
        .collect())
}
