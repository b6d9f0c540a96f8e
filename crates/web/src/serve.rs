//! Listening: a server on one address, in threads of its own.

use crate::error::WebError;
use crate::headers::{Hosts, guarded};
use axum::Router;
use axum::middleware::from_fn_with_state;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_http::compression::CompressionLayer;

/// A server that runs until this value is dropped.
#[derive(Debug)]
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    /// The address that a browser is given, with a token where one is needed.
    pub url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Waits until the server ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // a thread that has failed has ended
            let _ended = thread.join();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // a server that has ended needs no word
            let _gone = stop.send(());
        }
    }
}

/// An address that is listened on, before anything is served.
pub(crate) fn listen(address: &str) -> Result<(std::net::TcpListener, SocketAddr), WebError> {
    let fail = |source| WebError::Listen { address: address.to_owned(), source };
    let listener = std::net::TcpListener::bind(address).map_err(fail)?;
    listener.set_nonblocking(true).map_err(fail)?;
    let local = listener.local_addr().map_err(fail)?;
    Ok((listener, local))
}

/// Serves `routes`; `hosts` are the names by which browsers may call the server besides its address, `secure`
/// whether over TLS only.
pub(crate) fn serve(
    (listener, address): (std::net::TcpListener, SocketAddr),
    routes: Router,
    (hosts, url, secure): (&[String], String, bool),
) -> Result<Serving, WebError> {
    let port = address.port();
    let mut names = vec![address.to_string()];
    if address.ip().is_loopback() {
        names.extend([format!("localhost:{port}"), format!("127.0.0.1:{port}")]);
    }
    for host in hosts {
        names.extend([host.clone(), format!("{host}:{port}")]);
    }
    let routes = routes
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(Hosts::new(names, secure), guarded));
    let fail = |source| WebError::Listen { address: address.to_string(), source };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().map_err(fail)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let work = async move {
        let Ok(listener) = TcpListener::from_std(listener) else { return };
        let ended = async {
            let _dropped = stopped.await;
        };
        // open streams of events would keep it for ever
        tokio::select! {
            _ = axum::serve(listener, routes) => {}
            () = ended => {}
        }
    };
    let thread = std::thread::spawn(move || {
        runtime.block_on(work);
        runtime.shutdown_background();
    });
    Ok(Serving { address, url, stop: Some(stop), thread: Some(thread) })
}
