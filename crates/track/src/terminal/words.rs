//! Numbers and times as people read them.

use std::time::Duration;

/// A whole number with commas: `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time to two units: `35 s`, `1 min 03 s`, `2 h 05 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A number of parameters: `812`, `45.1 K`, `22.7 M`.
pub fn parameters(count: usize) -> String {
    let count = count as f64;
    match count {
        0.0..1e3 => format!("{count}"),
        1e3..1e6 => format!("{:.1} K", count / 1e3),
        1e6..1e9 => format!("{:.1} M", count / 1e6),
        _ => format!("{:.1} B", count / 1e9),
    }
}

/// Epochs or a rate in as few digits as say enough.
pub(super) fn short(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        let numbers = [0, 999, 1_000, 12_345, 1_234_567];
        assert_eq!(numbers.map(grouped), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[test]
    fn times_and_sizes_have_units() {
        let times = [0.2, 59.4, 63.0, 7_500.0].map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(times, ["0 s", "59 s", "1 min 03 s", "2 h 05 min"]);
        assert_eq!([812, 45_100, 22_713_216].map(parameters), ["812", "45.1 K", "22.7 M"]);
        assert_eq!([3.0, 0.333].map(short), ["3", "0.33"]);
    }
}
