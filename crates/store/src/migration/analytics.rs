//! Counts of how deployments went, and what finds deployments among a million.

use std::collections::HashSet;

use domain::analytics::{Replaced, facts};
use domain::deployment::{Deployment, DeploymentKind};
use domain::phase::Phase;
use domain::{EnvironmentId, Name};
use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key, refers};
use crate::analytics::Sums;
use crate::deployments::NOT_ENDED;
use crate::row::{from_json, from_json_option, number, parse};
use crate::{StoreError, time};

pub(super) struct Analytics;

/// Deployments that are read at once.
const BATCH: i64 = 1000;
/// Counts that are kept in memory before they are written.
const SUMS: usize = 20_000;

impl MigrationName for Analytics {
    fn name(&self) -> &str {
        "m0013_analytics"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Analytics {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        counts(manager).await?;
        lists(manager).await?;
        count_all(manager.get_connection()).await.map_err(|e| DbErr::Migration(e.to_string()))
    }
}

async fn counts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("durations"));
    for column in [c.text("scope"), c.long("day"), c.text("measure"), c.text("ending"), c.long("bucket")] {
        table.col(column);
    }
    table.col(c.long("times"));
    table.primary_key(&mut key(&["scope", "day", "measure", "ending", "bucket"]));
    manager.create_table(table).await?;

    let mut table = Table::create();
    table.table(Alias::new("failure_points"));
    for column in [c.text("scope"), c.long("day"), c.text("phase"), c.text("cause")] {
        table.col(column);
    }
    table.col(c.long("times"));
    table.col(c.text("last"));
    table.primary_key(&mut key(&["scope", "day", "phase", "cause"]));
    manager.create_table(table).await
}

