use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "schedules")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub app_id: String,
    pub environment_id: String,
    pub app: String,
    pub environment: String,
    pub name: String,
    pub cron: String,
    pub missed: String,
    pub enabled: bool,
    pub template: String,
    pub created_by: String,
    pub created_at: i64,
    pub next_at: Option<i64>,
    pub last_planned_at: Option<i64>,
    pub last_run: Option<String>,
    pub owner: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
