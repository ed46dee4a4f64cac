//! Which Berth is spoken to, in which region, as whom.

use clap::Args;
use client::{Client, ClientError, Credentials};

/// The options that every command has.
#[derive(Args)]
#[command(next_help_heading = "Endpoint")]
pub struct Endpoint {
    /// Where Berth listens; else AWS_ENDPOINT_URL, http://127.0.0.1:4566.
    #[arg(long, global = true, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The region to look in; else AWS_REGION, AWS_DEFAULT_REGION, us-east-1.
    #[arg(long, global = true, value_name = "REGION")]
    region: Option<String>,
}

impl Endpoint {
    pub fn url(&self) -> String {
        let named = self.endpoint_url.clone().or_else(|| variable("AWS_ENDPOINT_URL"));
        named.unwrap_or_else(|| "http://127.0.0.1:4566".to_owned())
    }

    /// A client for the region of an ARN; for any other text, in the region that was chosen.
    pub fn client_for(&self, target: &str) -> anyhow::Result<Client> {
        match target.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, _, region, ..] if !region.is_empty() => self.client_in(region),
            _ => self.client(),
        }
    }

    pub fn client(&self) -> anyhow::Result<Client> {
        self.client_in(&self.region())
    }

    fn client_in(&self, region: &str) -> anyhow::Result<Client> {
        let credentials = Credentials {
            access_key: variable("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "test".to_owned()),
            secret: variable("AWS_SECRET_ACCESS_KEY").unwrap_or_else(|| "test".to_owned()),
            session_token: variable("AWS_SESSION_TOKEN"),
        };
        Ok(Client::new(&self.url(), credentials, region)?)
    }

    pub fn region(&self) -> String {
        let named = self.region.clone().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        named.unwrap_or_else(|| "us-east-1".to_owned())
    }
}

/// An empty variable counts as none, as it does for the AWS CLI.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What to tell the person: one sentence where we know what helps, the whole chain where we do not.
pub fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref() {
        Some(ClientError::Unreachable { endpoint, .. }) => format!(
            "nothing answers at {}: start Berth with `make up` or `berth up`, or say where it listens with \
             --endpoint-url or AWS_ENDPOINT_URL.",
            endpoint.to_string().trim_end_matches('/')
        ),
        _ => format!("{error:#}"),
    }
}
