//! From a command line as people write it to what `/bin/sh -c` gets.

/// Words that are no programs, or do something else than the program of that name.
const BUILTINS: &[&str] = &[
    ".", ":", "!", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done", "echo", "elif", "else",
    "esac", "eval", "exec", "exit", "export", "false", "fg", "fi", "for", "function", "getopts", "hash", "if", "in",
    "jobs", "kill", "local", "printf", "pwd", "read", "readonly", "return", "select", "set", "shift", "source", "test",
    "then", "time", "times", "trap", "true", "type", "ulimit", "umask", "unalias", "unset", "until", "wait", "while",
];

/// A single program is `exec`ed, so that it takes the shell's place: signals and exit
/// status are then its own. Anything else stays as it is, under a shell.
pub(crate) fn line(command: &str) -> String {
    let command = command.trim();
    let program = command.split_whitespace().next().unwrap_or_default();
    let plain = !program.is_empty()
        && program.chars().all(|c| c.is_ascii_alphanumeric() || "_-./+@:,".contains(c))
        && !BUILTINS.contains(&program)
        && is_simple(command);
    if plain { format!("exec {command}") } else { command.to_owned() }
}

/// Whether it is one command without redirections and substitutions. When in doubt it isn't.
fn is_simple(command: &str) -> bool {
    let mut quote = None;
    let mut chars = command.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => drop(chars.next()),
            (_, '`') => return false,
            (_, '$') if chars.peek() == Some(&'(') => return false,
            (None, '\'' | '"') => quote = Some(c),
            (None, ';' | '&' | '|' | '<' | '>' | '(' | ')' | '{' | '}' | '#' | '\n') => return false,
            _ => {}
        }
    }
    quote.is_none()
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn only_single_programs_are_execed() {
        for single in [
            "node server.js",
            "./bin/app --port $PORT",
            "gunicorn 'app:app' -b \"0.0.0.0:$PORT\"",
            "python3 -u a.py",
            "gunicorn 'app:create_app()' --x \"a;b\"",
            r"sh -c 'a; b && \'",
            r#"sh -c "it's \"a; b\"""#,
        ] {
            assert_eq!(line(single), format!("exec {single}"));
        }
        for other in [
            "",
            "A=1 node x",
            "cd web && npm start",
            "a; b",
            "a | b",
            "a > b",
            "$CMD x",
            "exec a",
            "echo hi",
            "'a b' c",
            "node -p `pwd`",
            "a\nb",
            "if true",
            "a &",
            "a \"`b`\"",
            "a \"$(b)\"",
            "a 'b",
            "a 'b' ; 'c'",
            r"a \' ; b",
        ] {
            assert_eq!(line(other), other);
        }
        assert_eq!(line("  node x\n"), "exec node x");
    }
}
