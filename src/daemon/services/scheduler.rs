//! The scheduler of jobs.

use std::sync::Arc;

use super::{DaemonService, ServiceSite};
use crate::actors::jobs::scheduler::JobScheduler;
use crate::supervision::ChildSpec;

pub(super) struct SchedulerService;

impl DaemonService for SchedulerService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let (jobs, system) = (Arc::clone(&site.jobs), site.system.clone());
        let (spec, _) = site.system.worker("scheduler", site.options, move |context| {
            let scheduler = JobScheduler::start(Arc::clone(&jobs), system.clone(), &context);
            async move { Ok(scheduler) }
        });
        Ok(Some(spec))
    }
}
