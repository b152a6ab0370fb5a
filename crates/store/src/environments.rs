//! Environments: what may act on each of them, and what serves in it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::queue::Supersede;
use domain::{AppId, DeploymentId, EnvironmentId, Name, ReleaseId};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::environments::{Column, Entity, Model};
use crate::entity::{activations, deployments, sagas};
use crate::row::{insert as insert_row, long, number, parse, parse_option};
use crate::session::sealed::Connected;
use crate::{Constraint, Session, StoreError, Tx, analytics, beats, time};

/// An environment of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub id: EnvironmentId,
    pub app_id: AppId,
    pub app: Name,
    pub name: Name,
    /// The last one handed out; 0 when none was.
    pub generation: u64,
    /// The one deployment that may act on it now.
    pub acting: Option<DeploymentId>,
    /// What serves; the three belong together, and without one the generation is 0.
    pub active_deployment: Option<DeploymentId>,
    pub active_generation: u64,
    pub active_release: Option<ReleaseId>,
    pub created_at: DateTime<Utc>,
    /// The machine that it lives on: one of its servers drives its deployments.
    pub host: String,
    /// The deployment that was started and has not ended; others wait in the queue.
    pub running: Option<DeploymentId>,
    /// What becomes of queued ones when a newer one of the same branch comes.
    pub supersede: Supersede,
}

/// The answer to [`claim`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It may act; also when it could already.
    Granted,
    /// Another one acts; ask again when it is done.
    Held { by: DeploymentId },
    /// A newer one serves already, so this one never may.
    Superseded { by_generation: u64 },
}

/// Writes a new environment, as it stands in `environment`. `Conflict(EnvironmentName)` when the app has one of that name.
pub async fn insert(tx: &Tx, environment: &Environment) -> Result<(), StoreError> {
    match insert_row::<Entity, _>(tx, environment.into()).await? {
        true => Ok(()),
        false => Err(StoreError::Conflict(Constraint::EnvironmentName { name: environment.name.to_string() })),
    }
}

pub async fn find(session: &impl Session, app: &Name, name: &Name) -> Result<Option<Environment>, StoreError> {
    let query = Entity::find().filter(Column::App.eq(app.as_str())).filter(Column::Name.eq(name.as_str()));
    query.one(session.connection()).await?.map(Environment::try_from).transpose()
}

pub async fn get(session: &impl Session, id: &EnvironmentId) -> Result<Environment, StoreError> {
    row(session, id).await?.try_into()
}

/// Those of these that there are; at most a page of them.
pub async fn many(
    session: &impl Session,
    ids: &[&EnvironmentId],
) -> Result<BTreeMap<EnvironmentId, Environment>, StoreError> {
    let query = Entity::find().filter(Column::Id.is_in(ids.iter().map(|id| id.as_str())));
    let all = query.all(session.connection()).await?.into_iter().map(Environment::try_from);
    all.map(|found| found.map(|environment| (environment.id.clone(), environment))).collect()
}

/// Those of one app, by name.
pub async fn list(session: &impl Session, app: &AppId) -> Result<Vec<Environment>, StoreError> {
    let query = Entity::find().filter(Column::AppId.eq(app.as_str())).order_by_asc(Column::Name);
    query.all(session.connection()).await?.into_iter().map(Environment::try_from).collect()
}

/// Those of these apps, by app, then by name; as many statements as there are hundreds of apps.
pub async fn of_apps(session: &impl Session, apps: &[&AppId]) -> Result<Vec<Environment>, StoreError> {
    let mut all = Vec::new();
    // SQLite takes so many values in a statement, and no more.
    for some in apps.chunks(500) {
        let query = Entity::find().filter(Column::AppId.is_in(some.iter().map(|app| app.as_str())));
        for row in query.order_by_asc(Column::App).order_by_asc(Column::Name).all(session.connection()).await? {
            all.push(row.try_into()?);
        }
    }
    Ok(all)
}

