//! Releases.

use domain::AppId;
use domain::release::Release;
use operations::releases::{Get, GetRequest, List, ListRequest, ReleaseStatus};
use operations::{Error, Page};
use store::environments::Environment;

use super::{app_named, environment_named, page_cursor, page_limit};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::environment::VariablesError;
use crate::error::store_error;

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, request: ListRequest) -> Result<Page<ReleaseStatus>, Error> {
        let limit = page_limit(request.limit)?;
        let before = page_cursor::<u32>(request.cursor.as_deref())?;
        let app = app_named(self.store(), &request.app).await?;
        let (store, one_more) = (self.store(), u64::from(limit) + 1);
        let releases = match &request.served_in {
            Some(name) => {
                let (_, environment) = environment_named(store, &request.app, name).await?;
                store::releases::list_good(store, &app.id, &environment.id, before, one_more).await
            }
            None => store::releases::list(store, &app.id, before, one_more).await,
        };
        let page = Page::of(releases.map_err(store_error)?, limit, |release| release.number.to_string());
        Ok(Page { items: self.release_statuses(&app.id, page.items).await?, next: page.next })
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: GetRequest) -> Result<ReleaseStatus, Error> {
        let app = app_named(self.store(), &request.app).await?;
        let found = store::releases::find_by_number(self.store(), &app.id, request.number).await;
        let release = found.map_err(store_error)?.ok_or_else(|| super::order::no_release(&app.name, request.number))?;
        self.release_statuses(&app.id, vec![release]).await?.pop().ok_or_else(Error::internal)
    }
}

impl Control {
    /// In the order of the releases, which are of one app.
    async fn release_statuses(&self, app: &AppId, releases: Vec<Release>) -> Result<Vec<ReleaseStatus>, Error> {
        let environments = store::environments::list(self.store(), app).await.map_err(store_error)?;
        let ids: Vec<_> = releases.iter().map(|release| &release.id).collect();
        let good = store::releases::good_in(self.store(), &ids).await.map_err(store_error)?;
        let mut statuses = Vec::with_capacity(releases.len());
        for release in releases {
            let names =
                |of: &dyn Fn(&&Environment) -> bool| environments.iter().filter(of).map(|e| e.name.clone()).collect();
            let active_in = names(&|e| e.active_release.as_ref() == Some(&release.id));
            let served_in = names(&|e| good.get(&release.id).is_some_and(|places| places.contains(&e.id)));
            let variables = self.variable_names(&release, &environments).await?;
            statuses.push(ReleaseStatus { release, active_in, served_in, variables });
        }
        Ok(statuses)
    }

    /// The snapshot opens with the key of the environment that it was made for and no other, so each may be
    /// tried. None opens when that environment was deleted.
    async fn variable_names(&self, release: &Release, environments: &[Environment]) -> Result<Vec<String>, Error> {
        for environment in environments {
            match self.world().release_variables(&environment.id, &release.id).await {
                Ok(variables) => return Ok(variables.names().map(str::to_owned).collect()),
                Err(VariablesError::Store(error)) => return Err(store_error(error)),
                Err(_) => {}
            }
        }
        Ok(Vec::new())
    }
}
