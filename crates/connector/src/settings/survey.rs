//! The first look at a configuration: is each key known, and can it be had?
//!
//! In: all keys as typed. Out: notes for those that need nothing, problems for those that cannot be had.

use super::Note;
use super::keys::{self, Kind};
use super::problem::Problem;
use super::values::Values;

/// Looks every key up in the table: notes for those that need nothing, problems for those that cannot be had.
pub(super) fn survey(values: &mut Values<'_>) -> Vec<Note> {
    let mut notes = Vec::new();
    for (key, value) in values.pairs() {
        let Some(known) = keys::find(key) else {
            if !belongs_to_declared(values, key) {
                values.problems.push(unknown(key));
            }
            continue;
        };
        match known.kind {
            Kind::Supported(_) => {}
            Kind::NeedsNothing(reason) => {
                notes.push(Note { key: key.to_owned(), reason: reason.to_owned() });
            }
            Kind::NotYet(_) if value.eq_ignore_ascii_case(known.default) => {
                let reason = "its value is the default".to_owned();
                notes.push(Note { key: key.to_owned(), reason });
            }
            Kind::NotYet(instead) => {
                values.problems.push(Problem::new(
                    "CF002",
                    key,
                    "it is not supported yet",
                    instead,
                ));
            }
            Kind::Renamed(now) => {
                let mut problem = Problem::new(
                    "CF001",
                    key,
                    format!("Debezium calls it `{now}` since 2.0 and ignores the older name"),
                    format!("write `{now}`"),
                );
                problem.nearest = Some(now.to_owned());
                values.problems.push(problem);
            }
        }
    }
    notes
}

/// `<name>.<option>` of a converter, whose declaration is refused already, or of a post-processor, which looks at its own.
fn belongs_to_declared(values: &Values<'_>, key: &str) -> bool {
    let mut names =
        ["converters", "post.processors"].into_iter().flat_map(|list| values.list(list));
    key.split_once('.').is_some_and(|(first, _)| names.any(|name| name == first))
}

fn unknown(key: &str) -> Problem {
    let nearest = keys::nearest(key);
    let fix = match nearest {
        Some(nearest) => format!("write `{nearest}` if that is meant, or remove it"),
        None => "remove it, or see docs/reference/settings.md for the keys there are".to_owned(),
    };
    let mut problem = Problem::new("CF001", key, "no such key is known", fix);
    problem.nearest = nearest.map(str::to_owned);
    problem
}
