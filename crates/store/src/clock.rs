//! The clock that all servers of a database go by: the database's own, where that is another process. Theirs may differ, and may
//! be set while they run.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::{Kind, Store, StoreError};

/// Microseconds that this machine's clock is behind. Of the process, as the clock is: a process has one database.
static BEHIND: AtomicI64 = AtomicI64::new(0);

/// Clocks that are kept in step differ by less, and are left alone: what happens here in an order has its times in that order.
const APART: TimeDelta = TimeDelta::milliseconds(250);

/// The time. What the world outside decides by its own clock (certificates, codes of authenticators, tokens of providers) does not
/// go by it.
pub fn now() -> DateTime<Utc> {
    Utc::now() + TimeDelta::microseconds(BEHIND.load(Ordering::Relaxed))
}

/// Looks at the database's clock; how far this machine's is behind, if that is news. It waits for no writer.
pub async fn look(store: &Store) -> Result<Option<TimeDelta>, StoreError> {
    if store.kind() == Kind::Sqlite {
        return Ok(None);
    }
    let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS micros";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    let before = Utc::now();
    let row = store.beside().query_one_raw(statement).await?;
    let after = Utc::now();
    let Some(row) = row else { return Ok(None) };
    let there = crate::time::from_db(row.try_get("", "micros")?)?;
    let assumed = TimeDelta::microseconds(BEHIND.load(Ordering::Relaxed));
    let found = behind(assumed, there - after, there - before);
    BEHIND.store(found.num_microseconds().unwrap_or_default(), Ordering::Relaxed);
    Ok((found != assumed).then_some(found))
}

/// How far it is behind, when it is so much at `least` and at `most`: what was assumed, as long as that may be.
fn behind(assumed: TimeDelta, least: TimeDelta, most: TimeDelta) -> TimeDelta {
    let may_be = |behind| least - APART <= behind && behind <= most + APART;
    match assumed {
        assumed if may_be(assumed) => assumed,
        _ if may_be(TimeDelta::zero()) => TimeDelta::zero(),
        _ => least + (most - least) / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: i64) -> TimeDelta {
        TimeDelta::milliseconds(ms)
    }

    #[test]
    fn clocks_in_step_are_left_alone() {
        assert_eq!(behind(ms(0), ms(-20), ms(30)), ms(0));
        assert_eq!(behind(ms(0), ms(100), ms(240)), ms(0));
        // An answer that took long says little.
        assert_eq!(behind(ms(0), ms(-5000), ms(200)), ms(0));
        assert_eq!(behind(ms(3_600_000), ms(3_599_990), ms(3_600_010)), ms(3_600_000));
        assert_eq!(behind(ms(3_600_000), ms(3_595_000), ms(3_600_010)), ms(3_600_000));
    }

    #[test]
    fn a_clock_that_is_wrong_or_was_set_is_followed() {
        assert_eq!(behind(ms(0), ms(-3_600_010), ms(-3_600_000)), ms(-3_600_005));
        assert_eq!(behind(ms(-3_600_005), ms(60_000), ms(60_010)), ms(60_005));
        // Put right.
        assert_eq!(behind(ms(60_005), ms(-10), ms(10)), ms(0));
    }
}