/// The ids of all of these apps.
pub async fn ids_of(session: &impl Session, apps: &BTreeSet<AppId>) -> Result<Vec<EnvironmentId>, StoreError> {
    let of_them = Column::AppId.is_in(apps.iter().map(AppId::as_str));
    let query = Entity::find().select_only().column(Column::Id).filter(of_them).into_tuple::<String>();
    query.all(session.connection()).await?.iter().map(|id| parse(id)).collect()
}

/// By app, then by name.
pub async fn list_all(session: &impl Session) -> Result<Vec<Environment>, StoreError> {
    let query = Entity::find().order_by_asc(Column::App).order_by_asc(Column::Name);
    query.all(session.connection()).await?.into_iter().map(Environment::try_from).collect()
}

/// The names of these.
pub async fn names(
    session: &impl Session,
    ids: &[&EnvironmentId],
) -> Result<BTreeMap<EnvironmentId, Name>, StoreError> {
    let mut names = BTreeMap::new();
    // SQLite takes so many values in a statement, and no more.
    for some in ids.chunks(500) {
        let query = Entity::find().select_only().columns([Column::Id, Column::Name]);
        let query = query.filter(Column::Id.is_in(some.iter().map(|id| id.as_str())));
        for (id, name) in query.into_tuple::<(String, String)>().all(session.connection()).await? {
            names.insert(parse(&id)?, parse(&name)?);
        }
    }
    Ok(names)
}

/// Those in which a deployment is at work.
pub async fn busy(session: &impl Session) -> Result<Vec<Environment>, StoreError> {
    let query = Entity::find().filter(Column::Running.is_not_null()).order_by_asc(Column::Id);
    query.all(session.connection()).await?.into_iter().map(Environment::try_from).collect()
}

/// The generation under which what serves was asked for; 0 when nothing does. `active_generation` is that under which it was
/// brought up, which is higher when it had to wait for others that were asked for later.
pub async fn serving(session: &impl Session, environment: &Environment) -> Result<u64, StoreError> {
    let Some(active) = &environment.active_deployment else { return Ok(0) };
    match crate::deployments::get(session, active).await {
        Ok(record) => Ok(record.deployment.generation),
        // Its record was removed as old.
        Err(StoreError::NotFound { .. }) => Ok(environment.active_generation),
        Err(e) => Err(e),
    }
}

/// Hands out the next generation, for a new deployment. Each is given once.
pub async fn next_generation(tx: &Tx, id: &EnvironmentId) -> Result<u64, StoreError> {
    let next = row(tx, id).await?.generation + 1;
    update(tx, id, [(Column::Generation, Expr::value(next))]).await?;
    number("a generation", next)
}

/// Asks to act on the environment. Only one deployment may at a time, and never one that is older than what serves.
pub async fn claim(
    tx: &Tx,
    id: &EnvironmentId,
    deployment: &DeploymentId,
    generation: u64,
) -> Result<Claim, StoreError> {
    let environment = get(tx, id).await?;
    let serving = serving(tx, &environment).await?;
    if serving > generation {
        return Ok(Claim::Superseded { by_generation: serving });
    }
    match environment.acting {
        Some(by) if &by == deployment => Ok(Claim::Granted),
        Some(by) => Ok(Claim::Held { by }),
        None => {
            update(tx, id, [(Column::Acting, Expr::value(Some(deployment.to_string())))]).await?;
            Ok(Claim::Granted)
        }
    }
}

/// Lets others act. Without effect when `deployment` does not hold the environment.
pub async fn release_claim(tx: &Tx, id: &EnvironmentId, deployment: &DeploymentId) -> Result<(), StoreError> {
    if row(tx, id).await?.acting.as_deref() == Some(deployment.as_str()) {
        update(tx, id, [(Column::Acting, Expr::value(None::<String>))]).await?;
        tx.tells();
    }
    Ok(())
}

