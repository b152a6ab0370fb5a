//! The tables and their history.

mod access;
mod analytics;
mod app_users;
mod approvals;
mod asked_by;
mod audit;
mod certificates;
mod cluster;
mod failing;
mod first;
mod makers;
mod notices;
mod people;
mod plans;
mod promotion;
mod proofs;
mod rollbacks;
mod schedules;
mod schema;
mod sign_in_ways;
mod token_scope;
mod upkeep;
mod uploads;

use sea_orm::TransactionTrait;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::session::sealed::Connected;
use crate::{DatabaseUrl, Store, StoreError, Tx};

/// All migrations, oldest first. One that was released is never changed again.
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(first::First),
            Box::new(app_users::AppUsers),
            Box::new(certificates::Certificates),
            Box::new(promotion::Promotion),
            Box::new(uploads::Uploads),
            Box::new(token_scope::TokenScope),
            Box::new(cluster::Cluster),
            Box::new(schedules::Schedules),
            Box::new(plans::Plans),
            Box::new(analytics::Analytics),
            Box::new(upkeep::Upkeep),
            Box::new(rollbacks::Rollbacks),
            Box::new(people::People),
            Box::new(audit::Audit),
            Box::new(access::Access),
            Box::new(approvals::Approvals),
            Box::new(notices::Notices),
            Box::new(sign_in_ways::SignInWays),
            Box::new(asked_by::AskedBy),
            Box::new(makers::Makers),
            Box::new(failing::Failing),
            Box::new(proofs::Proofs),
        ]
    }
}

/// Brings the tables up to date. It is a write like any other, so racing servers take turns,
/// and a failure or a crash in the middle leaves the database as it was.
pub(crate) async fn run(store: &Store, url: &DatabaseUrl) -> Result<(), StoreError> {
    let tx = store.write().await?;
    let connection = tx.connection().transaction();
    // The savepoint is what the migrator takes as its connection.
    let inside = connection.begin().await?;
    let applied = Migrator::get_migration_models(&inside).await?;
    let applied: Vec<String> = applied.into_iter().map(|a| a.version).collect();
    if let Some(newer) = unknown(&applied) {
        return Err(StoreError::Newer { database: url.to_string(), migration: newer.to_owned() });
    }
    Migrator::up(&inside, None).await?;
    inside.commit().await?;
    tx.commit().await
}

/// Brings the tables of an empty database to where they were after `count` migrations, or all the way.
pub(crate) async fn run_to(tx: &Tx, count: Option<u32>) -> Result<(), StoreError> {
    let inside = tx.connection().transaction().begin().await?;
    Migrator::up(&inside, count).await?;
    Ok(inside.commit().await?)
}

/// The first of `applied` that this version does not know.
pub(crate) fn unknown(applied: &[String]) -> Option<&str> {
    let known = names();
    applied.iter().find(|a| !known.contains(a)).map(String::as_str)
}

/// Names of all migrations, oldest first.
pub(crate) fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|m| m.name().to_owned()).collect()
}
