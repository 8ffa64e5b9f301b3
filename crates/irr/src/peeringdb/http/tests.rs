use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::testing::response;

const SOON: Duration = Duration::from_secs(10);

/// An HTTPS server for `localhost` with a certificate of its own; the URL and the certificate.
fn https() -> (String, CertificateDer<'static>) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate.clone()], key).unwrap());
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let mut request = [0; 4096];
            // A client that does not trust us has hung up.
            if stream.read(&mut request).is_ok_and(|n| n > 0) {
                let _ = stream.write_all(response("200 OK", "", "{}").as_bytes());
                let _ = stream.flush();
            }
        }
    });
    (format!("https://localhost:{port}/api"), certificate)
}

#[tokio::test]
async fn https_needs_a_certificate_that_is_trusted() {
    let (url, certificate) = https();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let answer = Http::trusting(roots).get(&url, Some("key"), SOON).await;
    assert_eq!(answer.as_deref(), Ok(&b"{}"[..]));
    let error = Http::trusting(RootCertStore::empty()).get(&url, None, SOON).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    // The system's roots do not know it either; a system without any says that.
    let error = match Http::new(false) {
        Ok(http) => http.get(&url, None, SOON).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // An answer before the question is another fault.
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[b' '; 65_536]).is_ok() {}
    });
    let error = Http::trusting(RootCertStore::empty()).get(&url, None, SOON).await.unwrap_err();
    assert!(error.to_string().contains("limit"), "{error}");
}
