//! Damage that was found and lived with: said in the log, and remembered.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::StoreError;
use crate::limits::DAMAGES_MAX;

#[derive(Clone, Default)]
pub(crate) struct Damages(Arc<Mutex<Vec<StoreError>>>);

impl Damages {
    pub(crate) fn tell(&self, damage: StoreError) {
        tracing::error!(error = &damage as &dyn std::error::Error, "stored logs are damaged; what is sound is kept");
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < DAMAGES_MAX {
            known.push(damage);
        }
    }

    pub(crate) fn all(&self) -> Vec<StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
