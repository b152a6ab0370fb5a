//! What the host of a virtual machine has taken of its processors: figures of such minutes say little.

/// Ticks of all processors together since the machine has started.
#[derive(Clone, Copy)]
pub(crate) struct Ticks {
    /// In which there was something to do, `stolen` included.
    wanted: u64,
    stolen: u64,
}

/// By now; none where the kernel does not say.
pub(crate) fn ticks() -> Option<Ticks> {
    parse(&std::fs::read_to_string("/proc/stat").ok()?)
}

impl Ticks {
    /// Of what was wanted between then and now, the share that the host has taken away: idle time was wanted by nobody. From 0 to 1.
    pub(crate) fn share_since(self, then: Ticks) -> f64 {
        let wanted = self.wanted.saturating_sub(then.wanted);
        if wanted == 0 { 0.0 } else { self.stolen.saturating_sub(then.stolen) as f64 / wanted as f64 }
    }
}

/// Of the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn parse(stat: &str) -> Option<Ticks> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|ticks| ticks.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, stolen, ..] = ticks[..] else { return None };
    Some(Ticks { wanted: user + nice + system + irq + softirq + stolen, stolen })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_taken_from_nobody() {
        let at = |line: &str| parse(line).unwrap();
        let then = at("cpu  100 0 50 1000 0 0 0 10 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
        let now = at("cpu  160 0 60 9000 40 5 5 30 0 0\n");
        assert_eq!(now.share_since(then), 0.2);
        assert_eq!(then.share_since(then), 0.0);
        assert!(parse("cpu  1 2 3\n").is_none() && parse("").is_none());
        assert!(ticks().is_some());
    }
}
