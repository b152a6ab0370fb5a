//! A cron expression as people say it.

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// So many times of a day are named one by one.
const NAMED: usize = 6;

/// `fields` are the five of an expression that holds: [`super::Cron`] has looked at them.
pub(super) fn of(expression: &str) -> String {
    let mut fields = expression.split_whitespace();
    let mut next = || fields.next().unwrap_or("*");
    let (minute, hour, day, month, weekday) = (next(), next(), next(), next(), next());
    let mut text = times(minute, hour);
    match (is_any(day), is_any(weekday)) {
        (true, true) if month == "*" && (hour.starts_with('*') || minute.starts_with('*')) => {}
        (true, true) => text += ", every day",
        (false, true) => text += &format!(", {}", days_of_month(day)),
        (true, false) => text += &format!(", {}", weekdays(weekday)),
        // Either is enough, as with other crons.
        (false, false) => text += &format!(", {} or {}", days_of_month(day), weekdays(weekday)),
    }
    if !is_any(month) {
        text += &format!(", in {}", list(month, "month", |word| named(word, &MONTHS, 1)));
    }
    text
}

/// In these fields `?` stands for any.
fn is_any(field: &str) -> bool {
    matches!(field, "*" | "?")
}

fn times(minute: &str, hour: &str) -> String {
    let (minutes, hours) = (numbers(minute), numbers(hour));
    match (minutes, hours) {
        (Some(minutes), Some(hours)) if minutes.len() * hours.len() <= NAMED => {
            let all: Vec<String> =
                hours.iter().flat_map(|h| minutes.iter().map(move |m| format!("{h:02}:{m:02}"))).collect();
            format!("at {}", joined(&all))
        }
        (minutes, _) if hour == "*" => match (minutes.as_deref(), step(minute)) {
            (Some([0]), _) => "every hour, on the hour".to_owned(),
            _ if minute == "*" => "every minute".to_owned(),
            (_, Some(step)) if 60 % step == 0 => format!("every {step} minutes"),
            _ => format!("each hour at {}", all_of(minute, "minute")),
        },
        (minutes, _) => {
            let hours = match step(hour) {
                Some(step) if 24 % step == 0 => format!("every {step} hours"),
                _ => format!("in {}", all_of(hour, "hour")),
            };
            match (minutes.as_deref(), step(minute)) {
                (Some([0]), _) => format!("{hours}, on the hour"),
                _ if minute == "*" => format!("every minute, {hours}"),
                (_, Some(step)) if 60 % step == 0 => format!("every {step} minutes, {hours}"),
                _ => format!("{hours}, at {}", all_of(minute, "minute")),
            }
        }
    }
}

fn days_of_month(field: &str) -> String {
    match field.to_ascii_uppercase().as_str() {
        "L" => "on the last day of the month".to_owned(),
        "LW" => "on the last weekday of the month".to_owned(),
        field => match step(field) {
            Some(step) => format!("on every {} day of the month", ordinal(step)),
            None => format!("on day {} of the month", list(field, "day", nearest)),
        },
    }
}

/// `15W` is the weekday that is nearest to the 15th.
fn nearest(word: &str) -> String {
    match word.strip_suffix('W') {
        Some(day) => format!("{day} (or the nearest weekday)"),
        None if word == "L" => "the last one".to_owned(),
        None => number(word),
    }
}

fn weekdays(field: &str) -> String {
    format!("on {}", list(field, "day of the week", weekday))
}

fn weekday(word: &str) -> String {
    let name = |word: &str| named(word, &DAYS, 0);
    if let Some((day, which)) = word.split_once('#') {
        return match which.parse() {
            Ok(which) => format!("the {} {}", ordinal(which), name(day)),
            Err(_) => format!("the last {}", name(day)),
        };
    }
    match word.strip_suffix('L') {
        Some(day) if !day.is_empty() => format!("the last {}", name(day)),
        _ => name(word),
    }
}

