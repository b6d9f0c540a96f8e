//! A line between two parties on which someone listens.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Forwards connections to a target and keeps a copy of all bytes, each direction of each
/// connection by itself.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: String,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    answered: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap().to_string(),
            heard: Arc::default(),
            answered: Arc::default(),
        };
        let (heard, answered) = (Arc::clone(&proxy.heard), Arc::clone(&proxy.answered));
        let target = target.to_owned();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                let Ok(server) = TcpStream::connect(&target) else {
                    continue;
                };
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                forward((client, server), &heard, &Arc::default());
                forward(back, &heard, &answered);
            }
        });
        proxy
    }

    /// Everything that went over the line.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }

    /// Connections on which the target has said all it had to say.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

fn forward(
    (mut from, mut to): (TcpStream, TcpStream),
    heard: &Arc<Mutex<Vec<Vec<u8>>>>,
    ended: &Arc<AtomicUsize>,
) {
    let (heard, ended) = (Arc::clone(heard), Arc::clone(ended));
    let place = {
        let mut heard = heard.lock().unwrap();
        heard.push(Vec::new());
        heard.len() - 1
    };
    thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            heard.lock().unwrap()[place].extend(&bytes[..count]);
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        ended.fetch_add(1, Ordering::SeqCst);
        let _closed = to.shutdown(Shutdown::Write);
    });
}
