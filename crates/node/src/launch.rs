//! A container's start: what can be made early, the image, and the order of the rest.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use agent::plan::{ContainerPlan, TaskPlan};
use agent::seams::{Launched, Pulled, Run};
use agent_api::payload::RegistryAuthentication;
use futures::future::{join, join_all};
use images::{Auth, Image, ImageError, Progress, PullBehavior, Reference};
use logs::Driver;
use runtime::{Cgroups, ContainerRuntime as _, ContainerState, RuntimeError, Task};
use stdx::Timestamp;
use task_engine::{Failure, FailureKind};

use crate::cdi::{Edits, Gpus};
use crate::keepsake::Keepsake;
use crate::local::{LocalTask, Net};
use crate::prepull::Waits;
use crate::spec::{self, Around, Folder, Peer, VolumeMount};
use crate::{Machine, apparmor, environment_files, failure, firelens, names, probe, watch};

impl Machine {
    /// Everything that needs no image, at once: the shim, and each container's network. A failure is met again, and
    /// told, by the start that needs it.
    pub(crate) async fn prepare_task(&self, plan: &Arc<TaskPlan>) {
        let task = self.local(plan);
        let Some(_open) = task.enter().await else { return };
        let networks = join_all((0..plan.containers.len()).map(|index| self.network(&task, index)));
        let (shim, networks) = join(self.shim(&task), networks).await;
        let failures = networks.into_iter().filter_map(Result::err).chain(shim.err());
        for failure in failures {
            tracing::debug!(task = plan.id, reason = failure.reason(), "a task is not prepared completely");
        }
    }

    pub(crate) async fn pull_image(&self, run: &Run) -> Result<Pulled, Failure> {
        let plan = &run.task.containers[run.container];
        let _waits = Waits::begin(&self.waiting);
        let (began, was_missing) = (now(), AtomicBool::new(false));
        let on_progress = |progress: Progress| {
            if progress.layers_done < progress.layers {
                was_missing.store(true, Ordering::Relaxed);
            }
            if let Some(on_pull) = self.config.on_pull.as_ref().filter(|_| was_missing.load(Ordering::Relaxed)) {
                on_pull(&plan.payload.image, progress);
            }
        };
        let auth = self.auth(plan.payload.registry_authentication.as_ref())?;
        let pulled = self.bring_planned(plan, &auth, self.config.pull_behavior, &on_progress).await;
        let image = pulled.map_err(|error| failure::pull(&error))?;
        let task = self.local(&run.task);
        // A pull can take longer than its task lives.
        if let Some(_open) = task.enter().await {
            task.containers[run.container].hold_image(&image);
        }
        let times = was_missing.load(Ordering::Relaxed).then(|| (began, now()));
        Ok(Pulled { digest: Some(image.digest().to_string()), times })
    }

