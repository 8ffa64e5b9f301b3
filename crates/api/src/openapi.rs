//! The OpenAPI 3.1 document, made from the table of endpoints.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::{BodyKind, ENDPOINTS, Endpoint, ErrorBody};

/// The document served at `/openapi.json`; `version` is the daemon's.
#[must_use]
pub fn document(version: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.definitions_path = "/components/schemas".into();
        s.meta_schema = None;
    });
    // What is answered has every field; what is asked may leave out what has a default.
    let mut answers = settings.clone().for_serialize().into_generator();
    let mut questions = settings.for_deserialize().into_generator();
    let error = ErrorBody::json_schema(&mut answers);
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in ENDPOINTS {
        let item = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        item[endpoint.method.name().to_lowercase()] = operation(endpoint, &mut answers, &mut questions);
    }
    let mut schemas = questions.take_definitions(true);
    schemas.extend(answers.take_definitions(true));
    schemas.insert("ErrorBody".into(), error.into());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Siskin",
            "version": version,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "Served on the Unix socket with all verbs, and on `api.http` with GET alone. \
                            Operations marked x-changing need root or the daemon's user, and the Unix socket."
        },
        "paths": paths,
        "components": { "schemas": schemas }
    })
}

fn operation(endpoint: &Endpoint, answers: &mut SchemaGenerator, questions: &mut SchemaGenerator) -> Value {
    let content = match endpoint.response {
        BodyKind::Json(schema) => json!({ "application/json": { "schema": schema(answers) } }),
        BodyKind::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        BodyKind::Events(schema) => json!({ "text/event-stream": { "schema": schema(answers) } }),
    };
    let mut parameters: Vec<Value> = endpoint
        .parameters()
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": path_schema(name) }))
        .collect();
    if let Some(query) = endpoint.query {
        parameters.extend(query_parameters(query(questions), questions));
    }
    let mut operation = json!({
        "operationId": endpoint.operation.id(),
        "summary": endpoint.summary,
        "x-changing": endpoint.changing,
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done.", "content": content },
            "default": {
                "description": "An error.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorBody" } } }
            }
        }
    });
    if let Some(request) = endpoint.request {
        operation["requestBody"] = json!({ "required": endpoint.request_required, "content": { "application/json": { "schema": request(questions) } } });
    }
    operation
}

fn path_schema(name: &str) -> Value {
    match name {
        "action" => json!({ "type": "string", "enum": crate::PeerAction::ALL.map(crate::PeerAction::name) }),
        _ => json!({ "type": "string" }),
    }
}

/// A query is one flat object: each of its properties is a parameter, and the object itself no schema.
fn query_parameters(reference: Schema, generator: &mut SchemaGenerator) -> Vec<Value> {
    let name = reference.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next());
    let Some(object) = name.and_then(|name| generator.definitions_mut().remove(name)) else {
        return Vec::new();
    };
    let required: Vec<&str> =
        object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = object["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            let text = schema.as_object_mut().and_then(|s| s.remove("description"));
            json!({
                "name": name,
                "in": "query",
                "required": required.contains(&name.as_str()),
                "description": text.unwrap_or_default(),
                "schema": schema
            })
        })
        .collect()
}
