//! A second copy of this binary that does one thing with its own environment and says how it went.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

use embedded::{
    EmbeddedError, Kafka, KafkaOptions, Postgres, PostgresOptions, PostgresSource, Silent,
};

const ACT: &str = "EMBEDDED_TEST_ACT";
/// Begins the one line of standard output that is meant for the parent.
const MARK: &str = "child says: ";

/// What a child can be told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Starts both servers and waits to be killed.
    HoldBoth,
    /// Starts and stops PostgreSQL 17 from the published binaries.
    Postgres,
    /// Starts and stops Kafka.
    Kafka,
}

impl Act {
    fn name(self) -> &'static str {
        match self {
            Self::HoldBoth => "hold both",
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
        }
    }
}

/// A running child; its lines are read from `said`.
pub(crate) struct Running {
    pub(crate) process: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a child with changed variables, where `None` removes one, and a umask that closes new files to others.
    pub(crate) fn start(act: Act, variables: &[(&str, Option<&str>)]) -> Self {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "umask 077; exec \"$0\" \"$@\""])
            .arg(env::current_exe().unwrap())
            .args(["--exact", "child::does_as_it_is_told", "--nocapture", "--test-threads=1"])
            .env(ACT, act.name())
            .stdout(Stdio::piped());
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    /// The line it has for its parent; waits for it.
    pub(crate) fn said(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the child ended: {text}");
            // The test harness may have begun the line.
            if let Some((_, said)) = line.split_once(MARK) {
                return said.trim_end().replace("\\n", "\n");
            }
            text.push_str(&line);
        }
    }

    /// The line it has for its parent, once it has ended well.
    pub(crate) fn finished(mut self) -> String {
        let said = self.said();
        self.output.read_to_end(&mut Vec::new()).unwrap();
        assert!(self.process.wait().unwrap().success(), "{said}");
        said
    }
}

/// Not a promise of its own: this is what a child runs.
#[tokio::test]
async fn does_as_it_is_told() {
    let Ok(act) = env::var(ACT) else { return };
    let said = match act.as_str() {
        "hold both" => hold().await,
        "postgres" => postgres().await,
        "kafka" => kafka().await,
        other => panic!("no act `{other}`"),
    };
    let said = said.unwrap_or_else(|error| error.to_string());
    println!("{MARK}{}", said.replace('\n', "\\n"));
}

async fn hold() -> Result<String, EmbeddedError> {
    let postgres = Postgres::start(PostgresOptions::default(), &Silent).await?;
    let kafka = Kafka::start(KafkaOptions::default(), &Silent).await?;
    println!(
        "{MARK}{} {} {}",
        postgres.pid().unwrap(),
        kafka.pid(1).unwrap(),
        postgres.data_dir().display()
    );
    std::future::pending().await
}

async fn postgres() -> Result<String, EmbeddedError> {
    let options =
        PostgresOptions { source: PostgresSource::Binaries, ..PostgresOptions::version(17) };
    Postgres::start(options, &Silent).await?.stop(embedded::StopMode::Immediate).await?;
    Ok("done".to_owned())
}

async fn kafka() -> Result<String, EmbeddedError> {
    Kafka::start(KafkaOptions::default(), &Silent).await?.stop().await?;
    Ok("done".to_owned())
}
