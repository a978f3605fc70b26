//! Death and failure at every named point of the loop.

use std::collections::BTreeSet;

use failpoint::Point;
use testkit::failpoints::{Death, Lane, run};
use testkit::stack::Stack;
use testkit::{Result, connector};

use crate::large_transactions::seed;

/// The first start dies at each step of its take-over and of its snapshot.
fn beginning() -> Lane {
    let deaths = [
        Death::at(Point::BeforeFencing),
        Death::at(Point::AfterFencing),
        Death::at(Point::AfterCheckpointRead),
        Death::at(Point::EndTxnSent),
        Death::at(Point::AfterClaim),
        Death::at(Point::AfterSlotMade),
        Death::at(Point::ChunkRead),
        Death::at(Point::ChunkHandedOver),
        Death::at(Point::ChunkCommitted),
        Death::at(Point::ProduceAnswered).hit(5),
        Death::at(Point::ChunkRead).hit(2),
        Death::at(Point::ChunkHandedOver).hit(2),
        Death::at(Point::ChunkCommitted).hit(2),
        Death::at(Point::BeforeCompletion),
        Death::at(Point::AfterCompletion),
        Death::at(Point::BeforeStreaming),
    ];
    Lane { spare_snapshot: false, ..lane("fp_begin", deaths.into()) }
}

/// A stream under load dies at each step of a commit.
fn commits() -> Lane {
    let deaths = [
        Death::at(Point::BeforeBegin).hit(4),
        Death::at(Point::AfterBegin).hit(5),
        Death::at(Point::ProduceSent).hit(9),
        Death::at(Point::ProduceAnswered).hit(12),
        Death::at(Point::BeforeEndTxn).hit(6),
        Death::at(Point::EndTxnSent).hit(7),
        Death::at(Point::EndTxnAnswered).hit(3),
        Death::at(Point::EndTxnAnswered).hit(8),
        Death::at(Point::BeforeHandOver).hit(5),
        Death::at(Point::SliceHandedOver),
        Death::at(Point::SliceHandedOver).hit(5),
        Death::at(Point::BeforeAcknowledgement).hit(6),
        Death::at(Point::AfterAcknowledgement).hit(7),
        Death::at(Point::CheckpointOnly),
        Death::at(Point::BeforeBegin),
        Death::at(Point::AfterBegin),
    ];
    lane("fp_commits", deaths.into())
}

/// A stream under load dies while it is taken over, changes its way, and reads tables again.
fn ways() -> Lane {
    let deaths = [
        Death::at(Point::BeforeFencing),
        Death::at(Point::AfterFencing),
        Death::at(Point::AfterCheckpointRead),
        Death::at(Point::AfterClaim),
        Death::at(Point::BeforeStreaming),
        Death::at(Point::ToBatches),
        Death::at(Point::ToStream),
        Death::at(Point::IncrementalRead),
        Death::at(Point::IncrementalSent).hit(2),
        Death::at(Point::ToBatches).hit(3),
        Death::at(Point::ToStream).hit(2),
        Death::at(Point::BeforeStreaming).hit(2),
        Death::at(Point::IncrementalRead).hit(4),
        Death::at(Point::IncrementalSent),
    ];
    let settings = vec![("tributary.read.switch.every.ms", "250")];
    Lane { settings, ..lane("fp_ways", deaths.into()) }
}

fn lane(label: &'static str, deaths: Vec<Death>) -> Lane {
    Lane {
        label,
        seed: seed(),
        deaths,
        failures: Vec::new(),
        spare_snapshot: true,
        settings: Vec::new(),
    }
}

/// Method: three connectors side by side, each killed at one point after the other while writers write; what the three kill at is
/// every point there is.
#[tokio::test]
async fn a_death_at_any_point_doubles_and_loses_nothing() -> Result<()> {
    let lanes = [beginning(), commits(), ways()];
    let killed: BTreeSet<&str> =
        lanes.iter().flat_map(|lane| &lane.deaths).map(|death| death.point.name()).collect();
    let all: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
    assert_eq!(killed, all);
    let stack = Stack::shared()?;
    let [first, second, third] = &lanes;
    let reports = tokio::join!(run(stack, first), run(stack, second), run(stack, third));
    for report in [reports.0?, reports.1?, reports.2?] {
        assert!(report.verdict.is_clean(), "{report}");
    }
    Ok(())
}

/// Method: one process in which every point fails once, also while it takes over from the failure before.
#[tokio::test]
async fn a_failure_at_any_point_doubles_and_loses_nothing() -> Result<()> {
    let failures = Point::ALL.iter().map(|point| {
        Death::at(*point).hit(match point {
            // Passed once in the life of a slot.
            Point::AfterSlotMade | Point::BeforeCompletion | Point::AfterCompletion => 1,
            _ => 2,
        })
    });
    let lane = Lane {
        failures: failures.collect(),
        spare_snapshot: false,
        settings: vec![
            ("tributary.read.switch.every.ms", "400"),
            ("retriable.restart.connector.wait.ms", "100"),
        ],
        ..lane("fp_failures", Vec::new())
    };
    let report = run(Stack::shared()?, &lane).await?;
    assert!(report.verdict.is_clean(), "{report}");
    Ok(())
}

#[tokio::test]
async fn an_unknown_failpoint_is_an_error_that_lists_the_known() -> Result<()> {
    let folder = tempfile::TempDir::new()?;
    let variable = [(failpoint::FAILPOINT, "before-comit=kill")];
    let mut process = connector::ConnectorProcess::start_with(
        &connector::binary()?,
        &["explain", "CO001"],
        folder.path(),
        &variable,
    )?;
    assert_eq!(process.exit_code(testkit::wait::DEADLINE).await?, 2);
    let log = process.log();
    assert!(Point::ALL.iter().all(|point| log.contains(point.name())), "{log}");
    Ok(())
}
