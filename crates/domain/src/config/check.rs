//! What must fit together within a `plimsoll.toml`.

use std::collections::BTreeMap;

use super::{ComponentConfig, Config, ConfigError, locate, nearest};
use crate::name::Name;
use crate::order::{OrderError, dependency_order};
use crate::route::RoutePattern;
use crate::spec::Stack;

pub(super) fn check(text: &str, config: &Config) -> Result<(), ConfigError> {
    for (name, component) in &config.components {
        let place = Place { text, component: name };
        static_or_process(&place, component)?;
        worker_or_web(&place, component)?;
        one_probe(&place, component)?;
        variables_hold_text(&place, component)?;
    }
    routes_differ(text, config)?;
    super::smoke::check(text, config)?;
    dependencies_have_an_order(text, config)
}

struct Place<'a> {
    text: &'a str,
    component: &'a Name,
}

impl Place<'_> {
    fn error(&self, keys: &[&str], message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        let mut path = vec!["components", self.component.as_str()];
        path.extend(keys);
        ConfigError::at(self.text, locate(self.text, &path), message, Some(hint.into()))
    }
}

fn static_or_process(place: &Place<'_>, component: &ComponentConfig) -> Result<(), ConfigError> {
    let is_static = component.publish.is_some() || component.kind == Some(Stack::Static);
    if !is_static {
        return match component.single_page {
            Some(_) if component.start.is_some() => Err(place.error(
                &["single_page"],
                "`single_page` is for files that are served, and this component has a `start` command",
                "remove one of the two",
            )),
            _ => Ok(()),
        };
    }
    let process_keys = [
        ("start", component.start.is_some()),
        ("listens", component.listens.is_some()),
        ("instances", component.instances.is_some()),
        ("stop_timeout", component.stop_timeout.is_some()),
        ("request_timeout", component.request_timeout.is_some()),
        ("max_body", component.max_body.is_some()),
        ("health", component.health.is_some()),
        ("limits", component.limits.is_some()),
    ];
    match process_keys.iter().find(|(_, present)| *present) {
        Some((key, _)) => {
            let why = if component.publish.is_some() { "`publish`" } else { "`kind = \"static\"`" };
            Err(place.error(
                &[key],
                format!("`{key}` is for a process, and {why} makes this component a folder of files"),
                format!("remove `{key}`, or serve a process with `start` in place of {why}"),
            ))
        }
        None => Ok(()),
    }
}

fn worker_or_web(place: &Place<'_>, component: &ComponentConfig) -> Result<(), ConfigError> {
    if component.listens != Some(false) {
        return Ok(());
    }
    if !component.routes.is_empty() {
        return Err(place.error(
            &["routes"],
            "a component with `listens = false` can't have routes",
            "remove the routes, or `listens = false`",
        ));
    }
    let for_requests =
        [("request_timeout", component.request_timeout.is_some()), ("max_body", component.max_body.is_some())];
    if let Some((key, _)) = for_requests.iter().find(|(_, present)| *present) {
        return Err(place.error(
            &[key],
            "a component with `listens = false` gets no requests",
            format!("remove `{key}`, or `listens = false`"),
        ));
    }
    let health = component.health.as_ref();
    for (key, present) in
        [("path", health.is_some_and(|h| h.path.is_some())), ("tcp", health.is_some_and(|h| h.tcp.is_some()))]
    {
        if present {
            return Err(place.error(
                &["health", key],
                format!("`{key}` probes a port, and a component with `listens = false` has none"),
                "use `command`, or leave it out: then it is healthy when it runs",
            ));
        }
    }
    Ok(())
}

fn one_probe(place: &Place<'_>, component: &ComponentConfig) -> Result<(), ConfigError> {
    let Some(health) = &component.health else { return Ok(()) };
    if health.tcp == Some(false) {
        return Err(place.error(
            &["health", "tcp"],
            "`tcp = false` leaves nothing to probe",
            "use `path` or `command`, or leave `tcp` out",
        ));
    }
    let given: Vec<&str> =
        [("path", health.path.is_some()), ("tcp", health.tcp.is_some()), ("command", health.command.is_some())]
            .into_iter()
            .filter_map(|(key, present)| present.then_some(key))
            .collect();
    match given.as_slice() {
        [first, second, ..] => Err(place.error(
            &["health", second],
            format!("`{second}` and `{first}` are two ways to probe"),
            "keep one of `path`, `tcp` and `command`",
        )),
        _ => Ok(()),
    }
}

fn variables_hold_text(place: &Place<'_>, component: &ComponentConfig) -> Result<(), ConfigError> {
    match component.env.iter().find(|(_, value)| value.contains('\0')) {
        Some((name, _)) => Err(place.error(
            &["env", name.as_str()],
            format!("the value of `{}` holds a NUL character", name.as_str()),
            "no process can be given one; remove it",
        )),
        None => Ok(()),
    }
}

fn routes_differ(text: &str, config: &Config) -> Result<(), ConfigError> {
    let mut seen: Vec<(&RoutePattern, &Name)> = Vec::new();
    for (name, component) in &config.components {
        for (index, route) in component.routes.iter().enumerate() {
            if let Some((_, other)) = seen.iter().find(|(known, _)| *known == route) {
                let place = Place { text, component: name };
                let host = route.host.as_ref().map_or("", |h| h.as_str());
                return Err(place.error(
                    &["routes", &index.to_string()],
                    format!("the route `{host}{}` is there twice: `{other}` has it too", route.path),
                    "give one of them another `path` or `host`",
                ));
            }
            seen.push((route, name));
        }
    }
    Ok(())
}

fn dependencies_have_an_order(text: &str, config: &Config) -> Result<(), ConfigError> {
    let graph: BTreeMap<Name, Vec<Name>> =
        config.components.iter().map(|(name, c)| (name.clone(), c.depends_on.clone())).collect();
    for (name, component) in &config.components {
        for (index, need) in component.depends_on.iter().enumerate() {
            if !graph.contains_key(need) {
                let known: Vec<&str> = graph.keys().map(Name::as_str).collect();
                let hint = match nearest(need.as_str(), &known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write `[components.{need}]` too; there are: {}", known.join(", ")),
                };
                let place = Place { text, component: name };
                return Err(place.error(
                    &["depends_on", &index.to_string()],
                    format!("`{name}` depends on `{need}`, which is not a component"),
                    hint,
                ));
            }
        }
    }
    match dependency_order(&graph) {
        Ok(_) => Ok(()),
        Err(OrderError::Circle(circle)) => {
            let names: Vec<&str> = circle.split(", ").collect();
            let first = graph.keys().find(|name| names.contains(&name.as_str()));
            let message = match names.as_slice() {
                [one] => format!("`{one}` depends on itself"),
                _ => format!("components depend on each other in a circle: {circle}"),
            };
            let span = first.map_or(0..0, |name| locate(text, &["components", name.as_str(), "depends_on"]));
            Err(ConfigError::at(text, span, message, Some("remove one of the dependencies".to_owned())))
        }
        Err(error @ OrderError::Unknown { .. }) => Err(ConfigError::at(text, 0..0, error.to_string(), None)),
    }
}
