//! Stretches of a topic, read beside its group.

use std::collections::BTreeMap;

use signal_worker::consume::range::{RangeError, Records, Slice, Topic};
use time::OffsetDateTime;

use crate::kafka::{Cluster, TOPIC, settings};

async fn read(mut records: Records) -> BTreeMap<i32, Vec<(i64, String)>> {
    let mut read: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    while let Some(batch) = records.next().await.unwrap() {
        for record in batch {
            let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            read.entry(record.position.partition).or_default().push((record.position.offset, value));
        }
    }
    read
}

fn slice(partition: i32, from: i64, to: i64) -> Slice {
    Slice { partition, from, to }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stretch_is_read_to_its_end_and_no_further_and_the_group_does_not_notice() {
    let cluster = Cluster::new(3);
    let values = |range: std::ops::Range<i32>| range.map(|n| (n % 2, n.to_string().into_bytes()));
    cluster.produce(values(0..1200)).await;
    let topic = Topic::open(&settings(cluster.brokers()), &TOPIC.parse().unwrap()).unwrap();
    let whole = topic.whole().await.unwrap();
    assert_eq!(whole, [slice(0, 0, 600), slice(1, 0, 600), slice(2, 0, 0)]);
    cluster.produce(values(1200..1210)).await;

    let all = read(topic.read(&whole).unwrap()).await;
    for partition in 0..2 {
        let expected: Vec<_> = (0..600).map(|at| (at, (at * 2 + i64::from(partition)).to_string())).collect();
        assert_eq!(all[&partition], expected);
    }
    let some = read(topic.read(&[slice(1, 7, 9), slice(0, 599, 600), slice(2, 0, 0)]).unwrap()).await;
    assert_eq!(some[&1], [(7, "15".to_owned()), (8, "17".to_owned())]);
    assert_eq!(some[&0], [(599, "1198".to_owned())]);
    assert_eq!(read(topic.read(&[]).unwrap()).await, BTreeMap::new());
    assert_eq!(topic.committed().await.unwrap(), BTreeMap::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_looked_up_and_a_time_behind_all_is_the_end() {
    let cluster = Cluster::new(1);
    cluster.produce((0..5).map(|n| (0, vec![n]))).await;
    let topic = Topic::open(&settings(cluster.brokers()), &TOPIC.parse().unwrap()).unwrap();
    let later = OffsetDateTime::from_unix_timestamp(4_102_444_800).unwrap();
    let offsets = topic.offsets_at(later).await.unwrap();
    assert_eq!(offsets, BTreeMap::from([(0, 5)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_named() {
    let cluster = Cluster::without_topic();
    let topic = Topic::open(&settings(cluster.brokers()), &"nowhere".parse().unwrap()).unwrap();
    let error = topic.whole().await.unwrap_err();
    assert!(matches!(error, RangeError::NoTopic(_)) && error.to_string().contains("nowhere"), "{error:?}");
}
