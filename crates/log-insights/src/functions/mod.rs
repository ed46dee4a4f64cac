//! The functions of the language. Each takes values and gives a value; what makes no sense is missing.
//!
//! Source: User Guide, "Supported operations and functions".

mod addresses;
mod general;
mod numbers;
mod strings;
mod times;

use crate::evaluate::Context;
use crate::value::Value;

pub(crate) struct Function {
    /// In lower case.
    pub(crate) name: &'static str,
    pub(crate) least: usize,
    pub(crate) most: usize,
    /// Whether its last argument is a period such as `5m`.
    pub(crate) takes_period: bool,
    pub(crate) run: fn(&[Value], &Context<'_>) -> Value,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    const fn new(name: &'static str, least: usize, most: usize, run: fn(&[Value], &Context<'_>) -> Value) -> Function {
        Function { name, least, most, takes_period: false, run }
    }

    const fn of_period(mut self) -> Function {
        self.takes_period = true;
        self
    }

    /// How many arguments it takes, in words.
    pub(crate) fn arity(&self) -> String {
        match (self.least, self.most) {
            (least, most) if least == most => format!("{least} arguments"),
            (least, MANY) => format!("at least {least} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        }
    }
}

const MANY: usize = 100;

static ALL: [&[Function]; 5] =
    [addresses::FUNCTIONS, general::FUNCTIONS, numbers::FUNCTIONS, strings::FUNCTIONS, times::FUNCTIONS];

/// By its name in lower case.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    ALL.iter().copied().flatten().find(|function| function.name == name)
}

fn flag(holds: bool) -> Value {
    Value::Bool(holds)
}
