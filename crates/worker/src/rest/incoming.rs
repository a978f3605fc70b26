//! A configuration that comes with a request, until the group may have it.
//!
//! In: what the body says, what is kept. Out: the configuration with its secrets put back, which names nothing of this machine that it may not.
//! Never: a file read for a configuration that has not passed.

use super::Api;
use super::error::ApiError;
use super::secrets;
use crate::wanted::{Config, Patch, patched};

impl Api {
    /// A whole configuration of connector `name`, which there may be or not.
    pub(super) fn incoming(&self, name: &str, config: Config) -> Result<Config, ApiError> {
        let stored = self.group().connector(name).ok().map(|view| view.wanted.config);
        let config = secrets::restored(config, stored.as_ref())?;
        self.0.allowed.expect_all(&config, stored.as_ref())?;
        Ok(config)
    }

    /// Some keys of a connector's configuration; `None` removes.
    pub(super) fn incoming_patch(&self, name: &str, mut patch: Patch) -> Result<Patch, ApiError> {
        let stored = self.group().connector(name)?.wanted.config;
        for (key, value) in &mut patch {
            if let Some(given) = value
                && let Some(kept) = secrets::kept(key, given, Some(&stored))?
            {
                *value = Some(kept);
            }
        }
        self.0.allowed.expect_all(&patched(&stored, &patch), Some(&stored))?;
        Ok(patch)
    }
}
