//! Histograms as HdrHistogram's own text format (`.hgrm`), in milliseconds: its plotters and wrk2's read it.

use std::fmt::Write;

use hdrhistogram::Histogram;

/// Nanoseconds of a unit of the file.
const UNIT: f64 = 1e6;

/// Steps of the percentile axis in each halving of the distance to 100 %.
const TICKS: u32 = 5;

/// The percentile distribution of a histogram of nanoseconds.
pub fn distribution(h: &Histogram<u64>) -> String {
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let mut total = 0;
    for step in h.iter_quantiles(TICKS) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to() as f64 / UNIT, step.quantile_iterated_to());
        let line = if quantile < 1.0 {
            writeln!(text, "{value:12.6} {quantile:2.12} {total:10} {:14.2}", 1.0 / (1.0 - quantile))
        } else {
            writeln!(text, "{value:12.6} {quantile:2.12} {total:10}            inf")
        };
        line.expect("a String takes everything");
    }
    let (mean, deviation, max) = (h.mean() / UNIT, h.stdev() / UNIT, h.max() as f64 / UNIT);
    let tail = format!(
        "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]\n\
         #[Max     = {max:12.6}, Total count    = {:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {:12}]\n",
        h.len(),
        h.buckets(),
        2048
    );
    text + &tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back_to_its_counts() {
        let mut h = Histogram::<u64>::new_with_bounds(64, 600_000_000_000, 3).expect("bounds");
        (1..=1000u64).for_each(|i| h.record(i * 1_000_000).expect("in range"));
        let text = distribution(&h);
        let rows: Vec<Vec<f64>> = text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.contains("Value") && !l.is_empty())
            .map(|l| l.split_whitespace().map(|w| w.parse().expect("a number, or inf")).collect())
            .collect();
        let median = rows.iter().find(|r| r[1] >= 0.5).expect("a median");
        assert!((median[0] - 500.0).abs() < 1.0, "{median:?}");
        assert!(rows.windows(2).all(|w| w[0][2] <= w[1][2] && w[0][1] <= w[1][1]));
        assert_eq!(rows.last().map(|r| r[2]), Some(1000.0));
        assert!(text.contains("Total count    =         1000]"));
    }
}
