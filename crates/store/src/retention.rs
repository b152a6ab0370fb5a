//! What is old, and its removal: a batch each time, so that nobody waits long for a turn to write.

use chrono::{DateTime, Utc};
use domain::phase::Phase;
use domain::release::Digest;
use domain::retention::Held;
use domain::{AppId, DeploymentId, EnvironmentId, Name, ReleaseId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::deployments::NOT_ENDED;
use crate::entity::{activations, deployments, environments, events, idempotency, instances, releases, sagas};
use crate::row::{number, parse};
use crate::session::sealed::Connected;
use crate::{Session, StoreError, Tx, search, time};

/// Rows that are removed at once.
pub const BATCH: u64 = 500;

/// Whose rows to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    App {
        id: AppId,
        name: Name,
    },
    /// All but those of apps that have a policy of their own.
    Others(Vec<(AppId, Name)>),
}

// Events.

/// The first cursor that is to stay: that of the first event at `before` or later, or an older one that a message to a channel
/// still needs.
pub async fn first_event_from(session: &impl Session, before: DateTime<Utc>) -> Result<i64, StoreError> {
    use events::Column as C;
    let newest = crate::events::latest(session).await?;
    // Cursors grow with time, so half of the rest is out of the question at each look.
    let (mut low, mut high) = (0, newest);
    while low < high {
        let middle = low + (high - low) / 2;
        let row = events::Entity::find().filter(C::Cursor.gt(middle)).order_by_asc(C::Cursor).limit(1);
        match row.one(session.connection()).await? {
            Some(event) if event.at < time::to_db(before) => low = event.cursor,
            _ => high = middle,
        }
    }
    // The newest stays: cursors go on from it.
    let first = low.saturating_add(1).min(newest);
    Ok(crate::notice_cursor::first_needed(session).await?.map_or(first, |needed| first.min(needed)))
}

fn events_of(of: &Of, until: i64) -> Select<events::Entity> {
    use events::Column as C;
    let query = events::Entity::find().filter(C::Cursor.lt(until));
    match of {
        Of::App { name, .. } => query.filter(C::App.eq(name.as_str())),
        Of::Others(own) if own.is_empty() => query,
        Of::Others(own) => {
            let names = own.iter().map(|(_, name)| name.as_str());
            query.filter(Condition::any().add(C::App.is_null()).add(C::App.is_not_in(names)))
        }
    }
}

/// How many events have a cursor below `until`.
pub async fn count_events(session: &impl Session, of: &Of, until: i64) -> Result<u64, StoreError> {
    Ok(events_of(of, until).count(session.connection()).await?)
}

/// Removes a batch of events below `until`, the oldest first, from `from` on. How many, and where to go on.
pub async fn remove_events(tx: &Tx, of: &Of, from: i64, until: i64) -> Result<(u64, Option<i64>), StoreError> {
    use events::Column as C;
    let query = events_of(of, until).select_only().column(C::Cursor).filter(C::Cursor.gte(from));
    let found: Vec<i64> = query.order_by_asc(C::Cursor).limit(BATCH).into_tuple().all(tx.connection()).await?;
    let Some(last) = found.last().copied() else { return Ok((0, None)) };
    let more = found.len() as u64 == BATCH;
    let gone = events::Entity::delete_many().filter(C::Cursor.is_in(found)).exec(tx.connection()).await?;
    Ok((gone.rows_affected, more.then_some(last + 1)))
}

// Deployments.

/// Those that ended before `before` and that nothing needs: they don't serve, no instance runs of them, and they are not
/// what a rollback would go to.
fn old_deployments(of: &Of, before: DateTime<Utc>, after: Option<&DeploymentId>) -> Select<deployments::Entity> {
    use deployments::Column as C;
    let mut query = deployments::Entity::find()
        .filter(C::Id.lt(search::first_id(before)))
        .filter(C::FinishedAt.lt(time::to_db(before)));
    query = match of {
        Of::App { id, .. } => query.filter(C::AppId.eq(id.as_str())),
        Of::Others(own) if own.is_empty() => query,
        Of::Others(own) => query.filter(C::AppId.is_not_in(own.iter().map(|(id, _)| id.as_str()))),
    };
    if let Some(after) = after {
        query = query.filter(C::Id.gt(after.as_str()));
    }
    query
        .filter(Expr::cust(format!("NOT ({NOT_ENDED})")))
        .filter(Expr::cust(
            "NOT EXISTS (SELECT 1 FROM environments e WHERE e.id = deployments.environment_id \
             AND (e.active_deployment = deployments.id OR e.acting = deployments.id))",
        ))
        .filter(Expr::cust("NOT EXISTS (SELECT 1 FROM instances i WHERE i.deployment_id = deployments.id)"))
        // By what it last served in the environment a release is known to be good; as long as its files are there.
        .filter(Expr::cust(
            "NOT EXISTS (SELECT 1 FROM activations a JOIN releases r ON r.id = a.release_id \
             WHERE a.deployment_id = deployments.id AND a.taken_back = FALSE AND r.files_gone_at IS NULL \
             AND NOT EXISTS (SELECT 1 FROM activations b WHERE b.environment_id = a.environment_id \
             AND b.release_id = a.release_id AND b.taken_back = FALSE AND b.generation > a.generation))",
        ))
}

