use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "environments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub app_id: String,
    pub app: String,
    pub name: String,
    pub generation: i64,
    pub acting: Option<String>,
    pub active_deployment: Option<String>,
    pub active_generation: i64,
    pub active_release: Option<String>,
    pub created_at: i64,
    pub host: String,
    pub running: Option<String>,
    pub supersede: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
