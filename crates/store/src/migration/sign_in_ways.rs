//! Other ways to sign in than by password: a sign-in provider's word, and a program that a person lets in.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key, refers, unique};

pub(super) struct SignInWays;

impl MigrationName for SignInWays {
    fn name(&self) -> &str {
        "m0025_sign_in_ways"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SignInWays {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        identities(manager).await?;
        device_logins(manager).await
    }
}

async fn identities(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("identities"));
    table.col(c.text("issuer"));
    table.col(c.text("subject"));
    table.col(c.text("user_id"));
    // As the provider last said.
    table.col(c.text_or_null("email"));
    table.col(c.long("linked_at"));
    table.col(c.long("used_at"));
    table.primary_key(&mut key(&["issuer", "subject"]));
    table.foreign_key(&mut refers("identities", "user_id", "users", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(index("identities", &["user_id"])).await
}

async fn device_logins(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("device_logins"));
    // Of the secret that the program polls with.
    table.col(c.text("hash"));
    table.col(c.text("user_code"));
    table.col(c.text("name"));
    table.col(c.text("address"));
    table.col(c.text("state"));
    // Who has let it in, when somebody has.
    table.col(c.text_or_null("user_id"));
    table.col(c.long("created_at"));
    table.col(c.long("expires_at"));
    table.primary_key(&mut key(&["hash"]));
    table.foreign_key(&mut refers("device_logins", "user_id", "users", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(unique("device_logins", &["user_code"])).await?;
    manager.create_index(index("device_logins", &["expires_at"])).await
}
