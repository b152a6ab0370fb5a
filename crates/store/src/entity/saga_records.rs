use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "saga_records")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub saga_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub record: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
