//! A store found damaged at a start, or at an end: which backup to go back to.

use std::path::PathBuf;

use crate::store::OpenError;
use crate::store::backup_folder::BackupFolder;
use crate::store::open::inspect;

/// Adds to a failure the store's damage, if that is the cause, and the newest good backup by name. Call it when
/// this process no longer writes the store.
pub(super) async fn explained(
    failure: anyhow::Error,
    store: PathBuf,
    backups: BackupFolder,
) -> anyhow::Error {
    let found = tokio::task::spawn_blocking(move || {
        let Err(OpenError::Damaged { path, reason }) = inspect(&store) else { return None };
        let way_back = match backups.newest_good() {
            Some((backup, made)) => format!(
                "the newest good backup is {}, made {made}: move the damaged file away, copy the backup to its \
                 place, and start again; what came after it is lost",
                backup.display()
            ),
            None => "there is no good backup; move the file away to start empty".to_owned(),
        };
        Some(format!("{} is damaged ({reason}) and was left as it is; {way_back}", path.display()))
    });
    match found.await {
        Ok(Some(damage)) => failure.context(damage),
        Ok(None) | Err(_) => failure,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::store::{Store, StoreChanges, StoreError, StoreTable};

    const ROWS: StoreTable<u64, String> = StoreTable::new("rows");

    #[tokio::test]
    async fn damage_names_the_newest_backup_that_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let (file, backups) = (
            dir.path().join("pas.redb"),
            BackupFolder::below(dir.path(), NonZeroUsize::MIN.saturating_add(4)),
        );
        let store = Store::open(&file).unwrap();
        let rows = |_: &crate::store::StoreView<'_>| {
            let put = |changes: StoreChanges, n| changes.put(&ROWS, &n, &format!("witness {n}"));
            Ok::<_, StoreError>(((0..500).fold(StoreChanges::none(), put), ()))
        };
        store.write(rows).await.unwrap();
        let mut made = Vec::new();
        for age in [300, 200, 100] {
            let report =
                backups.back_up(&store, None, Timestamp::from_millis(1_780_000_000_000 - age)).unwrap();
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age.unsigned_abs());
            std::fs::File::options().write(true).open(&report.path).unwrap().set_modified(time).unwrap();
            made.push(report.path);
        }
        store.close().await.unwrap();
        let untouched = explained(anyhow::anyhow!("no port"), file.clone(), backups.clone()).await;
        assert_eq!(format!("{untouched:#}"), "no port");

        for path in [&file, &made[2]] {
            let mut bytes = std::fs::read(path).unwrap();
            let places =
                (0..bytes.len() - 9).filter(|&at| bytes[at..].starts_with(b"witness 7")).collect::<Vec<_>>();
            places.into_iter().for_each(|at| bytes[at] ^= 1);
            std::fs::write(path, bytes).unwrap();
        }
        let told = format!("{:#}", explained(anyhow::anyhow!("no rows"), file.clone(), backups).await);
        assert!(told.contains(&made[1].display().to_string()) && told.ends_with("no rows"), "{told}");
        assert!(told.contains("is damaged"), "{told}");
    }
}
