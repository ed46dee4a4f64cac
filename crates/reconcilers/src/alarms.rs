//! What a deployment asks of whoever keeps alarms.

use std::collections::BTreeMap;

use model::{Scope, Service};

/// Source: Amazon CloudWatch API Reference, `MetricAlarm.StateValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    Ok,
    Alarm,
    InsufficientData,
}

pub trait Alarms {
    /// Nothing where there is no alarm of that name.
    fn state(&self, scope: &Scope, name: &str) -> Option<AlarmState>;
}

/// Nobody keeps alarms: none is there, and none goes off.
pub struct NoAlarms;

impl Alarms for NoAlarms {
    fn state(&self, _: &Scope, _: &str) -> Option<AlarmState> {
        None
    }
}

/// Alarms by their names, as a value.
impl Alarms for BTreeMap<String, AlarmState> {
    fn state(&self, _: &Scope, name: &str) -> Option<AlarmState> {
        self.get(name).copied()
    }
}

/// Those of the service's alarms that have gone off.
pub(crate) fn triggered(alarms: &dyn Alarms, service: &Service) -> Vec<String> {
    let configured = service.deployment_configuration.alarms.iter().filter(|alarms| alarms.enable);
    let names = configured.flat_map(|alarms| &alarms.names);
    names.filter(|name| alarms.state(&service.scope, name) == Some(AlarmState::Alarm)).cloned().collect()
}
