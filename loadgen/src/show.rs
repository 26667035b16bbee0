//! Numbers as people read them.

use crate::schedule::Nanos;

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration with three or four digits and its unit: `1.23 ms`.
pub fn nanos(n: Nanos) -> String {
    let (value, unit) = match n {
        0..1_000 => return format!("{n} ns"),
        1_000..1_000_000 => (n as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (n as f64 / 1e6, "ms"),
        _ => (n as f64 / 1e9, "s"),
    };
    let places = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.places$} {unit}")
}

/// Bytes with their unit.
pub fn bytes(n: u64) -> String {
    match n {
        0..10_240 => format!("{} B", count(n)),
        10_240..10_485_760 => format!("{:.1} KiB", n as f64 / 1024.0),
        _ => format!("{:.1} MiB", n as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [nanos(5), nanos(1234), nanos(45_600), nanos(789_000_000), nanos(1_500_000_000)],
            ["5 ns", "1.23 us", "45.6 us", "789 ms", "1.50 s"]
        );
        assert_eq!([bytes(1024), bytes(20 << 10), bytes(20 << 20)], ["1,024 B", "20.0 KiB", "20.0 MiB"]);
    }
}
