//! The whole log, looked at record by record.

use domain::audit::{Anchor, Fault, Flaw, MacKey, Record, Report, Verifier};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::audit::{Column, Entity, Model};
use crate::row::long;
use crate::{Session, StoreError};

/// Records that are read at once, which is all that is in memory of the log.
const PAGE: u64 = 500;

/// Whether the log is as it was written: what it holds, or what is wrong first. The key in use comes first, behind it those of before.
///
/// It is the log as it is when the call begins; what is added meanwhile is left for the next time. So it may take as long as it
/// takes, and holds nobody up.
pub async fn verify(
    session: &impl Session,
    keys: &[MacKey],
    anchor: Option<Anchor>,
) -> Result<Result<Report, Fault>, StoreError> {
    let mut verifier = Verifier::new(keys, anchor);
    // Before the head: what was there then, a head that is read later names.
    let there = super::last(session).await?.seq;
    let head = match super::head(session).await {
        Ok(head) => head,
        Err(StoreError::Corrupt { what, why }) => {
            let why = format!("the head of the log: {what}: {why}");
            return Ok(Err(Fault { seq: verifier.next_seq(), flaw: Flaw::Unreadable { why } }));
        }
        Err(error) => return Err(error),
    };
    // Rows behind it are those of writers that came later.
    let end = head.as_ref().map_or(there, |head| head.end.seq);
    loop {
        let seq = verifier.next_seq();
        let page = Entity::find()
            .filter(Column::Seq.gte(long(seq)))
            .filter(Column::Seq.lte(long(end)))
            .order_by_asc(Column::Seq)
            .limit(PAGE);
        let rows = page.all(session.connection()).await?;
        let Some(last) = rows.last().map(|row| row.seq) else { break };
        for row in rows {
            let seq = verifier.next_seq();
            let there = u64::try_from(row.seq).unwrap_or_default();
            let seen = match Record::try_from(row.clone()) {
                // What reads the same may be written otherwise: an address has several texts.
                Ok(record) if Model::from(&record) != row => {
                    Err(Fault { seq, flaw: Flaw::Unreadable { why: "it is not in its form".to_owned() } })
                }
                Ok(record) => verifier.next(&record),
                // A gap is told as one, even before a record that can't be read.
                Err(_) if there != seq => Err(Fault { seq, flaw: Flaw::Missing { next: Some(there) } }),
                Err(why) => Err(Fault { seq, flaw: Flaw::Unreadable { why: why.to_string() } }),
            };
            if let Err(fault) = seen {
                return Ok(Err(fault));
            }
        }
        if last == long(end) {
            break;
        }
    }
    let next = verifier.next_seq();
    let report = verifier.finish_at(head.as_ref());
    match report {
        Ok(_) if there > end => Ok(Err(Fault { seq: next, flaw: Flaw::BehindHead })),
        other => Ok(other),
    }
}
