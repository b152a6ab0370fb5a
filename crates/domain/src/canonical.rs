//! One text for one JSON value: what digests are made of.

use serde_json::Value;

/// JSON with sorted keys and without white space, as RFC 8785 has it for all but numbers that are not integers of 53 bits.
///
/// Written out here because the order of `serde_json`'s own maps depends on features that any dependency may turn on.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.iter().collect();
            // The RFC sorts by UTF-16, which differs from Rust's order beyond the first 65,536 characters.
            names.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (n, (name, value)) in names.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sorted_and_escaped() {
        let value: Value = serde_json::from_str(r#"{"b":[1, {"z":null,"a\"":true}], "a":"\n"}"#).unwrap();
        assert_eq!(canonical(&value), r#"{"a":"\n","b":[1,{"a\"":true,"z":null}]}"#);
    }

    /// The example of RFC 8785, section 3.2.3, and the strings of 3.2.2.2.
    #[test]
    fn keys_and_strings_are_as_in_the_rfc() {
        let keys = "{\"\u{20ac}\":1,\"\\r\":2,\"\u{fb33}\":3,\"1\":4,\"\u{1f600}\":5,\"\u{80}\":6,\"\u{f6}\":7}";
        let value: Value = serde_json::from_str(keys).unwrap();
        let sorted = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}";
        assert_eq!(canonical(&value), sorted);
        let text = Value::from("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}");
        assert_eq!(canonical(&text), "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\"");
    }
}
