//! The exporter of spans, where an endpoint is configured.

use super::{DaemonService, ServiceSite};
use crate::actors::otlp::OtlpExporter;
use crate::supervision::ChildSpec;

pub(super) struct OtlpExporterService;

impl DaemonService for OtlpExporterService {
    fn start(&self, site: &mut ServiceSite) -> anyhow::Result<Option<ChildSpec>> {
        let otlp = &site.config.trace.otlp;
        let Some(endpoint) = otlp.endpoint.clone() else { return Ok(None) };
        let (system, interval) = (site.system.clone(), otlp.interval);
        let (spec, _) = site.system.worker("otlp-exporter", site.options, move |context| {
            let exporter = OtlpExporter::start(system.clone(), &endpoint, interval, &context);
            async move { exporter }
        });
        Ok(Some(spec))
    }
}