async fn lists(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("deployment_tags"));
    table.col(c.text("tag"));
    table.col(c.text("deployment_id"));
    table.primary_key(&mut key(&["tag", "deployment_id"]));
    table.foreign_key(&mut refers("deployment_tags", "deployment_id", "deployments", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(index("deployment_tags", &["deployment_id"])).await?;

    let mut alter = Table::alter();
    alter.table(Alias::new("deployments")).add_column(c.text_or_null("commit_sha"));
    manager.alter_table(alter).await?;

    let connection = manager.get_connection();
    let (sha, tags) = match connection.get_database_backend() {
        DbBackend::Postgres => (
            "metadata::json -> 'commit' ->> 'sha'",
            "SELECT DISTINCT t.tag, d.id FROM deployments d JOIN releases r ON r.id = d.release_id \
             CROSS JOIN LATERAL json_array_elements_text(r.tags::json) AS t(tag)",
        ),
        _ => (
            "json_extract(metadata, '$.commit.sha')",
            "SELECT DISTINCT t.value, d.id FROM deployments d JOIN releases r ON r.id = d.release_id, \
             json_each(r.tags) AS t",
        ),
    };
    let fill = format!("UPDATE deployments SET commit_sha = {sha} WHERE metadata LIKE '%\"commit\":{{%'");
    connection.execute_unprepared(&fill).await?;
    connection.execute_unprepared(&format!("INSERT INTO deployment_tags (tag, deployment_id) {tags}")).await?;

    // Each list ends where its index does, whatever it is filtered by.
    for columns in [&["commit_sha", "id"][..], &["requested_by", "id"], &["app_id", "phase", "id"]] {
        manager.create_index(index("deployments", columns)).await?;
    }
    manager.create_index(index("deployments", &["environment_id", "phase", "id"])).await?;
    // Those that have not ended are few among many.
    for (name, columns) in [("all", "id"), ("app", "app_id, id"), ("environment", "environment_id, id")] {
        let create = format!("CREATE INDEX deployments_open_{name} ON deployments ({columns}) WHERE {NOT_ENDED}");
        connection.execute_unprepared(&create).await?;
    }
    Ok(())
}

/// Counts the deployments that there are, as their ends would have.
async fn count_all(connection: &impl ConnectionTrait) -> Result<(), StoreError> {
    let backend = connection.get_database_backend();
    let marks = if backend == DbBackend::Postgres { ("$1", "$2") } else { ("?", "?") };
    let sql = format!(
        "SELECT id, environment_id, app, environment, kind, generation, phase, metadata, phases, failure, created_at, \
         updated_at, finished_at FROM deployments WHERE (environment_id, generation) > ({}, {}) \
         ORDER BY environment_id, generation LIMIT {BATCH}",
        marks.0, marks.1
    );
    let mut sums = Sums::default();
    let mut of = Environment::default();
    let (mut environment, mut generation) = (String::new(), i64::MIN);
    loop {
        let values = [environment.as_str().into(), generation.into()];
        let rows = connection.query_all_raw(Statement::from_sql_and_values(backend, &sql, values)).await?;
        for row in &rows {
            let next: String = row.try_get("", "environment_id")?;
            if next != environment {
                of = Environment::default();
            }
            (environment, generation) = (next, row.try_get("", "generation")?);
            match deployment(row) {
                Ok(deployment) => of.count(&parse(&environment)?, &deployment, &mut sums),
                // Its row can't be shown either; it must not keep the server from starting.
                Err(e) => tracing::warn!("a deployment is not counted: {e}"),
            }
        }
        if sums.len() > SUMS {
            std::mem::take(&mut sums).write(connection).await?;
        }
        if (rows.len() as i64) < BATCH {
            return sums.write(connection).await;
        }
    }
}

/// What went on in one environment so far.
#[derive(Default)]
struct Environment {
    served: Option<Replaced>,
    commits: HashSet<String>,
}

impl Environment {
    fn count(&mut self, id: &EnvironmentId, deployment: &Deployment, sums: &mut Sums) {
        let is_active = deployment.phase == Phase::Active;
        let commit = deployment.metadata.commit.as_ref().filter(|_| is_active);
        let new_commit = commit.is_some_and(|commit| self.commits.insert(commit.sha.clone()));
        let replaced = self.served.filter(|_| deployment.kind == DeploymentKind::Rollback);
        sums.add(id, &deployment.id, &facts(deployment, replaced, new_commit));
        if let (true, Some(active_at)) = (is_active, deployment.finished_at) {
            self.served = Some(Replaced { kind: deployment.kind, active_at });
        }
    }
}

/// A deployment as far as it is counted.
fn deployment(row: &QueryResult) -> Result<Deployment, StoreError> {
    let text = |name: &str| row.try_get::<String>("", name);
    let name = |name: &str| -> Result<Name, StoreError> { parse(&text(name)?) };
    let at = |name: &str| -> Result<_, StoreError> { time::from_db(row.try_get("", name)?) };
    let (kind, phase) = (text("kind")?, text("phase")?);
    let unknown = |what: &str| StoreError::corrupt(format!("`{what}`"), "there is none of that name");
    let finished: Option<i64> = row.try_get("", "finished_at")?;
    Ok(Deployment {
        id: parse(&text("id")?)?,
        app: name("app")?,
        environment: name("environment")?,
        kind: DeploymentKind::ALL.into_iter().find(|k| k.as_str() == kind).ok_or_else(|| unknown(&kind))?,
        generation: number("a generation", row.try_get("", "generation")?)?,
        phase: Phase::from_name(&phase).ok_or_else(|| unknown(&phase))?,
        progress: 0,
        source: None,
        release: None,
        release_number: None,
        metadata: from_json("the metadata of a deployment", &text("metadata")?)?,
        phases: from_json("the phases of a deployment", &text("phases")?)?,
        failure: from_json_option(
            "the failure of a deployment",
            row.try_get::<Option<String>>("", "failure")?.as_deref(),
        )?,
        cancelling: false,
        stuck: None,
        requested_by: String::new(),
        created_at: at("created_at")?,
        updated_at: at("updated_at")?,
        finished_at: finished.map(time::from_db).transpose()?,
    })
}
