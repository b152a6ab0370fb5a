//! Releases.

use domain::release::Release;
use operations::releases::{Get, GetRequest, List, ListRequest, ReleaseStatus};
use operations::{Error, Page};
use store::environments::Environment;

use super::{app_named, page_cursor, page_limit};
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
        let releases = store::releases::list(self.store(), &app.id, before, u64::from(limit) + 1);
        let page = Page::of(releases.await.map_err(store_error)?, limit, |release| release.number.to_string());
        let environments = store::environments::list(self.store(), &app.id).await.map_err(store_error)?;
        let mut items = Vec::with_capacity(page.items.len());
        for release in page.items {
            items.push(self.release_status(release, &environments).await?);
        }
        Ok(Page { items, next: page.next })
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: GetRequest) -> Result<ReleaseStatus, Error> {
        let app = app_named(self.store(), &request.app).await?;
        let found = store::releases::find_by_number(self.store(), &app.id, request.number).await;
        let release = found.map_err(store_error)?.ok_or_else(|| super::order::no_release(&app.name, request.number))?;
        let environments = store::environments::list(self.store(), &app.id).await.map_err(store_error)?;
        self.release_status(release, &environments).await
    }
}

impl Control {
    async fn release_status(&self, release: Release, environments: &[Environment]) -> Result<ReleaseStatus, Error> {
        let active = environments.iter().filter(|e| e.active_release.as_ref() == Some(&release.id));
        let active_in = active.map(|e| e.name.clone()).collect();
        let variables = self.variable_names(&release, environments).await?;
        Ok(ReleaseStatus { release, active_in, variables })
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
