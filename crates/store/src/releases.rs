//! Releases.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use domain::labels::{Key, Labels, Tag, Text};
use domain::phase::Phase;
use domain::release::{Digest, PromotedFrom, Release};
use domain::source::Commit;
use domain::spec::AppSpec;
use domain::{AppId, DeploymentId, EnvironmentId, ReleaseId};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::entity::releases::{Column, Entity, Model};
use crate::entity::{activations, apps, deployments, environments, instances};
use crate::row::{from_json, from_json_option, insert as insert_row, long, number, parse, to_json};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, time};

/// Ids in one statement.
const CHUNK: usize = 500;

/// A release before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRelease {
    pub id: ReleaseId,
    pub app_id: AppId,
    pub digest: Digest,
    /// The digest that its files are kept under.
    pub artifact: Digest,
    pub promoted_from: Option<PromotedFrom>,
    pub commit: Option<Commit>,
    pub spec: AppSpec,
    /// Bytes and files of the release folder.
    pub size: u64,
    pub files: u64,
    pub tags: Vec<Tag>,
    pub metadata: BTreeMap<Key, Text>,
    /// The environment's variables as they were, sealed.
    pub snapshot: Vec<u8>,
    pub created_at: DateTime<Utc>,
}

/// The release of the app with this digest: the one that is there, or the new one, with the next number.
/// `true` when it was created.
pub async fn insert_or_get(tx: &Tx, new: &NewRelease) -> Result<(Release, bool), StoreError> {
    if let Some(release) = find_by_digest(tx, &new.app_id, &new.digest).await? {
        if release.files_gone_at.is_some() {
            // They are there again.
            Entity::update_many()
                .col_expr(Column::FilesGoneAt, Expr::value(None::<i64>))
                .col_expr(Column::Size, Expr::value(long(new.size)))
                .col_expr(Column::Files, Expr::value(long(new.files)))
                .filter(Column::Id.eq(release.id.as_str()))
                .exec(tx.connection())
                .await?;
            return Ok((get(tx, &release.id).await?, false));
        }
        return Ok((release, false));
    }
    let app = apps::Entity::find_by_id(new.app_id.as_str()).one(tx.connection()).await?;
    // Counted in the app's row, so that the number of a deleted release is not given again.
    let last = app.ok_or_else(|| StoreError::not_found("app", &new.app_id))?.last_release + 1;
    if !insert_row::<Entity, _>(tx, new.row(last)?).await? {
        return Err(StoreError::Conflict(Constraint::Id { what: "release" }));
    }
    apps::Entity::update_many()
        .col_expr(apps::Column::LastRelease, Expr::value(last))
        .filter(apps::Column::Id.eq(new.app_id.as_str()))
        .exec(tx.connection())
        .await?;
    Ok((get(tx, &new.id).await?, true))
}

pub async fn get(session: &impl Session, id: &ReleaseId) -> Result<Release, StoreError> {
    row(session, id).await?.try_into()
}

/// What one calls a release by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub number: u32,
    pub commit: Option<Commit>,
}

/// Of those of these that there are; as many statements as there are hundreds of them.
pub async fn marks(session: &impl Session, ids: &[&ReleaseId]) -> Result<BTreeMap<ReleaseId, Mark>, StoreError> {
    let mut marks = BTreeMap::new();
    for some in ids.chunks(CHUNK) {
        let query = Entity::find().select_only().columns([Column::Id, Column::Number, Column::Commit]);
        let query = query.filter(Column::Id.is_in(some.iter().map(|id| id.as_str())));
        let rows: Vec<(String, i64, Option<String>)> = query.into_tuple().all(session.connection()).await?;
        for (id, n, commit) in rows {
            let commit = from_json_option("the commit of a release", commit.as_deref())?;
            marks.insert(parse(&id)?, Mark { number: number("the number of a release", n)?, commit });
        }
    }
    Ok(marks)
}

/// The app that a release belongs to.
pub async fn app_of(session: &impl Session, id: &ReleaseId) -> Result<AppId, StoreError> {
    parse(&row(session, id).await?.app_id)
}

