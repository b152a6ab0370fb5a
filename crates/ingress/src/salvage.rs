//! What can be served of an environment that can't be served as a whole: a bad route takes down itself alone.

use std::net::SocketAddr;

use domain::Name;
use domain::route::{Host, PathPrefix};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::route::{EnvironmentRoutes, Gate, Route, RouteLimits, Target};
use crate::table::{Change, RouteTable};

/// A table with what could be saved, and what could not, in one sentence each.
pub(crate) struct Saved {
    pub(crate) table: RouteTable,
    pub(crate) faults: Vec<String>,
}

/// None if the environment itself is unreadable or may not be put.
pub(crate) fn salvage(raw: &Value, table: &RouteTable) -> Option<Saved> {
    let mut frame = raw.clone();
    let routes = frame.get_mut("routes")?.as_array_mut().map(std::mem::take)?;
    let mut environment = EnvironmentRoutes::deserialize(&frame).ok()?;
    table.check(&environment).ok()?;
    let mut faults = Vec::new();
    for (n, raw) in routes.iter().enumerate() {
        let Err(reason) = add(&mut environment, table, Route::deserialize(raw).map_err(|e| e.to_string())) else {
            continue;
        };
        let place = match (part::<Host>(raw, "host"), part::<PathPrefix>(raw, "path")) {
            (Some(host), Some(path)) => format!("the route `{host}{path}`"),
            _ => format!("route {}", n + 1),
        };
        faults.push(format!("{place} of `{}` can't be served: {reason}", environment.app));
        // Answered by nobody, or a shorter path of the host would answer in its place.
        let _ = add(&mut environment, table, stand_in(raw).ok_or_else(String::new));
    }
    let table = table.apply(&Change::Put(environment)).ok()?;
    Some(Saved { table, faults })
}

fn add(environment: &mut EnvironmentRoutes, table: &RouteTable, route: Result<Route, String>) -> Result<(), String> {
    environment.routes.push(route?);
    table.check(environment).map_err(|refused| {
        environment.routes.pop();
        refused.to_string()
    })
}

fn stand_in(raw: &Value) -> Option<Route> {
    Some(Route {
        host: part(raw, "host")?,
        path: part(raw, "path")?,
        component: part::<Name>(raw, "component")?,
        target: Target::Upstreams { upstreams: Vec::<SocketAddr>::new(), standby: vec![], gate: Gate::None },
        limits: RouteLimits::default(),
    })
}

fn part<T: DeserializeOwned>(raw: &Value, key: &str) -> Option<T> {
    serde_json::from_value(raw.get(key)?.clone()).ok()
}
