//! `plimsoll queue timeline`: the hours to come, drawn as text.

use chrono::{DateTime, Local, Utc};
use domain::estimate::Start;
use domain::timeline::{Span, What};
use operations::queue::Ahead;

use super::Context;
use crate::failure::Failure;
use crate::text::{self, clean, count};

/// Characters for all of the time: with the moment in front, and a few words behind, a line of a terminal.
const WIDTH: usize = 32;

pub(super) fn show(context: &Context, ahead: &Ahead) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return out.document(ahead);
    }
    if ahead.spans.is_empty() {
        out.remark(format!("nothing is planned until {}", text::local(ahead.until)));
        return Ok(());
    }
    out.line(out.paint.dim(format!("{:<9}  {}", "FROM", scale(ahead))))?;
    for row in rows(ahead) {
        let bar = match &row[0].what {
            What::AtWork { .. } | What::DeployWindow { .. } => out.paint.green(bar(&row, ahead)),
            What::Queued { .. } => out.paint.yellow(bar(&row, ahead)),
            What::Scheduled { .. } => out.paint.cyan(bar(&row, ahead)),
            What::Freeze { .. } => out.paint.red(bar(&row, ahead)),
        };
        out.line(format!("{}  {bar}  {}", moment(row[0].from), told(&row)))?;
    }
    if ahead.truncated {
        out.remark("there is more: look at fewer hours, or at one app");
    }
    Ok(())
}

/// Runs of one schedule, and intervals of one window, share a line.
fn rows(ahead: &Ahead) -> Vec<Vec<&Span>> {
    let mut rows: Vec<Vec<&Span>> = Vec::new();
    for span in &ahead.spans {
        let same = |row: &&mut Vec<&Span>| match (&row[0].what, &span.what) {
            (What::Scheduled { schedule: a, .. }, What::Scheduled { schedule: b, .. }) => a == b,
            (What::DeployWindow { window: a }, What::DeployWindow { window: b }) => a == b,
            _ => false,
        };
        match rows.iter_mut().find(same) {
            Some(row) => row.push(span),
            None => rows.push(vec![span]),
        }
    }
    rows
}

fn moment(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%a %H:%M").to_string()
}

/// When an entry of the queue probably begins, for its table.
pub(super) fn estimate(start: &Start) -> String {
    match (start.late - start.early).num_seconds() {
        0 => moment(start.at),
        _ => format!("{}\n({} to {})", moment(start.at), moment(start.early), moment(start.late)),
    }
}

fn told(row: &[&Span]) -> String {
    let span = row[0];
    let place = match (&span.app, &span.environment) {
        (Some(app), Some(environment)) => format!("{app}/{environment}"),
        (Some(app), None) => app.to_string(),
        (None, Some(environment)) => format!("*/{environment}"),
        (None, None) => "everything".to_owned(),
    };
    match &span.what {
        What::AtWork { .. } => format!("{place} is deployed"),
        What::Queued { early, late, .. } if early == late => format!("{place} starts"),
        What::Queued { early, late, .. } => format!("{place} starts ({} to {})", moment(*early), moment(*late)),
        What::Scheduled { name, .. } => format!("{place} by schedule {name}, {}", count(row.len(), "run")),
        What::DeployWindow { .. } => format!("{place} deploy window"),
        What::Freeze { reason, .. } => format!("{place} is frozen: {}", clean(reason)),
    }
}

/// Where an instant is on the scale.
fn column(at: DateTime<Utc>, ahead: &Ahead) -> usize {
    let all = (ahead.until - ahead.from).num_seconds().max(1);
    let passed = (at - ahead.from).num_seconds().clamp(0, all);
    usize::try_from(passed * WIDTH as i64 / all).unwrap_or(0).min(WIDTH)
}

/// The begin, three marks in between, and the end.
fn scale(ahead: &Ahead) -> String {
    let quarter = (ahead.until - ahead.from) / 4;
    let marks = (0..4).map(|n| (ahead.from + quarter * n).with_timezone(&Local).format("%H:%M").to_string());
    marks.map(|mark| format!("{mark:<width$}", width = WIDTH / 4)).collect::<String>().trim_end().to_owned()
}

/// `···░░██░···`: dots where it is not, blocks where it is; what is uncertain of a start is lighter.
fn bar(row: &[&Span], ahead: &Ahead) -> String {
    let mut cells = ['·'; WIDTH];
    let mut fill = |from: usize, until: usize, with: char| {
        let from = from.min(WIDTH - 1);
        cells[from..until.clamp(from + 1, WIDTH)].fill(with);
    };
    for span in row {
        if let What::Queued { early, late, .. } = &span.what {
            fill(column(*early, ahead), column(*late, ahead), '░');
        }
        fill(column(span.from, ahead), column(span.until.unwrap_or(ahead.until), ahead), '█');
    }
    cells.iter().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn a_bar_is_where_its_time_is() {
        let from: DateTime<Utc> = "2026-11-21T00:00:00Z".parse().unwrap();
        let ahead = Ahead { from, until: from + TimeDelta::hours(24), spans: vec![], truncated: false };
        let hours = |n| from + TimeDelta::hours(n);
        let id = "dep_01hf7yat00000000000000002a".parse().unwrap();
        let span =
            |a, b: Option<i64>, what| Span { from: hours(a), until: b.map(hours), app: None, environment: None, what };
        let queued = What::Queued { deployment: id, early: hours(5), late: hours(9) };
        let drawn = bar(&[&span(6, Some(9), queued)], &ahead);
        assert_eq!(drawn, format!("{}░░████{}", "·".repeat(6), "·".repeat(20)));
        let window: domain::WindowId = "win_01hf7yat00000000000000002a".parse().unwrap();
        let freeze = What::Freeze { window: window.clone(), reason: "x".into() };
        assert_eq!(bar(&[&span(-5, None, freeze.clone())], &ahead), "█".repeat(WIDTH));
        assert_eq!(bar(&[&span(24, Some(25), freeze)], &ahead).matches('█').count(), 1);
        let open = What::DeployWindow { window };
        let (one, two) = (span(3, Some(6), open.clone()), span(12, Some(15), open));
        let drawn = bar(&[&one, &two], &ahead);
        assert_eq!(drawn, format!("{}████{}████{}", "·".repeat(4), "·".repeat(8), "·".repeat(12)));
        let both = Ahead { spans: vec![one, two], ..ahead };
        assert_eq!(rows(&both).len(), 1, "they share a line");
    }
}
