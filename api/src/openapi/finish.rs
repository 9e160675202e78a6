//! The last hand on the document, where it is JSON already: what the types of utoipa can't say (references to headers, constants),
//! and what holds for all operations.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{examples, headers, problems};

/// Completes a document as the router gave it.
pub(super) fn finish(document: &mut Value) {
    refer(document);
    let mut responses = Map::new();
    for (path, item) in members(&mut document["paths"]) {
        for (_, operation) in members(item) {
            if let Value::Object(operation) = operation {
                mend_body(operation);
                problems::write(path, operation, &mut responses);
                for (status, response) in members(&mut operation["responses"]) {
                    complete(path, status, response);
                }
            }
        }
    }
    for (name, response) in &mut responses {
        complete("", name, response);
    }
    let headers: Map<_, _> =
        headers::components().into_iter().map(|(name, header)| (component(&name), header)).collect();
    let components = &mut document["components"];
    for (_, schema) in members(&mut components["schemas"]) {
        show_whole(schema);
    }
    components["schemas"]["Problem"] = problems::schema();
    components["responses"] = Value::Object(responses);
    components["headers"] = Value::Object(headers);
    components["securitySchemes"] = json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access_token` of a session. An operation that names the role `admin` is for administrators.",
        }
    });
}

/// Generic types have what they hold written into them: it is told of once, too.
fn refer(document: &mut Value) {
    let named = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    let named: HashMap<String, String> = named
        .into_iter()
        .filter(|(_, schema)| is_of_its_own(schema))
        .map(|(name, schema)| (schema.to_string(), name))
        .collect();
    refer_within(&mut document["paths"], &named);
    for (_, schema) in members(&mut document["components"]["schemas"]) {
        members(schema).for_each(|(_, part)| refer_within(part, &named));
    }
}

/// Whether no other schema looks the same by chance.
fn is_of_its_own(schema: &Value) -> bool {
    schema.get("properties").is_some() || schema.get("enum").is_some()
}

fn refer_within(value: &mut Value, named: &HashMap<String, String>) {
    match value {
        Value::Object(_) if is_of_its_own(value) && named.contains_key(&value.to_string()) => {
            *value = json!({ "$ref": format!("#/components/schemas/{}", named[&value.to_string()]) });
        }
        Value::Object(object) => object.values_mut().for_each(|part| refer_within(part, named)),
        Value::Array(items) => items.iter_mut().for_each(|part| refer_within(part, named)),
        _ => {}
    }
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flatten()
}

/// The name of a header's component: `X-Request-Id` as `XRequestId`.
fn component(header: &str) -> String {
    header.replace('-', "")
}

/// A body that need not be there: nothing may be sent, but not `null`, which `Option` would mean in a schema. And each body has an
/// example.
fn mend_body(operation: &mut Map<String, Value>) {
    let Some(body) = operation.get_mut("requestBody") else { return };
    let mut may_be_missing = false;
    for (_, content) in members(&mut body["content"]) {
        let sent =
            content["schema"]["oneOf"].as_array().and_then(|either| either.iter().find(|s| s.get("$ref").is_some()));
        if let Some(sent) = sent.cloned() {
            content["schema"] = sent;
            may_be_missing = true;
        }
    }
    if may_be_missing {
        body["required"] = json!(false);
    }
    exemplify(body);
}

/// Every answer has an id; those that are JSON have an example; headers are told of once for all.
fn complete(path: &str, status: &str, response: &mut Value) {
    if response.get("$ref").is_some() {
        return;
    }
    if !response["headers"].is_object() {
        response["headers"] = json!({});
    }
    let mut names: Vec<String> = members(&mut response["headers"]).map(|(name, _)| name.clone()).collect();
    names.push("X-Request-Id".to_owned());
    names.push("Cache-Control".to_owned());
    if !path.starts_with("/webhooks/") && !path.starts_with("/health/") {
        names.extend(["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"].map(str::to_owned));
    }
    let references = names.into_iter().map(|name| {
        let reference = format!("#/components/headers/{}", component(&name));
        (name, json!({ "$ref": reference }))
    });
    response["headers"] = Value::Object(references.collect());
    if status.starts_with('2') {
        exemplify(response);
    }
}

fn exemplify(message: &mut Value) {
    for (_, content) in message.get_mut("content").into_iter().flat_map(members) {
        if content.get("example").is_none()
            && content.get("examples").is_none()
            && let Some(example) = examples::of(&content["schema"])
        {
            content["example"] = example;
        }
    }
}

/// What is shown is shown whole: an answer leaves no member out that may be `null`. Bodies of requests are told by their refusal of
/// members that they don't know.
fn show_whole(schema: &mut Value) {
    if schema.get("additionalProperties").is_some_and(|others| others == false) {
        return;
    }
    for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        show_whole(part);
    }
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &str| required.as_array().into_iter().flatten().any(|required| required == name);
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let shown = properties.iter().filter(|(name, part)| is_required(name) || may_be_null(part));
        schema["required"] = shown.map(|(name, _)| name.clone()).collect();
    }
}

fn may_be_null(schema: &Value) -> bool {
    let types = schema["type"].as_array().into_iter().flatten();
    let either = schema["oneOf"].as_array().into_iter().flatten().map(|either| &either["type"]);
    types.chain(either).any(|kind| kind == "null")
}
