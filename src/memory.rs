//! How much memory this process can still allocate, and the most that it has held. Only Linux reports both.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that are assumed to be free if the system does not report them: 4 GiB.
const UNKNOWN: u64 = 4 << 30;

/// Bytes that this process can still allocate: the least of what the machine, the control group and the process's own
/// limit leave. 4 GiB if the system reports none of them.
pub fn free() -> u64 {
    [machine(), control_group(), own_limit()].into_iter().flatten().min().unwrap_or(UNKNOWN)
}

/// The most bytes that this process has held in memory; `None` if the system does not report it.
pub fn peak() -> Option<u64> {
    field(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Keeps freed memory for what is allocated next. By default, glibc gives blocks of the size of a picture back to the
/// system at once, and each new one comes in pages that are cleared: a tenth of the time of a frame. The heaps of single
/// threads are too small for pictures, so all share one.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (option, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, 32 << 20), (libc::M_TRIM_THRESHOLD, 1 << 30)]
    {
        // SAFETY: mallopt only sets numbers of the allocator, and nothing else sets them at the same time: the program has
        // one thread yet, and the threads of a Python process that starts it are idle.
        unsafe { libc::mallopt(option, value) };
    }
}

/// Bytes that the machine can still give to processes.
fn machine() -> Option<u64> {
    field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// Bytes that the limits of the control group (version 2) and of those that it is in leave. Containers and the jobs of
/// Slurm and systemd have such limits.
fn control_group() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let left = |group: &Path| {
        let text = |name: &str| fs::read_to_string(group.join(name)).ok();
        left_in_group(&text("memory.max")?, &text("memory.current")?, &text("memory.stat")?)
    };
    group_folders(&own).iter().filter_map(|group| left(group)).min()
}

/// The folders of the control group that a `/proc/self/cgroup` names, and of those that it is in. In a container, the
/// name may be that of the machine outside; then only the last folder is there.
fn group_folders(own: &str) -> Vec<PathBuf> {
    const ROOT: &str = "/sys/fs/cgroup";
    // Version 2 has one line, `0::/path`.
    let name = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let below = Path::new(name.trim_start_matches('/'));
    below.ancestors().map(|group| Path::new(ROOT).join(group)).collect()
}

/// Bytes of address space that `ulimit -v` leaves.
fn own_limit() -> Option<u64> {
    let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
    left_of_address_space(&text("limits")?, &text("status")?)
}

/// The arguments are the contents of `memory.max`, `memory.current` and `memory.stat`. `None` without a limit: then
/// `memory.max` contains the word `max`.
fn left_in_group(max: &str, current: &str, stat: &str) -> Option<u64> {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    // Pages of files that were read count as used, but the kernel drops them when memory is needed.
    let cached = stat.lines().find_map(|line| number(line.strip_prefix("inactive_file ")?));
    Some((number(max)? + cached.unwrap_or(0)).saturating_sub(number(current)?))
}

/// `None` if the limit is `unlimited`.
fn left_of_address_space(limits: &str, status: &str) -> Option<u64> {
    let line = limits.lines().find(|line| line.starts_with("Max address space"))?;
    let most: u64 = line.split_whitespace().nth(3)?.parse().ok()?;
    Some(most.saturating_sub(field(status, "VmSize:")?))
}

/// The value of the line `NAME   12 kB`, in bytes. `name` ends in a colon.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_in_bytes() {
        let text = "MemTotal:       16303428 kB\nMemFree:          812340 kB\nMemAvailable:    9120004 kB\n";
        assert_eq!(field(text, "MemAvailable:"), Some(9_120_004 * 1024));
        assert_eq!(field("MemTotal:  10 kB\n", "MemAvailable:"), None);
        assert_eq!(field("VmHWM:\tmuch\n", "VmHWM:"), None);
    }

    #[test]
    fn a_control_group_leaves_its_limit_without_what_is_used_and_not_cached() {
        let stat = "anon 500\nfile 400\ninactive_anon 9\ninactive_file 300\nactive_file 100\n";
        assert_eq!(left_in_group("2000\n", "900\n", stat), Some(1400));
        assert_eq!(left_in_group("2000\n", "900\n", ""), Some(1100));
        assert_eq!(left_in_group("500\n", "900\n", ""), Some(0));
        assert_eq!(left_in_group("max\n", "900\n", stat), None);
    }

    #[test]
    fn the_groups_of_a_process_are_its_own_and_those_around_it() {
        let folders = group_folders("1:name=systemd:/x\n0::/system.slice/job_7/step_0\n");
        let expected = ["/system.slice/job_7/step_0", "/system.slice/job_7", "/system.slice", "/"];
        assert_eq!(folders, expected.map(|folder| PathBuf::from(format!("/sys/fs/cgroup{folder}"))));
        assert_eq!(group_folders("0::/\n"), [PathBuf::from("/sys/fs/cgroup/")]);
        assert_eq!(group_folders(""), [PathBuf::from("/sys/fs/cgroup/")]);
    }

    #[test]
    fn the_limit_of_the_address_space_leaves_what_is_not_mapped() {
        let limits = |most: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max cpu time              unlimited            unlimited            seconds   \n\
                 Max address space         {most:<20} unlimited            bytes     \n"
            )
        };
        let status = "Name:\taugment\nVmPeak:\t  600000 kB\nVmSize:\t  500000 kB\n";
        assert_eq!(left_of_address_space(&limits("1024000000"), status), Some(512_000_000));
        assert_eq!(left_of_address_space(&limits("1000"), status), Some(0));
        assert_eq!(left_of_address_space(&limits("unlimited"), status), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_reports_free_memory_and_the_most_that_was_held() {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
        let all = field(&meminfo, "MemTotal:").unwrap();
        // Free memory changes all the time, but is never more than the total.
        assert!(machine().is_some_and(|free| free <= all), "{meminfo}");
        assert!(free() <= all && peak().is_some_and(|held| held > 0));
    }
}