/// The parts of a field, each as `word` says it; ranges and steps around them.
fn list(field: &str, noun: &str, word: impl Fn(&str) -> String) -> String {
    let parts: Vec<String> = field
        .to_ascii_uppercase()
        .split(',')
        .map(|part| {
            let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
            let any = range == "*";
            let range = match range.split_once('-') {
                Some((from, to)) => format!("{} to {}", word(from), word(to)),
                None => word(range),
            };
            match step.and_then(|step| step.parse().ok()) {
                Some(step) if any => format!("every {} {noun}", ordinal(step)),
                Some(step) => format!("every {} {noun} from {range}", ordinal(step)),
                None => range,
            }
        })
        .collect();
    joined(&parts)
}

/// Numbers, with what they are of.
fn all_of(field: &str, noun: &str) -> String {
    let all = list(field, noun, number);
    if all.starts_with("every") { all } else { format!("{noun} {all}") }
}

/// All values of a field that names them one by one.
fn numbers(field: &str) -> Option<Vec<u32>> {
    field.split(',').map(|part| part.parse().ok()).collect()
}

/// Of `*/N`.
fn step(field: &str) -> Option<u32> {
    field.strip_prefix("*/")?.parse().ok().filter(|step| *step > 0)
}

/// Without leading zeros.
fn number(word: &str) -> String {
    word.parse::<u32>().map_or_else(|_| word.to_owned(), |number| number.to_string())
}

/// The name of a value, which may be a number, or the first letters of the name. 7 is Sunday again.
fn named(word: &str, names: &[&str], first: usize) -> String {
    let by_number = word.parse::<usize>().ok().and_then(|number| number.checked_sub(first)).map(|n| n % names.len());
    let by_name = || names.iter().position(|name| name.to_ascii_uppercase().starts_with(word));
    by_number.or_else(by_name).and_then(|n| names.get(n)).map_or_else(|| word.to_owned(), |name| (*name).to_owned())
}

fn ordinal(number: u32) -> String {
    let end = match (number % 10, number % 100) {
        (1, n) if n != 11 => "st",
        (2, n) if n != 12 => "nd",
        (3, n) if n != 13 => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}

fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use crate::schedule::Cron;

    #[test]
    fn expressions_are_said_as_people_say_them() {
        for (expression, words) in [
            ("0 6 * * MON-FRI", "at 06:00, on Monday to Friday"),
            ("30 2 * * *", "at 02:30, every day"),
            ("0,30 6,18 * * *", "at 06:00, 06:30, 18:00 and 18:30, every day"),
            ("* * * * *", "every minute"),
            ("*/15 * * * *", "every 15 minutes"),
            ("0 * * * *", "every hour, on the hour"),
            ("5 * * * *", "each hour at minute 5"),
            ("*/7 * * * *", "each hour at every 7th minute"),
            ("0 */4 * * *", "every 4 hours, on the hour"),
            ("*/10 8-18 * * 1-5", "every 10 minutes, in hour 8 to 18, on Monday to Friday"),
            ("0 0 1 1 *", "at 00:00, on day 1 of the month, in January"),
            ("0 0 L * *", "at 00:00, on the last day of the month"),
            ("0 12 1,15 JAN,JUN *", "at 12:00, on day 1 and 15 of the month, in January and June"),
            ("0 12 13 * FRI", "at 12:00, on day 13 of the month or on Friday"),
            ("0 9 * * FRI#2", "at 09:00, on the 2nd Friday"),
            ("0 9 * * 0,7", "at 09:00, on Sunday and Sunday"),
            ("0 9 * * 5L", "at 09:00, on the last Friday"),
        ] {
            let cron: Cron = format!("{expression} UTC").parse().unwrap();
            assert_eq!(cron.words(), words, "{expression}");
        }
    }

    proptest! {
        #[test]
        fn every_expression_has_words(
            minute in "(\\*|[0-5]?[0-9]|\\*/[1-9]|[0-9]-[1-5][0-9])",
            hour in "(\\*|1?[0-9]|\\*/[1-9]|[0-9]-1[0-9]|1,2,3)",
            day in "(\\*|[1-9]|L|1,15|\\*/2)",
            month in "(\\*|[1-9]|JAN-MAR|\\*/3)",
            weekday in "(\\*|[0-7]|MON-FRI|TUE#1)",
        ) {
            if let Ok(cron) = format!("{minute} {hour} {day} {month} {weekday} UTC").parse::<Cron>() {
                prop_assert!(cron.words().len() > 5 && !cron.words().contains("  "), "{}", cron.words());
            }
        }
    }
}
