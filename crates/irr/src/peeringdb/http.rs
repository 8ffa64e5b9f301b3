//! One HTTP GET: `https://` with the system's root certificates, or `http://`. Redirects are an error that says where to, so
//! that no key goes to another host.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

use super::PeeringDbError;

/// The largest reply: a batch of 150 with our fields is far below; all that are never behind route servers too.
const MAX_BODY: usize = 8 << 20;

/// An HTTP client with its connections.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Http {
    /// A client; the root certificates are read now.
    ///
    /// # Errors
    /// The system has no root certificates, unless they are `dispensable` because only `http://` will be asked.
    pub(crate) fn new(dispensable: bool) -> Result<Http, PeeringDbError> {
        match HttpsConnectorBuilder::new().with_native_roots() {
            Ok(builder) => Ok(Http::over(builder)),
            Err(_) if dispensable => Ok(Http::trusting(RootCertStore::empty())),
            Err(e) => Err(PeeringDbError::Transport(format!("the system's root certificates: {e}"))),
        }
    }

    /// A client that trusts these roots alone.
    fn trusting(roots: RootCertStore) -> Http {
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Http::over(HttpsConnectorBuilder::new().with_tls_config(tls))
    }

    fn over(builder: HttpsConnectorBuilder<WantsSchemes>) -> Http {
        let connector = builder.https_or_http().enable_http1().build();
        Http { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// The body of `url`, if its status is 200.
    pub(crate) async fn get(
        &self,
        url: &str,
        key: Option<&str>,
        patience: Duration,
    ) -> Result<Bytes, PeeringDbError> {
        match tokio::time::timeout(patience, self.get_unhurried(url, key)).await {
            Ok(answer) => answer,
            Err(_) => Err(PeeringDbError::Timeout),
        }
    }

    async fn get_unhurried(&self, url: &str, key: Option<&str>) -> Result<Bytes, PeeringDbError> {
        let transport = |error: &dyn std::error::Error| PeeringDbError::Transport(chain(error));
        let mut request = Request::get(url)
            .header(USER_AGENT, concat!("siskin/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "application/json");
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(&format!("Api-Key {key}")).map_err(|e| transport(&e))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Empty::new()).map_err(|e| transport(&e))?;
        let response = self.client.request(request).await.map_err(|e| transport(&e))?;
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::trim);
        let status = response.status();
        if status.is_redirection() {
            let to: String = header(LOCATION).unwrap_or("nowhere").chars().take(200).collect();
            return Err(PeeringDbError::Transport(format!("moved to {to}: set peeringdb.url to that")));
        }
        if status != 200 {
            // Retry-After may also be a date; then our own wait does.
            let retry_after = header(RETRY_AFTER).and_then(|text| text.parse().ok());
            return Err(PeeringDbError::Status { status: status.as_u16(), retry_after });
        }
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        body.map(|b| b.to_bytes()).map_err(|e| transport(e.as_ref()))
    }
}

/// An error with its causes: `client error (Connect): tcp connect error: Connection refused`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
