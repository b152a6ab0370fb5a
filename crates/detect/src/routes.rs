//! Which component answers where when nobody says so.

use domain::config::{ConfigError, locate};
use domain::route::RoutePattern;
use domain::spec::Component;

use crate::error::DetectError;

/// Gives the default route to `web`, or to the only component that requests can reach.
/// Any other one without routes could never be reached, or would be by accident: an error.
pub(crate) fn give_default_route(components: &mut [Component], text: &str) -> Result<(), DetectError> {
    let mut without: Vec<usize> =
        (0..components.len()).filter(|i| components[*i].is_routed() && components[*i].routes.is_empty()).collect();
    let chosen = match without.as_slice() {
        [] => return Ok(()),
        [only] => Some(*only),
        several => several.iter().copied().find(|i| components[*i].name.as_str() == "web"),
    };
    without.retain(|i| Some(*i) != chosen);
    if let Some(stray) = without.first() {
        return Err(ask_for_routes(&components[*stray], text, "nothing says where it answers"));
    }
    let Some(chosen) = chosen else { return Ok(()) };
    let holder = components.iter().find(|c| c.routes.contains(&RoutePattern::default()));
    if let Some(holder) = holder {
        let why = format!("the default route, the path `/`, is `{}`'s already", holder.name);
        return Err(ask_for_routes(&components[chosen], text, &why));
    }
    components[chosen].routes.push(RoutePattern::default());
    Ok(())
}

fn ask_for_routes(component: &Component, text: &str, why: &str) -> DetectError {
    let name = &component.name;
    let message = format!("`{name}` gets requests, and {why}");
    let hint = format!("write `routes = [{{ path = \"/{name}\" }}]`, or `listens = false` for a worker");
    DetectError::Config(ConfigError::at(text, locate(text, &["components", name.as_str()]), message, Some(hint)))
}
