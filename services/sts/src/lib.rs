//! AWS STS: who am I?
//!
//! | operation | file |
//! |---|---|
//! | GetCallerIdentity | `ops/get_caller_identity.rs` |
//!
//! It keeps nothing and checks nothing: by the time a call arrives, the front door has decided who the caller is.

#![forbid(unsafe_code)]

mod ops;

use std::sync::Arc;

use api_sts::{Error, GetCallerIdentityRequest, GetCallerIdentityResponse, Router, Sts};
use async_trait::async_trait;
use shape::{Caller, Service};

pub struct StsService;

impl StsService {
    /// What `wire::Gateway` takes.
    pub fn routed() -> Arc<dyn Service> {
        Arc::new(Router(Arc::new(StsService)))
    }
}

#[async_trait]
impl Sts for StsService {
    async fn get_caller_identity(
        &self,
        caller: &Caller,
        _input: GetCallerIdentityRequest,
    ) -> Result<GetCallerIdentityResponse, Error> {
        Ok(ops::get_caller_identity::view(caller))
    }
}