/// The sealed environment snapshot of a release.
pub async fn snapshot(session: &impl Session, id: &ReleaseId) -> Result<Vec<u8>, StoreError> {
    Ok(row(session, id).await?.snapshot)
}

pub async fn find_by_number(session: &impl Session, app: &AppId, number: u32) -> Result<Option<Release>, StoreError> {
    let query = Entity::find().filter(Column::AppId.eq(app.as_str())).filter(Column::Number.eq(i64::from(number)));
    query.one(session.connection()).await?.map(Release::try_from).transpose()
}

pub async fn find_by_digest(
    session: &impl Session,
    app: &AppId,
    digest: &Digest,
) -> Result<Option<Release>, StoreError> {
    let query = Entity::find().filter(Column::AppId.eq(app.as_str())).filter(Column::Digest.eq(digest.as_str()));
    query.one(session.connection()).await?.map(Release::try_from).transpose()
}

/// Those of an app, newest first, with a number below `before`.
pub async fn list(
    session: &impl Session,
    app: &AppId,
    before: Option<u32>,
    limit: u64,
) -> Result<Vec<Release>, StoreError> {
    let rows = page(app, before, limit).all(session.connection()).await?;
    rows.into_iter().map(Release::try_from).collect()
}

/// Those of an app that are [`good`] in an environment of it, newest first, with a number below `before`.
pub async fn list_good(
    session: &impl Session,
    app: &AppId,
    environment: &EnvironmentId,
    before: Option<u32>,
    limit: u64,
) -> Result<Vec<Release>, StoreError> {
    let rows = page(app, before, limit).filter(is_good(environment)).all(session.connection()).await?;
    rows.into_iter().map(Release::try_from).collect()
}

fn page(app: &AppId, before: Option<u32>, limit: u64) -> Select<Entity> {
    let query = Entity::find().filter(Column::AppId.eq(app.as_str())).order_by_desc(Column::Number).limit(limit);
    match before {
        Some(before) => query.filter(Column::Number.lt(i64::from(before))),
        None => query,
    }
}

/// Asked of one release after the other: a page costs what it goes through, however often the environment was deployed to.
fn is_good(environment: &EnvironmentId) -> Expr {
    use activations::Column as Of;
    let activation = Query::select()
        .expr(Expr::value(1))
        .from(activations::Entity)
        .and_where(Expr::cust("activations.release_id = releases.id"))
        .and_where(Of::EnvironmentId.eq(environment.as_str()))
        .and_where(Of::TakenBack.eq(false))
        .to_owned();
    Expr::exists(activation)
}

/// In which environments each of these has been active and was not taken back.
pub async fn good_in(
    session: &impl Session,
    ids: &[&ReleaseId],
) -> Result<BTreeMap<ReleaseId, BTreeSet<EnvironmentId>>, StoreError> {
    let mut good: BTreeMap<ReleaseId, BTreeSet<EnvironmentId>> = BTreeMap::new();
    for some in ids.chunks(CHUNK) {
        let rows: Vec<(String, String)> = activations_of(some).into_tuple().all(session.connection()).await?;
        for (release, environment) in rows {
            good.entry(parse(&release)?).or_default().insert(parse(&environment)?);
        }
    }
    Ok(good)
}

fn activations_of(ids: &[&ReleaseId]) -> Select<activations::Entity> {
    use activations::Column as Of;
    activations::Entity::find()
        .select_only()
        .columns([Of::ReleaseId, Of::EnvironmentId])
        .distinct()
        .filter(Of::ReleaseId.is_in(ids.iter().map(|id| id.as_str())))
        .filter(Of::TakenBack.eq(false))
}

/// The releases that have been active in an environment and were not taken back, the one that was last first, each once.
pub async fn good(session: &impl Session, environment: &EnvironmentId) -> Result<Vec<ReleaseId>, StoreError> {
    use activations::Column as Of;
    let rows: Vec<String> = activations::Entity::find()
        .select_only()
        .column(Of::ReleaseId)
        .filter(Of::EnvironmentId.eq(environment.as_str()))
        .filter(Of::TakenBack.eq(false))
        .order_by_desc(Of::Generation)
        .into_tuple()
        .all(session.connection())
        .await?;
    let mut seen = HashSet::new();
    rows.iter().filter(|id| seen.insert(id.as_str())).map(|id| parse(id)).collect()
}

