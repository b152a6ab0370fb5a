//! The database: reachable, undamaged, of a version that this one knows, and careful with what it is given.

use super::{Finding, Surroundings};

const DATABASE: &str = "database";
const SETTINGS: &str = "database settings";
const TABLES: &str = "database tables";

pub(super) fn check(around: &Surroundings) -> Vec<Finding> {
    let survey = match &around.survey {
        None => return vec![Finding::skipped(DATABASE, "not there yet; the first start makes it")],
        Some(Err(e)) => {
            let advice = e.hint.clone().unwrap_or_else(|| "Look at the database".to_owned());
            return vec![Finding::failed(DATABASE, e.detail.clone(), advice)];
        }
        Some(Ok(survey)) => survey,
    };
    let name = match survey.is_postgres() {
        true => format!("PostgreSQL {}", survey.version),
        false => format!("SQLite {}", survey.version),
    };
    let itself = match &survey.damage {
        Some(damage) => {
            Finding::failed(DATABASE, format!("{name}, damaged: {damage}"), "Restore a backup: `plimsoll restore`")
        }
        None => Finding::ok(DATABASE, format!("{name}, can be read")),
    };
    vec![itself, settings(&survey.settings), tables(survey.migrations.len(), survey.newer.as_deref())]
}

fn settings(settings: &[(&'static str, String)]) -> Finding {
    let wanted = |name: &str| match name {
        "journal_mode" => "wal",
        _ => "on",
    };
    let loose: Vec<String> = settings
        .iter()
        // A stricter one than needed is fine.
        .filter(|(name, value)| {
            value != wanted(name) && !(*name == "synchronous_commit" && value.starts_with("remote"))
        })
        .map(|(name, value)| format!("{name} is {value}"))
        .collect();
    match loose.is_empty() {
        true => Finding::ok(SETTINGS, "what is committed is on the disk"),
        false => Finding::warning(
            SETTINGS,
            format!("{}: what was acknowledged may be lost with the power", loose.join(", ")),
            "Set it back for this database: ALTER DATABASE … SET …, or in postgresql.conf",
        ),
    }
}

fn tables(count: usize, newer: Option<&str>) -> Finding {
    match (newer, count) {
        (Some(migration), _) => Finding::failed(
            TABLES,
            format!("made by a newer Plimsoll ({migration}); this version does not start on them"),
            "Start that version again, or restore a backup made before it",
        ),
        (None, 0) => Finding::skipped(TABLES, "none yet; the first start makes them"),
        (None, n) => Finding::ok(TABLES, format!("after {n} migrations, all known")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn settings_that_lose_data_are_told() {
        let status = |name, value: &str| settings(&[(name, value.to_owned())]).status;
        assert_eq!(status("journal_mode", "wal"), Status::Ok);
        assert_eq!(status("journal_mode", "memory"), Status::Warning);
        assert_eq!(status("fsync", "off"), Status::Warning);
        assert_eq!(status("synchronous_commit", "remote_apply"), Status::Ok);
        assert_eq!(status("synchronous_commit", "off"), Status::Warning);
        assert_eq!(tables(3, Some("m9")).status, Status::Failed);
    }
}
