//! Deploy windows and freezes, and those that go past them.

use chrono::{DateTime, Utc};
use domain::event::EventKind;
use domain::queue::Priority;
use domain::schedule::{InvalidZone, parse_instant};
use domain::window::{self, Freeze, Rule, Verdict, Weekly};
use domain::{BypassId, Name, WindowId};
use operations::windows::{
    Bypass, Bypasses, BypassesRequest, Create, CreateRequest, Delete, DeleteRequest, List, ListRequest, NewFreeze,
    NewRule, NewWeekly, Window,
};
use operations::{Error, Page};
use store::Tx;
use store::windows::Record;
use ulid::Ulid;

use super::order::When;
use super::{app_named, commit, environment_named, page_cursor, page_limit};
use crate::Control;
use crate::access::{Admitted, missing};
use crate::caller::Handle;
use crate::error::store_error;

/// All of them are looked at whenever a deployment is to start.
const MOST: usize = 1000;
/// What people read in a line.
const REASON: usize = 200;

impl Handle<Create> for Control {
    async fn handle(&self, who: &Admitted, request: CreateRequest) -> Result<Window, Error> {
        let now = store::time::micros(store::clock::now());
        let CreateRequest { app, environment, rule } = request;
        let rule = match rule {
            NewRule::Deploy(NewWeekly { days, from, to, zone }) => {
                let zone = zone.parse().map_err(|e: InvalidZone| Error::unprocessable(e.to_string()))?;
                Rule::Deploy(Weekly { days, from, to, zone })
            }
            NewRule::Freeze(freeze) => Rule::Freeze(checked(freeze, now)?),
        };
        let tx = self.write().await?;
        let app = match (&app, &environment) {
            (Some(app), Some(environment)) => Some(environment_named(&tx, app, environment).await?.0),
            (Some(app), None) => Some(app_named(&tx, app).await?),
            (None, _) => None,
        };
        if store::windows::list(&tx, Some(now)).await.map_err(store_error)?.len() >= MOST {
            return Err(Error::conflict(format!("there are {MOST} windows and freezes, and no more are taken"))
                .hint("remove some: `plimsoll windows list`"));
        }
        let record = Record {
            id: WindowId::from_ulid(Ulid::generate()),
            app: app.map(|app| (app.id, app.name)),
            environment,
            rule,
            created_by: who.name.clone(),
            created_at: now,
        };
        store::windows::insert(&tx, &record).await.map_err(store_error)?;
        let (window, rule, by) = (record.id.clone(), told(&record.rule), who.name.clone());
        tell(&tx, &record, EventKind::WindowCreated { window, rule, by }).await?;
        let response = shown(record, now);
        let recorded = self.conclude::<Create>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<List> for Control {
    async fn handle(&self, who: &Admitted, request: ListRequest) -> Result<Vec<Window>, Error> {
        let now = store::clock::now();
        if let Some(app) = &request.app {
            app_named(self.store(), app).await?;
        }
        let since = (!request.ended).then_some(now);
        let mut records = store::windows::list(self.store(), since).await.map_err(store_error)?;
        let fits = |wanted: &Option<Name>, own: Option<&Name>| match (wanted, own) {
            (Some(wanted), Some(own)) => wanted == own,
            _ => true,
        };
        // Few, and those of all apps hold for whoever asks.
        let sees = who.sees();
        let is_seen = |record: &Record| record.app.as_ref().is_none_or(|(app, _)| sees.includes(app));
        records.retain(|record| {
            is_seen(record)
                && fits(&request.app, record.app.as_ref().map(|(_, name)| name))
                && fits(&request.environment, record.environment.as_ref())
        });
        Ok(records.into_iter().map(|record| shown(record, now)).collect())
    }
}

impl Handle<Delete> for Control {
    async fn handle(&self, who: &Admitted, request: DeleteRequest) -> Result<Window, Error> {
        let tx = self.write().await?;
        let found = store::windows::find(&tx, &request.window).await.map_err(store_error)?;
        let record = found.ok_or_else(|| missing::window(&request.window))?;
        store::windows::remove(&tx, &record.id).await.map_err(store_error)?;
        let (window, rule, by) = (record.id.clone(), told(&record.rule), who.name.clone());
        tell(&tx, &record, EventKind::WindowDeleted { window, rule, by }).await?;
        let response = shown(record, store::clock::now());
        let recorded = self.conclude::<Delete>(&tx, who, &response).await?;
        commit(tx, recorded).await?;
        Ok(response)
    }
}

impl Handle<Bypasses> for Control {
    async fn handle(&self, who: &Admitted, request: BypassesRequest) -> Result<Page<Bypass>, Error> {
        let limit = page_limit(request.limit)?;
        let before = page_cursor::<BypassId>(request.cursor.as_deref())?;
        let rows = store::bypasses::list(self.store(), &who.sees(), before.as_ref(), u64::from(limit) + 1).await;
        let shown = |row: store::bypasses::Bypass| Bypass {
            id: row.id,
            deployment: row.deployment,
            app: row.app,
            environment: row.environment,
            window: row.window,
            rule: row.rule,
            reason: row.reason,
            requested_by: row.requested_by,
            approved_by: row.approved_by,
            at: row.at,
        };
        let rows = rows.map_err(store_error)?.into_iter().map(shown).collect();
        Ok(Page::of(rows, limit, |bypass: &Bypass| bypass.id.to_string()))
    }
}

/// The reason for going past windows, if it may be done at all.
pub(super) fn reason(reason: &str, when: &When) -> Result<String, Error> {
    if when.priority != Priority::Critical {
        return Err(Error::unprocessable(format!(
            "only a critical deployment may go past a closed window, and this one is {}",
            when.priority
        ))
        .hint("give it the priority critical, or wait for the window to open"));
    }
    plain(reason).ok_or_else(|| {
        Error::unprocessable("the reason for going past a closed window is empty or too long")
            .hint(format!("say why in 1 to {REASON} characters"))
    })
}

async fn tell(tx: &Tx, record: &Record, kind: EventKind) -> Result<(), Error> {
    let app = record.app.as_ref().map(|(_, name)| name);
    store::events::insert(tx, app, record.environment.as_ref(), None, &kind, store::clock::now())
        .await
        .map_err(store_error)?;
    Ok(())
}

fn checked(freeze: NewFreeze, now: DateTime<Utc>) -> Result<Freeze, Error> {
    let instant = |text: &Option<String>| {
        let parsed = text.as_deref().map(|text| parse_instant(text, now)).transpose();
        parsed.map(|moment| moment.map(|m| store::time::micros(m.at))).map_err(|e| Error::unprocessable(e.to_string()))
    };
    let (from, until) = (instant(&freeze.from)?.unwrap_or(now), instant(&freeze.until)?);
    if let Some(until) = until {
        if until <= from {
            return Err(Error::unprocessable(format!("the freeze would end ({until}) before it begins ({from})"))
                .hint("name an end after the begin, or leave it out"));
        }
        if until <= now {
            return Err(
                Error::unprocessable(format!("the end of the freeze, {until}, is past")).hint("name a time to come")
            );
        }
    }
    let reason = plain(&freeze.reason).ok_or_else(|| {
        Error::unprocessable("the reason of the freeze is empty or too long")
            .hint(format!("say why in 1 to {REASON} characters: those who wait will read it"))
    })?;
    Ok(Freeze { from, until, reason })
}

fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= REASON && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

fn told(rule: &Rule) -> String {
    match rule {
        Rule::Deploy(weekly) => format!("deploy window {weekly}"),
        Rule::Freeze(freeze) => match freeze.until {
            Some(until) => format!("freeze from {} to {until}: {}", freeze.from, freeze.reason),
            None => format!("freeze from {}: {}", freeze.from, freeze.reason),
        },
    }
}

fn shown(record: Record, at: DateTime<Utc>) -> Window {
    let alone = [record.window()];
    let verdict = window::verdict(&alone, at);
    let (open, changes_at) = match verdict {
        Verdict::Open { until } => (true, until),
        Verdict::Closed { until, .. } => (false, until),
    };
    let now = match &record.rule {
        Rule::Deploy(_) => open,
        Rule::Freeze(_) => !open,
    };
    Window {
        id: record.id,
        app: record.app.map(|(_, name)| name),
        environment: record.environment,
        rule: record.rule,
        now,
        changes_at,
        created_by: record.created_by,
        created_at: record.created_at,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn new(from: Option<&str>, until: Option<&str>, reason: &str) -> NewFreeze {
        NewFreeze { from: from.map(str::to_owned), until: until.map(str::to_owned), reason: reason.to_owned() }
    }

    #[test]
    fn a_freeze_that_makes_no_sense_says_what_is_wrong() {
        let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let fine = checked(new(None, Some("in 2h"), " sale "), now).unwrap();
        assert_eq!(
            (fine.from, fine.until, fine.reason.as_str()),
            (now, Some(now + chrono::TimeDelta::hours(2)), "sale")
        );
        for (freeze, status, words) in [
            (new(Some("in 2h"), Some("in 1h"), "x"), 422, "before it begins"),
            (new(Some("2026-01-01 00:00 UTC"), Some("2026-01-02 00:00 UTC"), "x"), 422, "is past"),
            (new(None, Some("2026-12-01 09:30 Berlin"), "x"), 422, "Europe/Berlin"),
            (new(None, None, " "), 422, "reason"),
            (new(None, None, "a\nb"), 422, "reason"),
        ] {
            let error = checked(freeze, now).unwrap_err();
            assert!(error.status == status && error.detail.contains(words), "{error:?}");
        }
    }

    #[test]
    fn only_a_critical_one_with_a_reason_goes_past() {
        let when = |priority| When { priority, not_before: None };
        assert_eq!(reason("outage", &when(Priority::Critical)).unwrap(), "outage");
        assert_eq!(reason("outage", &when(Priority::High)).unwrap_err().status, 422);
        assert_eq!(reason("", &when(Priority::Critical)).unwrap_err().status, 422);
    }
}
