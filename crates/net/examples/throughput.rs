//! How fast a link over TLS is on this machine's loopback: bytes per second and round trips.

use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use konsil_net::{
    Allow, Binding, Channel, Hello, Identity, Kind, Listener, Options, PartyId, Role, connect,
    memory,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const FRAME_BYTES: usize = 8 << 20;
const FRAMES: u32 = 256;
const ROUND_TRIP_BYTES: usize = 16 << 10;
const ROUND_TRIPS: usize = 2000;

fn main() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let (one, two) = link()?;
    let gigabytes = f64::from(FRAMES) * 8.388_608e-3;
    writeln!(out, "TLS one way     {:6.2} GB/s", gigabytes / stream(&one, &two, false)?)?;
    writeln!(out, "TLS both ways   {:6.2} GB/s each", gigabytes / stream(&one, &two, true)?)?;
    writeln!(out, "TLS 16 KiB round trip     {:8.1} µs", round_trip(&one, &two)? * 1e6)?;
    let (one, two) = memory::pair();
    writeln!(out, "memory one way  {:6.2} GB/s", gigabytes / stream(&one, &two, false)?)?;
    writeln!(out, "memory 16 KiB round trip  {:8.1} µs", round_trip(&one, &two)? * 1e6)?;
    Ok(())
}

fn link() -> Result<(Channel, Channel), Failure> {
    let (server, client) = (Identity::generate()?, Identity::generate()?);
    let allow: Allow = Arc::new(|_| true);
    let options = Options::default();
    let (sender, arrived) = mpsc::channel();
    let listener = Listener::bind("127.0.0.1:0", &server, allow, &options, move |met| {
        let _ = sender.send(met);
    })?;
    let binding = Binding::new([1; 16], [2; 32], [3; 16]);
    let hello = Hello { binding, from: PartyId(1), to: PartyId(0), role: Role::Centre };
    let answer = Hello { from: hello.to, to: hello.from, ..hello };
    let waiting = options.clone();
    let accepting = thread::spawn(move || -> Result<Channel, Failure> {
        let incoming = arrived.recv()?.map_err(|refused| refused.error)?;
        Ok(incoming.accept(&answer, &waiting)?)
    });
    let address = listener.local_address().to_string();
    let one = connect(&address, &client, server.public_key(), &hello, &options)?;
    let two = accepting.join().map_err(|_| "the accepting thread failed")??;
    Ok((one, two))
}

/// Seconds for all frames, one way or both ways at once.
fn stream(one: &Channel, two: &Channel, both: bool) -> Result<f64, Failure> {
    let payload = vec![7; FRAME_BYTES];
    let began = Instant::now();
    thread::scope(|scope| {
        let send = |channel: &Channel| -> Result<(), Failure> {
            (0..FRAMES).try_for_each(|_| Ok(channel.send(Kind::Round, &payload)?))
        };
        let receive = |channel: &Channel| -> Result<(), Failure> {
            let mut into = vec![0; FRAME_BYTES];
            (0..FRAMES).try_for_each(|_| Ok(channel.receive_into(Kind::Round, &mut into)?))
        };
        let mut threads = vec![scope.spawn(move || send(one)), scope.spawn(move || receive(two))];
        if both {
            threads.push(scope.spawn(move || send(two)));
            threads.push(scope.spawn(move || receive(one)));
        }
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => Err("a thread failed".into()),
        })
    })?;
    Ok(began.elapsed().as_secs_f64())
}

/// Median seconds of a message there and one back.
fn round_trip(one: &Channel, two: &Channel) -> Result<f64, Failure> {
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    thread::scope(|scope| -> Result<(), Failure> {
        let echo = scope.spawn(|| -> Result<(), Failure> {
            let mut message = vec![0; ROUND_TRIP_BYTES];
            for _ in 0..ROUND_TRIPS {
                two.receive_into(Kind::Round, &mut message)?;
                two.send(Kind::Round, &message)?;
            }
            Ok(())
        });
        let mut message = vec![1; ROUND_TRIP_BYTES];
        for _ in 0..ROUND_TRIPS {
            let began = Instant::now();
            one.send(Kind::Round, &message)?;
            one.receive_into(Kind::Round, &mut message)?;
            times.push(began.elapsed().as_secs_f64());
        }
        echo.join().map_err(|_| "the echo failed")?
    })?;
    times.sort_by(f64::total_cmp);
    Ok(times.get(ROUND_TRIPS / 2).copied().unwrap_or(f64::NAN))
}
