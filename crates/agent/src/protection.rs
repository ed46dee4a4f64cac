//! Task scale-in protection as a container asks for it: `${ECS_AGENT_URI}/task-protection/v1/state`.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS task scale-in protection endpoint".

use std::sync::Arc;
use std::time::Duration;

use api_ecs::{Failure, GetTaskProtectionRequest, ProtectedTask, UpdateTaskProtectionRequest};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::limits::PROTECTION_ANSWER_WITHIN;
use crate::seams::{ApiError, ControlPlane};
use crate::tasks::Tasks;

struct Protection {
    tasks: Arc<Tasks>,
    control: Arc<dyn ControlPlane>,
    cluster: String,
}

/// What the control plane says of one task.
type Said = (Vec<ProtectedTask>, Vec<Failure>);

pub(crate) fn router(tasks: Arc<Tasks>, control: Arc<dyn ControlPlane>, cluster: String) -> Router {
    Router::new().route("/api/{id}/task-protection/v1/state", get(read).put(write)).with_state(Arc::new(Protection {
        tasks,
        control,
        cluster,
    }))
}

/// Another name is a mistake of the caller, who would else believe that a task is protected.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Wanted {
    protection_enabled: Option<bool>,
    expires_in_minutes: Option<i32>,
}

async fn read(State(protection): State<Arc<Protection>>, Path(id): Path<String>) -> Response {
    let Some((arn, cluster)) = protection.task(&id) else { return unknown() };
    let request = GetTaskProtectionRequest { cluster: Some(cluster), tasks: Some(vec![arn.clone()]) };
    let asking = async {
        let answer = protection.control.protection(request).await?;
        Ok((answer.protected_tasks.unwrap_or_default(), answer.failures.unwrap_or_default()))
    };
    answer(&arn, within(PROTECTION_ANSWER_WITHIN, asking).await)
}

async fn write(State(protection): State<Arc<Protection>>, Path(id): Path<String>, body: Bytes) -> Response {
    let Some((arn, cluster)) = protection.task(&id) else { return unknown() };
    let invalid = |message: &str| refused(&arn, StatusCode::BAD_REQUEST, "InvalidParameterException", message);
    let Ok(wanted) = serde_json::from_slice::<Wanted>(&body) else {
        return invalid("UpdateTaskProtection: failed to decode request");
    };
    let Some(enabled) = wanted.protection_enabled else {
        return invalid("Invalid request: does not contain 'ProtectionEnabled' field");
    };
    let request = UpdateTaskProtectionRequest {
        cluster: Some(cluster),
        tasks: Some(vec![arn.clone()]),
        protection_enabled: Some(enabled),
        expires_in_minutes: wanted.expires_in_minutes,
    };
    let asking = async {
        let answer = protection.control.protect(request).await?;
        Ok((answer.protected_tasks.unwrap_or_default(), answer.failures.unwrap_or_default()))
    };
    answer(&arn, within(PROTECTION_ANSWER_WITHIN, asking).await)
}

async fn within(limit: Duration, asking: impl Future<Output = Result<Said, ApiError>>) -> Result<Said, ApiError> {
    let late = || Err(ApiError::Unavailable("no answer in time".to_owned()));
    tokio::time::timeout(limit, asking).await.unwrap_or_else(|_| late())
}

impl Protection {
    /// The ARNs of the task that a container is of, and of its cluster.
    fn task(&self, id: &str) -> Option<(String, String)> {
        self.tasks.all().into_iter().find_map(|handle| {
            handle.plan.containers.iter().find(|container| container.metadata_id == id)?;
            let payload = &handle.plan.payload;
            let own = if payload.task_cluster_arn.is_empty() { &self.cluster } else { &payload.task_cluster_arn };
            Some((payload.arn.clone(), own.clone()))
        })
    }
}

/// As the official agent answers: what cannot be protected is no error.
fn answer(arn: &str, said: Result<Said, ApiError>) -> Response {
    match said {
        Ok((protected, failures)) => match (protected.first(), failures.first()) {
            (_, Some(failure)) => {
                Json(json!({"failure": {"Arn": failure.arn, "Detail": failure.detail, "Reason": failure.reason}}))
                    .into_response()
            }
            (Some(task), None) => Json(json!({"protection": {
                "ExpirationDate": task.expiration_date.map(|at| at.to_string()),
                "ProtectionEnabled": task.protection_enabled,
                "TaskArn": task.task_arn,
            }}))
            .into_response(),
            (None, None) => refused(arn, StatusCode::INTERNAL_SERVER_ERROR, "ServerException", "Unexpected answer"),
        },
        Err(ApiError::InvalidParameter(message)) => {
            refused(arn, StatusCode::BAD_REQUEST, "InvalidParameterException", &message)
        }
        Err(ApiError::Refused { code, message }) => refused(arn, StatusCode::BAD_REQUEST, &code, &message),
        Err(error @ ApiError::Unavailable(_)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, task = arn, "a task's protection is not known");
            refused(arn, StatusCode::INTERNAL_SERVER_ERROR, "ServerException", &error.to_string())
        }
    }
}

fn refused(arn: &str, status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"error": {"Arn": arn, "Code": code, "Message": message}}))).into_response()
}

fn unknown() -> Response {
    refused("", StatusCode::NOT_FOUND, "ResourceNotFoundException", "Failed to find a task for the request")
}