pub async fn count_deployments(session: &impl Session, of: &Of, before: DateTime<Utc>) -> Result<u64, StoreError> {
    Ok(old_deployments(of, before, None).count(session.connection()).await?)
}

/// Removes a batch of deployments with their journals, the oldest first. Their ids; none when all are gone.
pub async fn remove_deployments(
    tx: &Tx,
    of: &Of,
    before: DateTime<Utc>,
    after: Option<&DeploymentId>,
) -> Result<Vec<DeploymentId>, StoreError> {
    use deployments::Column as C;
    let query = old_deployments(of, before, after).select_only().column(C::Id).order_by_asc(C::Id).limit(BATCH);
    let ids: Vec<String> = query.into_tuple().all(tx.connection()).await?;
    if !ids.is_empty() {
        sagas::Entity::delete_many().filter(sagas::Column::Id.is_in(ids.iter())).exec(tx.connection()).await?;
        deployments::Entity::delete_many().filter(C::Id.is_in(ids.iter())).exec(tx.connection()).await?;
    }
    ids.iter().map(|id| parse(id)).collect()
}

/// Of these, the ones that have not ended.
pub async fn still_open(session: &impl Session, ids: &[DeploymentId]) -> Result<Vec<DeploymentId>, StoreError> {
    use deployments::Column as C;
    let mut open = Vec::new();
    for ids in ids.chunks(BATCH as usize) {
        let query = deployments::Entity::find().select_only().column(C::Id).filter(Expr::cust(NOT_ENDED));
        let found: Vec<String> = query
            .filter(C::Id.is_in(ids.iter().map(DeploymentId::as_str)))
            .into_tuple()
            .all(session.connection())
            .await?;
        for id in found {
            open.push(parse(&id)?);
        }
    }
    Ok(open)
}

// Idempotency keys.

pub async fn count_keys(session: &impl Session, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let query = idempotency::Entity::find().filter(idempotency::Column::CreatedAt.lt(time::to_db(before)));
    Ok(query.count(session.connection()).await?)
}

/// Forgets a batch of answers that were given before `before`; how many.
pub async fn remove_keys(tx: &Tx, before: DateTime<Utc>) -> Result<u64, StoreError> {
    use idempotency::Column as C;
    let query =
        idempotency::Entity::find().select_only().column(C::CreatedAt).filter(C::CreatedAt.lt(time::to_db(before)));
    let oldest: Vec<i64> = query.order_by_asc(C::CreatedAt).limit(BATCH).into_tuple().all(tx.connection()).await?;
    let Some(last) = oldest.last() else { return Ok(0) };
    let gone = idempotency::Entity::delete_many().filter(C::CreatedAt.lte(*last)).exec(tx.connection()).await?;
    Ok(gone.rows_affected)
}

// Releases.

/// The apps that have more than `keep` releases with files.
pub async fn apps_with_releases(session: &impl Session, keep: u32) -> Result<Vec<AppId>, StoreError> {
    use releases::Column as C;
    let rows: Vec<String> = releases::Entity::find()
        .select_only()
        .column(C::AppId)
        .filter(C::FilesGoneAt.is_null())
        .group_by(C::AppId)
        .having(Expr::cust(format!("COUNT(*) > {keep}")))
        .into_tuple()
        .all(session.connection())
        .await?;
    rows.iter().map(|id| parse(id)).collect()
}

/// A release whose files are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    pub held: Held,
    pub artifact: Digest,
    /// Bytes.
    pub size: u64,
}