/// Adds labels to those that the release has. Repeating it is without effect.
pub async fn label(tx: &Tx, id: &ReleaseId, labels: &Labels) -> Result<(), StoreError> {
    if labels.is_empty() {
        return Ok(());
    }
    let Release { tags, metadata, .. } = get(tx, id).await?;
    let mut all = Labels { tags, metadata };
    all.merge(labels);
    Entity::update_many()
        .col_expr(Column::Tags, Expr::value(to_json(&all.tags)?))
        .col_expr(Column::Metadata, Expr::value(to_json(&all.metadata)?))
        .filter(Column::Id.eq(id.as_str()))
        .exec(tx.connection())
        .await?;
    Ok(())
}

/// Deletes a release. `Conflict(ReleaseInUse)` while it serves, an instance or a deployment that has not ended
/// needs it, or a deployment acts on an environment that would fall back to it.
pub async fn delete(tx: &Tx, id: &ReleaseId) -> Result<(), StoreError> {
    row(tx, id).await?;
    if is_used(tx, id).await? {
        return Err(StoreError::Conflict(Constraint::ReleaseInUse));
    }
    Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?;
    Ok(())
}

/// Notes that a deployment has come to need this release, whose files are there: they stay for it from here on.
pub async fn take(tx: &Tx, release: &Release, by: &DeploymentId) -> Result<(), StoreError> {
    deployments::Entity::update_many()
        .col_expr(deployments::Column::ReleaseId, Expr::value(release.id.as_str()))
        .col_expr(deployments::Column::ReleaseNumber, Expr::value(i64::from(release.number)))
        .filter(deployments::Column::Id.eq(by.as_str()))
        .exec(tx.connection())
        .await?;
    if release.files_gone_at.is_some() {
        // Another release shares them, or they are on another machine than those that went.
        Entity::update_many()
            .col_expr(Column::FilesGoneAt, Expr::value(None::<i64>))
            .filter(Column::Id.eq(release.id.as_str()))
            .exec(tx.connection())
            .await?;
    }
    Ok(())
}

/// Deletes a release that `by` made and that no other deployment has come to use, nor a promotion its files; whether it
/// did.
pub async fn discard(tx: &Tx, id: &ReleaseId, by: &DeploymentId) -> Result<bool, StoreError> {
    let connection = tx.connection();
    let own = row(tx, id).await?;
    let promoted = Entity::find().filter(Column::AppId.eq(&own.app_id)).filter(Column::Artifact.eq(&own.digest));
    let others = deployments::Entity::find()
        .filter(deployments::Column::ReleaseId.eq(id.as_str()))
        .filter(deployments::Column::Id.ne(by.as_str()));
    let once_active = activations::Entity::find().filter(activations::Column::ReleaseId.eq(id.as_str()));
    let runs = instances::Entity::find().filter(instances::Column::ReleaseId.eq(id.as_str()));
    if others.one(connection).await?.is_some()
        || promoted.one(connection).await?.is_some()
        || once_active.one(connection).await?.is_some()
        || runs.one(connection).await?.is_some()
    {
        return Ok(false);
    }
    Entity::delete_by_id(id.as_str()).exec(connection).await?;
    Ok(true)
}

