//! Answers and errors as HTTP responses.

use std::future::Future;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use siskin_api::{ApiError, ErrorBody, ErrorCode};

use super::{Answer, Limits};

/// An error on its way to the client.
#[derive(Debug)]
pub(super) struct Failure(pub(super) ApiError);

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = axum::Json(ErrorBody { error: self.0 }).into_response();
        *response.status_mut() = status;
        response
    }
}

/// Waits for an answer, but not for ever.
pub(super) async fn in_time<T>(limit: Duration, answer: impl Future<Output = Answer<T>>) -> Answer<T> {
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(|_| Err(ApiError::unavailable("the daemon is too busy to answer; try again")))
}

/// An answer as JSON.
pub(super) async fn json<T: Serialize>(
    limit: Duration,
    answer: impl Future<Output = Answer<T>>,
) -> Result<Response, Failure> {
    Ok(axum::Json(in_time(limit, answer).await?).into_response())
}

/// Text of a content type.
pub(super) fn text(content_type: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}

/// The parameters after `?`.
pub(super) fn query<T: DeserializeOwned>(uri: &axum::http::Uri) -> Answer<T> {
    axum::extract::Query::try_from_uri(uri).map(|query| query.0).map_err(|e| {
        // The cause says what is wrong; the outermost message only that something is.
        let cause = std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
        ApiError::bad_request(format!("the query is wrong: {cause}"))
    })
}

/// A JSON body; an empty one means that every field has its default.
pub(super) async fn body<T: DeserializeOwned + Default>(body: Body, limits: Limits) -> Answer<T> {
    let bytes = octets(body, limits).await?;
    if is_empty(&bytes) { Ok(T::default()) } else { parse(&bytes) }
}

/// A JSON body that must be there.
pub(super) async fn required_body<T: DeserializeOwned>(body: Body, limits: Limits) -> Answer<T> {
    let bytes = octets(body, limits).await?;
    if is_empty(&bytes) {
        return Err(ApiError::bad_request("this needs a JSON body: /openapi.json describes it"));
    }
    parse(&bytes)
}

fn is_empty(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    serde_json::from_slice(bytes).map_err(|e| ApiError::bad_request(format!("the body is wrong: {e}")))
}

/// The whole body, within the limits of length and time.
async fn octets(body: Body, limits: Limits) -> Answer<Bytes> {
    match tokio::time::timeout(limits.body_time, axum::body::to_bytes(body, limits.body)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(e)) if is_too_long(&e) => {
            Err(ApiError::new(ErrorCode::TooLarge, format!("the body is longer than {} octets", limits.body)))
        }
        Ok(Err(e)) => Err(ApiError::bad_request(format!("the body cannot be read: {e}"))),
        Err(_) => Err(ApiError::new(ErrorCode::Timeout, "the body did not arrive in time")),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|e| e.is::<http_body_util::LengthLimitError>())
}
