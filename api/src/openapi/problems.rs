//! Problems, as the document tells of them. Beside each error of an operation stands which kinds it becomes ([`tells!`]), and an
//! operation's annotation names the error ([`Problems`]). What any operation answers that is made alike, a body too large or no
//! token, is added by itself.

use std::{any::type_name, collections::BTreeMap, marker::PhantomData};

use serde_json::{Map, Value, json};
use utoipa::{
    IntoResponses,
    openapi::{RefOr, Response, ResponseBuilder, extensions::ExtensionsBuilder},
};

use super::examples;
use crate::problem::{Kind, kinds};

/// The member of an unfinished document that holds the problems of an operation.
const TOLD: &str = "x-problems";

/// Which problems an error becomes.
pub(crate) trait Tells {
    /// Each kind, with the schema of each member of its own. That is always there, unless the kind is `total_out_of_range`.
    fn kinds() -> Vec<(Kind, Vec<(&'static str, Value)>)>;
}

/// Says which problems an error becomes: `tells! { PlaceError: CART_EMPTY, TOTAL_CHANGED { total: Money } }`.
macro_rules! tells {
    ($error:ty: $($kind:path $({ $($member:ident: $type:ty),* $(,)? })?),* $(,)?) => {
        impl $crate::openapi::Tells for $error {
            fn kinds() -> Vec<($crate::problem::Kind, Vec<(&'static str, serde_json::Value)>)> {
                vec![$((
                    $kind,
                    vec![$($((
                        stringify!($member),
                        serde_json::json!(<$type as utoipa::PartialSchema>::schema()),
                    )),*)?],
                )),*]
            }
        }
    };
}
pub(crate) use tells;

/// In the `responses` of an operation: the problems that this error becomes.
pub(crate) struct Problems<E>(PhantomData<E>);

impl<E: Tells> IntoResponses for Problems<E> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let told: Vec<Value> = E::kinds()
            .into_iter()
            .map(|(kind, members)| {
                let members: Map<_, _> = members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
                json!({ "status": kind.status(), "code": kind.code(), "title": kind.title(), "members": members })
            })
            .collect();
        let told = ExtensionsBuilder::new().add(TOLD, told).build();
        BTreeMap::from([(type_name::<E>().to_owned(), ResponseBuilder::new().extensions(Some(told)).build().into())])
    }
}

/// A kind of problem with the schemas of its own members.
struct Told {
    status: u16,
    code: String,
    title: String,
    members: Map<String, Value>,
}

impl From<Kind> for Told {
    fn from(kind: Kind) -> Self {
        let (code, title) = (kind.code().to_owned(), kind.title().to_owned());
        Self { status: kind.status(), code, title, members: Map::new() }
    }
}

/// The shape of all problems.
pub(super) fn schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "Why a request was not answered as wished (RFC 9457). Some kinds have members of their own.",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": { "type": "string", "format": "uri", "description": "`urn:kassa:problem:` and the code." },
            "title": text("The kind, for people."),
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The answer's status." },
            "detail": text("What is wrong here and what to do about it, for people."),
            "code": text("The kind, for programs; it never changes."),
            "request_id": text("That of the answer's `X-Request-Id`; the logs have it, too."),
            "errors": {
                "type": "array",
                "description": "With `validation_failed`: all that is invalid.",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "pointer": text("The member of the body, as a JSON pointer (RFC 6901); of a query's parameter `/` and its name."),
                        "detail": text("What is wrong with it."),
                    },
                },
            },
        },
    })
}

/// Replaces what [`Problems`] left in an operation by answers, those added that its kind of operation has. Answers that say nothing
/// of one operation alone are kept once for all, among `shared`.
pub(super) fn write(path: &str, operation: &mut Map<String, Value>, shared: &mut Map<String, Value>) {
    let mut told: Vec<Told> = common(path, operation).into_iter().map(Told::from).collect();
    let Some(Value::Object(responses)) = operation.get_mut("responses") else { return };
    responses.retain(|_, response| match response.get_mut(TOLD).map(Value::take) {
        Some(Value::Array(of_its_own)) => {
            told.extend(of_its_own.into_iter().map(read));
            false
        }
        _ => true,
    });
    let mut by_status: BTreeMap<u16, Vec<Told>> = BTreeMap::new();
    for told in told {
        let others = by_status.entry(told.status).or_default();
        others.retain(|other| other.code != told.code);
        others.push(told);
    }
    for (status, mut told) in by_status {
        told.sort_by(|a, b| a.code.cmp(&b.code));
        let response = if told.iter().all(|told| told.members.is_empty()) {
            let name = told.iter().map(|told| pascal_case(&told.code)).collect::<Vec<_>>().join("Or");
            let reference = json!({ "$ref": format!("#/components/responses/{name}") });
            shared.entry(name).or_insert_with(|| answer(status, &told));
            reference
        } else {
            answer(status, &told)
        };
        responses.insert(status.to_string(), response);
    }
}

