//! The audit log: records that follow each other, see [`domain::audit`]. Rows are added, and never changed or removed.

mod check;

use chrono::{DateTime, Utc};
use domain::AppId;
use domain::audit::{ActorKind, Detail, Draft, Head, Link, MacKey, Outcome, Record, Via, chain};
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

pub use check::verify;

use crate::entity::audit::{Column, Entity, Model};
use crate::entity::audit_head;
use crate::row::{insert as insert_row, long, number, parse, parse_option};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, time};

/// The only row of its table.
const HEAD: i32 = 1;

/// Which records to list; everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub app: Option<AppId>,
    /// Id of whoever acted.
    pub actor: Option<String>,
    pub operation: Option<String>,
    pub outcome: Option<Outcome>,
    pub target: Option<String>,
    /// At this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Before this time.
    pub until: Option<DateTime<Utc>>,
}

/// Adds a record to the log, and returns it as it is kept. The first of the keys signs; the others were in use before, and heads
/// that they have signed are good.
///
/// A head that was altered or lost, or that a holder of another key has written, stops nobody from working: the log goes on behind
/// the last record that is there, and the head says from then on that something may be missing before this one. A log with
/// nothing in it is one that was emptied: what a first start makes is recorded by [`begin`].
pub async fn append(tx: &Tx, keys: &[MacKey], draft: Draft) -> Result<Record, StoreError> {
    let (end, broken) = match head(tx).await {
        Ok(Some(head)) if keys.iter().any(|key| head.is_vouched_for(key)) => (head.end, head.broken),
        Ok(_) | Err(StoreError::Corrupt { .. }) => broken_after(last(tx).await?),
        Err(error) => return Err(error),
    };
    add(tx, in_use(keys)?, draft, end, broken).await
}

/// The same for the very first record, which nothing can be missing before.
pub async fn begin(tx: &Tx, keys: &[MacKey], draft: Draft) -> Result<Record, StoreError> {
    match (head(tx).await, last(tx).await?) {
        (Ok(None), Link::START) => add(tx, in_use(keys)?, draft, Link::START, None).await,
        _ => append(tx, keys, draft).await,
    }
}

fn in_use(keys: &[MacKey]) -> Result<&MacKey, StoreError> {
    keys.first().ok_or_else(|| StoreError::Internal("there is no key that signs the audit log".to_owned()))
}

async fn add(tx: &Tx, key: &MacKey, draft: Draft, end: Link, broken: Option<u64>) -> Result<Record, StoreError> {
    let record = chain(&end, draft, key);
    let (record, broken) = match insert_row::<Entity, _>(tx, (&record).into()).await? {
        true => (record, broken),
        // An old head was put back: it is one of ours, but not the last one.
        false => {
            let (end, broken) = broken_after(last(tx).await?);
            let record = chain(&end, record.draft, key);
            if !insert_row::<Entity, _>(tx, (&record).into()).await? {
                return Err(StoreError::Internal(format!("the audit log has no room for record {}", record.seq)));
            }
            (record, broken)
        }
    };
    set_head(tx, &Head::new(record.link(), broken, key)).await?;
    Ok(record)
}

fn broken_after(last: Link) -> (Link, Option<u64>) {
    (last, Some(last.seq + 1))
}

/// Where the log ends, by what says so.
pub async fn head(session: &impl Session) -> Result<Option<Head>, StoreError> {
    let Some(row) = audit_head::Entity::find_by_id(HEAD).one(session.connection()).await? else { return Ok(None) };
    Ok(Some(Head {
        end: Link { seq: number("the head of the audit log", row.seq)?, hash: parse(&row.hash)? },
        broken: row.broken.map(|seq| number("the head of the audit log", seq)).transpose()?,
        key: row.key,
        mac: parse(&row.mac)?,
    }))
}

/// Where it ends, by the rows that there are; [`Link::START`] when there is none.
pub async fn last(session: &impl Session) -> Result<Link, StoreError> {
    let row = Entity::find().order_by_desc(Column::Seq).limit(1).one(session.connection()).await?;
    let Some(row) = row else { return Ok(Link::START) };
    // A hash that can't be read is found by whoever verifies; the log goes on from there all the same.
    let hash = parse(&row.hash).unwrap_or(Link::START.hash);
    Ok(Link { seq: number("the number of an audit record", row.seq)?, hash })
}

async fn set_head(tx: &Tx, head: &Head) -> Result<(), StoreError> {
    use audit_head::{Column, Entity, Model};
    let row = Model {
        id: HEAD,
        seq: long(head.end.seq),
        hash: head.end.hash.to_string(),
        broken: head.broken.map(long),
        key: head.key.clone(),
        mac: head.mac.to_string(),
    };
    let again = OnConflict::column(Column::Id)
        .update_columns([Column::Seq, Column::Hash, Column::Broken, Column::Key, Column::Mac])
        .to_owned();
    Entity::insert(row.into_active_model()).on_conflict(again).exec_without_returning(tx.connection()).await?;
    Ok(())
}

