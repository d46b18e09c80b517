use std::io::ErrorKind;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::*;
use crate::eventually;

const SOON: Duration = Duration::from_secs(10);

/// Says everything back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reads, mut writes) = stream.split();
                let _ = tokio::io::copy(&mut reads, &mut writes).await;
            });
        }
    });
    addr
}

async fn open(chaos: &Chaos) -> TcpStream {
    TcpStream::connect(chaos.addr()).await.unwrap()
}

async fn answer(stream: &mut TcpStream, says: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(says).await?;
    let mut answer = vec![0; says.len()];
    timeout(SOON, stream.read_exact(&mut answer)).await.expect("no answer")?;
    Ok(answer)
}

#[tokio::test]
async fn carries_both_ways_until_the_end() {
    let chaos = Chaos::before(echo().await);
    let mut stream = open(&chaos).await;
    assert_eq!(answer(&mut stream, b"hello").await.unwrap(), b"hello");
    assert_eq!((chaos.open(), chaos.carried(Way::There), chaos.carried(Way::Back)), (1, 5, 5));
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    eventually(SOON, || async { chaos.open() == 0 }).await;
}

#[tokio::test]
async fn silence_keeps_back_and_closes_nothing() {
    let chaos = Chaos::before(echo().await);
    let mut stream = open(&chaos).await;
    answer(&mut stream, b"a").await.unwrap();
    chaos.silence();
    stream.write_all(b"b").await.unwrap();
    let mut late = open(&chaos).await;
    late.write_all(b"c").await.unwrap();
    // A look that must find nothing: what is sent over a clear path meanwhile has come.
    let clear = Chaos::before(chaos.shared.target);
    answer(&mut open(&clear).await, b"d").await.unwrap();
    assert_eq!(stream.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!((chaos.carried(Way::There), chaos.open()), (1, 2));
    chaos.clear();
    for (stream, kept) in [(&mut stream, b'b'), (&mut late, b'c')] {
        assert_eq!(timeout(SOON, stream.read_u8()).await.unwrap().unwrap(), kept);
    }
}

#[tokio::test]
async fn who_is_stranded_stays_so_and_others_pass() {
    let chaos = Chaos::before(echo().await);
    let mut stranded = open(&chaos).await;
    answer(&mut stranded, b"a").await.unwrap();
    chaos.strand();
    stranded.write_all(b"b").await.unwrap();
    answer(&mut open(&chaos).await, b"c").await.unwrap();
    chaos.clear();
    answer(&mut open(&chaos).await, b"d").await.unwrap();
    assert_eq!(stranded.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn one_way_may_be_silent_alone() {
    let chaos = Chaos::before(echo().await);
    let mut stream = open(&chaos).await;
    answer(&mut stream, b"a").await.unwrap();
    chaos.strand_way(Way::Back);
    stream.write_all(b"b").await.unwrap();
    eventually(SOON, || async { chaos.carried(Way::There) == 2 }).await;
    assert_eq!(chaos.carried(Way::Back), 1);
}

#[tokio::test]
async fn cuts_off_by_a_reset_at_once_or_after_so_many_bytes() {
    let chaos = Chaos::before(echo().await);
    let mut stream = open(&chaos).await;
    answer(&mut stream, b"a").await.unwrap();
    chaos.reset();
    let ended = timeout(SOON, stream.read(&mut [0; 1])).await.unwrap();
    assert!(ended.is_err() || ended.unwrap() == 0);
    chaos.set_way(Way::Back, Link { cut_after: Some(3), ..Link::CLEAR });
    let mut stream = open(&chaos).await;
    stream.write_all(b"12345").await.unwrap();
    let mut heard = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut heard)).await.unwrap();
    assert!(ended.is_err() || heard.len() <= 3, "{ended:?}");
    assert_eq!(chaos.carried(Way::Back), 4);
}

#[tokio::test]
async fn delay_and_throttle_take_their_time_and_keep_the_order() {
    let chaos = Chaos::before(echo().await);
    let mut stream = open(&chaos).await;
    let delay = Duration::from_millis(100);
    chaos.set(Link { delay, jitter: delay, stall: Some((2, delay)), ..Link::CLEAR });
    let began = Instant::now();
    let text: Vec<u8> = (0..50_000).map(|at| at as u8).collect();
    assert_eq!(answer(&mut stream, &text).await.unwrap(), text);
    assert!(began.elapsed() >= 2 * delay);
    chaos.set(Link { bytes_per_second: Some(100_000), ..Link::CLEAR });
    let began = Instant::now();
    answer(&mut stream, &text).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}