    pub(crate) async fn launch(&self, run: &Run) -> Result<Launched, Failure> {
        let task = self.local(&run.task);
        let released = || Failure::new(FailureKind::Create, "the task has been stopped");
        let _open = task.enter().await.ok_or_else(released)?;
        let index = run.container;
        let plan = &run.task.containers[index];
        let logs = match (plan.is_routed(), run.task.log_router()) {
            (true, Some(_)) => Some(firelens::driver(&self.config.state_dir, &run.task, plan)),
            _ => log_configuration(&run.task, plan, &task.containers[index].runtime_id),
        };
        let image_and_driver = async {
            let image = self.image(&task, index).await?;
            let Some((name, options)) = &logs else { return Ok((image, None)) };
            let subject = subject(&run.task, plan, &task.containers[index].runtime_id, &image).only_for(options);
            let opened = self.logs().open(name, options, &subject).await;
            let driver = opened.map_err(|error| failure::logging(&error))?;
            Ok::<_, Failure>((image, Some((driver, subject))))
        };
        // Not given up when one of them fails: what is half made would be nobody's.
        let ((shim, network), image_and_driver) =
            join(join(self.shim(&task), self.network(&task, index)), image_and_driver).await;
        let (shim, network, (image, driver)) = (shim?, network?, image_and_driver?);
        let (driver, log_subject) = driver.unzip();

        let mut mounts = spec::folders(&run.task, index, &self.folders(&run.task))?;
        mounts.extend(firelens::provide(&self.config, &run.task, index).await?);
        provide(&mounts).await?;
        let id = names::run_id(run);
        let before = names::previous_run_id(run);
        let credentials_id = match &run.task.payload.role_credentials {
            Some(credentials) => Some(credentials.credentials_id.clone()),
            // An agent that was restarted has no keys, but the container before this one knew where they are.
            None => before.as_ref().and_then(|id| Keepsake::read(&shim.container_dir(id))?.credentials_id),
        };
        let mut host = probe::host_files();
        host.apparmor_default = apparmor::ensure().await?;
        let shared = self.shared(&task, &shim).await?;
        let file_variables = environment_files::fetch(&self.config.buckets, &run.task, plan).await?;
        let around = Around {
            id: id.clone(),
            runtime_id: &task.containers[index].runtime_id,
            image: image.config(),
            lower_dirs: image.layers().iter().rev().map(|layer| layer.dir.clone()).collect(),
            netns: network.attachment.netns.clone(),
            ip: network.attachment.link.as_ref().map(|link| link.ip),
            peers: self.peers(&task, plan).await?,
            mounts,
            more_environment: firelens::environment(self.router_address(&task, plan).await?),
            credentials_id: credentials_id.as_deref(),
            host: &host,
            shared,
            file_variables,
            init: self.config.init.as_deref(),
            gpus: self.gpu_edits(&run.task, plan).await?,
            cgroup_v2: matches!(self.cgroups, Cgroups::V2 { .. }),
            task_pids_limit: self.config.task_pids_limit,
            continues: before,
            ring: driver.as_ref().map(Driver::ring).unwrap_or_default(),
        };
        let spec = spec::container_spec(&run.task, index, around)?;
        let keepsake = Keepsake {
            stop_signal: plan.config.stop_signal.clone().or_else(|| image.config().stop_signal.clone()),
            log_driver: logs.as_ref().map(|(name, _)| name.clone()),
            log_options: logs.map(|(_, options)| options).unwrap_or_default(),
            log_subject,
            credentials_id,
            ..Keepsake::new(image.digest().to_string())
        };
        let dir = shim.container_dir(&id);
        keepsake.write(&dir).map_err(|error| failure::resource(&error))?;
        failpoint::place("node.start");
        start(&*shim, &spec).await?;
        failpoint::place("node.started");
        follow(&task, driver, &dir);
        Ok(launched(&task, index, &network, shim, id))
    }

