//! Schedules: making, looking at, changing and removing them. What runs them is in [`crate::tick`].

use chrono::{DateTime, Utc};
use domain::access::Sees;
use domain::event::EventKind;
use domain::labels::Labels;
use domain::schedule::{Cron, InvalidCron, Missed, Zone};
use domain::source::Source;
use domain::{Name, ScheduleId, TokenId};
use operations::deployments::DeployRequest;
use operations::schedules::{
    Create, CreateRequest, Delete, Get, List, ListRequest, Preview, PreviewRequest, Previewed, Run, Schedule,
    ScheduleRequest, Template, Update, UpdateRequest,
};
use operations::{Error, Operation};
use store::schedules::{Filter, Schedule as Row};
use store::{Constraint, Session, StoreError};
use ulid::Ulid;

use super::order::critical;
use super::{Write, app_named, check_reference, check_source, commit, environment_named};
use crate::Control;
use crate::access::{Admitted, missing, sources};
use crate::caller::Handle;
use crate::error::store_error;

/// Runs that are shown.
const UPCOMING: usize = 5;

impl Handle<Create> for Control {
    async fn handle(&self, who: &Admitted, request: CreateRequest) -> Result<Schedule, Error> {
        let CreateRequest { app, environment, name, cron, missed, order } = request;
        check(&order)?;
        let cron = parsed(&cron)?;
        let now = store::time::micros(store::clock::now());
        let tx = self.write().await?;
        let (app, environment) = environment_named(&tx, &app, &environment).await?;
        critical(who, &app.id, order.priority)?;
        if let Some(asked) = &order.source {
            sources::check(who, &tx, asked, app.source.as_ref()).await?;
        }
        if order.source.is_none() && app.source.is_none() {
            return Err(Error::unprocessable(format!("nothing says where the source of `{}` is", app.name))
                .hint("give the schedule a source, or set the app's with `plimsoll apps set-source`"));
        }
        let row = Row {
            id: ScheduleId::from_ulid(Ulid::generate()),
            app_id: app.id,
            environment_id: environment.id,
            app: app.name,
            name: name.unwrap_or_else(|| environment.name.clone()),
            environment: environment.name,
            next_at: cron.next_after(now),
            cron,
            missed,
            enabled: true,
            template: serde_json::to_value(&order).map_err(|_| Error::internal())?,
            created_by: who.name.clone(),
            owner: owner(who),
            created_at: now,
            last_planned_at: None,
            last_run: None,
        };
        match store::schedules::insert(&tx, &row).await {
            Err(StoreError::Conflict(Constraint::Id { .. })) => {
                return Err(Error::conflict(format!("`{}` has a schedule named `{}` already", row.app, row.name))
                    .hint(format!(
                        "give this one another name, or change that one: `plimsoll schedules change {} --cron …`",
                        row.name
                    )));
            }
            other => other.map_err(store_error)?,
        }
        let (schedule, name, by) = (row.id.clone(), row.name.clone(), who.name.clone());
        self.schedule_changed::<Create>(who, tx, row, EventKind::ScheduleCreated { schedule, name, by }).await
    }
}

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Vec<Schedule>, Error> {
        let filter = match (&request.app, &request.environment) {
            (Some(app), Some(environment)) => {
                let (app, environment) = environment_named(self.store(), app, environment).await?;
                Filter { app: Some(app.id), environment: Some(environment.id), sees: Sees::All }
            }
            (Some(app), None) => Filter { app: Some(app_named(self.store(), app).await?.id), ..Filter::default() },
            (None, Some(_)) => {
                return Err(Error::unprocessable("an environment belongs to an app, and none is named")
                    .hint("name the app too"));
            }
            (None, None) => Filter::default(),
        };
        let filter = Filter { sees: who.sees(), ..filter };
        store::schedules::list(self.store(), &filter).await.map_err(store_error)?.into_iter().map(shown).collect()
    }
}

impl Handle<Get> for Control {
    async fn handle(&self, who: &Admitted, request: ScheduleRequest) -> Result<Schedule, Error> {
        shown(named(self.store(), who, &request.schedule).await?)
    }
}

