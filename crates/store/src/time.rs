//! Points in time as the database keeps them.

use chrono::{DateTime, SubsecRound, Utc};

use crate::StoreError;

/// `at` as it will come back from the database: rounded down to a microsecond.
pub fn micros(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

pub(crate) fn to_db(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

pub(crate) fn from_db(micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| StoreError::Corrupt { what: format!("the time {micros}"), why: "it is out of range".into() })
}
