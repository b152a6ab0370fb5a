//! Which deployments that wait a newer one of the same source ends: [`domain::queue::Supersede::SkipQueued`].

use domain::source::Source;
use domain::{DeploymentId, EnvironmentId};
use sea_orm::{ConnectionTrait, DbBackend};

use crate::row::{long, number, parse, to_json};
use crate::rows::Parameters;
use crate::{Session, StoreError};

/// A deployment that ends older ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer<'a> {
    pub environment: &'a EnvironmentId,
    pub generation: u64,
    /// The source as people asked for it: [`domain::deployment::Deployment::asked`].
    pub asked: &'a Source,
    /// It waits for approval, and ends only what does so, too.
    pub held: bool,
}

/// Those that it ends, in the order of their turns, and so many at most. What was ordered for a time of its own is meant, and is
/// not among them.
pub async fn older(session: &impl Session, newer: &Newer<'_>, most: u64) -> Result<Vec<DeploymentId>, StoreError> {
    let connection = session.connection();
    let mut parameters = Parameters::of(connection);
    let environment = parameters.add(newer.environment.as_str());
    let generation = parameters.add(long(newer.generation));
    let same = same_source(newer.asked, &mut parameters, connection.get_database_backend())?;
    let held = if newer.held { "AND q.held " } else { "" };
    // Along the queue, which SQLite keeps to with a CROSS JOIN: the look ends with the last that is wanted.
    let sql = format!(
        "SELECT q.deployment_id FROM queue q CROSS JOIN deployments d WHERE d.id = q.deployment_id \
         AND q.environment_id = {environment} AND q.not_before IS NULL {held}AND d.generation < {generation} AND {same} \
         ORDER BY q.rank, q.deployment_id LIMIT {most}"
    );
    let rows = parameters.query(connection, sql).await?;
    rows.iter().map(|row| parse(&row.try_get::<String>("", "deployment_id")?)).collect()
}

/// The generation of one that waits in the environment, was asked for with the same source later than `generation`, and may end
/// others: no plan, and not one that waits for approval.
pub async fn newer(
    session: &impl Session,
    environment: &EnvironmentId,
    asked: &Source,
    generation: u64,
) -> Result<Option<u64>, StoreError> {
    let connection = session.connection();
    let mut parameters = Parameters::of(connection);
    let environment = parameters.add(environment.as_str());
    let generation = parameters.add(long(generation));
    let same = same_source(asked, &mut parameters, connection.get_database_backend())?;
    // From the end of the queue, where the newest usually is.
    let sql = format!(
        "SELECT d.generation FROM queue q CROSS JOIN deployments d WHERE d.id = q.deployment_id \
         AND q.environment_id = {environment} AND NOT q.held AND d.generation > {generation} AND NOT {PLANNED} AND {same} \
         ORDER BY q.rank DESC, q.deployment_id DESC LIMIT 1"
    );
    let rows = parameters.query(connection, sql).await?;
    rows.first().map(|row| number("a generation", row.try_get("", "generation")?)).transpose()
}

// In a text of JSON no quote stands alone, so that these are found where they are keys, and nowhere else.
const PLANNED: &str = r#"(d.metadata LIKE '%"plan":%')"#;
const APPROVED: &str = r#"(d.metadata LIKE '%"approval":%')"#;

/// Whether the deployment `d` was asked for with this source: [`domain::deployment::Deployment::asked`] in SQL.
fn same_source(asked: &Source, parameters: &mut Parameters, backend: DbBackend) -> Result<String, StoreError> {
    let whole = parameters.add(to_json(asked)?);
    let Source::Git { url, reference } = asked else { return Ok(format!("d.source = {whole}")) };
    // Of a plan, and of what others approve of, the source is the very commit, and what people named stands beside it.
    let repository = to_json(&Source::Git { url: url.clone(), reference: None })?;
    let repository = repository.trim_end_matches('}');
    let length = repository.chars().count();
    let repository = parameters.add(repository);
    let named = match reference {
        None => r#"d.metadata NOT LIKE '%"reference":%'"#.to_owned(),
        Some(reference) => {
            let find = if backend == DbBackend::Postgres { "strpos" } else { "instr" };
            let named = parameters.add(format!("\"reference\":{}", to_json(reference)?));
            format!("{find}(d.metadata, {named}) > 0")
        }
    };
    Ok(format!(
        "CASE WHEN {PLANNED} OR {APPROVED} THEN substr(d.source, 1, {length}) = {repository} AND {named} \
         ELSE d.source = {whole} END"
    ))
}
