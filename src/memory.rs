//! How much memory a program has had and can still have, as far as Linux tells.

use std::fs;

/// What is assumed where the system tells nothing.
const UNKNOWN: u64 = 4 << 30;

/// Bytes that this process can still take: the least of what the machine, its control group and its own limit leave.
pub fn free() -> u64 {
    [machine(), control_group(), own_limit()].into_iter().flatten().min().unwrap_or(UNKNOWN)
}

fn machine() -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// Version 2 of control groups, seen from inside one, as in a container.
fn control_group() -> Option<u64> {
    let text = |name: &str| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let number = |name: &str| text(name)?.trim().parse::<u64>().ok();
    // Files that were read count as used, and go when their room is needed.
    let stat = text("memory.stat")?;
    let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
    Some((number("memory.max")? + cached.unwrap_or(0)).saturating_sub(number("memory.current")?))
}

/// What `ulimit -v` leaves.
fn own_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max address space"))?;
    let most: u64 = line.split_whitespace().nth(3)?.parse().ok()?;
    let used = field(&fs::read_to_string("/proc/self/status").ok()?, "VmSize:")?;
    Some(most.saturating_sub(used))
}

/// The most bytes that this process ever held.
pub fn peak() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// A line `NAME   12 kB` in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::gigabytes;

    #[test]
    fn a_field_is_read_in_bytes() {
        assert_eq!(field("MemTotal:  10 kB\nMemAvailable:    3 kB\n", "MemAvailable:"), Some(3072));
        assert_eq!(field("MemTotal:  10 kB\n", "MemAvailable:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_tells_what_is_free_and_what_was_held() {
        let told = fs::read_to_string("/proc/meminfo").unwrap();
        let all = field(&told, "MemTotal:").unwrap();
        // What is free changes all the time; no part of it is more than all.
        assert!(machine().is_some_and(|free| free <= all), "{told}");
        assert!(free() <= all && peak().is_some_and(|held| held > 0));
    }

    #[test]
    fn bytes_are_said_in_gigabytes() {
        assert_eq!(gigabytes(2_340_000_000), "2.3 GB");
    }
}
