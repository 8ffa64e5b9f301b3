//! Waiting for what another program does, by asking again: the only way a black box allows.

use std::thread;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How long a session, a route or a log line may take on a busy two-core machine.
pub const SOON: Duration = Duration::from_secs(45);

/// Asks until `is_so` answers true.
///
/// # Errors
/// After `limit`: the sentence `what`, with the last error that `is_so` gave; at once, when that error is one
/// that waiting does not mend.
pub fn wait_for(what: &str, limit: Duration, mut is_so: impl FnMut() -> Result<bool>) -> Result {
    wait_some(what, limit, || is_so().map(|yes| yes.then_some(())))
}

/// Asks until `find` finds something, and returns it.
///
/// # Errors
/// As [`wait_for`].
pub fn wait_some<T>(what: &str, limit: Duration, mut find: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        let last = match find() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => String::new(),
            Err(error) if error.is_last() => return Err(error.during(format!("waiting for: {what}"))),
            Err(error) => format!(" (last answer: {error})"),
        };
        if start.elapsed() >= limit {
            return Err(Error::new(format!("waited {:.0} s for: {what}{last}", limit.as_secs_f64())));
        }
        thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(300));
    }
}

/// Checks for the whole of `span` that `is_so` stays true.
///
/// # Errors
/// As soon as it is not, or when it cannot be asked.
pub fn stays(what: &str, span: Duration, mut is_so: impl FnMut() -> Result<bool>) -> Result {
    let start = Instant::now();
    while start.elapsed() < span {
        if !is_so()? {
            return Err(Error::new(format!("{what}: not so after {:.1} s", start.elapsed().as_secs_f64())));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
