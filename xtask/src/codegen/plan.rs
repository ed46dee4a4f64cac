//! What of a model is generated: the listed operations, the shapes they reach, the errors they give.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::botocore::{Model, Operation, Reference, Shape};
use super::{names, patches};

pub struct Plan {
    pub service: String,
    pub model: Model,
    /// Sorted by name.
    pub operations: Vec<String>,
    /// Every shape that the operations reach, sorted by name.
    pub shapes: BTreeSet<String>,
    pub errors: Vec<ErrorFacts>,
    /// Structure and member that would contain itself without a box.
    boxed: BTreeSet<(String, String)>,
}

pub struct ErrorFacts {
    pub name: String,
    pub code: String,
    pub status: u16,
    pub server_fault: bool,
}

impl Plan {
    /// Errors: an operation that the model lacks, or a shape that we cannot express.
    pub fn new(service: &str, model: Model, operations: &[String]) -> Result<Plan> {
        let sorted: BTreeSet<String> = operations.iter().cloned().collect();
        if sorted.len() != operations.len() {
            bail!("api/operations.toml lists an operation twice");
        }
        let mut plan = Plan {
            service: service.to_owned(),
            model,
            operations: sorted.into_iter().collect(),
            shapes: BTreeSet::new(),
            errors: Vec::new(),
            boxed: BTreeSet::new(),
        };
        plan.reach_shapes()?;
        plan.collect_errors()?;
        plan.box_cycles();
        plan.check_names()?;
        Ok(plan)
    }

    pub fn operation(&self, name: &str) -> &Operation {
        &self.model.operations[name]
    }

    /// Whether a member is bytes that come beside the rest.
    pub fn streams(&self, member: &Reference) -> bool {
        let shape = self.shape(&member.shape);
        shape.kind == "blob" && (member.streaming || shape.streaming)
    }

    /// Whether a structure has such a member.
    pub fn is_streaming(&self, structure: &str) -> bool {
        self.shape(structure).members.0.iter().any(|(_, member)| self.streams(member))
    }

    pub fn shape(&self, name: &str) -> &Shape {
        &self.model.shapes[name]
    }

    /// The events of an operation whose answer goes on and on: the shape of the stream.
    ///
    /// Errors: a stream in a protocol that cannot carry it here, or one that a client would send.
    pub fn events(&self, operation: &Operation) -> Result<Option<&str>> {
        let stream = |side: &Option<super::botocore::Reference>| {
            let members = side.as_ref().map(|side| &self.shape(&side.shape).members.0);
            members.into_iter().flatten().map(|(_, member)| &member.shape).find(|name| self.shape(name).eventstream)
        };
        if let Some(name) = stream(&operation.input) {
            bail!("{name} is an event stream of the client, which no protocol here can carry yet");
        }
        let events = stream(&operation.output);
        match events {
            Some(name) if self.model.metadata.protocol != "json" => {
                bail!("{name} is an event stream, which only the JSON protocol can carry here")
            }
            events => Ok(events.map(String::as_str)),
        }
    }

    pub fn structures(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.shapes
            .iter()
            .map(|name| (name.as_str(), self.shape(name)))
            .filter(|(_, shape)| shape.kind == "structure" && !shape.document)
    }

    pub fn is_boxed(&self, structure: &str, member: &str) -> bool {
        self.boxed.contains(&(structure.to_owned(), member.to_owned()))
    }

    fn reach_shapes(&mut self) -> Result<()> {
        let mut ahead = Vec::new();
        for name in &self.operations {
            let operation = self.model.operations.get(name).with_context(|| format!("no operation {name}"))?;
            ahead.extend(operation.input.iter().chain(&operation.output).map(|reference| reference.shape.clone()));
        }
        while let Some(name) = ahead.pop() {
            if !self.shapes.insert(name.clone()) {
                continue;
            }
            let shape = self.model.shapes.get(&name).with_context(|| format!("no shape {name}"))?;
            ahead.extend(shape.members.0.iter().map(|(_, member)| member.shape.clone()));
            let inner = shape.member.iter().chain(&shape.key).chain(&shape.value);
            ahead.extend(inner.map(|reference| reference.shape.clone()));
        }
        Ok(())
    }

