//! What a script expects, against what came: the expectation is a part, and names what it wants to remember.
//!
//! In an expectation, `"$task"` is what was called so before, and is remembered under that name when nothing was; `"*"` is anything that is
//! there; `"~words"` is a text with these words in it; `">$seq"` is a number above that one; `null` is nothing. An object may have more
//! members than are expected, a list not. JSON inside a text may be expected as JSON. In what is sent, `"$task"` stands for what
//! was remembered.

use std::collections::BTreeMap;

use serde_json::Value;

#[derive(Default)]
pub struct Memory(BTreeMap<String, Value>);

impl Memory {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Fills in what was remembered.
    pub fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('$') {
                Some(name) => self.known(name).clone(),
                None => value.clone(),
            },
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), self.filled(value))).collect(),
            other => other.clone(),
        }
    }

    pub fn known(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("nothing is called ${name} yet"))
    }

    /// Errors: where the two differ.
    pub fn expect(&mut self, expected: &Value, found: &Value) -> Result<(), String> {
        self.at("", expected, found)
    }

    fn at(&mut self, path: &str, expected: &Value, found: &Value) -> Result<(), String> {
        let differs =
            || Err(format!("{}: expected {expected}, found {found}", if path.is_empty() { "." } else { path }));
        match (expected, found) {
            (Value::Null, Value::Null) => Ok(()),
            (Value::String(text), _) if text == "*" => {
                if found.is_null() {
                    differs()
                } else {
                    Ok(())
                }
            }
            (Value::String(text), _) if text.starts_with('$') => match self.0.get(&text[1..]) {
                Some(known) if known == found => Ok(()),
                Some(known) => Err(format!("{path}: {text} is {known}, found {found}")),
                None if found.is_null() => differs(),
                None => {
                    self.0.insert(text[1..].to_owned(), found.clone());
                    Ok(())
                }
            },
            (Value::String(text), _) if text.starts_with(">$") => {
                let below = self.known(&text[2..]).as_f64();
                if found.as_f64() > below { Ok(()) } else { differs() }
            }
            (Value::String(text), Value::String(found)) if text.starts_with('~') => {
                if found.contains(&text[1..]) {
                    Ok(())
                } else {
                    differs()
                }
            }
            (Value::Object(_), Value::String(inner)) => match serde_json::from_str(inner) {
                Ok(inner) => self.at(path, expected, &inner),
                Err(_) => differs(),
            },
            (Value::Object(members), Value::Object(others)) => members.iter().try_for_each(|(name, value)| {
                self.at(&format!("{path}.{name}"), value, others.get(name).unwrap_or(&Value::Null))
            }),
            (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
                let mut pairs = items.iter().zip(others).enumerate();
                pairs.try_for_each(|(index, (item, other))| self.at(&format!("{path}[{index}]"), item, other))
            }
            (Value::Number(number), Value::Number(other)) if number.as_f64() == other.as_f64() => Ok(()),
            (expected, found) if expected == found => Ok(()),
            _ => differs(),
        }
    }
}
