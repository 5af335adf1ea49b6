//! The document, as a reader that trusts nothing but it.

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use serde_json::Value;

const AT: &str = "http://bridge.example.test/openapi.json";

/// An operation of the document.
pub struct Operation {
    pub method: String,
    pub path: String,
    /// What it needs; empty: nothing.
    pub need: String,
    /// The name of the schema of its body.
    pub order: Option<String>,
    statuses: Vec<String>,
}

impl Operation {
    /// The statuses from 400 on that are named.
    pub fn refused_with(&self) -> Vec<u16> {
        self.statuses.iter().filter_map(|s| s.parse().ok()).filter(|s| *s >= 400).collect()
    }
}

pub struct Document {
    root: Value,
}

/// A part of a pointer, as it stands in the fragment of a URL.
fn part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1").replace('{', "%7B").replace('}', "%7D")
}

impl Document {
    pub fn new(root: Value) -> Self {
        assert_eq!(root["openapi"], "3.1.0");
        Document { root }
    }

    pub fn operations(&self) -> Vec<Operation> {
        let mut all = Vec::new();
        for (path, methods) in self.root["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap().iter().filter(|(m, _)| *m != "parameters")
            {
                let order = operation.pointer("/requestBody/content/application~1json/schema/$ref");
                all.push(Operation {
                    method: method.clone(),
                    path: path.clone(),
                    need: operation["x-need"].as_str().unwrap_or("").to_owned(),
                    order: order.map(|name| name.as_str().unwrap().rsplit('/').next().unwrap().to_owned()),
                    statuses: operation["responses"].as_object().unwrap().keys().cloned().collect(),
                });
            }
        }
        all
    }

    /// Each answer that is named, but for the rest of the problems.
    pub fn answers(&self) -> BTreeSet<(String, String, String)> {
        let each = self.operations().into_iter().flat_map(|o| {
            let statuses = o.statuses.into_iter().filter(|s| s != "default");
            statuses.map(move |s| (o.method.clone(), o.path.clone(), s)).collect::<Vec<_>>()
        });
        each.collect()
    }

    fn operation(&self, method: &str, path: &str) -> Operation {
        let path = path.split('?').next().unwrap();
        let fits = |template: &str| {
            let (wanted, given): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            wanted.len() == given.len()
                && wanted.iter().zip(given).all(|(w, g)| w.starts_with('{') || *w == g)
        };
        let mut found: Vec<_> =
            self.operations().into_iter().filter(|o| o.method == method && fits(&o.path)).collect();
        // What is written out counts before what is a parameter.
        found.sort_by_key(|o| o.path.matches('{').count());
        found.into_iter().next().unwrap_or_else(|| panic!("the document has no {method} {path}"))
    }

    fn validate(&self, pointer: &str, value: &Value, what: &str) {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource(AT, self.root.clone()).unwrap();
        let index = compiler
            .compile(&format!("{AT}#{pointer}"), &mut schemas)
            .unwrap_or_else(|e| panic!("{what}: {e:#}"));
        schemas.validate(value, index).unwrap_or_else(|error| panic!("{what}: {error:#}\n{value:#}"));
    }

    /// Holds an answer against the document; gives what it is there, unless it is one of the rest of the problems.
    pub fn check_answer(
        &self,
        (method, path): (&str, &str),
        (status, kind, body): (u16, &str, &Value),
    ) -> Option<(String, String, String)> {
        let operation = self.operation(method, path);
        let named = operation.statuses.iter().find(|s| **s == status.to_string());
        assert!(named.is_some() || status >= 400, "{method} {path}: {status} is not in the document");
        let status = named.cloned().unwrap_or_else(|| "default".to_owned());
        let mut pointer = format!("/paths/{}/{method}/responses/{status}", part(&operation.path));
        let plain = pointer.replace("%7B", "{").replace("%7D", "}");
        let mut answer = self.root.pointer(&plain).unwrap();
        if let Some(shared) = answer["$ref"].as_str() {
            pointer = shared.trim_start_matches('#').to_owned();
            answer = self.root.pointer(&pointer).unwrap();
        }
        match answer["content"].as_object() {
            None => assert_eq!(body, "", "{method} {path}: a body that is not in the document"),
            Some(kinds) => {
                let plain = kind.split(';').next().unwrap();
                assert!(kinds.contains_key(plain), "{method} {path} {status}: {kind} is not in the document");
                let schema = format!("{pointer}/content/{}/schema", part(plain));
                self.validate(&schema, body, &format!("{method} {path} {status}"));
            }
        }
        (status != "default").then_some((operation.method, operation.path, status))
    }

    /// Holds an order that was carried out against the document.
    pub fn check_order(&self, (method, path): (&str, &str), order: &Value) {
        let operation = self.operation(method, path);
        let name = operation.order.unwrap_or_else(|| panic!("{method} {path} takes no body by the document"));
        self.validate(
            &format!("/components/schemas/{name}"),
            order,
            &format!("the order of {method} {path}"),
        );
    }

    /// Holds the members that an order can have, as the program lists them when it refuses one, against the document.
    pub fn check_members(&self, name: &str, said: &Value) {
        let detail = said["detail"].as_str().unwrap();
        let listed = detail.split("expected").nth(1).unwrap_or("");
        let read: BTreeSet<&str> = listed.split('`').skip(1).step_by(2).collect();
        let schema = &self.root["components"]["schemas"][name];
        let published: BTreeSet<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(published, read, "{name}: {detail}");
        assert_eq!(schema["additionalProperties"], false, "{name}");
    }
}
