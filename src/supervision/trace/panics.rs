//! A panic's message and place: noted by the panic hook, picked up while the stack unwinds.
//!
//! No backtrace is symbolised here: that would make a restart a hundred times slower. Panics outside actors
//! still reach the previous hook.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

/// A panic's message and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanicSite {
    pub message: String,
    /// `file:line:column`.
    pub place: String,
}

thread_local! {
    static LAST: RefCell<Option<PanicSite>> = const { RefCell::new(None) };
}

/// Installs the hook, once a process.
pub fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if super::current().is_some() {
                LAST.set(Some(site(info)));
            } else {
                previous(info);
            }
        }));
    });
}

fn site(info: &PanicHookInfo<'_>) -> PanicSite {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    PanicSite { message, place: info.location().map(ToString::to_string).unwrap_or_default() }
}

/// Takes the site of this thread's last panic.
#[must_use]
pub fn take() -> Option<PanicSite> {
    LAST.take()
}
