//! The figures, for people and for programs.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

use crate::figure::Figure;

pub(crate) fn print(figures: &[Figure]) {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["name", "value", "against", "", "ratio", "goal", ""]);
    for figure in figures {
        let against = figure.against.as_ref();
        table.add_row([
            figure.name.clone(),
            format!("{} {}", number(figure.value), figure.unit),
            against.map(|other| other.what.clone()).unwrap_or_else(|| "–".to_owned()),
            against.map(|other| format!("{} {}", number(other.value), figure.unit)).unwrap_or_default(),
            figure.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            figure.goal.words(figure.unit),
            if figure.is_met() { "ok" } else { "short" }.to_owned(),
        ]);
    }
    for column in [1, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let profile = if cfg!(debug_assertions) { "dev profile, not optimised: no claim" } else { "release profile" };
    println!("{profile}; {} cores\n{table}", std::thread::available_parallelism().map_or(0, usize::from));
}

pub(crate) fn write_json(figures: &[Figure]) {
    let path = plimsoll_tests::server::binary().with_file_name("../bench.json");
    let rows: Vec<_> = figures
        .iter()
        .map(|figure| {
            let mut row = serde_json::to_value(figure).unwrap();
            row["ratio"] = figure.ratio().into();
            row["ok"] = figure.is_met().into();
            row
        })
        .collect();
    std::fs::write(path, serde_json::to_string_pretty(&rows).unwrap() + "\n").unwrap();
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        n if n >= 100.0 || n == 0.0 => format!("{value:.0}"),
        n if n >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
