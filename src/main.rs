//! The `pas` binary.

use pas::config::{Config, Flags, Sources};
use pas::daemon::Daemon;
use tokio_util::sync::CancellationToken;

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = Config::load(&Sources::of_process(None, Flags::default()))?;
        let daemon = Daemon::start(config, CancellationToken::new()).await?;
        daemon.run().await?;
        Ok(())
    })
}
