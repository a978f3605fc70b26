//! Replays recorded cases of the real Debezium connector and compares what `tributary` makes of the same SQL.
//!
//! In: a folder of groups, each a configuration and its cases (`golden/README.md` tells the format). Out: one
//! [`CaseReport`] per case, with the differences in words.
//! Never: a difference that is tolerated because it is small; what may vary is named by a placeholder in the recording.

mod compare;
mod report;
mod run;
mod set;
mod setup;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::stack::Stack;
use crate::{Failure, Result};

pub(crate) use compare::compare_values;
pub use compare::{Difference, compare_records};
pub use set::{Action, Case, Group, Outcome, RecordedRecord, Sync, load};

/// Which cases of which folder to run.
pub struct Selection {
    /// Folder of the groups.
    pub folder: PathBuf,
    /// Groups whose whole name matches.
    pub groups: Regex,
    /// Cases whose whole id matches.
    pub cases: Regex,
    /// `group/case` to leave out, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Where we differ on purpose.
    pub deviations: Vec<Deviation>,
}

/// A difference that is meant.
#[derive(Clone, Debug)]
pub struct Deviation {
    /// `group/case`.
    pub case: String,
    /// End of the path that differs.
    pub path_end: String,
    /// Why.
    pub reason: String,
}

impl Selection {
    /// The recordings of this crate, or those of the folder `TRIBUTARY_GOLDEN` names. Cases that need a column type not
    /// supported yet are left out.
    pub fn new(groups: &str, cases: &str) -> Result<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let left_out = list(&own.join("left_out.txt"))?;
        let left_out = left_out.iter().filter_map(|line| line.split_once(' '));
        let left_out =
            left_out.map(|(case, reason)| (case.to_owned(), reason.to_owned())).collect();
        let deviations = list(&own.join("deviations.txt"))?;
        let deviations = deviations.iter().filter_map(|line| {
            let (case, rest) = line.split_once(' ')?;
            let (path_end, reason) = rest.split_once(' ')?;
            Some(Deviation {
                case: case.to_owned(),
                path_end: path_end.to_owned(),
                reason: reason.to_owned(),
            })
        });
        let deviations = deviations.collect();
        Ok(Self {
            folder: std::env::var_os("TRIBUTARY_GOLDEN").map_or(own, PathBuf::from),
            groups: whole(groups)?,
            cases: whole(cases)?,
            left_out,
            deviations,
        })
    }

    /// Runs nothing less than what is there: no case is left out.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.left_out.clear();
        self
    }

    fn takes(&self, group: &str, case: &str) -> bool {
        let name = format!("{group}/{case}");
        self.cases.is_match(case) && !self.left_out.iter().any(|(left_out, _)| *left_out == name)
    }
}

/// The lines of a list that say something.
fn list(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path)?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// A regular expression that must match the whole text.
fn whole(pattern: &str) -> Result<Regex> {
    Ok(Regex::new(&format!("^(?:{pattern})$"))?)
}

/// What became of one case.
pub struct CaseReport {
    /// `group/case`.
    pub name: String,
    /// The recording's title.
    pub title: String,
    /// Present where the recorded behaviour is plainly wrong.
    pub debezium_bug: Option<String>,
    /// Why it was not run: the server lacks an extension.
    pub skipped: Option<String>,
    /// Where the case differs; empty if it passes.
    pub differences: Vec<Difference>,
}

/// Runs every selected case.
pub async fn replay(stack: &Stack, selection: &Selection) -> Result<Vec<CaseReport>> {
    let mut reports = Vec::new();
    for mut group in load(&selection.folder)? {
        if !selection.groups.is_match(&group.name) {
            continue;
        }
        let name = group.name.clone();
        group.cases.retain(|case| selection.takes(&name, &case.id));
        if group.cases.is_empty() {
            continue;
        }
        let replayed = run::replay_group(stack, &group).await;
        reports.extend(replayed.map_err(|failure| failure.during(&name))?);
    }
    for deviation in &selection.deviations {
        if let Some(report) = reports.iter_mut().find(|report| report.name == deviation.case) {
            report.excuse(deviation);
        }
    }
    Ok(reports)
}

impl CaseReport {
    /// `pass`, `skip` or `FAIL`.
    pub fn mark(&self) -> &'static str {
        match (&self.skipped, self.differences.is_empty()) {
            (_, false) => "FAIL",
            (Some(_), true) => "skip",
            (None, true) => "pass",
        }
    }

    /// Takes the differences that are meant out of the report; none to take out is a difference of its own.
    fn excuse(&mut self, deviation: &Deviation) {
        let found = self.differences.len();
        self.differences.retain(|difference| !difference.path.ends_with(&deviation.path_end));
        if self.differences.len() == found {
            let expected = format!("a difference on purpose: {}", deviation.reason);
            self.differences.push(Difference::new(&deviation.path_end, expected, "none"));
        }
    }
}

/// A table of groups and counts.
pub fn summary(reports: &[CaseReport]) -> String {
    let mut groups: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for report in reports {
        let group = report.name.split('/').next().unwrap_or_default();
        let column = ["pass", "FAIL", "skip"].iter().position(|mark| *mark == report.mark());
        let counts = groups.entry(group).or_default();
        counts[column.unwrap_or_default()] += 1;
    }
    let mut text = format!("{:<24}{:>6}{:>6}{:>6}\n", "group", "pass", "fail", "skip");
    let mut total = [0; 3];
    for (group, counts) in groups {
        let [pass, fail, skip] = counts;
        let _ = writeln!(text, "{group:<24}{pass:>6}{fail:>6}{skip:>6}");
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let [pass, fail, skip] = total;
    let _ = writeln!(text, "{:<24}{pass:>6}{fail:>6}{skip:>6}", "total");
    text
}

/// Fails with the differences of every case that differs.
pub fn expect_all_pass(reports: &[CaseReport]) -> Result<()> {
    let failing: Vec<&CaseReport> =
        reports.iter().filter(|report| !report.differences.is_empty()).collect();
    if reports.is_empty() {
        return Err(Failure::new("no case was run"));
    }
    if failing.is_empty() {
        return Ok(());
    }
    let mut text = format!("{} of {} cases differ\n", failing.len(), reports.len());
    for report in failing {
        let _ = writeln!(text, "\n{}: {}", report.name, report.title);
        if let Some(bug) = &report.debezium_bug {
            let _ = writeln!(text, "  (recorded behaviour known to be wrong: {bug})");
        }
        for difference in report.differences.iter().take(12) {
            let _ = writeln!(text, "{difference}");
        }
        if report.differences.len() > 12 {
            let _ = writeln!(text, "  and {} more", report.differences.len() - 12);
        }
    }
    Err(Failure::new(text))
}
