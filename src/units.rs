//! Numbers as people read them: durations and sizes of memory and files.

use std::fmt;
use std::time::Duration;

/// A number of things that are called `one` each: `1 frame`, `2 frames`.
pub fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// Bytes in units of 10^6, with one digit after the point.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Bytes in units of 10^9, with one digit after the point.
pub fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Seconds that were measured: `3.2 s`, `1 min 05 s`, `2 h 03 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A duration that was estimated, in a single unit: `40 s`, `12 min`, `1.5 h`.
pub struct Rough(pub Duration);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0.as_secs_f64() {
            s if s < 90.0 => write!(f, "{s:.0} s"),
            s if s < 5400.0 => write!(f, "{:.0} min", s / 60.0),
            s => write!(f, "{:.1} h", s / 3600.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_decimal_units() {
        assert_eq!(gigabytes(2_340_000_000), "2.3 GB");
        assert_eq!(megabytes(80_142_000), "80.1 MB");
    }

    #[test]
    fn a_duration_is_said_in_two_units_and_an_estimate_in_one() {
        for (seconds, measured, estimated) in [
            (3.2, "3.2 s", "3 s"),
            (65.0, "1 min 05 s", "65 s"),
            (720.4, "12 min 00 s", "12 min"),
            (9000.0, "2 h 30 min", "2.5 h"),
        ] {
            assert_eq!(duration(seconds), measured);
            assert_eq!(Rough(Duration::from_secs_f64(seconds)).to_string(), estimated);
        }
    }
}