impl Handle<Update> for Control {
    async fn handle(&self, who: &Admitted, request: UpdateRequest) -> Result<Schedule, Error> {
        let UpdateRequest { schedule, enabled, cron, missed } = request;
        if enabled.is_none() && cron.is_none() && missed.is_none() {
            return Err(Error::unprocessable("nothing says what is to be changed of the schedule")
                .hint("give `cron`, `missed` or `enabled`"));
        }
        let cron = cron.as_deref().map(parsed).transpose()?;
        let tx = self.write().await?;
        let mut row = named(&tx, who, &schedule).await?;
        // Anybody who deploys there may stop it.
        if enabled != Some(false) || cron.is_some() || missed.is_some() {
            may_order(who, &tx, &row).await?;
        }
        // Who says when it runs has it run in their own name, and with what they may do themselves.
        if enabled == Some(true) || cron.is_some() {
            row.owner = owner(who);
            row.created_by.clone_from(&who.name);
        }
        let (cron, missed) = change(&mut row, enabled, cron, missed, store::clock::now());
        store::schedules::change(&tx, &row).await.map_err(store_error)?;
        let (schedule, name, by) = (row.id.clone(), row.name.clone(), who.name.clone());
        let event =
            EventKind::ScheduleChanged { schedule, name, enabled: row.enabled, cron: cron.map(Box::new), missed, by };
        self.schedule_changed::<Update>(who, tx, row, event).await
    }
}

impl Handle<Delete> for Control {
    async fn handle(&self, who: &Admitted, request: ScheduleRequest) -> Result<Schedule, Error> {
        let tx = self.write().await?;
        let row = named(&tx, who, &request.schedule).await?;
        store::schedules::remove(&tx, &row.id).await.map_err(store_error)?;
        let (schedule, name, by) = (row.id.clone(), row.name.clone(), who.name.clone());
        self.schedule_changed::<Delete>(who, tx, row, EventKind::ScheduleDeleted { schedule, name, by }).await
    }
}

impl Handle<Preview> for Control {
    async fn handle(&self, _: &Admitted, request: PreviewRequest) -> Result<Previewed, Error> {
        let here = request.zone.parse::<Zone>().map_err(|e| Error::unprocessable(format!("`zone`: {e}")))?;
        Ok(preview(parsed(&request.cron)?, here, store::clock::now()))
    }
}

