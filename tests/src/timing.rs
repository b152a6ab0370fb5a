//! Whether two groups of durations tell each other apart: Welch's t over what is left when the outliers are gone, with Yuen's
//! variance, which knows that they were there.
//!
//! A pure judge over numbers. Noise of a busy machine makes it lenient, never wrong: it widens both groups.

/// Beyond it the groups are not the same: by chance that is so once in some hundred thousand times.
pub const LIMIT: f64 = 4.5;

/// Of each group, shares that are left out: those that something made quick, and those that waited for something else.
const QUICKEST: f64 = 0.05;
const SLOWEST: f64 = 0.20;

/// What the judge has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Means of what was left, in the unit of the samples.
    pub means: [f64; 2],
    /// Standard errors of the same.
    pub errors: [f64; 2],
    pub t: f64,
}

impl Verdict {
    /// Nobody learns from these which group one is of.
    pub fn is_fine(&self) -> bool {
        self.t.abs() < LIMIT
    }
}

/// Holds two groups against each other.
///
/// # Panics
/// With fewer than 20 samples in a group, which tell nothing.
pub fn judge(one: &[f64], other: &[f64]) -> Verdict {
    let (one, other) = (Group::of(one), Group::of(other));
    let spread = one.error.powi(2) + other.error.powi(2);
    let difference = one.mean - other.mean;
    let t = match (difference == 0.0, spread == 0.0) {
        (true, _) => 0.0,
        (false, true) => f64::INFINITY.copysign(difference),
        (false, false) => difference / spread.sqrt(),
    };
    Verdict { means: [one.mean, other.mean], errors: [one.error, other.error], t }
}

struct Group {
    mean: f64,
    error: f64,
}

impl Group {
    fn of(samples: &[f64]) -> Self {
        assert!(samples.len() >= 20, "{} samples tell nothing", samples.len());
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let share = |of: f64| (sorted.len() as f64 * of) as usize;
        let (first, end) = (share(QUICKEST), sorted.len() - share(SLOWEST));
        let left = &sorted[first..end];
        let (lowest, highest) = (left[0], left[left.len() - 1]);
        let (all, kept) = (sorted.len() as f64, left.len() as f64);
        let mean = left.iter().sum::<f64>() / kept;
        // As if those that were left out had been the nearest that were kept: without them the group would look narrower than it is.
        let clamped = || sorted.iter().map(|sample| sample.clamp(lowest, highest));
        let middle = clamped().sum::<f64>() / all;
        let squares = clamped().map(|sample| (sample - middle).powi(2)).sum::<f64>();
        Self { mean, error: (squares / (kept * (kept - 1.0))).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between 0 and 1 that are the same each time.
    struct Dice(u64);

    impl Dice {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// Of a machine that mostly takes `usual`, a tenth more or less, and now and then much longer.
        fn attempts(&mut self, usual: f64) -> Vec<f64> {
            let mut one = || {
                let noise = (0..12).map(|_| self.next()).sum::<f64>() - 6.0;
                let held_up = if self.next() < 0.05 { 4.0 * self.next() } else { 0.0 };
                usual * (1.0 + 0.1 * noise + held_up)
            };
            (0..200).map(|_| one()).collect()
        }
    }

    #[test]
    fn what_is_the_same_passes_on_a_busy_machine() {
        let mut dice = Dice(7);
        for round in 0..300 {
            let verdict = judge(&dice.attempts(45.0), &dice.attempts(45.0));
            assert!(verdict.is_fine(), "{round}: {verdict:?}");
        }
        assert_eq!(judge(&[3.0; 20], &[3.0; 20]).t, 0.0);
    }

    /// The mutation: for a name without an account nothing is hashed.
    #[test]
    fn a_hash_that_is_left_out_is_noticed() {
        let mut dice = Dice(11);
        for round in 0..300 {
            let verdict = judge(&dice.attempts(45.0), &dice.attempts(3.0));
            assert!(!verdict.is_fine() && verdict.t > 50.0, "{round}: {verdict:?}");
        }
    }

    /// Others: a hash that takes a little less work, and one that is made twice.
    #[test]
    fn a_tenth_less_work_is_noticed_and_so_is_more() {
        let mut dice = Dice(13);
        for round in 0..300 {
            for other in [40.0, 50.0, 90.0] {
                let verdict = judge(&dice.attempts(45.0), &dice.attempts(other));
                assert!(!verdict.is_fine(), "{round} {other}: {verdict:?}");
                assert_eq!(verdict.t > 0.0, other < 45.0);
            }
        }
        assert_eq!(judge(&[3.0; 20], &[4.0; 20]).t, f64::NEG_INFINITY);
    }

    #[test]
    fn outliers_neither_hide_nor_make_a_difference() {
        let mut dice = Dice(17);
        let (mut one, other) = (dice.attempts(45.0), dice.attempts(45.0));
        one[..8].fill(60_000.0);
        assert!(judge(&one, &other).is_fine());
        let mut slower = dice.attempts(55.0);
        slower[..8].fill(0.1);
        assert!(!judge(&other, &slower).is_fine());
    }
}
