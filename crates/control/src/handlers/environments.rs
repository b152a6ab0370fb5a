//! Environments, and how each looks from outside at the moment.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::event::EventKind;
use domain::instance::{InstanceState, InstanceStatus};
use domain::name::PAGES;
use domain::{AppId, EnvironmentId, Name, ReleaseId};
use ingress::{RouteTable, Stats, Status};
use operations::Error;
use operations::apps::{Deleted, GetRequest};
use operations::environments::{
    Active, Create, CreateRequest, Delete, Environment, EnvironmentRequest, Get, List, SetSupersede,
    SetSupersedeRequest, Traffic,
};
use store::apps::App;
use store::deployments::Filter;
use store::environments::Environment as Row;

use super::{app_named, commit, environment_named};
use crate::Control;
use crate::access::Admitted;
use crate::audit::Act;
use crate::caller::Handle;
use crate::certificates::Shown;
use crate::error::store_error;
use crate::overview::active_since;
use crate::urls::urls;

impl Handle<Create> for Control {
    async fn handle(&self, who: &Admitted, request: CreateRequest) -> Result<Environment, Error> {
        if !request.environment.may_name_environment() {
            let name = &request.environment;
            return Err(Error::invalid(format!("`environment`: `{name}` is the name of a page about every app"))
                .hint(format!("choose another one, such as `{name}-1`; taken are {}", PAGES.join(", "))));
        }
        let at = store::time::micros(store::clock::now());
        let tx = self.write().await?;
        let app = app_named(&tx, &request.app).await?;
        let host = request.host.unwrap_or_else(|| self.inner.member.host.clone());
        if !store::hosts::list(&tx).await.map_err(store_error)?.iter().any(|known| known.name == host) {
            return Err(Error::not_found(format!("there is no host `{host}`"))
                .hint("a host is known once a server has started on it; `plimsoll cluster` lists them"));
        }
        let row = new(&app, request.environment, &host, at);
        store::environments::insert(&tx, &row).await.map_err(store_error)?;
        let created = EventKind::EnvironmentCreated;
        store::events::insert(&tx, Some(&app.name), Some(&row.name), None, &created, at).await.map_err(store_error)?;
        let response = blank(row);
        let recorded = self.conclude::<Create>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<SetSupersede> for Control {
    async fn handle(&self, who: &Admitted, request: SetSupersedeRequest) -> Result<Environment, Error> {
        let SetSupersedeRequest { app, environment, policy } = request;
        let tx = self.write().await?;
        let (_, row) = environment_named(&tx, &app, &environment).await?;
        store::environments::set_supersede(&tx, &row.id, policy).await.map_err(store_error)?;
        let event = EventKind::QueueConfigured { by: who.name.clone() };
        store::events::insert(&tx, Some(&row.app), Some(&row.name), None, &event, store::clock::now())
            .await
            .map_err(store_error)?;
        who.noted().changed(&row.supersede, &policy);
        let recorded = self.conclude_before_answer(&tx, who).await?;
        commit(tx, recorded).await?;
        let ingress = self.look_at_ingress().await;
        let response = self.view(Row { supersede: policy, ..row }, &ingress).await?;
        self.keep_answer::<SetSupersede>(who, &response).await?;
        Ok(response)
    }
}

impl Handle<List> for Control {
    async fn handle(&self, _: &Admitted, request: GetRequest) -> Result<Vec<Environment>, Error> {
        let app = app_named(self.store(), &request.app).await?;
        self.environments_of(&app.id).await
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, _: &Admitted, request: EnvironmentRequest) -> Result<Environment, Error> {
        let (_, row) = environment_named(self.store(), &request.app, &request.environment).await?;
        let ingress = self.look_at_ingress().await;
        self.view(row, &ingress).await
    }
}

impl Handle<Delete> for Control {
    async fn handle(&self, who: &Admitted, request: EnvironmentRequest) -> Result<Deleted, Error> {
        let (app, row) = environment_named(self.store(), &request.app, &request.environment).await?;
        self.refuse_while_busy(&row.id).await?;
        let act = self.begin_act::<Delete>(who).await?;
        let deleted = self.delete_environment(&act, who, app, row).await;
        act.end(deleted).await
    }
}

impl Control {
    async fn delete_environment(
        &self,
        act: &Act<'_, Delete>,
        who: &Admitted,
        app: App,
        row: Row,
    ) -> Result<Deleted, Error> {
        self.take_down(act, &row).await?;
        let filter = Filter { environment: Some(row.id.clone()), ..Filter::default() };
        let outputs = self.deployment_ids(filter).await?;

        let tx = self.write().await?;
        let now = store::environments::get(&tx, &row.id).await.map_err(store_error)?;
        self.refuse_if_changed(&tx, &now, std::slice::from_ref(&row)).await?;
        store::environments::delete(&tx, &row.id).await.map_err(store_error)?;
        let deleted = EventKind::EnvironmentDeleted;
        store::events::insert(&tx, Some(&app.name), Some(&row.name), None, &deleted, store::clock::now())
            .await
            .map_err(store_error)?;
        // Releases belong to the app and stay.
        let response = Deleted { app: app.name, environments: vec![row.name], releases: 0 };
        let recorded = self.conclude::<Delete>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        self.delete_files(Vec::new(), outputs).await;
        Ok(response)
    }
}

/// What the ingress says, as far as it answers.
#[derive(Default)]
struct Ingress {
    status: Option<Status>,
    table: Option<RouteTable>,
    stats: Option<Stats>,
    shown: Shown,
}

impl Control {
    pub(super) async fn environments_of(&self, app: &AppId) -> Result<Vec<Environment>, Error> {
        let rows = store::environments::list(self.store(), app).await.map_err(store_error)?;
        let ingress = self.look_at_ingress().await;
        let mut environments = Vec::with_capacity(rows.len());
        for row in rows {
            environments.push(self.view(row, &ingress).await?);
        }
        Ok(environments)
    }

    async fn look_at_ingress(&self) -> Ingress {
        let client = &self.world().ingress;
        let (status, table, stats, shown) =
            tokio::join!(client.status(), client.table(), client.stats(), Shown::ask(client));
        Ingress { status: status.ok(), table: table.ok(), stats: stats.ok(), shown }
    }

    async fn view(&self, row: Row, ingress: &Ingress) -> Result<Environment, Error> {
        let filter = Filter { environment: Some(row.id.clone()), open: true, ..Filter::default() };
        let open = store::deployments::list(self.store(), &filter, None, 500).await.map_err(store_error)?;
        let active = self.active(&row).await?;
        // Those of another machine can't be seen from here.
        let here = row.host == self.inner.member.host;
        let instances = if here { self.instances(&row.id).await? } else { Vec::new() };
        let routes = ingress.table.as_ref().and_then(|table| table.environments.get(&row.id));
        let urls = match (routes, &ingress.status) {
            (Some(routes), Some(status)) => urls(routes, status, &ingress.shown),
            _ => Vec::new(),
        };
        let traffic = ingress.stats.as_ref().map(|stats| traffic(stats, &row.id)).unwrap_or_default();
        let in_progress = open.into_iter().rev().map(|record| record.deployment.id).collect();
        Ok(Environment { active, in_progress, urls, instances, traffic, ..blank(row) })
    }

    async fn active(&self, row: &Row) -> Result<Option<Active>, Error> {
        let (Some(deployment), Some(release)) = (&row.active_deployment, &row.active_release) else {
            return Ok(None);
        };
        let release = store::releases::get(self.store(), release).await.map_err(store_error)?;
        let record = store::deployments::get(self.store(), deployment).await.map_err(store_error)?.deployment;
        Ok(Some(Active {
            deployment: deployment.clone(),
            release: release.id,
            release_number: release.number,
            commit: release.commit.map(|commit| commit.short().to_owned()),
            since: active_since(&record),
        }))
    }

    async fn instances(&self, id: &EnvironmentId) -> Result<Vec<InstanceStatus>, Error> {
        let rows = store::instances::list_by_environment(self.store(), id).await.map_err(store_error)?;
        let runtime = self.world().runtime.clone();
        let statuses = tokio::task::spawn_blocking(move || {
            let wanted = rows.into_iter().filter(|row| !row.retired);
            let status = |row: store::instances::Instance| {
                let lost =
                    || InstanceStatus { key: row.key.clone(), port: row.port, state: InstanceState::Lost, restarts: 0 };
                runtime.status(&row.key.name()).unwrap_or_else(lost)
            };
            wanted.map(status).collect()
        });
        statuses.await.map_err(|_| Error::internal())
    }
}

/// A new environment in which nothing has happened yet.
pub(super) fn new(app: &store::apps::App, name: Name, host: &str, at: DateTime<Utc>) -> Row {
    Row {
        id: super::apps::environment_id(),
        app_id: app.id.clone(),
        app: app.name.clone(),
        name,
        generation: 0,
        acting: None,
        active_deployment: None,
        active_generation: 0,
        active_release: None,
        created_at: at,
        host: host.to_owned(),
        running: None,
        supersede: Default::default(),
    }
}

fn blank(row: Row) -> Environment {
    let Row { id, app, name, created_at, host, supersede, .. } = row;
    Environment {
        id,
        app,
        name,
        created_at,
        host,
        supersede,
        active: None,
        in_progress: Vec::new(),
        urls: Vec::new(),
        instances: Vec::new(),
        traffic: Vec::new(),
    }
}

fn traffic(stats: &Stats, environment: &EnvironmentId) -> Vec<Traffic> {
    // All components of a release together.
    let mut releases: BTreeMap<&ReleaseId, (u64, u64, u64, ingress::Latency)> = BTreeMap::new();
    for counted in stats.releases.iter().filter(|release| &release.environment == environment) {
        let (requests, errors, in_flight, latency) = releases.entry(&counted.release).or_default();
        *requests += counted.requests;
        *errors += counted.statuses[4];
        *in_flight += counted.in_flight;
        latency.add(&counted.latency);
    }
    // Ids begin with the time at which they were made.
    let newest_first = releases.into_iter().rev();
    newest_first
        .map(|(release, (requests, errors, in_flight, latency))| Traffic {
            release: release.clone(),
            requests,
            errors,
            in_flight,
            p50_ms: latency.percentile(50.0),
            p95_ms: latency.percentile(95.0),
            p99_ms: latency.percentile(99.0),
        })
        .collect()
}
