//! Writes `shapes.rs`, `enums.rs` and `schemas.rs`: structs, the values of enums, and what the model says of both.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::botocore::{Reference, Shape};
use super::names;
use super::plan::Plan;

pub fn structs(plan: &Plan) -> Result<String> {
    let mut out = String::new();
    for (name, shape) in plan.structures() {
        structure(plan, name, shape, &mut out)?;
    }
    Ok(out)
}

fn structure(plan: &Plan, name: &str, shape: &Shape, out: &mut String) -> Result<()> {
    let rust = names::structure(name);
    let secret = shape.members.0.iter().any(|(_, member)| is_sensitive(plan, &member.shape));
    let debug = if secret { "" } else { "Debug, " };
    writeln!(out, "#[derive({debug}Clone, Default, PartialEq)]\npub struct {rust} {{")?;
    let mut take = String::new();
    let mut put = String::new();
    let mut show = String::new();
    // What streams is beside the structure, not in it.
    for (member, reference) in shape.members.0.iter().filter(|(_, member)| !plan.streams(member)) {
        let field = names::field(member);
        let plain = rust_type(plan, &reference.shape).with_context(|| format!("{name}.{member}"))?;
        let boxed = if plan.is_boxed(name, member) { format!("Box<{plain}>") } else { plain };
        writeln!(out, "pub {field}: Option<{boxed}>,")?;
        writeln!(take, "{field}: fields.take({member:?}),")?;
        writeln!(put, "fields.put({member:?}, self.{field});")?;
        let label = field.trim_start_matches("r#");
        match is_sensitive(plan, &reference.shape) {
            true => write!(show, ".field({label:?}, &self.{field}.as_ref().map(|_| \"***\"))")?,
            false => write!(show, ".field({label:?}, &self.{field})")?,
        }
    }
    writeln!(out, "}}\n")?;
    if secret {
        writeln!(
            out,
            "/// What the model marks as sensitive is not shown.\nimpl std::fmt::Debug for {rust} {{\n\
             fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n\
             f.debug_struct({rust:?}){show}.finish()\n}}\n}}\n"
        )?;
    }
    let schema = names::screaming(name);
    writeln!(out, "impl Shape for {rust} {{\nfn schema() -> &'static Schema {{\n&schemas::{schema}\n}}\n}}\n")?;
    let count = shape.members.0.iter().filter(|(_, member)| !plan.streams(member)).count();
    if count == 0 {
        writeln!(
            out,
            "impl Value for {rust} {{\nfn from_document(_: Document) -> Self {{\nSelf {{}}\n}}\n\
             fn into_document(self) -> Document {{\nDocument::Structure(Vec::new())\n}}\n}}\n"
        )?;
        return Ok(());
    }
    writeln!(
        out,
        "impl Value for {rust} {{\nfn from_document(document: Document) -> Self {{\n\
         let mut fields = Fields::of(document);\nSelf {{\n{take}}}\n}}\n\
         fn into_document(self) -> Document {{\nlet mut fields = Fields::with_capacity({count});\n{put}\
         fields.into_document()\n}}\n}}\n"
    )?;
    Ok(())
}

fn is_sensitive(plan: &Plan, name: &str) -> bool {
    let shape = plan.shape(name);
    shape.sensitive || shape.member.iter().chain(&shape.value).any(|inner| plan.shape(&inner.shape).sensitive)
}

fn rust_type(plan: &Plan, name: &str) -> Result<String> {
    let shape = plan.shape(name);
    let inner = |reference: &Option<Reference>| -> Result<String> {
        rust_type(plan, &reference.as_ref().with_context(|| format!("{name} has no member"))?.shape)
    };
    Ok(match shape.kind.as_str() {
        "boolean" => "bool".to_owned(),
        "integer" => "i32".to_owned(),
        "long" => "i64".to_owned(),
        "float" => "f32".to_owned(),
        "double" => "f64".to_owned(),
        "string" => "String".to_owned(),
        "blob" => "Bytes".to_owned(),
        "timestamp" => "Timestamp".to_owned(),
        "list" => format!("Vec<{}>", inner(&shape.member)?),
        "map" => format!("BTreeMap<String, {}>", inner(&shape.value)?),
        "structure" if shape.document => "Document".to_owned(),
        "structure" => names::structure(name),
        other => bail!("{name} is a {other}, which is not known here"),
    })
}

/// One module of constants for each enum.
pub fn enums(plan: &Plan) -> Result<String> {
    let mut out = String::new();
    for name in &plan.shapes {
        let shape = plan.shape(name);
        if shape.values.is_empty() {
            continue;
        }
        writeln!(out, "pub mod {} {{", names::field(name))?;
        for value in &shape.values {
            writeln!(out, "pub const {}: &str = {value:?};", names::value(value))?;
        }
        let all: Vec<String> = shape.values.iter().map(|value| names::value(value)).collect();
        writeln!(out, "/// In the order of the model.\npub const VALUES: &[&str] = &[{}];\n}}\n", all.join(", "))?;
    }
    Ok(out)
}

pub fn schemas(plan: &Plan) -> Result<String> {
    let mut out = String::new();
    for name in &plan.shapes {
        let shape = plan.shape(name);
        if shared(shape).is_some() {
            continue;
        }
        let schema = schema(plan, name, shape).with_context(|| format!("schema of {name}"))?;
        writeln!(out, "pub static {}: Schema = {schema};\n", names::screaming(name))?;
    }
    Ok(out)
}

