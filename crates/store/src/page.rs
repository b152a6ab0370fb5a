//! Pages of deployments.
//!
//! The ids of a page are found first, in an index that has all that is asked for, and its rows after that. Rows are wide: when
//! a list reads them as it goes, PostgreSQL often thinks that going through all of them from the newest on finds a page soon,
//! which is wrong for an app that was still for a year, and for a phase that none is in.

use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{Expr, ExprTrait, Func, SubQueryStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QueryTrait, Select};

use crate::entity::deployments::{Column, Entity, Model};
use crate::{Session, StoreError};

/// The rows of these ids, newest first.
pub(crate) async fn of(session: &impl Session, ids: Select<Entity>) -> Result<Vec<Model>, StoreError> {
    let connection = session.connection();
    Ok(rows(connection.get_database_backend(), ids).all(connection).await?)
}

/// In one statement, so that no row changes in between.
fn rows(backend: DbBackend, ids: Select<Entity>) -> Select<Entity> {
    let ids = ids.into_query();
    let found = match backend {
        // As an array it is a few keys; of a subquery it would guess how many they are, and might read the whole table.
        DbBackend::Postgres => {
            let array = Func::cust("ARRAY").arg(Expr::from(SubQueryStatement::from(ids)));
            Expr::col((Entity, Column::Id)).eq(PgFunc::any(array))
        }
        _ => Column::Id.in_subquery(ids),
    };
    Entity::find().filter(found).order_by_desc(Column::Id)
}

#[cfg(test)]
mod tests {
    use domain::phase::Phase;
    use domain::{AppId, EnvironmentId};
    use sea_orm::QuerySelect;

    use super::*;
    use crate::beats::at_work;
    use crate::deployments::{Filter, open_counts, retiring_counts};
    use crate::explain::plan;
    use crate::search::{of_commit, with_tag};
    use crate::{DatabaseUrl, Store};

    #[tokio::test]
    async fn each_list_has_its_index() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::sqlite(dir.path().join("db"))).await.unwrap();
        let ulid = ulid::Ulid::from_parts(1, 1);
        let app = || Filter { app: Some(AppId::from_ulid(ulid)), ..Filter::default() };
        let environment = || Filter { environment: Some(EnvironmentId::from_ulid(ulid)), ..Filter::default() };
        let by = |filter: Filter| Filter { requested_by: Some("ci".to_owned()), ..filter };
        let phase = |phase: Phase, filter: Filter| Filter { phase: Some(phase), ..filter };
        let open = |filter: Filter| Filter { open: true, ..filter };
        let all = Filter::default;
        let tag = "stable".parse().unwrap();
        for (ids, index) in [
            (all().ids(None), "sqlite_autoindex_deployments_1"),
            (app().ids(None), "deployments_app_id_id"),
            (environment().ids(None), "deployments_environment_id_id"),
            (by(all()).ids(None), "deployments_requested_by_id"),
            (by(app()).ids(None), "deployments_app_id_requested_by_id"),
            (by(environment()).ids(None), "deployments_environment_id_requested_by_id"),
            (phase(Phase::Failed, all()).ids(None), "deployments_phase_id"),
            (phase(Phase::Failed, app()).ids(None), "deployments_app_id_phase_id"),
            (phase(Phase::Failed, environment()).ids(None), "deployments_environment_id_phase_id"),
            (phase(Phase::Building, by(all())).ids(None), "deployments_phase_id"),
            (phase(Phase::Building, by(app())).ids(None), "deployments_app_id_phase_id"),
            (open(by(all())).ids(None), "deployments_open_all"),
            (open(by(app())).ids(None), "deployments_open_app"),
            (open(by(environment())).ids(None), "deployments_open_environment"),
            (of_commit(&by(app()), "abcdef0123", None), "deployments_commit_sha_id"),
            (of_commit(&phase(Phase::Failed, environment()), "abcdef0123", None), "deployments_commit_sha_id"),
            (with_tag(&app(), &tag, None), "deployments_app_id_id"),
            (with_tag(&by(environment()), &tag, None), "deployments_environment_id_requested_by_id"),
        ] {
            let found = plan(&store, rows(DbBackend::Sqlite, ids.limit(51))).await;
            assert!(found.contains(&format!("{index} ")) || found.contains(&format!("{index};")), "{index}: {found}");
            assert!(!found.contains("TEMP B-TREE"), "{index} is in the order of the page: {found}");
        }
        let counts = plan(&store, open_counts()).await;
        assert!(counts.contains("INDEX deployments_open_"), "{counts}");
        let retiring = plan(&store, retiring_counts()).await;
        let working = plan(&store, rows(DbBackend::Sqlite, at_work())).await;
        for found in [&retiring, &working] {
            assert!(found.contains("environments_running") && !found.contains("SCAN deployments"), "{found}");
        }
        assert!(working.contains("deployments_phase_id "), "{working}");
        store.close().await;
    }
}
