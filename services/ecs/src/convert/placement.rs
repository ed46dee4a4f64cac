//! Placement constraints and strategies.

use model::service::PlacementStrategy;
use model::task_definition::PlacementConstraint;
use scheduler::{Expression, Strategy};

use crate::error::{Error, invalid};

/// Source: Amazon ECS API Reference, `RunTask.placementConstraints`, `placementStrategy`: at most 10 and 5.
const CONSTRAINTS_MAX: usize = 10;
const STRATEGIES_MAX: usize = 5;

pub(crate) fn constraint(kind: Option<&String>, expression: Option<&String>) -> Result<PlacementConstraint, Error> {
    let kind = kind.cloned().unwrap_or_default();
    match (kind.as_str(), expression) {
        ("memberOf", Some(text)) => {
            text.parse::<Expression>().map_err(|error| invalid(error.to_string()))?;
        }
        ("memberOf", None) => {
            return Err(invalid("The expression of a memberOf placement constraint cannot be empty."));
        }
        ("distinctInstance", None) => {}
        ("distinctInstance", Some(_)) => {
            return Err(invalid("A distinctInstance placement constraint takes no expression."));
        }
        _ => return Err(invalid(format!("Invalid placement constraint type: {kind}."))),
    }
    Ok(PlacementConstraint { kind, expression: expression.cloned() })
}

pub(crate) fn constraints(
    given: Option<&Vec<api_ecs::PlacementConstraint>>,
) -> Result<Vec<PlacementConstraint>, Error> {
    let given = given.map(Vec::as_slice).unwrap_or_default();
    if given.len() > CONSTRAINTS_MAX {
        return Err(invalid(format!("At most {CONSTRAINTS_MAX} placement constraints can be given.")));
    }
    given.iter().map(|one| constraint(one.r#type.as_ref(), one.expression.as_ref())).collect()
}

pub(crate) fn constraints_view(constraints: &[PlacementConstraint]) -> Vec<api_ecs::PlacementConstraint> {
    constraints
        .iter()
        .map(|one| api_ecs::PlacementConstraint { r#type: Some(one.kind.clone()), expression: one.expression.clone() })
        .collect()
}

pub(crate) fn strategies(given: Option<&Vec<api_ecs::PlacementStrategy>>) -> Result<Vec<PlacementStrategy>, Error> {
    let given = given.map(Vec::as_slice).unwrap_or_default();
    if given.len() > STRATEGIES_MAX {
        return Err(invalid(format!("At most {STRATEGIES_MAX} placement strategies can be given.")));
    }
    let mut strategies = Vec::new();
    for one in given {
        let strategy = PlacementStrategy { kind: one.r#type.clone().unwrap_or_default(), field: one.field.clone() };
        Strategy::parse(&strategy).map_err(|error| invalid(error.to_string()))?;
        strategies.push(strategy);
    }
    Ok(strategies)
}

pub(crate) fn strategies_view(strategies: &[PlacementStrategy]) -> Vec<api_ecs::PlacementStrategy> {
    strategies
        .iter()
        .map(|one| api_ecs::PlacementStrategy { r#type: Some(one.kind.clone()), field: one.field.clone() })
        .collect()
}
