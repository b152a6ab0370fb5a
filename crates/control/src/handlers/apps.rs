//! Apps.

use domain::event::EventKind;
use domain::{AppId, EnvironmentId, Name};
use operations::apps::{
    App, AppDetail, Create, CreateRequest, Delete, Deleted, Get, GetRequest, List, ListRequest, SetConcurrency,
    SetConcurrencyRequest, SetSource, SetSourceRequest,
};
use operations::{Error, Page};
use store::environments::Environment;
use ulid::Ulid;

use super::{app_named, check_own_source, check_word, commit, page_cursor, page_limit};
use crate::Control;
use crate::access::{Admitted, sources};
use crate::approvals::{Scope, reset};
use crate::audit::Act;
use crate::caller::Handle;
use crate::dispatch::count_ends;
use crate::error::store_error;

/// Every app begins with it.
const FIRST_ENVIRONMENT: &str = "production";

impl Handle<Create> for Control {
    async fn handle(&self, who: &Admitted, request: CreateRequest) -> Result<App, Error> {
        if let Some(source) = &request.source {
            check_own_source(source)?;
            sources::check(who, self.store(), source, None).await?;
        }
        let at = store::time::micros(store::clock::now());
        let app = store::apps::App {
            id: AppId::from_ulid(Ulid::generate()),
            name: request.name,
            source: request.source,
            created_at: at,
            concurrency: domain::queue::CONCURRENCY,
        };
        let name: Name = FIRST_ENVIRONMENT.parse().map_err(|_| Error::internal())?;
        let environment = super::environments::new(&app, name, &self.inner.member.host, at);
        let response = shown(app.clone());

        let tx = self.write().await?;
        store::apps::insert(&tx, &app).await.map_err(store_error)?;
        store::environments::insert(&tx, &environment).await.map_err(store_error)?;
        super::members::own(&tx, who, &app.id).await?;
        let created = EventKind::AppCreated;
        store::events::insert(&tx, Some(&app.name), None, None, &created, at).await.map_err(store_error)?;
        let created = EventKind::EnvironmentCreated;
        store::events::insert(&tx, Some(&app.name), Some(&environment.name), None, &created, at)
            .await
            .map_err(store_error)?;
        who.noted().app(&app.id, &app.name);
        let recorded = self.conclude::<Create>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Page<App>, Error> {
        let limit = page_limit(request.limit)?;
        let after = page_cursor::<Name>(request.cursor.as_deref())?;
        check_word("search", request.search.as_deref())?;
        let part = request.search.map(|part| part.to_ascii_lowercase());
        let part = part.as_deref();
        // Nothing that is in no name is asked of the database, to which some of it would mean more.
        if part.is_some_and(|part| part.contains(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let apps = store::apps::list_named(self.store(), &who.sees(), part, after.as_ref(), u64::from(limit) + 1).await;
        let apps = apps.map_err(store_error)?;
        Ok(Page::of(apps.into_iter().map(shown).collect(), limit, |app: &App| app.name.to_string()))
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: GetRequest) -> Result<AppDetail, Error> {
        let app = app_named(self.store(), &request.app).await?;
        let environments = self.environments_of(&app.id).await?;
        Ok(AppDetail { app: shown(app), environments })
    }
}

impl Handle<SetSource> for Control {
    async fn handle(&self, who: &Admitted, request: SetSourceRequest) -> Result<App, Error> {
        check_own_source(&request.source)?;
        sources::check(who, self.store(), &request.source, None).await?;
        let tx = self.write().await?;
        let app = app_named(&tx, &request.app).await?;
        store::apps::set_source(&tx, &app.id, Some(&request.source)).await.map_err(store_error)?;
        let now = store::time::micros(store::clock::now());
        let why = "the source of the app has changed";
        let ended = reset(&tx, Scope::App(&app.id), why, now).await.map_err(store_error)?;
        who.noted().changed(&app.source, &request.source);
        let response = shown(store::apps::App { source: Some(request.source), ..app });
        let recorded = self.conclude::<SetSource>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        count_ends(&self.inner, &ended).await;
        Ok(response)
    }
}

impl Handle<SetConcurrency> for Control {
    async fn handle(&self, who: &Admitted, request: SetConcurrencyRequest) -> Result<App, Error> {
        let SetConcurrencyRequest { app, limit } = request;
        if !(1..=1000).contains(&limit) {
            return Err(Error::unprocessable(format!("`limit` must be 1 to 1000, not {limit}"))
                .hint("with 0 nothing of the app would ever be deployed"));
        }
        let tx = self.write().await?;
        let app = app_named(&tx, &app).await?;
        store::apps::set_concurrency(&tx, &app.id, limit).await.map_err(store_error)?;
        let event = EventKind::QueueConfigured { by: who.name.clone() };
        store::events::insert(&tx, Some(&app.name), None, None, &event, store::clock::now())
            .await
            .map_err(store_error)?;
        who.noted().changed(&app.concurrency, &limit);
        let response = shown(store::apps::App { concurrency: limit, ..app });
        let recorded = self.conclude::<SetConcurrency>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<Delete> for Control {
    async fn handle(&self, who: &Admitted, request: GetRequest) -> Result<Deleted, Error> {
        let app = app_named(self.store(), &request.app).await?;
        let environments = store::environments::list(self.store(), &app.id).await.map_err(store_error)?;
        for environment in &environments {
            self.refuse_while_busy(&environment.id).await?;
        }
        let act = self.begin_act::<Delete>(who).await?;
        let deleted = self.delete_app(&act, who, app, environments).await;
        act.end(deleted).await
    }
}

impl Control {
    async fn delete_app(
        &self,
        act: &Act<'_, Delete>,
        who: &Admitted,
        app: store::apps::App,
        environments: Vec<Environment>,
    ) -> Result<Deleted, Error> {
        for environment in &environments {
            self.take_down(act, environment).await?;
        }
        let outputs =
            self.deployment_ids(store::deployments::Filter { app: Some(app.id.clone()), ..Default::default() }).await?;

        let tx = self.write().await?;
        let now = store::environments::list(&tx, &app.id).await.map_err(store_error)?;
        for environment in &now {
            self.refuse_if_changed(&tx, environment, &environments).await?;
        }
        let mut releases = 0;
        let mut before = None;
        loop {
            let page = store::releases::list(&tx, &app.id, before, 500).await.map_err(store_error)?;
            releases += page.len() as u64;
            match page.last() {
                Some(last) => before = Some(last.number),
                None => break,
            }
        }
        let response =
            Deleted { app: app.name.clone(), environments: now.into_iter().map(|e| e.name).collect(), releases };
        store::apps::purge(&tx, &app.id).await.map_err(store_error)?;
        let at = store::clock::now();
        for name in &response.environments {
            let deleted = EventKind::EnvironmentDeleted;
            store::events::insert(&tx, Some(&app.name), Some(name), None, &deleted, at).await.map_err(store_error)?;
        }
        let deleted = EventKind::AppDeleted;
        store::events::insert(&tx, Some(&app.name), None, None, &deleted, at).await.map_err(store_error)?;
        let recorded = self.conclude::<Delete>(&tx, who, &response).await?;
        commit(tx, recorded).await?;

        let layout = &self.world().layout;
        let folders = vec![layout.app_releases(&app.id), layout.cache(&app.id)];
        self.delete_files(folders, outputs).await;
        Ok(response)
    }
}

pub(super) fn shown(app: store::apps::App) -> App {
    let store::apps::App { id, name, source, created_at, concurrency } = app;
    App { id, name, source, created_at, concurrency }
}

/// An id of its own for each environment that is made.
pub(super) fn environment_id() -> EnvironmentId {
    EnvironmentId::from_ulid(Ulid::generate())
}
