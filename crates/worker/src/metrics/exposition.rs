//! The text exposition format.
//!
//! In: families and their samples. Out: text: a family's samples stand together, behind its `HELP` and `TYPE`; a family without samples
//! is left out. Never: what a number means.

use std::fmt::Write;

use connector::measure::{BOUNDS_SECONDS, Histogram};

use super::{Instance, Observed, number};

/// What Prometheus may do with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows, from zero at the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counters of buckets.
    Histogram,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Where the samples of a family come from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// From each connector; the second argument is the time, milliseconds since 1970.
    Connector(fn(&Observed, i64, &mut Samples<'_>)),
    /// From the whole.
    Instance(fn(&Instance, &mut Samples<'_>)),
}

/// All numbers of one name.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it is, in one line.
    pub(super) help: &'static str,
    /// The labels its samples have, for people.
    pub(super) labels: &'static [&'static str],
    pub(super) source: Source,
}

/// A family of a connector.
pub(super) const fn of_connector(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    sample: fn(&Observed, i64, &mut Samples<'_>),
) -> Family {
    Family { name, kind, help, labels, source: Source::Connector(sample) }
}

/// A family of the process.
pub(super) const fn of_instance(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    sample: fn(&Instance, &mut Samples<'_>),
) -> Family {
    Family { name, kind, help, labels, source: Source::Instance(sample) }
}

/// Takes the samples of one family.
pub(super) struct Samples<'a> {
    family: &'a Family,
    page: &'a mut String,
    is_begun: bool,
}

impl<'a> Samples<'a> {
    pub(super) fn of(family: &'a Family, page: &'a mut String) -> Self {
        Self { family, page, is_begun: false }
    }

    /// One number.
    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.begin();
        self.line("", labels, None, value);
    }

    /// A count.
    pub(super) fn count(&mut self, labels: &[(&str, &str)], count: u64) {
        self.add(labels, number(count));
    }

    /// 1 or 0.
    pub(super) fn flag(&mut self, labels: &[(&str, &str)], is_so: bool) {
        self.add(labels, f64::from(u8::from(is_so)));
    }

    /// All lines of a histogram.
    pub(super) fn histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        self.begin();
        for (bound, count) in BOUNDS_SECONDS.into_iter().zip(histogram.cumulative()) {
            self.line("_bucket", labels, Some(&bound.to_string()), number(count));
        }
        self.line("_bucket", labels, Some("+Inf"), number(histogram.count()));
        self.line("_sum", labels, None, histogram.sum().as_secs_f64());
        self.line("_count", labels, None, number(histogram.count()));
    }

    fn begin(&mut self) {
        if self.is_begun {
            return;
        }
        self.is_begun = true;
        let Family { name, kind, help, .. } = self.family;
        // Writing to a String cannot fail.
        let _ = write!(self.page, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str());
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: f64) {
        let page = &mut *self.page;
        page.push_str(self.family.name);
        page.push_str(suffix);
        let labels = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        for (place, (label, text)) in labels.enumerate() {
            page.push(if place == 0 { '{' } else { ',' });
            page.push_str(label);
            page.push_str("=\"");
            escape(page, text);
            page.push('"');
        }
        if page.ends_with('"') {
            page.push('}');
        }
        let _ = writeln!(page, " {value}");
    }
}

fn escape(page: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '\\' => page.push_str("\\\\"),
            '"' => page.push_str("\\\""),
            '\n' => page.push_str("\\n"),
            letter => page.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_a_family_without_samples_is_left_out() {
        let family = of_instance("a_total", Kind::Counter, &[], "Some.", |_, _| {});
        let mut page = String::new();
        let _ = Samples::of(&family, &mut page);
        assert_eq!(page, "");
        let mut samples = Samples::of(&family, &mut page);
        samples.count(&[], 3);
        samples.add(&[("a", "x\"\\\n"), ("b", "")], 0.5);
        assert_eq!(
            page,
            "# HELP a_total Some.\n# TYPE a_total counter\na_total 3\na_total{a=\"x\\\"\\\\\\n\",b=\"\"} 0.5\n"
        );
    }
}
