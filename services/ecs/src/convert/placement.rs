//! Placement constraints and strategies.

use model::TaskDefinition;
use model::service::PlacementStrategy;
use model::task_definition::PlacementConstraint;
use scheduler::{Expression, Strategy};

use crate::error::{Error, client, invalid};

/// Source: Amazon ECS API Reference, `RunTask.placementConstraints`, `placementStrategy`: at most 10, those of the task
/// definition included, and 5.
const CONSTRAINTS_MAX: usize = 10;
const STRATEGIES_MAX: usize = 5;

fn constraint(kind: Option<&String>, expression: Option<&String>) -> Result<PlacementConstraint, Error> {
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
            return Err(invalid("distinctInstance expression should not be specified."));
        }
        _ => return Err(invalid(format!("Invalid placement constraint type: {kind}."))),
    }
    Ok(PlacementConstraint { kind, expression: expression.cloned() })
}

/// Of a task definition: only `memberOf`, and no more than a task may have.
///
/// Source: Amazon ECS API Reference, `TaskDefinitionPlacementConstraint.type`; the words are those of ECS.
pub(crate) fn of_definition(
    given: Option<&Vec<api_ecs::TaskDefinitionPlacementConstraint>>,
) -> Result<Vec<PlacementConstraint>, Error> {
    let given = given.map(Vec::as_slice).unwrap_or_default();
    if given.len() > CONSTRAINTS_MAX {
        return Err(client(format!("At most {CONSTRAINTS_MAX} placement constraints can be given.")));
    }
    let parse = |one: &api_ecs::TaskDefinitionPlacementConstraint| match one.r#type.as_deref().unwrap_or_default() {
        "memberOf" => constraint(one.r#type.as_ref(), one.expression.as_ref()),
        kind => Err(client(format!("Create TaskDefinition: constraint.type '{kind}' is not supported."))),
    };
    given.iter().map(parse).collect()
}

pub(crate) fn constraints(
    given: Option<&Vec<api_ecs::PlacementConstraint>>,
    definition: Option<&TaskDefinition>,
) -> Result<Vec<PlacementConstraint>, Error> {
    let given = given.map(Vec::as_slice).unwrap_or_default();
    if given.len() + definition.map_or(0, |definition| definition.placement_constraints.len()) > CONSTRAINTS_MAX {
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
