//! Every kind of fault once, from a seed. `cargo xtask chaos` goes on for as long as it is told.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::Instant;

use testkit::Result;
use testkit::chaos::{Plan, Site, run};

/// The seed is the same each time; `TRIBUTARY_CHAOS_SEED` sets another, and `cargo xtask chaos` takes them all.
#[tokio::test]
async fn a_round_of_every_fault_doubles_and_loses_nothing() -> Result<()> {
    let given = std::env::var("TRIBUTARY_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let plan = Plan::short(given.unwrap_or(1));
    let mut site = Site::start(&[("fsync", "off")]).await?;
    let (began, story) = (Instant::now(), RefCell::new(String::new()));
    let narrate = |text: &str| {
        let seconds = began.elapsed().as_secs_f64();
        let _ = writeln!(story.borrow_mut(), "{seconds:7.1} s  {text}");
    };
    let outcome = run(&mut site, &plan, &narrate).await;
    let story = story.into_inner();
    let report = outcome.map_err(|failure| failure.during(&story))?;
    assert!(report.is_clean(), "{story}{report}");
    assert_eq!(report.faults(), plan.faults().len(), "{story}{report}");
    site.stop().await
}
