//! `siskin drain`, `siskin undrain`.

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

/// Drains the whole router, or announces again.
pub(super) async fn run(client: &Client, output: &Output, drained: bool) -> Result<(), Failure> {
    super::act(client, output, if drained { "/v1/drain" } else { "/v1/undrain" }, Vec::new()).await
}
