//! When something is to happen: zones, points in time as people write them, cron expressions, and what becomes of runs
//! that were missed.
//!
//! **Daylight saving** has one rule for everything in here: a local time that does not exist, as the clocks skip it,
//! means the first instant after the gap; a local time that exists twice means the first of the two. So a job at 02:30
//! runs once on each of these days, and two jobs in one gap run at the same instant.

mod cron;
mod fields;
mod missed;
mod moment;
mod words;
mod zone;

pub use cron::{Cron, InvalidCron};
pub use missed::{Due, GRACE, LastRun, Missed, RunOutcome, due};
pub use moment::{InvalidMoment, Moment, Shift, parse_instant};
pub use zone::{InvalidZone, Local, Zone};