/// Notes that a deployment is at work. `Conflict(EnvironmentBusy)` when another one is.
pub async fn start(tx: &Tx, id: &EnvironmentId, deployment: &DeploymentId) -> Result<(), StoreError> {
    match get(tx, id).await?.running {
        Some(by) if &by != deployment => Err(StoreError::Conflict(Constraint::EnvironmentBusy { by })),
        _ => update(tx, id, [(Column::Running, Expr::value(Some(deployment.to_string())))]).await,
    }
}

/// The deployment has ended, so that the next one may start, and acts no more. Without effect when it was not at work.
pub async fn end(tx: &Tx, id: &EnvironmentId, deployment: &DeploymentId) -> Result<(), StoreError> {
    let ended = Entity::update_many()
        .col_expr(Column::Running, Expr::value(None::<String>))
        .filter(Column::Id.eq(id.as_str()))
        .filter(Column::Running.eq(deployment.as_str()));
    if ended.exec(tx.connection()).await?.rows_affected > 0 {
        tx.wakes();
    }
    beats::end(tx, &[deployment]).await?;
    release_claim(tx, id, deployment).await
}

pub async fn set_supersede(tx: &Tx, id: &EnvironmentId, policy: Supersede) -> Result<(), StoreError> {
    update(tx, id, [(Column::Supersede, Expr::value(policy.as_str()))]).await
}

/// Records that `release` serves now. Repeating it is without effect.
///
/// # Errors
/// `Fenced` when what serves is newer; `Conflict(NotActing)` when `deployment` does not hold the environment.
pub async fn activate(
    tx: &Tx,
    id: &EnvironmentId,
    deployment: &DeploymentId,
    release: &ReleaseId,
    generation: u64,
) -> Result<(), StoreError> {
    let environment = get(tx, id).await?;
    let same = environment.active_deployment.as_ref() == Some(deployment);
    if environment.active_generation > generation
        || (environment.active_generation == generation && generation > 0 && !same)
    {
        let what = format!("environment `{}/{}`", environment.app, environment.name);
        return Err(StoreError::Fenced { what, by: environment.active_generation });
    }
    if environment.acting.as_ref() != Some(deployment) {
        let (deployment, acting) = (deployment.clone(), environment.acting);
        return Err(StoreError::Conflict(Constraint::NotActing { deployment, acting }));
    }
    let activation = activations::Model {
        environment_id: id.to_string(),
        generation: long(generation),
        deployment_id: deployment.to_string(),
        release_id: release.to_string(),
        taken_back: false,
    };
    // The same deployment may be taken back and come again.
    let again = OnConflict::columns([activations::Column::EnvironmentId, activations::Column::Generation])
        .update_columns([
            activations::Column::DeploymentId,
            activations::Column::ReleaseId,
            activations::Column::TakenBack,
        ])
        .to_owned();
    activations::Entity::insert(activation.into_active_model())
        .on_conflict(again)
        .exec_without_returning(tx.connection())
        .await?;
    serve(tx, id, Some((deployment.to_string(), release.to_string(), long(generation)))).await
}

/// Takes a cutover back: what served before `deployment` serves again, or nothing if there was nothing.
/// Without effect when `deployment` does not serve. Returns what holds then.
pub async fn deactivate(tx: &Tx, id: &EnvironmentId, deployment: &DeploymentId) -> Result<Environment, StoreError> {
    use activations::Column as Of;
    let environment = get(tx, id).await?;
    if environment.active_deployment.as_ref() != Some(deployment) {
        return Ok(environment);
    }
    activations::Entity::update_many()
        .col_expr(Of::TakenBack, Expr::value(true))
        .filter(Of::EnvironmentId.eq(id.as_str()))
        .filter(Of::DeploymentId.eq(deployment.as_str()))
        .exec(tx.connection())
        .await?;
    let previous = activations::Entity::find()
        .filter(Of::EnvironmentId.eq(id.as_str()))
        .filter(Of::TakenBack.eq(false))
        .order_by_desc(Of::Generation)
        .one(tx.connection())
        .await?;
    serve(tx, id, previous.map(|p| (p.deployment_id, p.release_id, p.generation))).await?;
    get(tx, id).await
}

