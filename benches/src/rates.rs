//! How many calls a second a server answers: so many clients, each of which calls again when it has its answer.

use std::time::{Duration, Instant};

use api_ecs::operations::*;
use api_ecs::*;
use client::{Client, Credentials};
use kit::Machine;

use crate::figures::Times;

pub const OPERATIONS: [&str; 3] = ["DescribeTasks of 100", "ListTasks", "RunTask"];
pub const CLUSTER: &str = "bench";
pub const DEFINITION: &str = "bench";
/// A cluster whose tasks nobody adds to, for whoever reads.
pub const FULL_CLUSTER: &str = "full";

const MEASURED: Duration = Duration::from_secs(3);
const WARM: Duration = Duration::from_millis(500);

pub struct Rate {
    pub per_second: f64,
    pub times: Times,
}

pub fn client(endpoint: &str) -> Client {
    let credentials = Credentials { access_key: "test".into(), secret: "test".into(), session_token: None };
    Client::new(endpoint, credentials, "us-east-1").expect("an endpoint")
}

/// Measures from within the machine. The peer places without instances when it is asked for Fargate, in a subnet; Berth has
/// a pretended instance, and no subnet is given.
pub fn measure(machine: &Machine, endpoint: &str, operation: &str, clients: usize, subnet: &str) -> Rate {
    let own = std::env::current_exe().expect("this program has a path");
    let mut command = machine.command(&own.display().to_string());
    let output = command.args(["inside", "rates", endpoint, operation, &clients.to_string(), subnet]).output();
    let output = output.expect("this program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>().expect("a number"));
    let per_second = numbers.next().expect("the first number is the rate");
    Rate { per_second, times: Times::new(numbers.map(Duration::from_secs_f64).collect()) }
}

/// `bench inside rates ENDPOINT OPERATION CLIENTS SUBNET`: calls a second, then the seconds that each took.
pub async fn inside(endpoint: &str, operation: &str, clients: usize, subnet: &str) {
    let client = client(endpoint);
    let mut listed = list(&client).await;
    listed.truncate(100);
    let mut workers = Vec::new();
    let began = Instant::now();
    for _ in 0..clients {
        let (client, listed) = (client.clone(), listed.clone());
        let (operation, subnet) = (operation.to_owned(), Some(subnet.to_owned()).filter(|subnet| !subnet.is_empty()));
        workers.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < WARM + MEASURED {
                let one = Instant::now();
                call(&client, &operation, &listed, subnet.as_deref()).await;
                if began.elapsed() >= WARM {
                    times.push(one.elapsed());
                }
            }
            times
        }));
    }
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.await.expect("a worker ends"));
    }
    println!("{}", times.len() as f64 / (began.elapsed() - WARM).as_secs_f64());
    for time in times {
        println!("{}", time.as_secs_f64());
    }
}

async fn call(client: &Client, operation: &str, listed: &[String], subnet: Option<&str>) {
    match operation {
        "DescribeTasks of 100" => {
            let request = DescribeTasksRequest {
                cluster: Some(FULL_CLUSTER.into()),
                tasks: Some(listed.to_vec()),
                ..Default::default()
            };
            let answer = client.call::<DescribeTasks>(request).await.expect("DescribeTasks answers");
            assert_eq!(answer.tasks.unwrap_or_default().len(), 100);
        }
        // The peer knows no pages and lists all.
        "ListTasks" => assert!(list(client).await.len() >= 100),
        "RunTask" => {
            let request = RunTaskRequest {
                cluster: Some(CLUSTER.into()),
                task_definition: Some(DEFINITION.into()),
                launch_type: subnet.map(|_| "FARGATE".into()),
                network_configuration: subnet.map(|subnet| NetworkConfiguration {
                    awsvpc_configuration: Some(AwsVpcConfiguration {
                        subnets: Some(vec![subnet.to_owned()]),
                        security_groups: Some(Vec::new()),
                        ..Default::default()
                    }),
                }),
                ..Default::default()
            };
            let answer = client.call::<RunTask>(request).await.expect("RunTask answers");
            assert_eq!(answer.tasks.unwrap_or_default().len(), 1, "{:?}", answer.failures);
        }
        other => panic!("{other} is not measured"),
    }
}

async fn list(client: &Client) -> Vec<String> {
    let request = ListTasksRequest { cluster: Some(FULL_CLUSTER.into()), max_results: Some(100), ..Default::default() };
    client.call::<ListTasks>(request).await.expect("ListTasks answers").task_arns.unwrap_or_default()
}