/// What there is to know before files of an app's releases go; none while a deployment of it may come to need any of them.
pub async fn folders(
    session: &impl Session,
    app: &AppId,
    keep: u32,
) -> Result<Option<(Vec<Folder>, Vec<Vec<ReleaseId>>)>, StoreError> {
    use deployments::Column as D;
    let connection = session.connection();
    let open: Vec<(String, String, Option<String>)> = deployments::Entity::find()
        .select_only()
        .columns([D::Kind, D::Phase, D::ReleaseId])
        .filter(D::AppId.eq(app.as_str()))
        .filter(Expr::cust(NOT_ENDED))
        .into_tuple()
        .all(connection)
        .await?;
    // Which release a deployment takes is written in the transaction that finds it: see [`crate::releases::take`]. One that makes a
    // release may find the folder there that another has made of the same, and writes down afterwards that it needs it. A promotion
    // takes another's files.
    let undecided = |(kind, phase, _): &(String, String, Option<String>)| {
        kind == "promotion" || phase == Phase::CopyingFiles.as_str()
    };
    if open.iter().any(undecided) {
        return Ok(None);
    }
    let environments = environments::Entity::find().filter(environments::Column::AppId.eq(app.as_str()));
    let environments = environments.all(connection).await?;
    let mut needed: Vec<String> = open.into_iter().filter_map(|(_, _, release)| release).collect();
    needed.extend(environments.iter().filter_map(|environment| environment.active_release.clone()));
    let of_app = environments.iter().map(|environment| environment.id.as_str());
    let running: Vec<String> = instances::Entity::find()
        .select_only()
        .column(instances::Column::ReleaseId)
        .filter(instances::Column::EnvironmentId.is_in(of_app))
        .into_tuple()
        .all(connection)
        .await?;
    needed.extend(running);
    let mut good = Vec::new();
    for environment in &environments {
        good.push(recently_good(session, &parse(&environment.id)?, keep).await?);
    }
    let rows = releases::Entity::find()
        .filter(releases::Column::AppId.eq(app.as_str()))
        .filter(releases::Column::FilesGoneAt.is_null())
        .all(connection)
        .await?;
    let folder = |row: releases::Model| {
        Ok::<_, StoreError>(Folder {
            held: Held {
                release: parse(&row.id)?,
                number: number("the number of a release", row.number)?,
                needed: needed.contains(&row.id),
            },
            artifact: Digest(row.artifact.unwrap_or(row.digest)),
            size: number("the size of a release", row.size)?,
        })
    };
    Ok(Some((rows.into_iter().map(folder).collect::<Result<_, _>>()?, good)))
}

/// The last `count` releases that served well in an environment, the last one first, each once.
async fn recently_good(
    session: &impl Session,
    environment: &EnvironmentId,
    count: u32,
) -> Result<Vec<ReleaseId>, StoreError> {
    use activations::Column as C;
    let mut found: Vec<ReleaseId> = Vec::new();
    let mut before = i64::MAX;
    while found.len() < count as usize {
        let rows: Vec<(i64, String)> = activations::Entity::find()
            .select_only()
            .columns([C::Generation, C::ReleaseId])
            .filter(C::EnvironmentId.eq(environment.as_str()))
            .filter(C::TakenBack.eq(false))
            .filter(C::Generation.lt(before))
            .order_by_desc(C::Generation)
            .limit(BATCH)
            .into_tuple()
            .all(session.connection())
            .await?;
        let Some((last, _)) = rows.last() else { break };
        before = *last;
        for (_, release) in rows {
            let release = parse(&release)?;
            if !found.contains(&release) {
                found.push(release);
            }
        }
    }
    found.truncate(count as usize);
    Ok(found)
}

/// The artifacts of an app of which no release has files any more.
pub async fn gone_artifacts(session: &impl Session, app: &AppId) -> Result<Vec<Digest>, StoreError> {
    use releases::Column as C;
    let rows: Vec<(String, Option<String>, Option<i64>)> = releases::Entity::find()
        .select_only()
        .columns([C::Digest, C::Artifact, C::FilesGoneAt])
        .filter(C::AppId.eq(app.as_str()))
        .into_tuple()
        .all(session.connection())
        .await?;
    let artifact = |digest: String, artifact: Option<String>| Digest(artifact.unwrap_or(digest));
    let (gone, kept): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(.., gone_at)| gone_at.is_some());
    let kept: Vec<Digest> = kept.into_iter().map(|(digest, of, _)| artifact(digest, of)).collect();
    Ok(gone.into_iter().map(|(digest, of, _)| artifact(digest, of)).filter(|digest| !kept.contains(digest)).collect())
}

/// Notes that the files of releases are gone.
pub async fn files_gone(tx: &Tx, ids: &[ReleaseId], at: DateTime<Utc>) -> Result<(), StoreError> {
    use releases::Column as C;
    releases::Entity::update_many()
        .col_expr(C::FilesGoneAt, Expr::value(time::to_db(at)))
        .filter(C::Id.is_in(ids.iter().map(ReleaseId::as_str)))
        .exec(tx.connection())
        .await?;
    Ok(())
}
