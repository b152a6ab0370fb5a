//! The environment of a user's command: what was asked for, and defaults for the
//! few variables without which ordinary programs stumble.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use domain::redact::Redactor;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `PATH` is the server's own, so that apps find the programs that their builds found.
pub(crate) fn complete(
    mut env: BTreeMap<String, String>,
    path: Option<String>,
    home: &Path,
    temp: Option<&Path>,
) -> BTreeMap<String, String> {
    let mut default = |name: &str, value: String| {
        env.entry(name.to_owned()).or_insert(value);
    };
    default("PATH", path.unwrap_or_else(|| PATH.to_owned()));
    default("HOME", home.to_string_lossy().into_owned());
    default("LANG", "C.UTF-8".to_owned());
    if let Some(temp) = temp {
        default("TMPDIR", temp.to_string_lossy().into_owned());
    }
    env
}

/// Takes out of what is printed with this environment the values of the variables that are secret.
pub(crate) fn redactor(env: &BTreeMap<String, String>, secrets: &BTreeSet<String>) -> Redactor {
    Redactor::new(secrets.iter().filter_map(|name| env.get(name)).map(String::as_str))
}

/// The server's own `PATH`.
pub(crate) fn own_path() -> Option<String> {
    std::env::var("PATH").ok().filter(|path| !path.is_empty())
}
