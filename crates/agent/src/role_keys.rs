//! The keys of tasks' roles, for as long as their tasks live. They never reach a disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agent_api::RoleCredentials;

#[derive(Default)]
pub struct RoleKeys {
    /// By the credentials' id, with the ARN of the task they were given to.
    keys: Mutex<BTreeMap<String, (String, RoleCredentials)>>,
}

impl RoleKeys {
    /// Newer keys of the same id replace the older.
    pub fn put(&self, task_arn: &str, credentials: RoleCredentials) {
        self.lock().insert(credentials.credentials_id.clone(), (task_arn.to_owned(), credentials));
    }

    pub fn get(&self, id: &str) -> Option<RoleCredentials> {
        self.lock().get(id).map(|(_, credentials)| credentials.clone())
    }

    pub fn forget_task(&self, task_arn: &str) {
        self.lock().retain(|_, (owner, _)| owner != task_arn);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (String, RoleCredentials)>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_refreshed_and_go_with_their_task() {
        let keys = RoleKeys::default();
        let of = |id: &str, key: &str| RoleCredentials {
            credentials_id: id.into(),
            access_key_id: key.into(),
            ..RoleCredentials::default()
        };
        keys.put("t1", of("a", "old"));
        keys.put("t1", of("a", "new"));
        keys.put("t2", of("b", "other"));
        assert_eq!(keys.get("a").unwrap().access_key_id, "new");
        keys.forget_task("t1");
        assert_eq!(keys.get("a"), None);
        assert!(keys.get("b").is_some());
    }
}
