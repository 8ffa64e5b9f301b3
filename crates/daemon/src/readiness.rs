//! Gates: what must be true before the daemon may be given traffic (`/readyz`, `siskin status`), and before what a
//! previous run left in the kernel is swept.

use std::sync::Mutex;
use std::time::Duration;

use siskin_api::Gate;
use siskin_net::Timestamp;

/// A peer that has not sent its End-of-RIB by then is waited for no longer.
pub(crate) const TABLES_DEADLINE: Duration = Duration::from_secs(180);

/// The gates, by their API names.
#[derive(Debug)]
pub(crate) struct Readiness {
    started: Timestamp,
    gates: Mutex<Gates>,
}

#[derive(Debug)]
struct Gates {
    tables: GateState,
    kernel: GateState,
}

#[derive(Debug, Clone)]
struct GateState {
    open: bool,
    text: String,
}

impl Readiness {
    pub(crate) fn new(started: Timestamp) -> Readiness {
        let waiting = |text: &str| GateState { open: false, text: text.into() };
        let gates = Gates {
            tables: waiting("waiting for the peers' tables"),
            kernel: waiting("waiting for the kernel to have the first routes"),
        };
        Readiness { started, gates: Mutex::new(gates) }
    }

    /// Notes which peers' tables are still missing, and how long after the start they are waited for; once open, the gate
    /// stays open.
    pub(crate) fn tables(&self, now: Timestamp, missing: &[String], deadline: Duration) -> bool {
        let mut gates = crate::peer::lock(&self.gates);
        if gates.tables.open {
            return true;
        }
        let late = now.since(self.started) >= deadline;
        if missing.is_empty() || late {
            let text = if missing.is_empty() {
                "every peer has sent its table".into()
            } else {
                format!("the deadline has passed without {}", missing.join(", "))
            };
            gates.tables = GateState { open: true, text };
        } else {
            gates.tables.text = format!("waiting for the table of {}", missing.join(", "));
        }
        gates.tables.open
    }

    /// The kernel has everything that was wanted of it after the first tables.
    pub(crate) fn kernel_done(&self) {
        let text = "the kernel has every route".into();
        crate::peer::lock(&self.gates).kernel = GateState { open: true, text };
    }

    /// Whether the kernel gate is open.
    pub(crate) fn is_kernel_done(&self) -> bool {
        crate::peer::lock(&self.gates).kernel.open
    }

    /// All gates as the API shows them.
    pub(crate) fn gates(&self) -> Vec<Gate> {
        let gates = crate::peer::lock(&self.gates);
        let gate = |name: &str, state: &GateState| Gate {
            name: name.into(),
            open: state.open,
            text: state.text.clone(),
        };
        vec![gate("initial_tables", &gates.tables), gate("kernel", &gates.kernel)]
    }
}
