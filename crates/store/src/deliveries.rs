//! Messages to channels: made with the cursor of the event log in one transaction, sent later, as often as it takes.

use chrono::{DateTime, Utc};
use domain::channel::DeliveryState;
use domain::{ChannelId, DeliveryId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::deliveries::{Column, Entity, Model};
use crate::row::{insert as insert_row, number, parse, text};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, time};

/// Rows that are removed at once.
pub const BATCH: u64 = 500;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub channel: ChannelId,
    /// What it tells of is among the events from this one to that one.
    pub first_event: i64,
    pub last_event: i64,
    /// How many notices it tells of.
    pub count: u32,
    pub group: Group,
    pub title: String,
    pub state: DeliveryState,
    /// With the one that is under way.
    pub attempts: u32,
    pub due_at: DateTime<Utc>,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub done_at: Option<DateTime<Utc>>,
}

/// Whether a message is for one notice or takes in more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Alone,
    Many,
}

impl Group {
    const fn as_str(self) -> &'static str {
        match self {
            Group::Alone => "alone",
            Group::Many => "many",
        }
    }
}

impl std::str::FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "alone" => Ok(Group::Alone),
            "many" => Ok(Group::Many),
            other => Err(format!("`{other}` is no group of deliveries")),
        }
    }
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub state: DeliveryState,
    /// When it is tried next; of one that waits.
    pub due_at: DateTime<Utc>,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub title: String,
    pub at: DateTime<Utc>,
}

/// Writes a new one; `false` when the channel has one for this event already.
pub async fn insert(tx: &Tx, delivery: &Delivery) -> Result<bool, StoreError> {
    let row = Model {
        id: delivery.id.to_string(),
        channel_id: delivery.channel.to_string(),
        first_event: delivery.first_event,
        last_event: delivery.last_event,
        count: small(delivery.count),
        group_key: delivery.group.as_str().to_owned(),
        title: text(&delivery.title),
        state: delivery.state.to_string(),
        attempts: small(delivery.attempts),
        due_at: time::to_db(delivery.due_at),
        status: delivery.status.map(i32::from),
        error: delivery.error.as_deref().map(text),
        created_at: time::to_db(delivery.created_at),
        done_at: delivery.done_at.map(time::to_db),
    };
    insert_row::<Entity, _>(tx, row).await
}

/// Takes more notices in: sets count, last event and title.
pub async fn extend(tx: &Tx, delivery: &Delivery) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::LastEvent, Expr::value(delivery.last_event))
        .col_expr(Column::Count, Expr::value(small(delivery.count)))
        .col_expr(Column::Title, Expr::value(text(&delivery.title)))
        .filter(Column::Id.eq(delivery.id.as_str()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

pub async fn find(session: &impl Session, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
    Entity::find_by_id(id.as_str()).one(session.connection()).await?.map(Delivery::try_from).transpose()
}

/// Newest first, of a channel; those before the one that is named.
pub async fn list(
    session: &impl Session,
    channel: &ChannelId,
    before: Option<&DeliveryId>,
    limit: u64,
) -> Result<Vec<Delivery>, StoreError> {
    let mut query = Entity::find().filter(Column::ChannelId.eq(channel.as_str())).order_by_desc(Column::Id);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.as_str()));
    }
    query.limit(limit).all(session.connection()).await?.into_iter().map(Delivery::try_from).collect()
}

/// The message that still takes more notices in, if there is one.
pub async fn open(
    session: &impl Session,
    channel: &ChannelId,
    now: DateTime<Utc>,
) -> Result<Option<Delivery>, StoreError> {
    let query = Entity::find()
        .filter(Column::ChannelId.eq(channel.as_str()))
        .filter(Column::State.eq(DeliveryState::Waiting.as_str()))
        .filter(Column::GroupKey.eq(Group::Many.as_str()))
        .filter(Column::Attempts.eq(0))
        .filter(Column::DueAt.gt(time::to_db(now)))
        .order_by_desc(Column::Id)
        .limit(1);
    query.one(session.connection()).await?.map(Delivery::try_from).transpose()
}

/// How many messages of a group a channel was made since then, whatever became of them.
pub async fn recent(
    session: &impl Session,
    channel: &ChannelId,
    group: Group,
    since: DateTime<Utc>,
) -> Result<u32, StoreError> {
    let query = Entity::find()
        .filter(Column::ChannelId.eq(channel.as_str()))
        .filter(Column::CreatedAt.gt(time::to_db(since)))
        .filter(Column::GroupKey.eq(group.as_str()));
    Ok(u32::try_from(query.count(session.connection()).await?).unwrap_or(u32::MAX))
}

fn waiting(but: &[ChannelId]) -> sea_orm::Select<Entity> {
    let query = Entity::find().filter(Column::State.eq(DeliveryState::Waiting.as_str()));
    match but.is_empty() {
        true => query,
        false => query.filter(Column::ChannelId.is_not_in(but.iter().map(ChannelId::as_str))),
    }
}

/// What is to be sent now, to channels but for those that are named: the longest due first.
pub async fn due(
    session: &impl Session,
    now: DateTime<Utc>,
    but: &[ChannelId],
    limit: u64,
) -> Result<Vec<Delivery>, StoreError> {
    let query = waiting(but).filter(Column::DueAt.lte(time::to_db(now)));
    let query = query.order_by_asc(Column::DueAt).order_by_asc(Column::Id).limit(limit);
    query.all(session.connection()).await?.into_iter().map(Delivery::try_from).collect()
}

