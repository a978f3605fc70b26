//! What happens at a point, as it is written: `POINT=ACTION[@HIT]`.
//!
//! In: text. Out: [`Armed`] points, or a problem that lists what there is. Never: a guess.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::Point;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// SIGKILL, after this pause of whoever passes: by then what was sent before is on its way.
    Kill { after: Duration },
    /// Whoever passes stands still for this time.
    Stall { time: Duration },
    /// Whoever passes stands still until there is a file of this name.
    Hold { until: PathBuf },
    /// A failure that may pass.
    Fail,
}

/// A point where something happens, at one hit.
#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) point: Point,
    pub(crate) action: Action,
    /// Counted from 1.
    pub(crate) at_hit: u64,
    pub(crate) hits: AtomicU64,
}

const ACTIONS: &str = "kill, kill:MS, stall:MS, hold:FILE, fail";

/// Reads the whole variable.
pub(crate) fn read(text: &str) -> Result<Vec<Armed>, String> {
    text.split(',').map(|one| read_one(one.trim())).collect()
}

fn read_one(text: &str) -> Result<Armed, String> {
    let problem = |what: String| format!("`{text}`: {what}");
    let (name, rest) =
        text.split_once('=').ok_or_else(|| problem("is not POINT=ACTION[@HIT]".to_owned()))?;
    let point = Point::named(name).ok_or_else(|| {
        let known: Vec<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        problem(format!("no failpoint `{name}`; there are {}", known.join(", ")))
    })?;
    let (action, hit) = rest.rsplit_once('@').unwrap_or((rest, "1"));
    let at_hit: u64 = hit.parse().map_err(|_| problem(format!("`{hit}` is no number of a hit")))?;
    if at_hit == 0 {
        return Err(problem("hits are counted from 1".to_owned()));
    }
    let action = read_action(action)
        .ok_or_else(|| problem(format!("no action `{action}`; there are {ACTIONS}")))?;
    Ok(Armed { point, action, at_hit, hits: AtomicU64::new(0) })
}

fn read_action(text: &str) -> Option<Action> {
    let milliseconds = |text: &str| text.parse().ok().map(Duration::from_millis);
    match text.split_once(':') {
        None if text == "kill" => Some(Action::Kill { after: Duration::ZERO }),
        None if text == "fail" => Some(Action::Fail),
        Some(("kill", after)) => Some(Action::Kill { after: milliseconds(after)? }),
        Some(("stall", time)) => Some(Action::Stall { time: milliseconds(time)? }),
        Some(("hold", file)) if !file.is_empty() => Some(Action::Hold { until: file.into() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (Point, Action, u64) {
        let mut all = read(text).unwrap();
        assert_eq!(all.len(), 1);
        let armed = all.remove(0);
        assert_eq!(armed.hits.into_inner(), 0);
        (armed.point, armed.action, armed.at_hit)
    }

    #[test]
    fn a_point_an_action_and_a_hit_are_read() {
        let kill = Action::Kill { after: Duration::ZERO };
        assert_eq!(one("before-begin=kill"), (Point::BeforeBegin, kill, 1));
        let late = Action::Kill { after: Duration::from_millis(20) };
        assert_eq!(one("end-txn-sent=kill:20@3"), (Point::EndTxnSent, late, 3));
        let hold = Action::Hold { until: "/tmp/a@b".into() };
        assert_eq!(one("before-fencing=hold:/tmp/a@b@2"), (Point::BeforeFencing, hold, 2));
        assert_eq!(read("after-claim=fail, to-stream=stall:5@9").unwrap().len(), 2);
    }

    #[test]
    fn what_is_unknown_is_an_error_that_lists_the_known() {
        let unknown = read("before-comit=kill").unwrap_err();
        assert!(Point::ALL.iter().all(|point| unknown.contains(point.name())), "{unknown}");
        for wrong in
            ["before-begin", "before-begin=die", "before-begin=stall:x", "before-begin=kill@0", ""]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("before-begin=die").unwrap_err().contains(ACTIONS));
    }
}
