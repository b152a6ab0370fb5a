//! Procfiles: which processes an app consists of, as Heroku-like platforms read them.

use std::collections::BTreeMap;

/// A line is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ProcfileError {
    /// From 1.
    pub line: usize,
    pub message: String,
}

/// A process type and its shell command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Letters, digits, `-` and `_`: `web`, `release`, `worker`, …
    pub kind: String,
    pub command: String,
    /// Of the file, from 1.
    pub line: usize,
}

/// The processes in the order of the file. Empty lines and lines that begin with `#` are left out.
pub fn parse(text: &str) -> Result<Vec<Process>, ProcfileError> {
    let mut processes = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line_number = index + 1;
        let error = |message: String| ProcfileError { line: line_number, message };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((kind, command)) = line.split_once(':') else {
            return Err(error(format!("expected `type: command`, like `web: node server.js`, not `{}`", brief(line))));
        };
        let (kind, command) = (kind.trim_end(), command.trim());
        if !is_kind(kind) {
            return Err(error(format!(
                "`{}` is not a process type: expected at most 40 letters, digits, `-` and `_`",
                brief(kind)
            )));
        }
        if command.is_empty() {
            return Err(error(format!("`{kind}` has no command")));
        }
        if command.contains('\0') {
            return Err(error(format!("the command of `{kind}` holds a NUL byte")));
        }
        if let Some(earlier) = seen.insert(kind.to_owned(), line_number) {
            return Err(error(format!("`{kind}` is already in line {earlier}")));
        }
        if processes.len() == MAX_PROCESSES {
            return Err(error(format!("more than {MAX_PROCESSES} process types")));
        }
        processes.push(Process { kind: kind.to_owned(), command: command.to_owned(), line: line_number });
    }
    Ok(processes)
}

const MAX_PROCESSES: usize = 100;

fn is_kind(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn brief(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Result<&[(&str, &str)], &str>) {
        let got = parse(text);
        let got = match &got {
            Ok(processes) => Ok(processes.iter().map(|p| (p.kind.as_str(), p.command.as_str())).collect::<Vec<_>>()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(got, expected.map(<[_]>::to_vec).map_err(str::to_owned), "{text:?}");
    }

    #[test]
    fn reads_what_heroku_reads() {
        check("", Ok(&[]));
        check("# a comment\n\n", Ok(&[]));
        check("web: gunicorn app:app\n", Ok(&[("web", "gunicorn app:app")]));
        check("web:gunicorn app:app", Ok(&[("web", "gunicorn app:app")]));
        check(
            "worker: ./w  \r\nweb: ./s -p $PORT\r\nrelease : ./migrate",
            Ok(&[("worker", "./w"), ("web", "./s -p $PORT"), ("release", "./migrate")]),
        );
        check("\u{feff}web: ./s", Ok(&[("web", "./s")]));
    }

    #[test]
    fn mistakes_have_a_line() {
        check("web: a\nnonsense", Err("line 2: expected `type: command`, like `web: node server.js`, not `nonsense`"));
        check("web:", Err("line 1: `web` has no command"));
        check("web: a\n\nweb: b", Err("line 3: `web` is already in line 1"));
        check("we b: a", Err("line 1: `we b` is not a process type: expected at most 40 letters, digits, `-` and `_`"));
        check(": a", Err("line 1: `` is not a process type: expected at most 40 letters, digits, `-` and `_`"));
        check("web: a\0b", Err("line 1: the command of `web` holds a NUL byte"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(web|release|[a-z:# \\n\\r\\u{0}é]){0,40}") {
            if let Ok(processes) = parse(&text) {
                for process in processes {
                    prop_assert!(is_kind(&process.kind) && !process.command.is_empty());
                }
            }
        }
    }
}
