//! The cluster query language, in which `memberOf` constraints and list filters are written.
//!
//! Source: Amazon ECS Developer Guide, "Create expressions to define container instances for tasks": `subject operator
//! [argument]`, joined by `and`, `or` and `not`, with parentheses. The text becomes typed tests once; asking an instance
//! then reads no text again.

mod check;
mod parse;
mod scan;

use std::collections::BTreeSet;
use std::fmt;

use check::{Dated, Number, Text, Versioned};
use thiserror::Error;

use crate::Candidate;

/// A parsed expression, with the text it came from.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    tree: Tree,
}

/// The same text is the same expression.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Invalid expression: {text}: {why}")]
pub struct ConstraintError {
    text: String,
    why: Invalid,
}

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    #[error("it has more than {0} characters")]
    Long(usize),
    #[error("parentheses and `not` are nested too deeply")]
    Deep,
    #[error("{0} is expected at its end")]
    Ends(&'static str),
    #[error("{wanted} is expected at '{found}'")]
    Unexpected { wanted: &'static str, found: String },
    #[error("a quotation mark is not closed")]
    OpenQuote,
    #[error("'{0}' is no subject of the cluster query language")]
    Subject(String),
    #[error("'{0}' is no operator of the cluster query language")]
    Operator(String),
    #[error("{subject} cannot be compared with {operator}")]
    Comparison { subject: &'static str, operator: &'static str },
    #[error("'{0}' is no version, as 1.105.1")]
    Version(String),
    #[error("'{0}' is no date, as 2018-06-18T22:28:28+00:00")]
    Date(String),
    #[error("'{0}' is no number of tasks")]
    Count(String),
    #[error("'{0}' is no regular expression, or too large a one")]
    Pattern(String),
}

#[derive(Clone, Debug)]
enum Tree {
    Or(Vec<Tree>),
    And(Vec<Tree>),
    Not(Box<Tree>),
    Test(Test),
}

#[derive(Clone, Debug)]
enum Test {
    Attribute { name: String, check: Text },
    AgentConnected(Text),
    AgentVersion(Versioned),
    Ec2InstanceId(Text),
    RegisteredAt(Dated),
    RunningTasksCount(Number),
    TaskGroup(Text),
}

/// What an answer depends on, beside attributes and the agent's version, which many instances have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    Attributes,
    Instance,
    Load,
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Expression {
    pub fn matches(&self, candidate: &Candidate) -> bool {
        self.tree.holds(candidate)
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn reach(&self) -> Reach {
        let mut reach = Reach::Attributes;
        self.tree.each(&mut |test| reach = reach.max(test.reach()));
        reach
    }

    /// The names of the attributes it asks for.
    pub(crate) fn attributes(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.tree.each(&mut |test| {
            if let Test::Attribute { name, .. } = test {
                names.insert(name.as_str());
            }
        });
        names
    }
}

impl Tree {
    fn holds(&self, candidate: &Candidate) -> bool {
        match self {
            Tree::Or(parts) => parts.iter().any(|part| part.holds(candidate)),
            Tree::And(parts) => parts.iter().all(|part| part.holds(candidate)),
            Tree::Not(part) => !part.holds(candidate),
            Tree::Test(test) => test.holds(candidate),
        }
    }

    fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Test)) {
        match self {
            Tree::Or(parts) | Tree::And(parts) => parts.iter().for_each(|part| part.each(visit)),
            Tree::Not(part) => part.each(visit),
            Tree::Test(test) => visit(test),
        }
    }
}

impl Test {
    fn holds(&self, candidate: &Candidate) -> bool {
        let instance = &candidate.instance;
        match self {
            Test::Attribute { name, check } => {
                let found = instance.attributes.iter().find(|attribute| attribute.name == *name);
                // An attribute without a value is an empty text.
                check.holds(found.map(|attribute| attribute.value.as_deref().unwrap_or_default()))
            }
            Test::AgentConnected(check) => check.holds(Some(if instance.agent_connected { "true" } else { "false" })),
            Test::AgentVersion(check) => check.holds(&instance.version_info.agent_version),
            Test::Ec2InstanceId(check) => check.holds(instance.ec2_instance_id.as_deref()),
            Test::RegisteredAt(check) => check.holds(instance.registered_at),
            Test::RunningTasksCount(check) => check.holds(candidate.load.tasks_running),
            // Of several groups one is enough; none of them is as if there were no group.
            Test::TaskGroup(check) if check.is_negative() => {
                candidate.load.groups().all(|(group, _)| check.holds(Some(group)))
            }
            Test::TaskGroup(check) => candidate.load.groups().any(|(group, _)| check.holds(Some(group))),
        }
    }

    fn reach(&self) -> Reach {
        match self {
            Test::Attribute { .. } | Test::AgentConnected(_) | Test::AgentVersion(_) => Reach::Attributes,
            Test::Ec2InstanceId(_) | Test::RegisteredAt(_) => Reach::Instance,
            Test::RunningTasksCount(_) | Test::TaskGroup(_) => Reach::Load,
        }
    }
}
