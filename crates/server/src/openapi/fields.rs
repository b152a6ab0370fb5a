//! The fields of a request, and where each of them travels.

use operations::path_parameters;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

pub(super) struct Fields {
    properties: Vec<(String, Value)>,
    required: Vec<String>,
}

impl Fields {
    pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Self {
        let schema = T::json_schema(generator).to_value();
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        Self {
            properties: properties.into_iter().flatten().map(|(name, schema)| (name.clone(), schema.clone())).collect(),
            required: required.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        }
    }

    /// The parameters of a path, and the fields that are not among them.
    pub(super) fn parameters(self, path: &str) -> (Vec<Value>, Fields) {
        let in_path: Vec<&str> = path_parameters(path).collect();
        let (taken, rest): (Vec<_>, Vec<_>) =
            self.properties.into_iter().partition(|(name, _)| in_path.contains(&name.as_str()));
        let parameters = in_path
            .iter()
            .filter_map(|name| taken.iter().find(|(known, _)| known == name))
            .map(|(name, schema)| parameter(name, "path", true, schema.clone()))
            .collect();
        let required = self.required.into_iter().filter(|name| !in_path.contains(&name.as_str())).collect();
        (parameters, Fields { properties: rest, required })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }

    pub(super) fn any_required(&self) -> bool {
        !self.required.is_empty()
    }

    pub(super) fn into_query(self) -> Vec<Value> {
        let Self { mut properties, required } = self;
        properties.sort_by(|(a, _), (b, _)| a.cmp(b));
        properties
            .into_iter()
            .map(|(name, schema)| parameter(&name, "query", required.contains(&name), schema))
            .collect()
    }

    pub(super) fn into_object(self) -> Value {
        json!({
            "type": "object",
            "properties": self.properties.into_iter().collect::<Map<_, _>>(),
            "required": self.required,
            "additionalProperties": false,
        })
    }
}

fn parameter(name: &str, place: &str, required: bool, mut schema: Value) -> Value {
    let description = schema.as_object_mut().and_then(|fields| fields.remove("description"));
    without_null(&mut schema);
    let mut parameter = json!({ "name": name, "in": place, "required": required, "schema": schema });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    parameter
}

/// In a query a field is there or not: there is no null.
fn without_null(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    if let Some(types) = fields.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    let mut only = None;
    if let Some(choices) = fields.get_mut("anyOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
        if let [choice] = choices.as_slice() {
            only = Some(choice.clone());
        }
    }
    if let Some(only) = only.filter(|_| fields.len() == 1) {
        *schema = only;
    }
}