/// The schema of a use of a shape: one of its own, or a shared one.
fn schema_of(plan: &Plan, name: &str) -> String {
    match shared(plan.shape(name)) {
        Some(shared) => format!("&shape::{shared}"),
        None => format!("&{}", names::screaming(name)),
    }
}

/// Scalars without traits need no schema of their own.
fn shared(shape: &Shape) -> Option<&'static str> {
    if shape.document {
        return Some("DOCUMENT");
    }
    let plain = shape.values.is_empty()
        && shape.min.is_none()
        && shape.max.is_none()
        && shape.pattern.is_none()
        && shape.timestamp_format.is_none()
        && !shape.sensitive;
    if !plain {
        return None;
    }
    Some(match shape.kind.as_str() {
        "boolean" => "BOOLEAN",
        "integer" => "INTEGER",
        "long" => "LONG",
        "float" => "FLOAT",
        "double" => "DOUBLE",
        "string" => "STRING",
        "blob" => "BLOB",
        "timestamp" => "TIMESTAMP",
        _ => return None,
    })
}

fn schema(plan: &Plan, name: &str, shape: &Shape) -> Result<String> {
    let use_of = |reference: &Option<Reference>| -> Result<String> {
        Ok(schema_of(plan, &reference.as_ref().context("a list or map without members")?.shape))
    };
    let mut out = match shape.kind.as_str() {
        "structure" => {
            let mut members = String::new();
            for (member, reference) in &shape.members.0 {
                write!(members, "{},", member_schema(plan, shape, member, reference)?)?;
            }
            format!("Schema::structure({name:?}, &[{members}])")
        }
        "list" => format!("Schema::list({name:?}, {})", use_of(&shape.member)?),
        "map" => format!("Schema::map({name:?}, {}, {})", use_of(&shape.key)?, use_of(&shape.value)?),
        "string" if !shape.values.is_empty() => {
            format!("Schema::enumeration({name:?}, crate::enums::{}::VALUES)", names::field(name))
        }
        scalar => format!("Schema::new({name:?}, Kind::{})", names::structure(scalar)),
    };
    // An enum's own length and pattern say nothing that its values do not.
    if shape.values.is_empty() {
        if let Some(min) = shape.min {
            write!(out, ".min({})", whole(min)?)?;
        }
        if let Some(max) = shape.max {
            write!(out, ".max({})", whole(max)?)?;
        }
        if let Some(pattern) = &shape.pattern {
            if !shape::compiles(pattern) {
                bail!("the pattern {pattern} cannot be checked here; drop it in patches.rs");
            }
            write!(out, ".pattern({})", raw(pattern))?;
        }
    }
    if shape.sensitive {
        out.push_str(".sensitive()");
    }
    if shape.eventstream {
        out.push_str(".event_stream()");
    }
    if shape.exception {
        out.push_str(".exception()");
    }
    if shape.flattened {
        out.push_str(".flattened()");
    }
    if let Some(format) = &shape.timestamp_format {
        write!(out, ".timestamp_format(TimestampFormat::{})", timestamp_format(format)?)?;
    }
    if let Some(element) = shape.member.as_ref().and_then(|member| member.location_name.as_ref()) {
        write!(out, ".element({element:?})")?;
    }
    if let (Some(key), Some(value)) = (&shape.key, &shape.value)
        && (key.location_name.is_some() || value.location_name.is_some())
    {
        let key = key.location_name.as_deref().unwrap_or("key");
        let value = value.location_name.as_deref().unwrap_or("value");
        write!(out, ".entry({key:?}, {value:?})")?;
    }
    Ok(out)
}

fn member_schema(plan: &Plan, owner: &Shape, name: &str, reference: &Reference) -> Result<String> {
    let mut out = format!("Member::new({name:?}, {})", schema_of(plan, &reference.shape));
    if owner.required.iter().any(|required| required == name) {
        out.push_str(".required()");
    }
    if let Some(location_name) = reference.location_name.as_ref().filter(|other| *other != name) {
        write!(out, ".location_name({location_name:?})")?;
    }
    if let Some(query_name) = &reference.query_name {
        write!(out, ".query_name({query_name:?})")?;
    }
    let location = match reference.location.as_deref() {
        _ if owner.payload.as_deref() == Some(name) => Some("Payload"),
        None => None,
        Some("header") => Some("Header"),
        Some("headers") => Some("Headers"),
        Some("uri") => Some("Uri"),
        Some("querystring") => Some("QueryString"),
        Some("statusCode") => Some("StatusCode"),
        Some(other) => bail!("{name} is located in {other}, which is not known here"),
    };
    if let Some(location) = location {
        write!(out, ".location(Location::{location})")?;
    }
    if let Some(format) = &reference.timestamp_format {
        write!(out, ".timestamp_format(TimestampFormat::{})", timestamp_format(format)?)?;
    }
    if plan.streams(reference) {
        out.push_str(".streaming()");
    }
    Ok(out)
}

fn timestamp_format(name: &str) -> Result<&'static str> {
    Ok(match name {
        "iso8601" => "Iso8601",
        "rfc822" => "Rfc822",
        "unixTimestamp" => "UnixSeconds",
        other => bail!("timestamp format {other} is not known here"),
    })
}

fn whole(limit: f64) -> Result<i64> {
    // Some limits are the largest double below i64::MAX; a cast saturates, which is what they mean.
    if limit.fract() != 0.0 {
        bail!("a limit of {limit} is not a whole number");
    }
    Ok(limit as i64)
}

fn raw(text: &str) -> String {
    let mut hashes = String::new();
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    if hashes.is_empty() && !text.contains('\\') { format!("{text:?}") } else { format!("r{hashes}\"{text}\"{hashes}") }
}
