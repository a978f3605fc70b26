//! Times of two trees -> which benchmarks are slower. Pure.
//!
//! In: what was measured, in rounds. Out: the ratio of the fastest times, a table, JSON. The fastest is what the code needs; what is
//! above it was somebody else's. Never: a mean, which says more about the machine than about the code.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::printed::Timed;

/// What is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The commit.
    pub(crate) base: String,
    /// Slower by more than this factor is too slow.
    pub(crate) limit: f64,
    pub(crate) rounds: u32,
}

/// The fastest time of each benchmark, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Fastest(BTreeMap<String, f64>);

impl Fastest {
    /// Another round.
    pub(crate) fn keep(&mut self, round: Vec<Timed>) {
        for Timed { name, fastest_ns } in round {
            let known_ns = self.0.entry(name).or_insert(fastest_ns);
            *known_ns = known_ns.min(fastest_ns);
        }
    }
}

/// Both, side by side.
#[derive(Debug)]
pub(crate) struct Comparison {
    plan: Plan,
    both: Vec<Pair>,
    /// Benchmarks that the base does not have.
    added: Vec<String>,
    /// Benchmarks that are gone.
    removed: Vec<String>,
}

#[derive(Debug)]
struct Pair {
    name: String,
    base_ns: f64,
    now_ns: f64,
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.now_ns / self.base_ns
    }
}

impl Comparison {
    pub(crate) fn of(plan: &Plan, base: &Fastest, now: &Fastest) -> Self {
        let pair = |(name, &now_ns): (&String, &f64)| {
            let base_ns = *base.0.get(name)?;
            Some(Pair { name: name.clone(), base_ns, now_ns })
        };
        let only = |these: &Fastest, those: &Fastest| {
            these.0.keys().filter(|name| !those.0.contains_key(*name)).cloned().collect()
        };
        Self {
            plan: plan.clone(),
            both: now.0.iter().filter_map(pair).collect(),
            added: only(now, base),
            removed: only(base, now),
        }
    }

    /// Benchmarks over the limit.
    pub(crate) fn slower(&self) -> impl Iterator<Item = &str> {
        let over = |pair: &&Pair| pair.ratio() > self.plan.limit;
        self.both.iter().filter(over).map(|pair| pair.name.as_str())
    }

    pub(crate) fn to_json(&self) -> Value {
        let pair = |pair: &Pair| {
            let Pair { name, base_ns, now_ns } = pair;
            json!({ "name": name, "base_ns": base_ns, "now_ns": now_ns, "ratio": pair.ratio() })
        };
        json!({
            "base": self.plan.base,
            "limit": self.plan.limit,
            "rounds": self.plan.rounds,
            "benchmarks": self.both.iter().map(pair).collect::<Vec<_>>(),
            "slower": self.slower().collect::<Vec<_>>(),
            "added": self.added,
            "removed": self.removed,
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<40} {:>14} {:>14} {:>7}", "benchmark", "base", "now", "ratio")?;
        for pair in &self.both {
            let mark = if pair.ratio() > self.plan.limit { "  slower" } else { "" };
            let Pair { name, base_ns, now_ns } = pair;
            let ratio = pair.ratio();
            writeln!(
                formatter,
                "{name:<40} {base_ns:>11.1} ns {now_ns:>11.1} ns {ratio:>7.2}{mark}"
            )?;
        }
        for (names, what) in [(&self.added, "not in the base"), (&self.removed, "only in the base")]
        {
            for name in names {
                writeln!(formatter, "{name:<40} {what}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fastest(rounds: &[&[(&str, f64)]]) -> Fastest {
        let mut fastest = Fastest::default();
        for round in rounds {
            let timed = |&(name, fastest_ns): &(&str, f64)| Timed { name: name.into(), fastest_ns };
            fastest.keep(round.iter().map(timed).collect());
        }
        fastest
    }

    fn comparison(base: &[&[(&str, f64)]], now: &[&[(&str, f64)]]) -> Comparison {
        let plan = Plan { base: "0123abc".into(), limit: 1.10, rounds: 2 };
        Comparison::of(&plan, &fastest(base), &fastest(now))
    }

    #[test]
    fn one_slow_round_is_not_a_slow_benchmark() {
        let found =
            comparison(&[&[("a", 100.0)], &[("a", 101.0)]], &[&[("a", 300.0)], &[("a", 105.0)]]);
        assert_eq!(found.slower().count(), 0, "{found}");
    }

    #[test]
    fn what_is_over_the_limit_in_every_round_is_named() {
        let base: &[(&str, f64)] = &[("a", 100.0), ("b", 100.0)];
        let now: &[(&str, f64)] = &[("a", 111.0), ("b", 109.0)];
        let found = comparison(&[base, base], &[now, now]);
        assert_eq!(found.slower().collect::<Vec<_>>(), ["a"]);
        assert_eq!(found.to_json()["slower"], json!(["a"]));
        assert!(found.to_string().contains("1.11  slower"), "{found}");
    }

    #[test]
    fn a_benchmark_that_only_one_has_is_told_and_judged_by_nobody() {
        let found = comparison(&[&[("gone", 1.0)]], &[&[("new", 900.0)]]);
        assert_eq!(found.slower().count(), 0);
        assert_eq!(found.to_json()["added"], json!(["new"]));
        assert_eq!(found.to_json()["removed"], json!(["gone"]));
    }
}
