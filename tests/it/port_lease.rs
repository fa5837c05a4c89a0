//! Ports of a daemon that a test starts: leased, so that no other test's daemon can take them meanwhile.
//!
//! Checking for free ports is not enough. A test that kills and restarts a daemon leaves the ports free for
//! some hundred milliseconds; a neighbour that checked just then took them, answered the first test's
//! callers, and kept their receipts in another folder. So a place locks its slot in a file, which all test
//! processes of this machine know and the kernel releases whatever their end.

use std::fs::File;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use pas::daemon::ports;

/// Between the offsets of two slots. No two ports of PAS may be a multiple of this apart, or a port of one
/// slot would be another port of a later slot.
const PITCH: u16 = 63;
/// Offset of the first slot: above the ports of a daemon that a person runs.
const FIRST: u16 = 1000;
/// Keeps the last slot's ports below those that systems give to clients.
const SLOTS: u16 = 375;

/// Ollama's default port: a daemon refuses a vendor at one of its own ports.
const OLLAMA: u16 = 11_434;

/// The right to a slot's ports; given back on drop.
#[derive(Debug)]
pub(crate) struct PortLease {
    pub(crate) offset: u16,
    _lock: File,
}

impl PortLease {
    /// Takes an unleased slot whose ports are free.
    pub(crate) fn take() -> Self {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        // Test processes that start at the same time have neighbouring ids: the factor makes them try slots
        // far apart.
        let first = std::process::id().wrapping_mul(17).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        Self::from(u16::try_from(first % u32::from(SLOTS)).unwrap_or_default())
    }

    /// The first available slot from this one on.
    fn from(first: u16) -> Self {
        let slots = (0..SLOTS).map(|step| (first + step) % SLOTS);
        slots.into_iter().find_map(Self::of_slot).expect("a slot whose ports are free")
    }

    fn of_slot(slot: u16) -> Option<Self> {
        let folder = std::env::temp_dir().join("pas-test-ports");
        std::fs::create_dir_all(&folder).expect("a folder for locks");
        // A file of another user cannot be opened: the slot is not ours.
        let lock = File::create(folder.join(format!("{slot}.lock"))).ok()?;
        lock.try_lock().ok()?;
        let offset = FIRST + slot * PITCH;
        let is_free = |number: u16| TcpListener::bind(("127.0.0.1", number + offset)).is_ok();
        let is_usable = |number: u16| number + offset != OLLAMA && is_free(number);
        ports().iter().all(|port| is_usable(port.number)).then_some(Self { offset, _lock: lock })
    }
}

#[test]
fn no_port_of_a_slot_is_a_port_of_another() {
    let numbers: Vec<u16> = ports().iter().map(|port| port.number).collect();
    for low in &numbers {
        for high in numbers.iter().filter(|high| *high > low) {
            assert!((high - low) % PITCH != 0, "{low} and {high}: choose another PITCH");
        }
    }
    let highest = numbers.iter().max().expect("there are ports") + FIRST + (SLOTS - 1) * PITCH;
    assert!(highest < 32_768, "{highest} is a port that systems give to clients");
}

#[test]
fn a_leased_slot_is_not_given_twice_while_its_ports_are_free() {
    let lease = PortLease::take();
    let slot = (lease.offset - FIRST) / PITCH;
    assert!(PortLease::of_slot(slot).is_none(), "nothing listens there, and yet it is taken");
    assert_ne!(PortLease::from(slot).offset, lease.offset);
    drop(lease);
    // Another test process may have been faster; in any case the slot can be leased again.
    drop(PortLease::from(slot));
}