    fn collect_errors(&mut self) -> Result<()> {
        let mut errors = BTreeMap::new();
        for name in &self.operations {
            for error in &self.operation(name).errors {
                let shape = self.model.shapes.get(&error.shape).with_context(|| format!("no error {}", error.shape))?;
                errors.insert(error.shape.clone(), modelled(&error.shape, shape));
            }
        }
        let patched = patches::errors(&self.service).iter();
        let patched = patched.map(|(name, status)| ErrorFacts {
            name: (*name).to_owned(),
            code: (*name).to_owned(),
            status: *status,
            server_fault: *status >= 500,
        });
        for error in patched {
            errors.insert(error.name.clone(), error);
        }
        for common in common(&self.model.metadata.protocol) {
            errors.entry(common.name.clone()).or_insert(common);
        }
        self.errors = errors.into_values().collect();
        Ok(())
    }

    /// A structure that holds itself directly, not through a list or map, has no size unless the member is boxed.
    fn box_cycles(&mut self) {
        let mut boxed = BTreeSet::new();
        for (name, shape) in self.structures() {
            for (member, reference) in &shape.members.0 {
                if self.holds(&reference.shape, name, &mut BTreeSet::new()) {
                    boxed.insert((name.to_owned(), member.clone()));
                }
            }
        }
        self.boxed = boxed;
    }

    fn holds<'a>(&'a self, outer: &'a str, inner: &str, seen: &mut BTreeSet<&'a str>) -> bool {
        if self.shape(outer).kind != "structure" || !seen.insert(outer) {
            return false;
        }
        outer == inner || self.shape(outer).members.0.iter().any(|(_, member)| self.holds(&member.shape, inner, seen))
    }

    fn check_names(&self) -> Result<()> {
        let mut seen = BTreeMap::new();
        for shape in &self.shapes {
            if let Some(other) = seen.insert(names::screaming(shape), shape) {
                bail!("{shape} and {other} would get the same name in Rust");
            }
        }
        Ok(())
    }
}

fn modelled(name: &str, shape: &Shape) -> ErrorFacts {
    let facts = shape.error.as_ref();
    let server_fault = shape.fault && !facts.is_some_and(|facts| facts.sender_fault);
    ErrorFacts {
        name: name.to_owned(),
        code: facts.and_then(|facts| facts.code.clone()).unwrap_or_else(|| name.to_owned()),
        status: facts.and_then(|facts| facts.http_status_code).unwrap_or(if server_fault { 500 } else { 400 }),
        server_fault,
    }
}

/// What every service may answer, though its model does not list it.
///
/// Source: "Common Error Types" in the API references of ECS (JSON) and STS (query).
fn common(protocol: &str) -> Vec<ErrorFacts> {
    let facts = |name: &str, status, server_fault| ErrorFacts {
        name: name.to_owned(),
        code: name.to_owned(),
        status,
        server_fault,
    };
    let mut common = match protocol {
        // Each REST service has a list of its own, which is in `patches.rs`.
        "rest-xml" => return Vec::new(),
        "query" | "ec2" => vec![
            facts("AccessDenied", 403, false),
            facts("InvalidClientTokenId", 403, false),
            facts("Throttling", 400, false),
            facts("ValidationError", 400, false),
        ],
        _ => vec![
            facts("AccessDeniedException", 400, false),
            facts("ThrottlingException", 400, false),
            facts("UnrecognizedClientException", 400, false),
            facts("ValidationException", 400, false),
        ],
    };
    common.push(facts("InternalFailure", 500, true));
    common.push(facts("ServiceUnavailable", 503, true));
    common
}
