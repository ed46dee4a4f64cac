//! Instances that no request can tell apart, as long as they are idle, are of one class: so a constraint is asked once for a
//! class, and not for each instance.
//!
//! Only attributes that a request has asked for tell classes apart. So an attribute that each instance has for itself costs
//! nothing until somebody places by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Attribute, ContainerInstance, ContainerInstanceStatus};
use state::Load;

use crate::filter::standing;
use crate::query::Reach;
use crate::{Candidate, Request};

/// How many attributes are remembered as asked for. Beyond, only those of the newest request are: somebody makes up names.
const ATTRIBUTES_MAX: usize = 256;
/// How many answers are kept.
const ANSWERS_MAX: usize = 1024;

/// An attribute that somebody has asked for, and the values that were met.
#[derive(Debug, Default)]
struct Asked {
    values: BTreeMap<String, u32>,
}

/// What the instances of a class have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Facts {
    is_external: bool,
    has_disk_pressure: bool,
    agent_version: String,
    /// In the order of the names that are asked for: absent, without a value, or with one.
    attributes: Vec<Option<Option<String>>>,
}

#[derive(Debug)]
struct Class {
    /// One of them as it would be if it took tasks and had none.
    model: Candidate,
    /// For each attribute that is asked for, the number of its value.
    values: Vec<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Classes {
    asked: BTreeMap<String, Asked>,
    known: BTreeMap<Facts, u32>,
    classes: Vec<Class>,
    /// Which classes a request may go to, by what it asks.
    answers: BTreeMap<String, Arc<[u32]>>,
}

impl Classes {
    /// True when the request asks for nothing that does not tell classes apart already. Otherwise they are made anew, and all
    /// instances have to be sorted in again.
    pub fn tell_apart<'a>(&mut self, attributes: impl Iterator<Item = &'a str> + Clone) -> bool {
        if attributes.clone().all(|name| self.asked.contains_key(name)) {
            return true;
        }
        let mut asked = std::mem::take(&mut self.asked);
        if asked.len() >= ATTRIBUTES_MAX {
            asked.clear();
        }
        asked.extend(attributes.map(|name| (name.to_owned(), Asked::default())));
        *self = Classes { asked, ..Classes::default() };
        false
    }

    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Forgets the classes, but not what is asked for.
    pub fn clear(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        *self = Classes { asked, ..Classes::default() };
    }

    pub fn of(&mut self, instance: &Arc<ContainerInstance>) -> u32 {
        let attribute = |name: &String| -> Option<Option<String>> {
            let found = instance.attributes.iter().find(|attribute| attribute.name == *name)?;
            Some(found.value.clone())
        };
        let facts = Facts {
            is_external: instance.is_external(),
            has_disk_pressure: instance.has_disk_pressure(),
            agent_version: instance.version_info.agent_version.clone(),
            attributes: self.asked.keys().map(attribute).collect(),
        };
        if let Some(class) = self.known.get(&facts) {
            return *class;
        }
        let values = self.asked.iter_mut().map(|(name, asked)| {
            let value = instance.attribute(name).unwrap_or_default().to_owned();
            let next = asked.values.len() as u32;
            *asked.values.entry(value).or_insert(next)
        });
        let values = values.collect();
        let mut model = ContainerInstance::clone(instance);
        model.status = ContainerInstanceStatus::Active;
        model.agent_connected = true;
        self.classes.push(Class { model: Candidate { instance: Arc::new(model), load: Load::default() }, values });
        self.answers.clear();
        let class = self.classes.len() as u32 - 1;
        self.known.insert(facts, class);
        class
    }

    /// The number of the attribute among those that are asked for.
    pub fn attribute(&self, name: &str) -> Option<usize> {
        self.asked.keys().position(|known| known == name)
    }

    /// The number of its value in that class; equal values have equal numbers.
    pub fn value(&self, class: u32, attribute: usize) -> u32 {
        self.classes[class as usize].values[attribute]
    }

    /// The classes that meet all of the request that does not depend on the single instance, in ascending order.
    pub fn that_may_take(&mut self, request: &Request) -> Arc<[u32]> {
        let question = question(request);
        if let Some(answer) = self.answers.get(&question) {
            return Arc::clone(answer);
        }
        let common = request.member_of.iter().filter(|expression| expression.reach() == Reach::Attributes);
        let common: Vec<_> = common.collect();
        let may = |class: &Class| {
            standing(&class.model.instance, request).is_none() && common.iter().all(|one| one.matches(&class.model))
        };
        let answer = (0..).zip(&self.classes).filter(|(_, class)| may(class)).map(|(number, _)| number);
        let answer: Arc<[u32]> = answer.collect::<Vec<u32>>().into();
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.clear();
        }
        self.answers.insert(question, Arc::clone(&answer));
        answer
    }
}

/// Equal texts ask the same.
fn question(request: &Request) -> String {
    let mut text = String::from(request.launch_type.as_str());
    for Attribute { name, value } in &request.requires_attributes {
        text.extend(["\u{1}", name, "\u{2}", value.as_deref().unwrap_or("\u{3}")]);
    }
    for expression in &request.member_of {
        text.extend(["\u{4}", expression.text()]);
    }
    text
}
