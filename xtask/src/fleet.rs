//! `cargo xtask fleet`: many connectors on a few workers, one of which is killed and one stopped; or many that have nothing to do; or how long
//! a new one takes to its first event.
//!
//! In: how many of each. Out: figures on standard output; exit 1 if an event was doubled, lost or out of order. Never: the work itself, which is in
//! `testkit`.

use std::time::Duration;

use clap::Args;
use testkit::figures::median;
use testkit::fleet::first_event::{self, FirstEventOptions};
use testkit::fleet::{self, IdleOptions, Options};
use testkit::stack::Stack;
use testkit::{Result, connector};

use crate::broken_if;
use crate::output::{narrate, print};

const MB: u64 = 1 << 20;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Connectors, each with a table, a slot and a publication of its own
    #[arg(long, default_value_t = 60)]
    connectors: usize,
    /// Workers; one is killed, one stopped and woken
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// Milliseconds between two rows of a table
    #[arg(long, default_value_t = 200)]
    round_ms: u64,
    /// Seconds of load before, between and after the faults
    #[arg(long, default_value_t = 10)]
    calm_seconds: u64,
    /// Only see what so many connectors cost that have nothing to do, on one worker
    #[arg(long)]
    idle: bool,
    /// Only measure from `tributary create` to the first event: on an empty worker, and on one that has so many connectors
    #[arg(long, conflicts_with = "idle")]
    first_event: bool,
    /// Connectors whose first event is measured, on each
    #[arg(long, default_value_t = 5, requires = "first_event")]
    rounds: usize,
    /// Take the unoptimised binary
    #[arg(long)]
    debug: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    connector::use_binary(connector::build(!arguments.debug)?)?;
    // A connector has three sessions and a slot; two sessions of these are for whoever looks.
    let slots = (arguments.connectors + 20).to_string();
    let connections = (arguments.connectors * 4 + 60).to_string();
    let settings = [
        ("fsync", "off"),
        ("max_replication_slots", slots.as_str()),
        ("max_wal_senders", slots.as_str()),
        ("max_connections", connections.as_str()),
    ];
    let stack = Stack::start(&settings).await?;
    let is_clean = if arguments.idle {
        idle(&stack, &arguments).await?;
        true
    } else if arguments.first_event {
        first_event(&stack, &arguments).await?;
        true
    } else {
        faults(&stack, &arguments).await?
    };
    stack.stop().await?;
    broken_if(!is_clean, "an event was doubled, lost or out of order")
}

fn calm(arguments: &Arguments) -> Duration {
    Duration::from_secs(arguments.calm_seconds)
}

async fn idle(stack: &Stack, arguments: &Arguments) -> Result<()> {
    let calm = calm(arguments);
    let options = IdleOptions { connectors: arguments.connectors, measured: calm };
    let idle = fleet::idle(stack, options, narrate).await?;
    print(&format!(
        "{} idle connectors on one worker: {} MB without, {} MB with them, {:.2} MB each; {:.1} % of a core over {:.0?}\n",
        arguments.connectors,
        idle.rss_before_bytes / MB,
        idle.rss_bytes / MB,
        idle.bytes_each() / 1e6,
        idle.processor_percent,
        calm
    ));
    Ok(())
}

async fn first_event(stack: &Stack, arguments: &Arguments) -> Result<()> {
    let options = FirstEventOptions { rounds: arguments.rounds, connectors: arguments.connectors };
    let measured = first_event::run(stack, options, narrate).await?;
    for (worker, times) in [
        ("an empty worker".to_owned(), &measured.on_empty),
        (format!("a worker with {} connectors", options.connectors), &measured.on_busy),
    ] {
        let each: Vec<String> =
            times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect();
        print(&format!(
            "create to the first event on {worker}: {} s, median {:.2} s\n",
            each.join(" "),
            median(times).as_secs_f64()
        ));
    }
    Ok(())
}

/// Whether no event was doubled, lost or out of order.
async fn faults(stack: &Stack, arguments: &Arguments) -> Result<bool> {
    let options = Options {
        connectors: arguments.connectors,
        workers: arguments.workers,
        round: Duration::from_millis(arguments.round_ms),
        calm: calm(arguments),
    };
    let outcome = fleet::run(stack, options, narrate).await?;
    print(&format!(
        "{} connectors, {} workers, {} rows each: killed one, all run again after {:.1?}; stopped one, after {:.1?}\n\
         longest silence of a topic {:.1?} ({:.1?} before the faults); doubled {}  lost {}  out of order {}; peak RSS of the worker that had all {} MB\n",
        options.connectors,
        options.workers,
        outcome.rounds,
        outcome.killed_healed,
        outcome.stopped_healed,
        outcome.silence,
        outcome.silence_before,
        outcome.doubled,
        outcome.lost,
        outcome.out_of_order,
        outcome.peak_rss_bytes / MB
    ));
    Ok(outcome.is_clean())
}
