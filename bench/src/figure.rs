//! One measured number beside what it is measured against.

use serde::Serialize;

/// One row of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// What the same work costs without Plimsoll, or with a peer, in the same unit and the same run.
    pub(crate) against: Option<Against>,
    pub(crate) goal: Goal,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Against {
    pub(crate) what: String,
    pub(crate) value: f64,
}

/// What was promised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// The value is below this.
    Below(f64),
    /// The value is this.
    Is(f64),
    /// The value exceeds the other one by at most this.
    AddsAtMost(f64),
    /// Value by the other one.
    RatioAtLeast(f64),
    RatioAtMost(f64),
    /// There for comparison.
    Shown,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str, goal: Goal) -> Self {
        Self { name: name.into(), value, unit, against: None, goal }
    }

    pub(crate) fn against(mut self, what: impl Into<String>, value: f64) -> Self {
        self.against = Some(Against { what: what.into(), value });
        self
    }

    pub(crate) fn ratio(&self) -> Option<f64> {
        self.against.as_ref().filter(|other| other.value != 0.0).map(|other| self.value / other.value)
    }

    /// A goal that compares is missed where there is nothing to compare with.
    pub(crate) fn is_met(&self) -> bool {
        match self.goal {
            Goal::Below(limit) => self.value < limit,
            Goal::Is(wanted) => self.value == wanted,
            Goal::AddsAtMost(more) => self.against.as_ref().is_some_and(|other| self.value - other.value <= more),
            Goal::RatioAtLeast(ratio) => self.ratio().is_some_and(|found| found >= ratio),
            Goal::RatioAtMost(ratio) => self.ratio().is_some_and(|found| found <= ratio),
            Goal::Shown => true,
        }
    }
}

impl Goal {
    pub(crate) fn words(self, unit: &str) -> String {
        match self {
            Goal::Below(limit) => format!("under {limit} {unit}"),
            Goal::Is(wanted) => format!("{wanted} {unit}"),
            Goal::AddsAtMost(more) => format!("at most + {more} {unit}"),
            Goal::RatioAtLeast(ratio) => format!("at least {ratio} x"),
            Goal::RatioAtMost(ratio) => format!("at most {ratio} x"),
            Goal::Shown => "–".to_owned(),
        }
    }
}

/// The value below which `share` of them lie, the nearest rank; `values` need not be in order.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_can_be_missed() {
        let figure = |goal| Figure::new("x", 12.0, "ms", goal).against("y", 10.0);
        for (goal, met) in [
            (Goal::Below(12.5), true),
            (Goal::Below(12.0), false),
            (Goal::Is(0.0), false),
            (Goal::AddsAtMost(2.0), true),
            (Goal::AddsAtMost(1.0), false),
            (Goal::RatioAtLeast(1.2), true),
            (Goal::RatioAtLeast(1.3), false),
            (Goal::RatioAtMost(1.1), false),
        ] {
            assert_eq!(figure(goal).is_met(), met, "{goal:?}");
        }
        assert!(!Figure::new("x", 1.0, "ms", Goal::RatioAtLeast(0.1)).is_met());
    }

    #[test]
    fn quantiles_are_values_that_were_there() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| quantile(&values, share)), [1.0, 50.0, 99.0, 100.0]);
    }
}
