//! Blue/green, linear and canary deployments: as histories, from each of their stages back, and under whatever may happen.

#[path = "../world/mod.rs"]
mod world;

mod alarms;
mod anything;
mod hooks;
mod stages;
mod story;
mod way_back;
