//! The one place that writes to stdout and stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use operations::Error;
use serde::Serialize;

use crate::failure::Failure;
use crate::location;
use crate::text::Paint;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// Where results and remarks go, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    /// For stdout.
    pub(crate) paint: Paint,
    /// For stderr.
    pub(crate) remark_paint: Paint,
    /// stderr is a terminal that can be redrawn.
    pub(crate) live: bool,
    /// Columns of the terminal; 80 without one.
    pub(crate) width: u16,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool, color: Color) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color && !dumb,
        };
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let width = dialoguer::console::Term::stdout().size_checked().map_or(80, |(_, columns)| columns.max(40));
        Self {
            json,
            quiet,
            paint: Paint(!json && wanted(out)),
            remark_paint: Paint(!json && wanted(err)),
            live: err && !dumb && !json && !quiet,
            width: if out { width } else { 80 },
        }
    }

    /// A result for people.
    pub(crate) fn line(&self, line: impl AsRef<str>) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(line.as_ref().as_bytes())?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// Bytes as they are (completion scripts).
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// A result for programs: one document.
    pub(crate) fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string_pretty(value).map_err(io::Error::other)?)
    }

    /// A result for programs: one line of a stream.
    pub(crate) fn record(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string(value).map_err(io::Error::other)?)
    }

    /// Something beside the result, for people who watch. It can't fail: what it says is not what was asked for.
    pub(crate) fn remark(&self, line: impl AsRef<str>) {
        if !self.quiet && !self.json {
            self.say(line.as_ref());
        }
    }

    /// A remark that `--quiet` does not silence.
    pub(crate) fn warn(&self, line: impl AsRef<str>) {
        if !self.json {
            self.say(&format!("{} {}", self.remark_paint.yellow("warning:"), line.as_ref()));
        }
    }

    /// What went wrong, where, and what to do.
    pub(crate) fn problem(&self, problem: &Error) {
        if self.json {
            self.say(&serde_json::to_string(problem).unwrap_or_else(|_| problem.to_string()));
        } else {
            self.say(&render_problem(problem, self.remark_paint));
        }
    }

    fn say(&self, text: &str) {
        // Nobody is left to be told when stderr is closed.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

fn render_problem(problem: &Error, paint: Paint) -> String {
    let mut text = format!("{} {}", paint.red("error:"), crate::text::clean_lines(&problem.detail));
    if let Some(place) = &problem.location {
        text.push('\n');
        text.push_str(&location::render(place, &problem.detail, paint));
    }
    if let Some(hint) = &problem.hint {
        text.push_str(&format!("\n{} {}", paint.bold("  try:"), crate::text::clean_lines(hint)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_and_what_to_do() {
        let problem = Error::not_found("there is no app `x`").hint("`plimsoll apps list` shows all");
        assert_eq!(
            render_problem(&problem, Paint(false)),
            "error: there is no app `x`\n  try: `plimsoll apps list` shows all"
        );
    }
}
