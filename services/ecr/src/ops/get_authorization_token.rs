//! GetAuthorizationToken: what `aws ecr get-login-password` prints the second half of.

use api_ecr::{AuthorizationData, Error, GetAuthorizationTokenRequest, GetAuthorizationTokenResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use registry::Scope;
use serde_json::json;
use shape::{Caller, Timestamp};

use crate::limits::TOKEN_LIFE;
use crate::names;
use crate::refusals::invalid;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: GetAuthorizationTokenRequest,
) -> Result<GetAuthorizationTokenResponse, Error> {
    let registries = match input.registry_ids {
        None => vec![names::scope(caller)?],
        Some(accounts) => accounts.iter().map(|account| scope(caller, account)).collect::<Result<_, _>>()?,
    };
    let expires_at = service.now() + TOKEN_LIFE;
    let token = STANDARD.encode(format!("AWS:{}", password(caller, expires_at)));
    let data = |registry: Scope| AuthorizationData {
        authorization_token: Some(token.clone()),
        expires_at: Some(expires_at),
        // Not where Berth listens; see `quirks`.
        proxy_endpoint: Some(format!("https://{}", registry.host())),
    };
    Ok(GetAuthorizationTokenResponse { authorization_data: Some(registries.into_iter().map(data).collect()) })
}

fn scope(caller: &Caller, account: &str) -> Result<Scope, Error> {
    Scope::new(account, &caller.region)
        .ok_or_else(|| invalid("registryIds", "Member must satisfy constraint: [must be an account id of 12 digits]"))
}

/// For whom it is and until when. In Base64 it has no colon, at which clients split it from the user's name.
fn password(caller: &Caller, expires_at: Timestamp) -> String {
    let says = json!({
        "version": "1",
        "account": caller.account,
        "region": caller.region,
        "principal": caller.principal.arn,
        "expiration": expires_at.as_millis() / 1000,
    });
    STANDARD.encode(says.to_string())
}