fn read(mut told: Value) -> Told {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Told {
        status: told["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or_default(),
        code: text(&told["code"]),
        title: text(&told["title"]),
        members: told["members"].as_object_mut().map(std::mem::take).unwrap_or_default(),
    }
}

/// What an operation may answer because of what it is: where its caller has to be known, where it reads a body, and so on.
fn common(path: &str, operation: &Map<String, Value>) -> Vec<Kind> {
    let any = |name: &str| operation.get(name).and_then(Value::as_array).into_iter().flatten();
    let has_parameter = |place: &str| any("parameters").any(|parameter| parameter["in"] == place);
    let header =
        |name: &str| any("parameters").find(|parameter| parameter["in"] == "header" && parameter["name"] == name);
    let schemes = || any("security").filter_map(|requirement| requirement["bearer"].as_array());
    let mut kinds = vec![
        kinds::MALFORMED_REQUEST,
        kinds::URI_TOO_LONG,
        kinds::HEADERS_TOO_LARGE,
        kinds::INTERNAL,
        kinds::UNAVAILABLE,
    ];
    if !path.starts_with("/webhooks/") && !path.starts_with("/health/") {
        kinds.push(kinds::RATE_LIMITED);
    }
    if schemes().next().is_some() {
        kinds.push(kinds::UNAUTHENTICATED);
    }
    if schemes().any(|roles| !roles.is_empty()) {
        kinds.push(kinds::FORBIDDEN);
    }
    if path.contains('{') {
        kinds.push(kinds::NOT_FOUND);
    }
    if has_parameter("query") {
        kinds.push(kinds::VALIDATION_FAILED);
    }
    if let Some(body) = operation.get("requestBody") {
        kinds.extend([kinds::REQUEST_TIMEOUT, kinds::PAYLOAD_TOO_LARGE]);
        if !path.starts_with("/webhooks/") && body["content"].get("application/json").is_some() {
            kinds.extend([kinds::UNSUPPORTED_MEDIA_TYPE, kinds::VALIDATION_FAILED]);
        }
    }
    if header("If-Match").is_some() {
        kinds.push(kinds::PRECONDITION_FAILED);
    }
    if let Some(key) = header("Idempotency-Key") {
        kinds.extend([kinds::REQUEST_IN_PROGRESS, kinds::IDEMPOTENCY_KEY_REUSED]);
        if key["required"] == true {
            kinds.push(kinds::IDEMPOTENCY_KEY_REQUIRED);
        }
    }
    kinds
}

/// One answer for all kinds of a status.
fn answer(status: u16, told: &[Told]) -> Value {
    let described: Vec<_> = told.iter().map(|told| format!("`{}`: {}.", told.code, told.title)).collect();
    let shapes: Vec<_> = told.iter().map(shape).collect();
    let schema = if let [only] = shapes.as_slice() { only.clone() } else { json!({ "oneOf": shapes }) };
    let examples: Map<_, _> =
        told.iter().map(|told| (told.code.clone(), json!({ "summary": told.title, "value": example(told) }))).collect();
    let mut headers = Map::new();
    let mut add = |name: &str| headers.insert(name.to_owned(), json!({}));
    match status {
        401 => drop(add("WWW-Authenticate")),
        429 | 503 => drop(add("Retry-After")),
        _ if told.iter().any(|told| told.code == kinds::REQUEST_IN_PROGRESS.code()) => drop(add("Retry-After")),
        _ => {}
    }
    json!({
        "description": described.join(" "),
        "headers": headers,
        "content": { "application/problem+json": { "schema": schema, "examples": examples } },
    })
}

fn shape(told: &Told) -> Value {
    let mut properties = told.members.clone();
    let mut required: Vec<_> = properties.keys().cloned().collect();
    // Sums that don't even fit into a number have none.
    required.retain(|name| (told.code.as_str(), name.as_str()) != ("total_out_of_range", "total"));
    if told.code == kinds::VALIDATION_FAILED.code() {
        required.push("errors".to_owned());
    }
    properties.insert("code".to_owned(), json!({ "type": "string", "const": told.code }));
    properties.insert("status".to_owned(), json!({ "type": "integer", "const": told.status }));
    json!({
        "allOf": [
            { "$ref": "#/components/schemas/Problem" },
            { "type": "object", "required": required, "properties": properties },
        ]
    })
}

fn example(told: &Told) -> Value {
    let mut example = json!({
        "type": format!("urn:kassa:problem:{}", told.code),
        "title": told.title,
        "status": told.status,
        "detail": format!("{}.", told.title),
        "code": told.code,
        "request_id": "0c0a7f2e-9b1d-4f0c-8a51-0e6f2d9b7c11",
    });
    if told.code == kinds::VALIDATION_FAILED.code() {
        example["errors"] = json!([{ "pointer": "/limit", "detail": "must be from 1 to 100" }]);
    }
    for (name, schema) in &told.members {
        example[name] = examples::of(schema).unwrap_or_default();
    }
    example
}

/// `slug_taken` as the name of a component: `SlugTaken`.
fn pascal_case(code: &str) -> String {
    let capitalised = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    code.split('_').map(capitalised).collect()
}