async fn is_used(tx: &Tx, id: &ReleaseId) -> Result<bool, StoreError> {
    let connection = tx.connection();
    let serves = environments::Entity::find().filter(environments::Column::ActiveRelease.eq(id.as_str()));
    let needed = deployments::Entity::find()
        .filter(deployments::Column::ReleaseId.eq(id.as_str()))
        .filter(deployments::Column::Phase.is_in(Phase::ALL.into_iter().filter(|p| !p.is_end()).map(Phase::as_str)));
    let runs = instances::Entity::find().filter(instances::Column::ReleaseId.eq(id.as_str()));
    if serves.one(connection).await?.is_some()
        || needed.one(connection).await?.is_some()
        || runs.one(connection).await?.is_some()
    {
        return Ok(true);
    }
    let history =
        activations::Entity::find().filter(activations::Column::ReleaseId.eq(id.as_str())).all(connection).await?;
    for environment in history.iter().map(|a| a.environment_id.as_str()).collect::<HashSet<_>>() {
        if is_next_to_serve(tx, environment, id).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Would the environment, in which a cutover may be going on, fall back to the release?
async fn is_next_to_serve(tx: &Tx, environment: &str, id: &ReleaseId) -> Result<bool, StoreError> {
    use activations::Column as Of;
    let Some(row) = environments::Entity::find_by_id(environment).one(tx.connection()).await? else {
        return Ok(false);
    };
    let previous = activations::Entity::find()
        .filter(Of::EnvironmentId.eq(environment))
        .filter(Of::TakenBack.eq(false))
        .filter(Of::Generation.lt(row.active_generation))
        .order_by_desc(Of::Generation)
        .one(tx.connection())
        .await?;
    Ok(row.acting.is_some() && previous.is_some_and(|p| p.release_id == id.as_str()))
}

async fn row(session: &impl Session, id: &ReleaseId) -> Result<Model, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(session.connection()).await?;
    row.ok_or_else(|| StoreError::not_found("release", id))
}

impl NewRelease {
    fn row(&self, number: i64) -> Result<Model, StoreError> {
        Ok(Model {
            id: self.id.to_string(),
            app_id: self.app_id.to_string(),
            number,
            digest: self.digest.to_string(),
            commit: self.commit.as_ref().map(to_json).transpose()?,
            spec: to_json(&self.spec)?,
            size: long(self.size),
            files: long(self.files),
            tags: to_json(&self.tags)?,
            metadata: to_json(&self.metadata)?,
            snapshot: self.snapshot.clone(),
            artifact: (self.artifact != self.digest).then(|| self.artifact.to_string()),
            promoted_from: self.promoted_from.as_ref().map(to_json).transpose()?,
            files_gone_at: None,
            created_at: time::to_db(self.created_at),
        })
    }
}

impl TryFrom<Model> for Release {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Release {
            id: parse(&row.id)?,
            number: number("the number of a release", row.number)?,
            artifact: Digest(row.artifact.unwrap_or_else(|| row.digest.clone())),
            digest: Digest(row.digest),
            promoted_from: from_json_option("the origin of a release", row.promoted_from.as_deref())?,
            commit: from_json_option("the commit of a release", row.commit.as_deref())?,
            spec: from_json("the spec of a release", &row.spec)?,
            size: number("the size of a release", row.size)?,
            files: number("the files of a release", row.files)?,
            tags: from_json("the tags of a release", &row.tags)?,
            metadata: from_json("the metadata of a release", &row.metadata)?,
            files_gone_at: row.files_gone_at.map(time::from_db).transpose()?,
            created_at: time::from_db(row.created_at)?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::explain::plan;
    use crate::{DatabaseUrl, Store};

    #[tokio::test]
    async fn what_an_environment_can_go_back_to_has_its_indexes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
        let ulid = Ulid::from_parts(1, 1);
        let (app, environment) = (AppId::from_ulid(ulid), EnvironmentId::from_ulid(ulid));
        let found = plan(&store, page(&app, Some(9), 51).filter(is_good(&environment))).await;
        assert!(found.contains("SEARCH releases USING INDEX releases_app_id_number "), "{found}");
        assert!(found.contains("USING INDEX activations_release_id "), "{found}");
        assert!(!found.contains("TEMP B-TREE"), "it is in the order of the page: {found}");
        let release = ReleaseId::from_ulid(ulid);
        let found = plan(&store, activations_of(&[&release, &release])).await;
        assert!(found.contains("SEARCH activations USING INDEX activations_release_id "), "{found}");
        store.close().await;
    }
}
