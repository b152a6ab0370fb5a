//! What needs somebody, and what is live where.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::access::{At, Permission, Sees};
use domain::instance::{InstanceState, InstanceStatus};
use domain::{EnvironmentId, Name};
use ingress::{RouteTable, Status};
use operations::Error;
use operations::certificates::Certificate;
use operations::overview::{AppOverview, EnvironmentOverview, Overview, Show, ShowRequest};
use store::instances::Instance;

use super::{page_cursor, page_limit};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::certificates::{Shown, view};
use crate::error::store_error;
use crate::overview::{active, at_work, gather, needs, own};
use crate::urls::urls;

impl Handle<Show> for Control {
    async fn handle(&self, who: &Admitted, request: ShowRequest) -> Result<Overview, Error> {
        let limit = page_limit(request.limit)?;
        let after = page_cursor::<Name>(request.cursor.as_deref())?;
        let sees = who.sees();
        let mut gathered = gather(self.store(), &sees, after.as_ref(), u64::from(limit)).await.map_err(store_error)?;
        let more = gathered.apps.len() > limit as usize;
        gathered.apps.truncate(limit as usize);

        let client = &self.world().ingress;
        let (status, shown) = tokio::join!(client.status(), Shown::ask(client));
        let status = status.ok();
        let routes = match &status {
            Some(status) => self.routes(status).await,
            None => None,
        };
        let certificates = match who.may(Permission::ServerLook, At::Server) {
            true => self.certificates(&shown).await?,
            false => Vec::new(),
        };
        let looping = self.inner.looping();
        let voter = who.principal.person().map(|person| (person, &*who.grants));
        let own = own(self.store(), voter, &sets_up(who), store::clock::now()).await.map_err(store_error)?;
        let needs_you = needs(&gathered.working, &gathered.unhealed, &looping, certificates, own, &sees);

        let mut statuses = self.statuses(std::mem::take(&mut gathered.instances)).await?;
        let mut working = at_work(&gathered.working);
        let mut environments: BTreeMap<Name, Vec<EnvironmentOverview>> = BTreeMap::new();
        for row in &gathered.environments {
            let routes = routes.as_ref().and_then(|table| table.environments.get(&row.id));
            let urls = match (routes, &status) {
                (Some(routes), Some(status)) => urls(routes, status, &shown),
                _ => Vec::new(),
            };
            let overview = EnvironmentOverview {
                active: active(row, &gathered),
                working: working.remove(&row.id),
                queued: gathered.waiting.get(&row.id).copied().unwrap_or_default(),
                instances: self.is_here(row).then(|| statuses.remove(&row.id).unwrap_or_default()),
                urls,
                id: row.id.clone(),
                name: row.name.clone(),
                host: row.host.clone(),
            };
            environments.entry(row.app.clone()).or_default().push(overview);
        }
        let next = gathered.apps.last().filter(|_| more).map(|app| app.name.to_string());
        let apps = gathered.apps.into_iter().map(|app| AppOverview {
            environments: environments.remove(&app.name).unwrap_or_default(),
            app: super::apps::shown(app),
        });
        Ok(Overview {
            needs_you,
            running: gathered.working.len() as u64,
            queued: gathered.queued,
            apps: apps.collect(),
            next,
        })
    }
}

/// The apps whose channels are the caller's to set up; everywhere, the server's besides.
fn sets_up(who: &Admitted) -> Sees {
    if who.may(Permission::Configure, At::Server) {
        return Sees::All;
    }
    let apps = who.grants.apps.keys().filter(|app| who.may(Permission::Configure, At::App(app)));
    Sees::Only(apps.cloned().collect())
}

impl Control {
    /// The ingress's table. It is large where there are many environments, and fetched again only when it has changed.
    async fn routes(&self, status: &Status) -> Option<Arc<RouteTable>> {
        let version = (status.pid, status.sequence);
        if let Some(known) = self.inner.routes.known(version) {
            return Some(known);
        }
        let table = Arc::new(self.world().ingress.table().await.ok()?);
        self.inner.routes.keep(version, table.clone());
        Some(table)
    }

    async fn certificates(&self, shown: &Shown) -> Result<Vec<Certificate>, Error> {
        let rows = store::certificates::list(self.store()).await.map_err(store_error)?;
        let now = chrono::Utc::now();
        Ok(rows.into_iter().map(|row| view(row, shown, now)).collect())
    }

    /// What the instances do, as their supervisors say.
    async fn statuses(
        &self,
        instances: BTreeMap<EnvironmentId, Vec<Instance>>,
    ) -> Result<BTreeMap<EnvironmentId, Vec<InstanceStatus>>, Error> {
        let runtime = self.world().runtime.clone();
        let look = move |row: Instance| {
            runtime.status(&row.key.name()).unwrap_or(InstanceStatus {
                key: row.key,
                port: row.port,
                state: InstanceState::Lost,
                restarts: 0,
            })
        };
        let looked = tokio::task::spawn_blocking(move || {
            instances.into_iter().map(|(id, rows)| (id, rows.into_iter().map(&look).collect())).collect()
        });
        looked.await.map_err(|_| Error::internal())
    }
}
