//! How many failures to sign in the audit log has room for: anybody can fail, at addresses that they make up, and nothing is ever
//! taken out of the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::network::counted;

/// Counts begin anew after it.
const SPAN: Duration = Duration::from_secs(60);
/// Records of one network within it, and of all.
const MOST_OF_ONE: u32 = 10;
const MOST: u32 = 60;

/// What was recorded lately, in memory alone.
#[derive(Default)]
pub(super) struct Allowance(Mutex<Option<Window>>);

struct Window {
    begun: Instant,
    /// At most [`MOST`] networks.
    of: HashMap<IpAddr, u32>,
    all: u32,
    /// Failures since the last record, which no record tells of.
    left_out: u64,
}

impl Allowance {
    /// Whether there is room for another record: how many failures were left out before it. `None` when this one is, too.
    pub(super) fn ask(&self, from: IpAddr, now: Instant) -> Option<u64> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = kept.get_or_insert_with(|| Window { begun: now, of: HashMap::new(), all: 0, left_out: 0 });
        if now.saturating_duration_since(window.begun) >= SPAN {
            *window = Window { begun: now, of: HashMap::new(), all: 0, left_out: window.left_out };
        }
        let network = counted(from);
        let of_one = window.of.get(&network).copied().unwrap_or(0);
        if window.all >= MOST || of_one >= MOST_OF_ONE {
            window.left_out += 1;
            return None;
        }
        window.all += 1;
        window.of.insert(network, of_one + 1);
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_network_and_all_together_have_their_share_and_the_rest_is_counted() {
        let (allowance, start) = (Allowance::default(), Instant::now());
        let ask = |from: &str, seconds| allowance.ask(from.parse().unwrap(), start + Duration::from_secs(seconds));
        for n in 0..10 {
            // One customer of IPv6 has many addresses.
            assert_eq!(ask(&format!("2001:db8::{n}"), 0), Some(0));
        }
        assert_eq!(ask("2001:db8::a", 1), None);
        assert_eq!(ask("2001:db8::b", 59), None);
        assert_eq!(ask("192.0.2.1", 2), Some(2), "the next record tells of them");
        for n in 11..60 {
            assert_eq!(ask(&format!("198.51.100.{n}"), 3), Some(0));
        }
        assert_eq!(ask("203.0.113.1", 4), None, "all networks together");
        assert_eq!(ask("2001:db8::a", 60), Some(1));
        assert_eq!(ask("203.0.113.1", 61), Some(0));
    }
}
