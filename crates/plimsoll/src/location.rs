//! The place of an error in a file of the user's, shown with the line itself.

use std::path::{Path, PathBuf};

use domain::config;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, SourceSpan};
use operations::error::Location;

use crate::text::Paint;

/// The line with a mark below it if the file is at hand, else `file:line:column`.
pub(crate) fn render(place: &Location, _detail: &str, paint: Paint) -> String {
    let named = format!("  at {}:{}:{}", place.file, place.line, place.column);
    let Some(text) = find(&place.file).and_then(|path| std::fs::read_to_string(path).ok()) else {
        return named;
    };
    excerpt(place, &text, paint).unwrap_or(named)
}

/// The server names files relative to the source's root, which may be above the folder we are in. No other file's lines
/// are shown: those of a file of variables are secrets, and terminals are recorded.
fn find(file: &str) -> Option<PathBuf> {
    let relative = Path::new(file);
    if relative.file_name() != Some(config::FILE_NAME.as_ref()) {
        return None;
    }
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|dir| dir.join(relative)).find(|path| path.is_file())
}

fn excerpt(place: &Location, text: &str, paint: Paint) -> Option<String> {
    let offset = offset_of(text, place.line, place.column)?;
    let rest = &text[offset..];
    let length = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len()).max(1).min(rest.len());
    let label = LabeledSpan::new_with_span(Some("here".to_owned()), SourceSpan::from((offset, length)));
    let diagnostic = MietteDiagnostic::new("").with_label(label);
    let report = miette::Report::new(diagnostic).with_source_code(NamedSource::new(&place.file, text.to_owned()));
    let theme = if paint.0 { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut drawn = String::new();
    GraphicalReportHandler::new_themed(theme)
        .with_width(78)
        .with_links(false)
        .with_context_lines(1)
        .render_report(&mut drawn, report.as_ref())
        .ok()?;
    // Its first lines are for a title, which our error has already.
    let from = drawn.lines().position(|line| line.contains("╭─["))?;
    Some(drawn.lines().skip(from).map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

/// Byte offset of a place; both count from 1, columns in characters.
fn offset_of(text: &str, line: usize, column: usize) -> Option<usize> {
    let mut start = 0;
    for _ in 1..line {
        start += text.get(start..)?.find('\n')? + 1;
    }
    let row = text.get(start..)?.lines().next().unwrap_or("");
    let within = row.char_indices().nth(column.saturating_sub(1)).map_or(row.len(), |(at, _)| at);
    Some(start + within)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_shown_with_a_mark() {
        let text = "[app]\nname = \"ok\"\nnaem = 3\n";
        let place = Location { file: "plimsoll.toml".into(), line: 3, column: 1 };
        let drawn = excerpt(&place, text, Paint(false)).unwrap();
        assert!(drawn.contains("plimsoll.toml:3:1"), "{drawn}");
        assert!(drawn.contains("naem = 3") && drawn.contains("here"), "{drawn}");
    }

    #[test]
    fn lines_of_a_file_of_variables_are_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        for (name, shown) in [("plimsoll.toml", true), (".env", false), ("production.env", false)] {
            let path = dir.path().join(name);
            std::fs::write(&path, "A=1\nhunter2\n").unwrap();
            let place = Location { file: path.display().to_string(), line: 2, column: 1 };
            let drawn = render(&place, "", Paint(false));
            assert!(drawn.contains(&format!("{name}:2:1")), "{drawn}");
            assert_eq!(drawn.contains("hunter2"), shown, "{drawn}");
        }
    }

    #[test]
    fn places_beyond_the_text_are_no_reason_to_panic() {
        assert_eq!(offset_of("ä=1\nb", 1, 2), Some(2));
        assert_eq!(offset_of("ab", 1, 9), Some(2));
        assert_eq!(offset_of("ab", 7, 1), None);
        for (line, column) in [(0, 0), (1, 99), (99, 1), (2, 1)] {
            let place = Location { file: "f".into(), line, column };
            let _ = excerpt(&place, "a\n", Paint(false));
        }
    }
}
