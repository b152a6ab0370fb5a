//! Which person has made a token: a name is nobody in particular.

use sea_orm::sea_query::{Alias, Table};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::Columns;

pub(super) struct Makers;

/// Tokens that were made by tokens that were made by tokens: nobody does that so often.
const DEEPEST: u32 = 100;

impl MigrationName for Makers {
    fn name(&self) -> &str {
        "m0027_makers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Makers {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let mut table = Table::alter();
        table.table(Alias::new("tokens")).add_column(c.text_or_null("maker"));
        manager.alter_table(table).await?;
        so_far(manager).await
    }
}

/// The audit log knows who has made them.
async fn so_far(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let made = "audit.operation = 'tokens.create' AND audit.outcome = 'done' AND audit.target = tokens.id";
    let by_people = format!("SELECT MAX(users.id) FROM audit JOIN users ON users.id = audit.actor WHERE {made}");
    let by_people = format!("UPDATE tokens SET maker = COALESCE(user_id, ({by_people}))");
    connection.execute_unprepared(&by_people).await?;
    let found =
        format!("FROM audit JOIN tokens AS giver ON giver.id = audit.actor WHERE giver.maker IS NOT NULL AND {made}");
    let by_tokens = format!(
        "UPDATE tokens SET maker = (SELECT MAX(giver.maker) {found}) WHERE maker IS NULL AND EXISTS (SELECT 1 {found})"
    );
    for _ in 0..DEEPEST {
        if connection.execute_unprepared(&by_tokens).await?.rows_affected() == 0 {
            break;
        }
    }
    Ok(())
}