/// When the next one is to be sent, to channels but for those that are named.
pub async fn next_due(session: &impl Session, but: &[ChannelId]) -> Result<Option<DateTime<Utc>>, StoreError> {
    let next = waiting(but).order_by_asc(Column::DueAt).limit(1).one(session.connection()).await?;
    next.map(|row| time::from_db(row.due_at)).transpose()
}

/// Begins an attempt: until `until` nobody else makes one, and whoever does then knows of this one. The delivery as it is now, to be
/// [`attempted`]; `None` when somebody was quicker, or has asked for it anew meanwhile.
pub async fn claim(tx: &Tx, delivery: &Delivery, until: DateTime<Utc>) -> Result<Option<Delivery>, StoreError> {
    let claimed = Delivery { attempts: delivery.attempts.saturating_add(1), due_at: until, ..delivery.clone() };
    let updated = Entity::update_many()
        .col_expr(Column::Attempts, Expr::value(small(claimed.attempts)))
        .col_expr(Column::DueAt, Expr::value(time::to_db(until)))
        .filter(as_it_was(delivery))
        .exec(tx.connection())
        .await?;
    Ok((updated.rows_affected > 0).then_some(claimed))
}

fn as_it_was(delivery: &Delivery) -> Condition {
    Condition::all()
        .add(Column::Id.eq(delivery.id.as_str()))
        .add(Column::State.eq(DeliveryState::Waiting.as_str()))
        .add(Column::Attempts.eq(small(delivery.attempts)))
        .add(Column::DueAt.eq(time::to_db(delivery.due_at)))
}

/// Notes what an attempt came to, if nobody has asked for another one meanwhile; `false` when somebody has.
pub async fn attempted(tx: &Tx, delivery: &Delivery, attempt: &Attempt) -> Result<bool, StoreError> {
    let done = (attempt.state != DeliveryState::Waiting).then(|| time::to_db(attempt.at));
    let updated = Entity::update_many()
        .col_expr(Column::State, Expr::value(attempt.state.as_str()))
        .col_expr(Column::DueAt, Expr::value(time::to_db(attempt.due_at)))
        .col_expr(Column::Status, Expr::value(attempt.status.map(i32::from)))
        .col_expr(Column::Error, Expr::value(attempt.error.as_deref().map(text)))
        .col_expr(Column::Title, Expr::value(text(&attempt.title)))
        .col_expr(Column::DoneAt, Expr::value(done))
        .filter(as_it_was(delivery))
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Has one sent as if it had never been tried; `false` when it is not there.
pub async fn again(tx: &Tx, id: &DeliveryId, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let updated = Entity::update_many()
        .col_expr(Column::State, Expr::value(DeliveryState::Waiting.as_str()))
        .col_expr(Column::Attempts, Expr::value(0))
        .col_expr(Column::DueAt, Expr::value(time::to_db(now)))
        .col_expr(Column::DoneAt, Expr::value(None::<i64>))
        .filter(Column::Id.eq(id.as_str()))
        .exec(tx.connection())
        .await?;
    // Whoever sends may be another server.
    tx.tells();
    Ok(updated.rows_affected > 0)
}

/// Nobody wants any more what waits for a channel.
pub async fn drop_waiting(tx: &Tx, channel: &ChannelId, why: &str, at: DateTime<Utc>) -> Result<u64, StoreError> {
    let updated = Entity::update_many()
        .col_expr(Column::State, Expr::value(DeliveryState::Dropped.as_str()))
        .col_expr(Column::Error, Expr::value(Some(text(why))))
        .col_expr(Column::DoneAt, Expr::value(Some(time::to_db(at))))
        .filter(Column::ChannelId.eq(channel.as_str()))
        .filter(Column::State.eq(DeliveryState::Waiting.as_str()))
        .exec(tx.connection())
        .await?;
    Ok(updated.rows_affected)
}

/// The first event that a message still needs.
pub(crate) async fn first_needed(session: &impl Session) -> Result<Option<i64>, StoreError> {
    let first = waiting(&[]).order_by_asc(Column::FirstEvent).limit(1).one(session.connection()).await?;
    Ok(first.map(|row| row.first_event))
}

/// Forgets a batch of what was done with before `before`; how many.
pub async fn purge(tx: &Tx, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let old = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::DoneAt.lt(time::to_db(before)))
        .filter(Column::State.ne(DeliveryState::Waiting.as_str()))
        .limit(BATCH);
    let ids: Vec<String> = old.into_tuple().all(tx.connection()).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(Entity::delete_many().filter(Column::Id.is_in(ids)).exec(tx.connection()).await?.rows_affected)
}

fn small(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

impl TryFrom<Model> for Delivery {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Delivery {
            id: parse(&row.id)?,
            channel: parse(&row.channel_id)?,
            first_event: row.first_event,
            last_event: row.last_event,
            count: number("the count of a delivery", row.count.into())?,
            group: parse(&row.group_key)?,
            title: row.title,
            state: parse(&row.state)?,
            attempts: number("the attempts of a delivery", row.attempts.into())?,
            due_at: time::from_db(row.due_at)?,
            status: row.status.map(|status| number("the status of a delivery", status.into())).transpose()?,
            error: row.error,
            created_at: time::from_db(row.created_at)?,
            done_at: row.done_at.map(time::from_db).transpose()?,
        })
    }
}
