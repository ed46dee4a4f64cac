//! `availabilityZoneRebalancing`: what is asked for, and what speaks against it.

use model::{DeploymentController, LaunchType, Service};
use reconcilers::service::ZONE;
use scheduler::Strategy;

use crate::error::{Error, invalid};

const ENABLED: &str = "ENABLED";
const DISABLED: &str = "DISABLED";

pub(crate) fn view(is_enabled: bool) -> String {
    if is_enabled { ENABLED } else { DISABLED }.to_owned()
}

/// Of a service that is about to be made. Without a word it is enabled where it can be.
///
/// Source: Amazon ECS API Reference, `CreateService.availabilityZoneRebalancing`.
pub(crate) fn of_new(given: Option<&str>, service: &Service) -> Result<bool, Error> {
    match parse(given)? {
        Some(true) => check(service).map(|()| true),
        Some(false) => Ok(false),
        None => Ok(obstacle(service).is_none()),
    }
}

/// Of a service as an update leaves it. Without a word it stays as it is, and nothing else may speak against it.
///
/// Source: Amazon ECS API Reference, `UpdateService.availabilityZoneRebalancing`.
pub(crate) fn of_updated(given: Option<&str>, service: &Service) -> Result<bool, Error> {
    let is_enabled = parse(given)?.unwrap_or(service.availability_zone_rebalancing);
    if is_enabled {
        check(service)?;
    }
    Ok(is_enabled)
}

fn parse(given: Option<&str>) -> Result<Option<bool>, Error> {
    match given {
        None => Ok(None),
        Some(ENABLED) => Ok(Some(true)),
        Some(DISABLED) => Ok(Some(false)),
        Some(other) => Err(invalid(format!("Invalid availabilityZoneRebalancing: {other}."))),
    }
}

fn check(service: &Service) -> Result<(), Error> {
    match obstacle(service) {
        Some(what) => Err(invalid(format!("AvailabilityZoneRebalancing does not support {what}"))),
        None => Ok(()),
    }
}

/// Source: Amazon ECS Developer Guide, "Balancing an Amazon ECS service across Availability Zones", where it is not available.
fn obstacle(service: &Service) -> Option<&'static str> {
    let first = service.placement_strategy.first().and_then(|first| Strategy::parse(first).ok());
    let by_zone = first.is_none_or(|first| first == Strategy::Spread(ZONE.to_owned()));
    let asks_for_zone = service
        .placement_constraints
        .iter()
        .any(|one| one.expression.as_ref().is_some_and(|expression| expression.contains(&format!("attribute:{ZONE}"))));
    let of_all = [
        (service.is_daemon(), "the DAEMON scheduling strategy"),
        (service.deployment_controller == DeploymentController::External, "the EXTERNAL deployment controller"),
        (service.launch_type == Some(LaunchType::External), "the EXTERNAL launch type"),
        (service.deployment_configuration.maximum_percent <= 100, "maximumPercent <= 100"),
        (!by_zone, "a placement strategy whose first step is not spread by attribute:ecs.availability-zone"),
        (asks_for_zone, "attribute:ecs.availability-zone as a task placement constraint"),
    ];
    of_all.into_iter().find(|(stands_against, _)| *stands_against).map(|(_, what)| what)
}
