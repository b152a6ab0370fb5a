//! Files that are made from the code and kept in the repository, so that a change of them is seen in review.

use std::path::Path;

use serde_json::Value;

/// Path in the workspace, and what belongs there.
fn files() -> Result<Vec<(&'static str, String)>, String> {
    Ok(vec![
        ("openapi.json", text(server::openapi())?),
        ("docs/plimsoll.schema.json", text(domain::config::schema().to_value())?),
        ("docs/tools.md", mcp::tools::page()),
    ])
}

/// Writes the generated files, or says how they differ.
pub(crate) fn run(root: &Path, check: bool) -> Result<(), String> {
    let mut stale = Vec::new();
    for (path, wanted) in files()? {
        let file = root.join(path);
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        if found == wanted {
            println!("{path} is up to date");
        } else if check {
            stale.push(format!("{path} is not up to date: {}", difference(&found, &wanted)));
        } else {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).map_err(|e| format!("can't make {}: {e}", folder.display()))?;
            }
            std::fs::write(&file, wanted).map_err(|e| format!("can't write {path}: {e}"))?;
            println!("{path} written");
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("{}\nRun `cargo xtask openapi`, look at the difference and commit it.", stale.join("\n")))
}

/// Pretty and sorted, with a line end: the same whatever features `serde_json` was built with.
fn text(value: Value) -> Result<String, String> {
    serde_json::to_string_pretty(&sorted(value)).map(|text| text + "\n").map_err(|e| e.to_string())
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().map(|(name, value)| (name, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// Where two texts part.
fn difference(found: &str, wanted: &str) -> String {
    if found.is_empty() {
        return "it is missing or empty".to_owned();
    }
    let (mut old, mut new) = (found.lines(), wanted.lines());
    let mut number = 1;
    loop {
        match (old.next(), new.next()) {
            (Some(a), Some(b)) if a == b => number += 1,
            (None, None) => return "only the line ends differ".to_owned(),
            (a, b) => {
                let shown =
                    |line: Option<&str>| line.map_or_else(|| "the end".to_owned(), |line| format!("`{}`", line.trim()));
                return format!("line {number} is {}, and should be {}", shown(a), shown(b));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_by_its_first_line() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\n"), "line 2 is `b`, and should be `x`");
        assert_eq!(difference("a\n", "a\nb\n"), "line 2 is the end, and should be `b`");
        assert_eq!(difference("", "a\n"), "it is missing or empty");
        assert_eq!(difference("a", "a\n"), "only the line ends differ");
    }

    #[test]
    fn check_finds_stale_files_and_writing_heals_them() {
        let root = tempfile::tempdir().unwrap();
        assert!(run(root.path(), true).unwrap_err().contains("openapi.json is not up to date"));
        run(root.path(), false).unwrap();
        run(root.path(), true).unwrap();
        let file = root.path().join("openapi.json");
        let damaged = std::fs::read_to_string(&file).unwrap().replace("3.1.0", "3.0.0");
        std::fs::write(&file, damaged).unwrap();
        assert!(run(root.path(), true).unwrap_err().contains("should be `\"openapi\": \"3.1.0\""));
    }

    #[test]
    fn text_is_sorted() {
        assert_eq!(
            text(json!({"b": [{"d": 1, "c": 2}], "a": 0})).unwrap(),
            "{\n  \"a\": 0,\n  \"b\": [\n    {\n      \"c\": 2,\n      \"d\": 1\n    }\n  ]\n}\n"
        );
    }
}
