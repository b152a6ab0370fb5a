//! Which component a smoke test is about, and whether it can be run there.

use domain::config::{Config, ConfigError, SmokeTestConfig, locate, nearest};
use domain::smoke::{SmokeTest, When};
use domain::spec::{AppSpec, Component, Serve};

use crate::error::DetectError;

/// The tests of `plimsoll.toml`, each for a component of the app.
pub(crate) fn smoke_tests(config: &Config, app: &AppSpec, text: &str) -> Result<Vec<SmokeTest>, DetectError> {
    config.smoke_tests.iter().enumerate().map(|(index, test)| one(test, Place { text, index }, app)).collect()
}

#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a str,
    index: usize,
}

impl Place<'_> {
    fn error(self, key: &str, message: String, hint: impl Into<String>) -> DetectError {
        let index = self.index.to_string();
        let span = locate(self.text, &["smoke_tests", &index, key]);
        DetectError::Config(ConfigError::at(self.text, span, message, Some(hint.into())))
    }
}

fn one(test: &SmokeTestConfig, place: Place<'_>, app: &AppSpec) -> Result<SmokeTest, DetectError> {
    let component = component(test, place, app)?;
    let is_static = matches!(component.serve, Serve::Static { .. });
    if is_static && test.when == Some(When::Before) {
        let message = format!("`{}` is files, which nobody serves before the cutover", component.name);
        return Err(place.error("when", message, "use `when = \"after\"`"));
    }
    if test.command.is_none() {
        if !component.is_routed() {
            let message = format!("`{}` does not listen, so it can't be sent a request", component.name);
            return Err(place.error("component", message, "test it with a `command`, or name another component"));
        }
        let path = test.path.as_ref().map_or("/", |p| p.as_str());
        if !component.routes.is_empty() && app.route_to(&component.name, path).is_none() {
            let routes: Vec<&str> = component.routes.iter().map(|r| r.path.as_str()).collect();
            let message = format!("the path `{path}` does not lead to `{}`", component.name);
            let hint = format!("its routes are {}; write the path as visitors ask for it", routes.join(", "));
            return Err(place.error("path", message, hint));
        }
    }
    Ok(test.resolve(component.name.clone()))
}

/// The one that is named; else the only one that answers requests, `web`, or the only one at all.
fn component<'a>(test: &SmokeTestConfig, place: Place<'_>, app: &'a AppSpec) -> Result<&'a Component, DetectError> {
    let names: Vec<&str> = app.components.iter().map(|c| c.name.as_str()).collect();
    if let Some(name) = &test.component {
        return app.component(name).ok_or_else(|| {
            let hint = match nearest(name.as_str(), &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", names.join(", ")),
            };
            place.error("component", format!("there is no component `{name}`"), hint)
        });
    }
    let routed: Vec<&Component> = app.components.iter().filter(|c| c.is_routed()).collect();
    match (routed.as_slice(), app.components.as_slice()) {
        ([only], _) => Ok(*only),
        ([], [only]) => Ok(only),
        _ => app.components.iter().find(|c| c.name.as_str() == "web").ok_or_else(|| {
            let message = "nothing says which component this smoke test is about".to_owned();
            place.error("name", message, format!("add `component = \"…\"`: one of {}", names.join(", ")))
        }),
    }
}
