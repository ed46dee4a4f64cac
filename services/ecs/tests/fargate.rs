//! Definitions that ask to be validated for Fargate: what AWS refuses of them, in its words; and that Berth has no Fargate yet.

mod world;

use api_ecs::*;
use world::{World, container, refused, text, texts};

const CLIENT: &str = "ClientException";

fn fine() -> RegisterTaskDefinitionRequest {
    RegisterTaskDefinitionRequest {
        family: text("web"),
        requires_compatibilities: texts(&["FARGATE"]),
        network_mode: text("awsvpc"),
        cpu: text("256"),
        memory: text("512"),
        container_definitions: Some(vec![container("app")]),
        ..Default::default()
    }
}

/// What is said of the definition with that change.
async fn check(change: impl FnOnce(&mut RegisterTaskDefinitionRequest), message: &str) {
    let world = World::new().await;
    let mut input = fine();
    change(&mut input);
    refused(world.ecs.register_task_definition(&world.caller, input).await, CLIENT, message);
}

/// The same of a change of its container.
async fn check_container(change: impl FnOnce(&mut ContainerDefinition), message: &str) {
    check(|input| change(&mut input.container_definitions.as_mut().unwrap()[0]), message).await;
}

#[tokio::test]
async fn what_is_fine_is_refused_by_name() {
    let world = World::new().await;
    let refusal = "The compatibility FARGATE is not supported by this version of Berth.";
    for (cpu, memory) in [("256", "512"), (".25 vCPU", "0.5 GB"), ("8 vCPU", "20GB"), ("16384", "122880")] {
        let input = RegisterTaskDefinitionRequest { cpu: text(cpu), memory: text(memory), ..fine() };
        let answer = world.ecs.register_task_definition(&world.caller, input).await;
        refused(answer, "UnsupportedFeatureException", refusal);
    }
    let mut input = fine();
    (input.requires_compatibilities, input.network_mode) = (texts(&["MANAGED_INSTANCES"]), None);
    let answer = world.ecs.register_task_definition(&world.caller, input).await;
    let refusal = "The compatibility MANAGED_INSTANCES is not supported by this version of Berth.";
    refused(answer, "UnsupportedFeatureException", refusal);
    for kind in ["FARGATE", "MANAGED_INSTANCES"] {
        world.define("web").await;
        let answer = world.run(|input| input.launch_type = text(kind)).await;
        let refusal = format!("The launch type {kind} is not supported by this version of Berth.");
        refused(answer, "UnsupportedFeatureException", &refusal);
    }
}

#[tokio::test]
async fn its_size_is_one_of_those_that_exist() {
    check(|input| input.network_mode = None, "Fargate only supports network mode ‘awsvpc’.").await;
    check(|input| input.network_mode = text("bridge"), "Fargate only supports network mode ‘awsvpc’.").await;
    check(|input| input.cpu = None, "Fargate requires that 'cpu' be defined at the task level.").await;
    check(|input| input.memory = None, "Fargate requires that 'memory' be defined at the task level.").await;
    check(|input| input.cpu = text("much"), "Invalid 'cpu' setting for task.").await;
    for (cpu, memory) in
        [(256, 1536), (256, 4096), (1024, 1024), (4096, 31_744), (8192, 17_408), (16_384, 36_864), (300, 512)]
    {
        let message = format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS documentation \
             for the valid values."
        );
        let change = |input: &mut RegisterTaskDefinitionRequest| {
            (input.cpu, input.memory) = (text(&cpu.to_string()), text(&memory.to_string()));
        };
        check(change, &message).await;
    }
}

#[tokio::test]
async fn what_is_of_a_machine_of_its_own_is_not_there() {
    let pid =
        "Tasks using the Fargate launch type do not support pidMode 'host'. The supported value for pidMode is 'task'.";
    check(|input| input.pid_mode = text("host"), pid).await;
    let ipc = "Tasks using the Fargate launch type do not support ipcMode.";
    check(|input| input.ipc_mode = text("task"), ipc).await;
    let on = TaskDefinitionPlacementConstraint { r#type: text("memberOf"), expression: text("attribute:a == b") };
    let without = |what: &str| format!("Fargate compatible task definitions do not support {what}");
    check(|input| input.placement_constraints = Some(vec![on]), &without("constraints")).await;
    let host = Some(HostVolumeProperties { source_path: text("/data") });
    let volume = Volume { name: text("v"), host, ..Default::default() };
    check(|input| input.volumes = Some(vec![volume]), &without("sourcePath")).await;
    let volume =
        Volume { docker_volume_configuration: Some(Default::default()), name: text("v"), ..Default::default() };
    check(|input| input.volumes = Some(vec![volume]), &without("dockerVolumeConfiguration")).await;
    check_container(|one| one.privileged = Some(true), &without("privileged")).await;
    check_container(
        |one| one.docker_security_options = texts(&["no-new-privileges"]),
        &without("dockerSecurityOptions"),
    )
    .await;
    let swap = LinuxParameters { max_swap: Some(1), ..Default::default() };
    check_container(|one| one.linux_parameters = Some(swap), &without("maxSwap")).await;
    let memory = LinuxParameters { shared_memory_size: Some(1), ..Default::default() };
    check_container(|one| one.linux_parameters = Some(memory), &without("sharedMemorySize")).await;
    let gpu = ResourceRequirement { r#type: text("GPU"), value: text("1"), ..Default::default() };
    let refusal = "Tasks using the Fargate launch type do not support GPU resource requirements.";
    check_container(|one| one.resource_requirements = Some(vec![gpu]), refusal).await;
}

#[tokio::test]
async fn ports_are_the_tasks_own_and_logs_and_images_need_a_role() {
    let port = PortMapping { container_port: Some(80), host_port: Some(8080), ..Default::default() };
    let ports = "When networkMode=awsvpc, the host ports and container ports in port mappings must match.";
    check_container(|one| one.port_mappings = Some(vec![port]), ports).await;
    let logs = |driver: &str| Some(LogConfiguration { log_driver: text(driver), ..Default::default() });
    let role = |what: &str| format!("Fargate requires task definition to have execution role ARN to support {what}.");
    check_container(|one| one.log_configuration = logs("awslogs"), &role("log driver awslogs")).await;
    let driver = "Fargate compatible task definitions do not support log driver gelf";
    check_container(|one| one.log_configuration = logs("gelf"), driver).await;
    let image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1";
    check_container(|one| one.image = text(image), &role("ECR images")).await;
}
