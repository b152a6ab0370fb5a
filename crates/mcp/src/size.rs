//! How large a result may be, and what is left out of one that would be larger.

use serde_json::Value;

/// The largest result, in bytes of its JSON. It is sent twice, as a structure and as text.
pub const MAX_RESULT: usize = 64 * 1024;
/// What a value may take of it: the rest is for what [`answer`](crate::answer) adds.
pub(crate) const BUDGET: usize = MAX_RESULT - 4 * 1024;
/// Texts are cut to this before lists are.
const LONG_TEXT: usize = 8 * 1024;

/// Bytes of a value's JSON.
pub(crate) fn of(value: &Value) -> usize {
    value.to_string().len()
}

/// How many of the first items fit into `budget`, at least one.
pub(crate) fn prefix(items: &[Value], budget: usize) -> usize {
    let mut used = 0;
    let fit = items.iter().take_while(|item| {
        used += of(item) + 1;
        used <= budget
    });
    fit.count().max(1)
}

/// Makes a value fit into `budget` by cutting long texts and long lists, the longest first. Returns where: `spec.notes[]`
/// is a list, `failure.message` a text.
pub(crate) fn shrink(value: &mut Value, budget: usize) -> Vec<String> {
    let mut cut = Vec::new();
    if of(value) <= budget {
        return cut;
    }
    cut_texts(value, "", LONG_TEXT, &mut cut);
    // Each round halves the largest list; so many halvings leave nothing of anything.
    for _ in 0..256 {
        if of(value) <= budget {
            break;
        }
        let Some(path) = largest_list(value, "").map(|(_, path)| path) else { break };
        halve(value, &path);
        cut.push(format!("{path}[]"));
    }
    let mut longest = LONG_TEXT;
    while of(value) > budget && longest > 64 {
        longest /= 2;
        cut_texts(value, "", longest, &mut cut);
    }
    cut.sort();
    cut.dedup();
    cut
}

fn cut_texts(value: &mut Value, path: &str, longest: usize, cut: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() > longest => {
            let end = (0..=longest.saturating_sub(16)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push_str(" … (cut)");
            cut.push(path.to_owned());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut_texts(item, &format!("{path}[]"), longest, cut)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(name, value)| cut_texts(value, &join(path, name), longest, cut));
        }
        _ => {}
    }
}

/// The largest list of more than one item, by its bytes, and its path. Items are named by their number.
fn largest_list(value: &Value, path: &str) -> Option<(usize, String)> {
    match value {
        Value::Array(items) => {
            let own = (items.len() > 1).then(|| (of(value), path.to_owned()));
            let below =
                items.iter().enumerate().filter_map(|(n, item)| largest_list(item, &join(path, &n.to_string())));
            below.chain(own).max_by_key(|(size, _)| *size)
        }
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, value)| largest_list(value, &join(path, name)))
            .max_by_key(|(size, _)| *size),
        _ => None,
    }
}

fn halve(value: &mut Value, path: &str) {
    let mut at = value;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let next = match at {
            Value::Array(items) => part.parse::<usize>().ok().and_then(|n| items.get_mut(n)),
            Value::Object(fields) => fields.get_mut(part),
            _ => None,
        };
        let Some(next) = next else { return };
        at = next;
    }
    if let Value::Array(items) = at {
        items.truncate(items.len() / 2);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_is_left_alone() {
        let mut value = json!({ "a": ["x", "y"], "b": "z" });
        let before = value.clone();
        assert_eq!(shrink(&mut value, 1000), Vec::<String>::new());
        assert_eq!(value, before);
        assert_eq!(prefix(&[json!("aaaa"), json!("bbbb"), json!("cccc")], 15), 2);
        assert_eq!(prefix(&[json!("aaaa")], 2), 1);
        assert_eq!(prefix(&[], 2), 1);
    }

    #[test]
    fn whatever_comes_fits_afterwards() {
        for mut value in [
            json!({ "list": vec!["line"; 100_000], "name": "n" }),
            json!({ "text": "é".repeat(300_000) }),
            json!({ "one": [{ "inner": vec![1; 100_000] }] }),
            json!(["x".repeat(200_000)]),
            json!({ "many": (0..2000).map(|n| json!({ "n": n, "t": "y".repeat(100) })).collect::<Vec<_>>() }),
        ] {
            let cut = shrink(&mut value, BUDGET);
            assert!(of(&value) <= BUDGET, "{} bytes", of(&value));
            assert!(!cut.is_empty());
        }
    }
}