    /// What the machine's files say of a container's GPUs. They are read anew, for a driver may have been installed meanwhile.
    async fn gpu_edits(&self, task: &TaskPlan, plan: &ContainerPlan) -> Result<Edits, Failure> {
        let ids: Vec<String> = task.payload.gpus(&plan.name).map(str::to_owned).collect();
        if ids.is_empty() {
            return Ok(Edits::default());
        }
        let dirs = self.config.cdi_dirs.clone();
        let read = move || Gpus::read(&dirs).edits(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        let edits = tokio::task::spawn_blocking(read).await;
        edits.unwrap_or_else(|error| Err(failure::resource(&error)))
    }

    /// The task's shim. The first who asks opens it.
    async fn shim(&self, task: &LocalTask) -> Result<Arc<dyn Task>, Failure> {
        let open = || async {
            self.burials.call_off(&task.plan.id).await;
            let limits = spec::task_limits(&task.plan, self.config.task_pids_limit);
            self.runtime.open_task(&names::task_id(&task.plan), &limits).await
        };
        task.shim.get_or_try_init(open).await.cloned().map_err(|error| failure::runtime(&error))
    }

    /// A container's addresses and ports. The first who asks makes them.
    pub(crate) async fn network(&self, task: &LocalTask, index: usize) -> Result<Net, Failure> {
        let (plan, container) = (&task.plan.containers[index], &task.containers[index]);
        let id = container.runtime_id.as_str();
        let mappings = spec::port_mappings(plan)?;
        let make = || async {
            let attachment = self.network.attach(id, spec::mode(&task.plan)).await?;
            failpoint::place("node.attached");
            let bindings = self.network.publish(id, mappings).await?;
            Ok(Net { attachment, bindings })
        };
        let made = container.network.get_or_try_init(make).await.cloned();
        made.map_err(|error| failure::network(&error, (&plan.docker_name, id)))
    }

    /// The image as it was pulled. A restart after the agent's own takes the one that is here.
    async fn image(&self, task: &LocalTask, index: usize) -> Result<Image, Failure> {
        let container = &task.containers[index];
        if let Some(image) = container.image() {
            return Ok(image);
        }
        let plan = &task.plan.containers[index];
        let auth = self.auth(plan.payload.registry_authentication.as_ref())?;
        let pulled = self.bring_planned(plan, &auth, PullBehavior::PreferCached, &|_| {}).await;
        let image = pulled.map_err(|error| failure::pull(&error))?;
        container.hold_image(&image);
        Ok(image)
    }

    /// The image that the definition names, pinned to a digest when the control plane knows it.
    async fn bring_planned(
        &self,
        plan: &ContainerPlan,
        auth: &Auth,
        behavior: PullBehavior,
        on_progress: images::OnProgress<'_>,
    ) -> Result<Image, ImageError> {
        let hint = plan.payload.berth.as_ref().and_then(|berth| berth.image.as_ref()?.digest.as_deref());
        self.bring(&plan.payload.image, hint, auth, behavior, on_progress).await
    }

    pub(crate) async fn bring(
        &self,
        name: &str,
        pinned: Option<&str>,
        auth: &Auth,
        behavior: PullBehavior,
        on_progress: images::OnProgress<'_>,
    ) -> Result<Image, ImageError> {
        let name: Reference = name.parse().map_err(ImageError::Reference)?;
        match pinned.and_then(|digest| digest.parse().ok()).filter(|_| name.digest().is_none()) {
            Some(digest) => self.config.images.pull_pinned(&name, digest, auth, behavior, on_progress).await,
            None => self.config.images.pull(&name, auth, behavior, on_progress).await,
        }
    }

    pub(crate) fn auth(&self, wanted: Option<&RegistryAuthentication>) -> Result<Auth, Failure> {
        match wanted.map(|wanted| wanted.auth_type.as_str()) {
            None | Some("") => Ok(Auth::Anonymous),
            Some("ecr") => Ok(self.config.ecr_auth.clone()),
            Some("asm") => {
                let text = "unable to pull registry auth: credentials from AWS Secrets Manager are";
                Err(failure::unavailable(text))
            }
            Some(other) => Err(failure::unavailable(format!("registry authentication {other:?} is"))),
        }
    }

    /// The address of the log router, for a container that writes to it from a network of its own.
    async fn router_address(
        &self,
        task: &LocalTask,
        plan: &ContainerPlan,
    ) -> Result<Option<std::net::Ipv4Addr>, Failure> {
        match task.plan.log_router().filter(|_| plan.is_routed()) {
            Some(router) => Ok(self.network(task, router).await?.attachment.link.map(|link| link.ip)),
            None => Ok(None),
        }
    }

    /// The containers that this one has links to.
    async fn peers(&self, task: &LocalTask, plan: &ContainerPlan) -> Result<Vec<Option<Peer>>, Failure> {
        let mut peers = vec![None; task.containers.len()];
        for link in &plan.payload.links {
            let name = link.split(':').next().unwrap_or(link);
            if let Some(index) = task.plan.index_of(name) {
                let (net, image) = (self.network(task, index).await?, self.image(task, index).await?);
                peers[index] = net.attachment.link.map(|link| Peer::new(link.ip, image.config()));
            }
        }
        Ok(peers)
    }
}

type LogConfiguration = (String, std::collections::BTreeMap<String, String>);

/// A log that the execution role writes is written with the role's keys, which the driver fetches as a container would. A
/// stream without a name has the container's, as with Docker.
fn log_configuration(task: &TaskPlan, plan: &ContainerPlan, runtime_id: &str) -> Option<LogConfiguration> {
    let logs = plan.logs.as_ref()?;
    let mut options = logs.options.clone();
    if logs.log_driver == "awslogs" {
        options.entry("awslogs-stream".to_owned()).or_insert_with(|| runtime_id.to_owned());
    }
    let role = task.payload.execution_role_credentials.as_ref();
    if let (Some("ExecutionRole"), "awslogs", Some(role)) =
        (plan.payload.logs_auth_strategy.as_deref(), logs.log_driver.as_str(), role)
    {
        let path = format!("/v2/credentials/{}", role.credentials_id);
        options.entry("awslogs-credentials-endpoint".to_owned()).or_insert(path);
    }
    Some((logs.log_driver.clone(), options))
}

/// The container as a log driver knows it.
fn subject(task: &TaskPlan, plan: &ContainerPlan, runtime_id: &str, image: &Image) -> logs::Subject {
    let image_labels = image.config().labels.clone();
    logs::Subject {
        id: runtime_id.to_owned(),
        name: plan.docker_name.clone(),
        image_id: image.id().to_string(),
        image_name: plan.payload.image.clone(),
        command: spec::command(plan, image.config()),
        created_ms: now().as_millis(),
        hostname: hostname(),
        labels: image_labels.into_iter().chain(plan.labels.clone()).collect(),
        env: spec::environment(task, plan, image.config(), &[], None),
    }
}

/// The machine's.
fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// Makes the directories that a container mounts, as far as that is its business.
async fn provide(mounts: &[VolumeMount]) -> Result<(), Failure> {
    if mounts.is_empty() {
        return Ok(());
    }
    let mounts = mounts.to_vec();
    let made =
        tokio::task::spawn_blocking(move || mounts.iter().try_for_each(|mount| provide_one(&mount.folder))).await;
    made.unwrap_or_else(|error| Err(failure::resource(&error)))
}

fn provide_one(folder: &Folder) -> Result<(), Failure> {
    let path = match folder {
        Folder::Host(path) | Folder::Volume(path) => path,
        Folder::Provisioned(path, _) if path.is_dir() => return Ok(()),
        Folder::Provisioned(_, name) => {
            return Err(Failure::new(FailureKind::Volume, format!("Error: No such volume: {name}")));
        }
    };
    // A file, a socket or a device of the machine is mounted as it is.
    if path.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(path).map_err(|error| {
        let why = failure::words(&error);
        failure::create(format!("error while creating mount source path '{0}': mkdir {0}: {why}", path.display()))
    })
}

/// One that was started before is started: a call may be repeated.
async fn start(shim: &dyn Task, spec: &runtime::ContainerSpec) -> Result<(), Failure> {
    match shim.start(spec).await {
        Ok(_) | Err(RuntimeError::AlreadyEnded { .. }) => Ok(()),
        Err(error) => Err(failure::runtime(&error)),
    }
}

pub(crate) fn follow(task: &LocalTask, driver: Option<Driver>, container_dir: &Path) {
    if let Some(driver) = driver {
        task.follow(driver.follow(container_dir.to_owned()));
    }
}

/// What the agent hears of a container that runs, or has run.
pub(crate) fn launched(
    task: &LocalTask,
    index: usize,
    network: &Net,
    shim: Arc<dyn Task>,
    id: runtime::ContainerId,
) -> Launched {
    let at = match watch::state(&*shim, &id) {
        Some(ContainerState::Running { started_at, .. }) => started_at,
        Some(ContainerState::Exited(exit)) => exit.started_at,
        _ => now(),
    };
    Launched {
        runtime_id: task.containers[index].runtime_id.clone(),
        bindings: spec::told(&task.plan.containers[index], &network.bindings),
        at,
        exit: watch::exit(shim, id),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
