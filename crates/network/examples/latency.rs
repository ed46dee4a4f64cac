//! How long attach, publish and release take: `cargo run --example latency -p network -- [rounds] [at once]`.
//! It needs root, works in namespaces of its own, and leaves nothing.

use std::time::{Duration, Instant};

use network::{Network, NetworkConfig, NetworkMode, PortMapping, Protocol};

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<usize>().expect("a number"));
    let rounds = numbers.next().unwrap_or(200);
    let at_once = numbers.next().unwrap_or(8).max(1);
    // SAFETY: the process has one thread yet; both flags only separate it from the host.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) }, 0, "this needs root");
    let mount = "mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up";
    assert!(std::process::Command::new("sh").args(["-c", mount]).status().is_ok_and(|status| status.success()));
    tokio::runtime::Runtime::new().expect("a runtime").block_on(measure(rounds, at_once));
}

async fn measure(rounds: usize, at_once: usize) {
    let start = Instant::now();
    let network = Network::open(NetworkConfig::new("/run/state", "/run/netns")).await.expect("open");
    println!("open {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    for at_once in [1, at_once] {
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        let start = Instant::now();
        for group in (0..rounds).collect::<Vec<_>>().chunks(at_once) {
            for [attach, publish] in each(group, &network, attach).await {
                times[0].push(attach);
                times[1].push(publish);
            }
        }
        println!("{at_once} at once, {:.0} a second", rounds as f64 / start.elapsed().as_secs_f64());
        let start = Instant::now();
        for group in (0..rounds).collect::<Vec<_>>().chunks(at_once) {
            times[2].extend(each(group, &network, release).await);
        }
        println!("  released {:.0} a second", rounds as f64 / start.elapsed().as_secs_f64());
        for (name, times) in ["attach", "publish", "release"].iter().zip(&mut times) {
            times.sort();
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
            println!("  {name:8} p50 {:6.2} ms   p99 {:6.2} ms", at(0.5), at(0.99));
        }
    }
    network.close().await.expect("close");
}

async fn each<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    group: &[usize],
    network: &Network,
    work: impl Fn(Network, String) -> F,
) -> Vec<T> {
    let mut set = tokio::task::JoinSet::new();
    for n in group {
        set.spawn(work(network.clone(), format!("c{n}")));
    }
    set.join_all().await
}

async fn attach(network: Network, id: String) -> [Duration; 2] {
    let start = Instant::now();
    network.attach(&id, NetworkMode::Bridge).await.expect("attach");
    let attached = start.elapsed();
    let mapping = PortMapping { container_port: 80, host_port: 0, protocol: Protocol::Tcp, in_range: false };
    network.publish(&id, vec![mapping]).await.expect("publish");
    [attached, start.elapsed() - attached]
}

async fn release(network: Network, id: String) -> Duration {
    let start = Instant::now();
    network.release(&id).await.expect("release");
    start.elapsed()
}