/// Deletes an environment with its deployments, variables and instances; its events stay.
/// `Conflict(EnvironmentBusy)` while a deployment acts on it.
pub async fn delete(tx: &Tx, id: &EnvironmentId) -> Result<(), StoreError> {
    if let Some(by) = get(tx, id).await?.acting {
        return Err(StoreError::Conflict(Constraint::EnvironmentBusy { by }));
    }
    let of_deployments = sea_orm::sea_query::Query::select()
        .column(deployments::Column::Id)
        .from(deployments::Entity)
        .and_where(deployments::Column::EnvironmentId.eq(id.as_str()))
        .to_owned();
    // A saga does not refer to its deployment, as not all sagas have one.
    sagas::Entity::delete_many().filter(sagas::Column::Id.in_subquery(of_deployments)).exec(tx.connection()).await?;
    Entity::delete_by_id(id.as_str()).exec(tx.connection()).await?;
    analytics::forget(tx, vec![id.to_string()]).await
}

async fn row(session: &impl Session, id: &EnvironmentId) -> Result<Model, StoreError> {
    let row = Entity::find_by_id(id.as_str()).one(session.connection()).await?;
    row.ok_or_else(|| StoreError::not_found("environment", id))
}

async fn update<const N: usize>(tx: &Tx, id: &EnvironmentId, set: [(Column, Expr); N]) -> Result<(), StoreError> {
    let mut update = Entity::update_many().filter(Column::Id.eq(id.as_str()));
    for (column, value) in set {
        update = update.col_expr(column, value);
    }
    update.exec(tx.connection()).await?;
    Ok(())
}

async fn serve(tx: &Tx, id: &EnvironmentId, active: Option<(String, String, i64)>) -> Result<(), StoreError> {
    let (deployment, release, generation) = match active {
        Some((deployment, release, generation)) => (Some(deployment), Some(release), generation),
        None => (None, None, 0),
    };
    let set = [
        (Column::ActiveDeployment, Expr::value(deployment)),
        (Column::ActiveRelease, Expr::value(release)),
        (Column::ActiveGeneration, Expr::value(generation)),
    ];
    tx.tells();
    update(tx, id, set).await
}

impl From<&Environment> for Model {
    fn from(e: &Environment) -> Self {
        Model {
            id: e.id.to_string(),
            app_id: e.app_id.to_string(),
            app: e.app.to_string(),
            name: e.name.to_string(),
            generation: long(e.generation),
            acting: e.acting.as_ref().map(ToString::to_string),
            active_deployment: e.active_deployment.as_ref().map(ToString::to_string),
            active_generation: long(e.active_generation),
            active_release: e.active_release.as_ref().map(ToString::to_string),
            created_at: time::to_db(e.created_at),
            host: e.host.clone(),
            running: e.running.as_ref().map(ToString::to_string),
            supersede: e.supersede.as_str().to_owned(),
        }
    }
}

impl TryFrom<Model> for Environment {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Environment {
            id: parse(&row.id)?,
            app_id: parse(&row.app_id)?,
            app: parse(&row.app)?,
            name: parse(&row.name)?,
            generation: number("a generation", row.generation)?,
            acting: parse_option(row.acting.as_deref())?,
            active_deployment: parse_option(row.active_deployment.as_deref())?,
            active_generation: number("a generation", row.active_generation)?,
            active_release: parse_option(row.active_release.as_deref())?,
            created_at: time::from_db(row.created_at)?,
            host: row.host,
            running: parse_option(row.running.as_deref())?,
            supersede: parse(&row.supersede)?,
        })
    }
}
