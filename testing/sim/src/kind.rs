//! What the tasks of the simulation are made of.

use api_ecs::{
    ContainerDefinition, ContainerDependency, DaemonContainerDefinition, HealthCheck, PortMapping,
    RegisterDaemonTaskDefinitionRequest, RegisterTaskDefinitionRequest,
};
use model::daemon::DAEMON_FAMILY;

/// A task definition family. Each has several revisions, which differ in nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One container, a dynamic port.
    Web,
    /// With a health check.
    Api,
    /// With a fixed port of its instance.
    Edge,
    /// An essential container that waits for another.
    Pair,
    /// Two of them fill a small instance.
    Big,
    /// Its image cannot be pulled.
    Broken,
    /// Ends soon after its start, with an error.
    Crashing,
    /// Ends when it is done.
    Batch,
    /// Its health check never passes.
    Sickly,
    /// With a readiness probe.
    Ready,
    /// Its readiness probe never passes.
    Unready,
}

/// Revisions of each family.
pub const REVISIONS: u32 = 3;
/// The host port of [`Kind::Edge`].
pub const EDGE_PORT: u16 = 8080;
/// Memory of [`Kind::Big`], in MiB.
const BIG_MIB: i32 = 900;
/// What a container asks for.
pub const MIB: i32 = 128;
pub const CPU: i32 = 64;

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::Web,
        Kind::Api,
        Kind::Edge,
        Kind::Pair,
        Kind::Big,
        Kind::Broken,
        Kind::Crashing,
        Kind::Batch,
        Kind::Sickly,
        Kind::Ready,
        Kind::Unready,
    ];
    /// Those that managed daemons are made of, too. Their containers have no ports and no labels.
    pub const OF_DAEMONS: [Kind; 5] = [Kind::Web, Kind::Api, Kind::Broken, Kind::Crashing, Kind::Sickly];

    pub fn family(self) -> &'static str {
        match self {
            Kind::Web => "web",
            Kind::Api => "api",
            Kind::Edge => "edge",
            Kind::Pair => "pair",
            Kind::Big => "big",
            Kind::Broken => "broken",
            Kind::Crashing => "crashing",
            Kind::Batch => "batch",
            Kind::Sickly => "sickly",
            Kind::Ready => "ready",
            Kind::Unready => "unready",
        }
    }

    pub fn of(family: &str) -> Option<Kind> {
        let family = family.strip_prefix(DAEMON_FAMILY).unwrap_or(family);
        Kind::ALL.into_iter().find(|kind| kind.family() == family)
    }

    /// A service of it can reach its desired count.
    pub fn works(self) -> bool {
        !matches!(self, Kind::Broken | Kind::Crashing | Kind::Batch | Kind::Sickly | Kind::Unready)
    }

    /// Its definition, as a client registers it.
    pub fn definition(self) -> RegisterTaskDefinitionRequest {
        let mut app = container("app", self.family());
        match self {
            Kind::Web => app.port_mappings = Some(vec![port(0)]),
            Kind::Edge => app.port_mappings = Some(vec![port(EDGE_PORT)]),
            Kind::Big => app.memory = Some(BIG_MIB),
            Kind::Api | Kind::Sickly => {
                app.health_check = Some(HealthCheck {
                    command: Some(vec!["CMD".into(), "check".into()]),
                    interval: Some(5),
                    timeout: Some(2),
                    retries: Some(2),
                    start_period: None,
                });
            }
            Kind::Pair => {
                app.depends_on = Some(vec![ContainerDependency {
                    container_name: Some("side".into()),
                    condition: Some("START".into()),
                }]);
            }
            Kind::Ready | Kind::Unready => {
                let labels = [("berth.ready.tcp", "80"), ("berth.ready.interval", "5")];
                app.docker_labels = Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
            }
            Kind::Broken | Kind::Crashing | Kind::Batch => {}
        }
        let mut containers = vec![app];
        if self == Kind::Pair {
            containers.push(ContainerDefinition { essential: Some(false), ..container("side", "side") });
        }
        RegisterTaskDefinitionRequest {
            family: Some(self.family().into()),
            container_definitions: Some(containers),
            ..Default::default()
        }
    }
}

impl Kind {
    /// The same for a managed daemon.
    pub fn daemon_definition(self) -> RegisterDaemonTaskDefinitionRequest {
        let one = self.definition().container_definitions.into_iter().flatten().next().unwrap_or_default();
        let app = DaemonContainerDefinition {
            name: one.name,
            image: one.image,
            cpu: one.cpu,
            memory: one.memory,
            essential: one.essential,
            stop_timeout: one.stop_timeout,
            health_check: one.health_check,
            ..Default::default()
        };
        RegisterDaemonTaskDefinitionRequest {
            family: Some(self.family().into()),
            container_definitions: Some(vec![app]),
            ..Default::default()
        }
    }
}

fn container(name: &str, image: &str) -> ContainerDefinition {
    ContainerDefinition {
        name: Some(name.into()),
        image: Some(format!("{image}:1")),
        cpu: Some(CPU),
        memory: Some(MIB),
        essential: Some(true),
        stop_timeout: Some(5),
        ..Default::default()
    }
}

fn port(host: u16) -> PortMapping {
    PortMapping { container_port: Some(80), host_port: Some(host.into()), ..Default::default() }
}
