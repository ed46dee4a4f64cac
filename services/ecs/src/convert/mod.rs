//! Between the shapes of AWS and what we keep. Each noun has both directions beside each other, so that nothing that was
//! registered is forgotten when it is described.

pub(crate) mod capacity_provider;
pub(crate) mod cluster;
pub(crate) mod container_definition;
pub(crate) mod daemon;
pub(crate) mod linux_parameters;
pub(crate) mod number;
pub(crate) mod overrides;
pub(crate) mod placement;
pub(crate) mod rebalancing;
pub(crate) mod service;
pub(crate) mod strategy;
pub(crate) mod tags;
pub(crate) mod volume;
