//! The tables and their history.

mod app_users;
mod certificates;
mod first;
mod promotion;
mod schema;
mod uploads;

use sea_orm::TransactionTrait;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::session::sealed::Connected;
use crate::{DatabaseUrl, Store, StoreError};

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
    let known = Migrator::migrations();
    if let Some(newer) = applied.iter().find(|a| !known.iter().any(|k| k.name() == a.version)) {
        return Err(StoreError::Newer { database: url.to_string(), migration: newer.version.clone() });
    }
    Migrator::up(&inside, None).await?;
    inside.commit().await?;
    tx.commit().await
}
