//! Whether the machine does nothing else.

use std::time::Duration;

use anyhow::{Context, Result};

/// How long the machine is watched.
const WATCH: Duration = Duration::from_secs(2);
/// Share of the processor's time that others may take.
const BUSY: f64 = 0.05;

/// What the machine did while this process slept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Share of the time of all cores that was used or taken by other guests of the same host.
    pub busy: f64,
    /// Processes that ran or wanted to, mean of a minute.
    pub average: f64,
}

impl Load {
    /// Watches for two seconds. Without `/proc` there is nothing to see, and the machine counts as quiet.
    pub fn measure() -> Result<Self> {
        let Ok(before) = std::fs::read_to_string("/proc/stat") else {
            return Ok(Self { busy: 0.0, average: 0.0 });
        };
        std::thread::sleep(WATCH);
        let after = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        let average = std::fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
        let busy = busy_share(&before, &after).context("/proc/stat has no line `cpu`")?;
        Ok(Self { busy, average: first_number(&average).context("/proc/loadavg has no number")? })
    }

    /// What is wrong with the machine, if anything. The load average does not count: it remembers for a minute what has
    /// ended, such as the compiler that built this.
    pub fn complaint(&self) -> Option<String> {
        (self.busy > BUSY).then(|| {
            format!("the machine is busy: others took {:.0} % of its time in the last two seconds", 100.0 * self.busy)
        })
    }
}

/// The share of time between two texts of `/proc/stat` in which cores did not idle.
fn busy_share(before: &str, after: &str) -> Option<f64> {
    let (before, after) = (times(before)?, times(after)?);
    let all: u64 = after.iter().sum::<u64>().checked_sub(before.iter().sum())?;
    // The fourth number is idle time, the fifth is idle time with a disk at work.
    let idle: u64 = after.get(3..5)?.iter().sum::<u64>().checked_sub(before.get(3..5)?.iter().sum())?;
    (all > 0).then(|| 1.0 - idle as f64 / all as f64)
}

/// The first eight numbers of the line of all cores; those behind them, of guests, are part of the first two.
fn times(stat: &str) -> Option<Vec<u64>> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    line.split_whitespace().take(8).map(|number| number.parse().ok()).collect()
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "cpu  1000 0 500 8000 500 0 0 0 900 0\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 12\n";

    #[test]
    fn a_machine_that_idles_is_quiet() {
        let after = "cpu  1002 0 501 8390 507 0 0 0 900 0\n";
        let busy = busy_share(BEFORE, after).expect("both texts have the line");
        assert!((busy - 0.0075).abs() < 1e-12, "{busy}");
        assert_eq!(Load { busy, average: 1.9 }.complaint(), None);
    }

    #[test]
    fn work_and_stolen_time_make_it_busy() {
        let after = "cpu  1100 0 500 8200 500 0 0 100 900 0\n";
        let busy = busy_share(BEFORE, after).expect("both texts have the line");
        assert!((busy - 0.5).abs() < 1e-12, "{busy}");
        let complaint = Load { busy, average: 0.0 }.complaint().expect("half of the time is gone");
        assert!(complaint.contains("50 %"), "{complaint}");
    }

    #[test]
    fn other_texts_give_no_number() {
        assert_eq!(busy_share("intr 12\n", BEFORE), None);
        assert_eq!(busy_share(BEFORE, BEFORE), None);
        assert_eq!(first_number("1.25 0.5 0.1 2/345 6789\n"), Some(1.25));
    }
}