impl Control {
    async fn schedule_changed<O>(
        &self,
        who: &Admitted,
        tx: Write,
        row: Row,
        event: EventKind,
    ) -> Result<Schedule, Error>
    where
        O: Operation<Response = Schedule>,
    {
        store::events::insert(&tx, Some(&row.app), Some(&row.environment), None, &event, store::clock::now())
            .await
            .map_err(store_error)?;
        let response = shown(row)?;
        let recorded = self.conclude::<O>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

/// Whether the caller could make the schedule themselves.
async fn may_order(who: &Admitted, tx: &Write, row: &Row) -> Result<(), Error> {
    let order = template(row)?;
    critical(who, &row.app_id, order.priority)?;
    if let Some(asked) = &order.source {
        let app = app_named(tx, &row.app).await?;
        sources::check(who, tx, asked, app.source.as_ref()).await?;
    }
    Ok(())
}

/// For whom a schedule of this caller's acts: the token that they came with, whose worth and end are its own too; else themselves.
fn owner(who: &Admitted) -> String {
    let token = who.credential.token().map(TokenId::as_str);
    token.unwrap_or_else(|| who.principal.id()).to_owned()
}

/// What a run of the schedule asks for.
pub(crate) fn request(row: &Row) -> Result<DeployRequest, Error> {
    let Template { source, reference, tags, metadata, priority } = template(row)?;
    Ok(DeployRequest {
        app: row.app.clone(),
        environment: row.environment.clone(),
        source,
        reference,
        plan: None,
        tags,
        metadata,
        priority,
        not_before: None,
        bypass_window: None,
    })
}

fn parsed(cron: &str) -> Result<Cron, Error> {
    cron.parse().map_err(|e: InvalidCron| Error::unprocessable(e.to_string()))
}

fn preview(cron: Cron, here: Zone, now: DateTime<Utc>) -> Previewed {
    let runs = std::iter::successors(cron.next_after(now), |last| cron.next_after(*last)).take(UPCOMING);
    let runs = runs.map(|at| Run { at, there: cron.zone().show(at), here: here.show(at) }).collect();
    Previewed { words: cron.words(), runs, cron }
}

/// Changes what is given of a schedule, and plans its next run. Returns the cron expression and the policy if they are new.
fn change(
    row: &mut Row,
    enabled: Option<bool>,
    cron: Option<Cron>,
    missed: Option<Missed>,
    now: DateTime<Utc>,
) -> (Option<Cron>, Option<Missed>) {
    let (cron, missed) = (cron.filter(|cron| *cron != row.cron), missed.filter(|missed| *missed != row.missed));
    let enabled = enabled.filter(|enabled| *enabled != row.enabled);
    row.enabled = enabled.unwrap_or(row.enabled);
    row.missed = missed.unwrap_or(row.missed);
    if let Some(cron) = &cron {
        row.cron = cron.clone();
    }
    // As it was before, what is planned stays, also if its time has come.
    if cron.is_some() || enabled.is_some() {
        // Never a plan again that was carried out, should the clock have jumped back.
        let after = row.last_planned_at.map_or(now, |planned| planned.max(now));
        row.next_at = if row.enabled { row.cron.next_after(after) } else { None };
    }
    (cron, missed)
}

fn template(row: &Row) -> Result<Template, Error> {
    serde_json::from_value(row.template.clone()).map_err(|e| {
        tracing::error!(schedule = %row.id, "what it deploys can't be read back: {e}");
        Error::internal()
    })
}

fn check(order: &Template) -> Result<(), Error> {
    if let Some(Source::Archive { .. }) = &order.source {
        return Err(Error::unprocessable("a schedule can't deploy an uploaded archive")
            .hint("an upload is gone when it was deployed: name a git repository or a folder"));
    }
    order.source.as_ref().map_or(Ok(()), check_source)?;
    order.reference.as_deref().map_or(Ok(()), check_reference)?;
    let labels = Labels::of_deployment(order.tags.clone(), order.metadata.clone());
    labels
        .map(drop)
        .map_err(|e| Error::invalid(e.to_string()).hint("leave some out; labels are for people to find a release"))
}

fn shown(row: Row) -> Result<Schedule, Error> {
    let order = template(&row)?;
    let next = |last: &DateTime<Utc>| row.cron.next_after(*last);
    let upcoming = std::iter::successors(row.next_at, next).take(UPCOMING).collect();
    Ok(Schedule {
        id: row.id,
        name: row.name,
        app: row.app,
        environment: row.environment,
        upcoming,
        cron: row.cron,
        missed: row.missed,
        enabled: row.enabled,
        order,
        last_run: row.last_run,
        created_by: row.created_by,
        created_at: row.created_at,
    })
}

async fn named(session: &impl Session, who: &Admitted, wanted: &str) -> Result<Row, Error> {
    find(session, &who.sees(), wanted).await?.ok_or_else(|| missing::schedule(wanted))
}

/// By id, or by a name that one schedule alone has of those that are seen.
pub(crate) async fn find(session: &impl Session, sees: &Sees, wanted: &str) -> Result<Option<Row>, Error> {
    if let Ok(id) = wanted.parse::<ScheduleId>()
        && let Some(row) = store::schedules::find(session, &id).await.map_err(store_error)?
    {
        return Ok(Some(row).filter(|row| sees.includes(&row.app_id)));
    }
    let mut having = match wanted.parse::<Name>() {
        Ok(name) => store::schedules::named(session, sees, &name).await.map_err(store_error)?,
        Err(_) => Vec::new(),
    };
    match having.len() {
        0 | 1 => Ok(having.pop()),
        several => {
            let ids: Vec<String> = having.iter().map(|row| format!("{} of {}", row.id, row.app)).collect();
            Err(Error::conflict(format!("{several} schedules have that name"))
                .hint(format!("name one by its id: {}", ids.join(", "))))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use domain::{AppId, EnvironmentId};

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Each day at six; it ran on the 20th.
    fn row() -> Row {
        Row {
            id: ScheduleId::from_ulid(Ulid::generate()),
            app_id: AppId::from_ulid(Ulid::generate()),
            environment_id: EnvironmentId::from_ulid(Ulid::generate()),
            app: "shop".parse().unwrap(),
            environment: "production".parse().unwrap(),
            name: "daily".parse().unwrap(),
            cron: "0 6 * * * UTC".parse().unwrap(),
            missed: Missed::RunOnce,
            enabled: true,
            template: serde_json::json!({}),
            created_by: "admin".into(),
            owner: String::new(),
            created_at: at("2026-11-01T00:00:00Z"),
            next_at: Some(at("2026-11-21T06:00:00Z")),
            last_planned_at: Some(at("2026-11-20T06:00:00Z")),
            last_run: None,
        }
    }

    #[test]
    fn another_cron_expression_counts_from_now_on() {
        let now = at("2026-11-20T12:00:00Z");
        let cron: Cron = "30 13 * * * UTC".parse().unwrap();
        let mut changed = row();
        let told = change(&mut changed, None, Some(cron.clone()), Some(Missed::Skip), now);
        assert_eq!(told, (Some(cron.clone()), Some(Missed::Skip)));
        assert_eq!((&changed.cron, changed.missed), (&cron, Missed::Skip));
        assert_eq!(changed.next_at, Some(at("2026-11-20T13:30:00Z")));
        // What was due and not yet carried out is no plan any more.
        let mut due = row();
        change(&mut due, None, Some(cron.clone()), None, at("2026-11-21T06:00:01Z"));
        assert_eq!(due.next_at, Some(at("2026-11-21T13:30:00Z")));
        // Not again what was carried out, whatever the clock says now.
        let mut back = row();
        change(&mut back, None, Some("0 * * * * UTC".parse().unwrap()), None, at("2026-11-20T04:10:00Z"));
        assert_eq!(back.next_at, Some(at("2026-11-20T07:00:00Z")));
        // One that is disabled stays so, and takes it up when it is enabled.
        let mut disabled = Row { enabled: false, next_at: None, ..row() };
        change(&mut disabled, None, Some(cron), None, now);
        assert_eq!(disabled.next_at, None);
        assert_eq!(change(&mut disabled, Some(true), None, None, now), (None, None));
        assert_eq!(disabled.next_at, Some(at("2026-11-20T13:30:00Z")));
    }

    #[test]
    fn a_preview_tells_both_zones_across_a_change_of_clocks() {
        let cron = "30 2 * * * Europe/Berlin".parse().unwrap();
        let found = preview(cron, "America/New_York".parse().unwrap(), at("2026-10-23T12:00:00Z"));
        assert_eq!(found.words, "at 02:30, every day");
        let told: Vec<_> = found.runs.iter().map(|run| (run.there.as_str(), run.here.as_str())).collect();
        assert_eq!(
            told[..3],
            [
                ("2026-10-24 02:30 CEST", "2026-10-23 20:30 EDT"),
                ("2026-10-25 02:30 CEST", "2026-10-24 20:30 EDT"),
                ("2026-10-26 02:30 CET", "2026-10-25 21:30 EDT"),
            ]
        );
        assert_eq!((told.len(), found.runs[2].at), (5, at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn what_is_the_same_already_moves_no_plan() {
        let late = at("2026-11-23T12:00:00Z");
        let mut same = row();
        assert_eq!(change(&mut same, Some(true), Some(row().cron), Some(Missed::RunOnce), late), (None, None));
        assert_eq!(same.next_at, row().next_at, "what was missed is made up for");
        let mut policy = row();
        assert_eq!(change(&mut policy, None, None, Some(Missed::Skip), late), (None, Some(Missed::Skip)));
        assert_eq!(policy.next_at, row().next_at, "and by the policy that it has now");
    }
}
