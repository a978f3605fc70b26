//! Figures of measurements: middles, rates, sizes.
//!
//! In: what was measured. Out: what people compare. Never: an average, which one bad run decides.

use std::cmp::Ordering;
use std::time::Duration;

/// The one in the middle; of an even number the later of the two. Zero for none.
pub fn median<T: Copy + Default + PartialOrd>(values: &[T]) -> T {
    let mut values = values.to_vec();
    values.sort_unstable_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The median of those that are there; `None` for none.
pub(crate) fn median_of(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| median(&values))
}

/// So many in this time, per second.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// MB of 1,000,000 bytes.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A figure or a dash, so wide.
pub(crate) fn or_dash(figure: Option<f64>, width: usize, decimals: usize) -> String {
    match figure {
        Some(figure) => format!("{figure:>width$.decimals$}"),
        None => format!("{:>width$}", "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_no_average() {
        assert_eq!(median(&[9, 1, 2]), 2);
        assert_eq!(median(&[4, 1, 100, 2]), 4);
        assert_eq!(median::<u64>(&[]), 0);
        assert_eq!(median_of([None, Some(3.0)].into_iter()), Some(3.0));
        assert_eq!(median_of([None].into_iter()), None);
    }
}
