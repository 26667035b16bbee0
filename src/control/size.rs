//! Sizes in bytes as people write them: `1 MiB`, `64KiB`, `4096`. Knows no field.

/// Units, largest first, so that writing picks the largest that divides.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a size. `None`: not a number with one of the units B, KiB, MiB, GiB, or too large for 64 bits.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let number: u64 = digits.replace('_', "").parse().ok()?;
    let unit = unit.trim();
    let factor =
        if unit.is_empty() { 1 } else { UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1 };
    number.checked_mul(factor)
}

/// Writes a size with the largest unit that leaves a whole number.
pub(super) fn format(bytes: u64) -> String {
    let (unit, factor) = UNITS
        .iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .unwrap_or(&("B", 1));
    format!("{} {unit}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(parse("1 MiB"), Some(1 << 20));
        assert_eq!(parse(" 64kib "), Some(64 << 10));
        assert_eq!(parse("4_096"), Some(4_096));
        assert_eq!(parse("0"), Some(0));
        for bad in ["", "MiB", "1 MB", "-1", "1.5 MiB", "99999999999 GiB", "1 MiB 2"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for bytes in [0, 1, 1_023, 1_024, 1_500, 1 << 20, 3 << 20, 1 << 30, (1 << 30) + 1] {
            assert_eq!(parse(&format(bytes)), Some(bytes));
        }
        assert_eq!(format(16 << 20), "16 MiB");
        assert_eq!(format(1_500), "1500 B");
    }
}
