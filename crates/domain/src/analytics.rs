//! How deployments go: durations of their phases, where they fail, and the four keys of DORA.
//!
//! When a deployment ends, [`facts`] says what is to be counted of it. Counts are kept by day (in UTC) and scope, and
//! [`report`] makes the figures from any sum of them. So a report costs by days and not by deployments, and outlives
//! the deployments that it tells of.

mod days;
mod facts;
mod histogram;
mod report;

pub use days::{Day, days};
pub use facts::{Ending, Facts, Measure, REMEDY_WINDOW, Replaced, Sample, day_of, facts};
pub use histogram::{Bucket, Durations, Histogram};
pub use report::{Analytics, Counted, Dora, FailurePoint, KindFigures, Outcomes, PhaseFigures, Window, report};