/// Newest first, those before the record `before`.
pub async fn list(
    session: &impl Session,
    filter: &Filter,
    before: Option<u64>,
    limit: u64,
) -> Result<Vec<Record>, StoreError> {
    let mut query = filter.select().order_by_desc(Column::Seq).limit(limit);
    if let Some(before) = before {
        query = query.filter(Column::Seq.lt(long(before)));
    }
    query.all(session.connection()).await?.into_iter().map(Record::try_from).collect()
}

/// In order, those after the record `after` (0 for all), up to and with `until`: for copies.
pub async fn after(
    session: &impl Session,
    filter: &Filter,
    after: u64,
    until: u64,
    limit: u64,
) -> Result<Vec<Record>, StoreError> {
    let numbered = Column::Seq.gt(long(after)).and(Column::Seq.lte(long(until)));
    let query = filter.select().filter(numbered).order_by_asc(Column::Seq).limit(limit);
    query.all(session.connection()).await?.into_iter().map(Record::try_from).collect()
}

impl Filter {
    fn select(&self) -> sea_orm::Select<Entity> {
        let mut query = Entity::find();
        let texts = [
            (Column::AppId, self.app.as_ref().map(AppId::as_str)),
            (Column::Actor, self.actor.as_deref()),
            (Column::Operation, self.operation.as_deref()),
            (Column::Outcome, self.outcome.map(Outcome::as_str)),
            (Column::Target, self.target.as_deref()),
        ];
        for (column, value) in texts {
            if let Some(value) = value {
                query = query.filter(column.eq(value));
            }
        }
        if let Some(since) = self.since {
            query = query.filter(Column::At.gte(time::to_db(since)));
        }
        if let Some(until) = self.until {
            query = query.filter(Column::At.lt(time::to_db(until)));
        }
        query
    }
}

impl From<&Record> for Model {
    fn from(record: &Record) -> Self {
        let Record { seq, draft, key, prev, hash, mac } = record;
        Model {
            seq: long(*seq),
            at: time::to_db(draft.at),
            actor: draft.actor.clone(),
            actor_kind: draft.actor_kind.as_str().to_owned(),
            actor_name: draft.actor_name.clone(),
            token: draft.token.as_ref().map(ToString::to_string),
            via: draft.via.as_str().to_owned(),
            address: draft.address.as_ref().map(ToString::to_string),
            request: draft.request.clone(),
            operation: draft.operation.clone(),
            app_id: draft.app_id.as_ref().map(ToString::to_string),
            app: draft.app.as_ref().map(ToString::to_string),
            environment: draft.environment.as_ref().map(ToString::to_string),
            target: draft.target.clone(),
            outcome: draft.outcome.as_str().to_owned(),
            of: draft.of.map(long),
            detail: draft.detail.to_string(),
            prev: prev.to_string(),
            hash: hash.to_string(),
            mac: mac.to_string(),
            key: key.clone(),
        }
    }
}

impl TryFrom<Model> for Record {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let unknown =
            |name: &str| StoreError::corrupt(format!("`{name}` of an audit record"), "there is none of that name");
        let draft = Draft {
            at: time::from_db(row.at)?,
            actor: row.actor,
            actor_kind: ActorKind::from_name(&row.actor_kind).ok_or_else(|| unknown(&row.actor_kind))?,
            actor_name: row.actor_name,
            token: parse_option(row.token.as_deref())?,
            via: Via::from_name(&row.via).ok_or_else(|| unknown(&row.via))?,
            address: parse_option(row.address.as_deref())?,
            request: row.request,
            operation: row.operation,
            app_id: parse_option(row.app_id.as_deref())?,
            app: parse_option(row.app.as_deref())?,
            environment: parse_option(row.environment.as_deref())?,
            target: row.target,
            outcome: Outcome::from_name(&row.outcome).ok_or_else(|| unknown(&row.outcome))?,
            of: row.of.map(|of| number("the number of an audit record", of)).transpose()?,
            detail: Detail::from_canonical(&row.detail)
                .map_err(|why| StoreError::corrupt(format!("audit record {}", row.seq), why))?,
        };
        Ok(Record {
            seq: number("the number of an audit record", row.seq)?,
            draft,
            key: row.key,
            prev: parse(&row.prev)?,
            hash: parse(&row.hash)?,
            mac: parse(&row.mac)?,
        })
    }
}
