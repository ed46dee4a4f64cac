//! Features whose tests need more than one Berth and one task, and so are elsewhere.

use crate::Page;

/// A feature, and where it is shown.
pub struct Elsewhere {
    pub feature: &'static str,
    pub page: Page,
    /// From the root of the workspace.
    pub file: &'static str,
    pub test: &'static str,
}

const EXEC: Page = Page::Guide("Monitor Amazon ECS containers with ECS Exec");
const GPU: Page = Page::Guide("Amazon ECS task definitions for GPU workloads");
const PREPULL: Page = Page::Berth("guides/images.md");

pub const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere {
        feature: "ECS Exec: `aws ecs execute-command --interactive` opens a shell in a terminal",
        page: EXEC,
        file: "testing/e2e/tests/exec.rs",
        test: "the_aws_cli_opens_a_shell",
    },
    Elsewhere {
        feature: "`berth exec`: its streams, and it ends as the command does",
        page: EXEC,
        file: "testing/e2e/tests/exec.rs",
        test: "berth_exec_ends_as_the_command_does",
    },
    Elsewhere {
        feature: "who asks for a task or a container that cannot be had is refused",
        page: EXEC,
        file: "testing/e2e/tests/exec.rs",
        test: "who_may_not_is_refused",
    },
    Elsewhere {
        feature: "a session ends with its agent, and the container goes on",
        page: EXEC,
        file: "testing/e2e/tests/exec.rs",
        test: "a_session_ends_with_its_agent_and_the_container_goes_on",
    },
    Elsewhere {
        feature: "`resourceRequirements` `GPU`: a container has the GPU that it was given, and no other has it",
        page: GPU,
        file: "crates/node/tests/gpus.rs",
        test: "a_container_has_the_gpu_that_it_was_given_and_no_other_has",
    },
    Elsewhere {
        feature: "a GPU that is gone, or cannot be set up, fails the start",
        page: GPU,
        file: "crates/node/tests/gpus.rs",
        test: "a_gpu_that_is_gone_or_cannot_be_set_up_is_no_gpu",
    },
    Elsewhere {
        feature: "a deployment's image is on an instance before its task is",
        page: PREPULL,
        file: "testing/e2e/tests/prepull.rs",
        test: "an_image_is_on_the_second_instance_before_its_task_is",
    },
    Elsewhere {
        feature: "a sick task is replaced, and one that is not ready is waited for",
        page: Page::Berth("guides/health.md"),
        file: "testing/e2e/tests/probes.rs",
        test: "a_sick_task_is_replaced_and_one_that_is_not_ready_is_waited_for",
    },
    Elsewhere {
        feature: "`berth.health.grpc`: the health protocol of gRPC",
        page: Page::Berth("guides/health.md"),
        file: "crates/node/src/health/tests.rs",
        test: "grpc_health_is_understood",
    },
    Elsewhere {
        feature: "a container waits for its log, and nobody else does",
        page: Page::Docker("logging"),
        file: "crates/node/tests/logs.rs",
        test: "a_container_waits_for_its_log_and_nobody_else_does",
    },
    Elsewhere {
        feature: "`mode` `non-blocking`: it does not wait, and the lines that are lost are counted",
        page: Page::Guide("Send Amazon ECS logs to CloudWatch"),
        file: "crates/node/tests/logs.rs",
        test: "a_container_that_does_not_wait_loses_its_oldest_lines_and_they_are_counted",
    },
    Elsewhere {
        feature: "FireLens: a sidecar gets what the others print",
        page: Page::Guide("Send Amazon ECS logs to an AWS service or AWS Partner"),
        file: "testing/e2e/tests/firelens.rs",
        test: "lines_reach_the_log_router_with_their_ecs_metadata",
    },
];
