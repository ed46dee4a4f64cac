//! What flows through the commands: an event and what was computed of it, or a row that `stats` made.

use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::ast::Name;
use crate::event::{self, Event};
use crate::value::Value;

pub(crate) struct Row {
    event: Option<Arc<Event>>,
    own: Vec<(Name, Value)>,
    /// The message as JSON, read when the first field of it is asked for.
    json: OnceCell<Option<Arc<Json>>>,
}

impl Row {
    pub(crate) fn of_event(event: Event) -> Row {
        Row { event: Some(Arc::new(event)), own: Vec::new(), json: OnceCell::new() }
    }

    pub(crate) fn of_columns(own: Vec<(Name, Value)>) -> Row {
        Row { event: None, own, json: OnceCell::new() }
    }

    /// The same event and columns once more.
    pub(crate) fn copy(&self) -> Row {
        Row { event: self.event.clone(), own: self.own.clone(), json: self.json.clone() }
    }

    pub(crate) fn event(&self) -> Option<&Event> {
        self.event.as_deref()
    }

    pub(crate) fn into_columns(self) -> Vec<(Name, Value)> {
        self.own
    }

    /// Sets a column; what had its name is hidden.
    pub(crate) fn set(&mut self, name: &Name, value: Value) {
        match self.own.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.own.push((name.clone(), value)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Value {
        if let Some((_, value)) = self.own.iter().find(|(own, _)| &**own == name) {
            return value.clone();
        }
        let Some(event) = &self.event else { return self.within_own(name) };
        if name.starts_with('@')
            && let Some(value) = event.system(name)
        {
            return value;
        }
        match self.within_own(name) {
            Value::Missing => {
                let json = self.json.get_or_init(|| event.json().map(Arc::new));
                json.as_ref().and_then(|json| event::in_json(json, name)).map_or(Value::Missing, Value::of_json)
            }
            found => found,
        }
    }

    /// `j.a.b`, where `j` is a column that holds JSON.
    fn within_own(&self, name: &str) -> Value {
        let inner = |(own, value): &(Name, Value)| match value {
            Value::Json(json) => {
                let path = name.strip_prefix(&**own)?.strip_prefix('.')?;
                event::in_json(json, path).map(Value::of_json)
            }
            _ => None,
        };
        self.own.iter().find_map(inner).unwrap_or(Value::Missing)
    }

    /// Lets go of what can be computed again.
    pub(crate) fn rest(&mut self) {
        self.json = OnceCell::new();
    }

    /// About how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        let own: usize = self.own.iter().map(|(_, value)| size_of::<Name>() + value.weight()).sum();
        size_of::<Row>() + own + self.event.as_ref().map_or(0, |event| size_of::<Event>() + event.message.len())
    }
}
