"""Values that can't be meant are refused before anything is applied, by a message that names them."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

import chart

POLICY = "networkPolicy.enabled=true,networkPolicy.gateway[0].podSelector.matchLabels.a=b"
# What is set in addition to a good scenario, and what the message has to say.
REFUSED = [
    # A typo, at each depth.
    ("edgee.replicas=2", ["edgee"]),
    ("edge.replica=2", ["/edge'", "replica"]),
    ("edge.autoscaling.max=2", ["/edge/autoscaling", "max"]),
    ("edge.resources.limits.memmory=1Gi", ["/edge/resources/limits", "memmory"]),
    ("worker.keda.lag=1", ["/worker/keda", "lag"]),
    ("gateway.httproute.enabled=true", ["/gateway", "httproute"]),
    ("networkPolicy.egress.redis.ports[0]=1", ["/networkPolicy/egress", "redis"]),
    ("networkPolicy.gateway[0].podSelektor.matchLabels.a=b", ["/networkPolicy/gateway/0", "podSelektor"]),
    ("edge.tolerations[0].kee=a", ["/edge/tolerations/0", "kee"]),
    ("metrics.servicemonitor.enabled=true", ["/metrics", "servicemonitor"]),
    ("replay.merchant=mer-1", ["/replay", "merchant"]),
    # A variable that nobody knows, or that the other one has.
    ("config.SIGNAL_LOGS=debug", ["/config", "SIGNAL_LOGS"]),
    ("edge.config.SIGNAL_MESAGE_RATE=5", ["/edge/config", "SIGNAL_MESAGE_RATE"]),
    ("worker.config.SIGNAL_KAFKA_GRUOP=a", ["/worker/config", "SIGNAL_KAFKA_GRUOP"]),
    ("config.SIGNAL_MESSAGE_RATE=5", ["/config/SIGNAL_MESSAGE_RATE", "edge.config"]),
    ("edge.config.SIGNAL_KAFKA_GROUP=a", ["/edge/config/SIGNAL_KAFKA_GROUP", "worker.config"]),
    ("worker.config.SIGNAL_STREAM_PATH=/s", ["/worker/config/SIGNAL_STREAM_PATH", "edge.config"]),
    ("edge.config.SIGNAL_DATA_DIR=/tmp", ["SIGNAL_DATA_DIR"]),
    ("edge.config.SIGNAL_ADMIN_ADDR=0.0.0.0:1", ["SIGNAL_ADMIN_ADDR", "9090"]),
    # A value that its variable can't have.
    ("edge.config.SIGNAL_MESSAGE_RATE=fast", ["/edge/config/SIGNAL_MESSAGE_RATE", "fast"]),
    ("edge.config.SIGNAL_MESSAGE_RATE=-1", ["/edge/config/SIGNAL_MESSAGE_RATE"]),
    ("edge.config.SIGNAL_TOKEN_EXPIRY=maybe", ["/edge/config/SIGNAL_TOKEN_EXPIRY", "'enforce', 'ignore'"]),
    ("edge.config.SIGNAL_HEARTBEAT_TIMEOUT=90", ["/edge/config/SIGNAL_HEARTBEAT_TIMEOUT"]),
    ("edge.config.SIGNAL_HEARTBEAT_TIMEOUT=90sec", ["/edge/config/SIGNAL_HEARTBEAT_TIMEOUT", "90sec"]),
    ("edge.config.SIGNAL_OUTBOUND_LIMIT=1Mi", ["/edge/config/SIGNAL_OUTBOUND_LIMIT", "1Mi"]),
    ("config.SIGNAL_JWKS_URL=issuer.example", ["/config/SIGNAL_JWKS_URL", "issuer.example"]),
    ("config.SIGNAL_BASE_PATH=v1", ["/config/SIGNAL_BASE_PATH", "v1"]),
    ("config.OTEL_TRACES_SAMPLER_ARG=half", ["/config/OTEL_TRACES_SAMPLER_ARG", "half"]),
    # Beyond the bounds that the binaries have.
    ("worker.config.SIGNAL_BATCH_SIZE=0", ["/worker/config/SIGNAL_BATCH_SIZE", "got 0, want 1"]),
    ("worker.config.SIGNAL_BATCH_SIZE=100001", ["/worker/config/SIGNAL_BATCH_SIZE", "want 100,000"]),
    ("worker.config.SIGNAL_SNOWFLAKE_WORKER_ID=1024", ["/worker/config/SIGNAL_SNOWFLAKE_WORKER_ID", "want 1,023"]),
    ("edge.config.SIGNAL_MAX_HANDSHAKES=0", ["/edge/config/SIGNAL_MAX_HANDSHAKES", "got 0, want 1"]),
    ("edge.config.SIGNAL_MAX_CONNECTIONS=0", ["/edge/config/SIGNAL_MAX_CONNECTIONS", "got 0, want 1"]),
    ("edge.config.SIGNAL_AUTHENTICATION_TIMEOUT=0s", ["/edge/config/SIGNAL_AUTHENTICATION_TIMEOUT", "0s"]),
    ("edge.config.SIGNAL_HEARTBEAT_INTERVAL=0m0s", ["/edge/config/SIGNAL_HEARTBEAT_INTERVAL", "0m0s"]),
    ("config.OTEL_TRACES_SAMPLER_ARG=2", ["/config/OTEL_TRACES_SAMPLER_ARG", "got 2, want 1"]),
    ("config.OTEL_TRACES_SAMPLER_ARG=-1", ["/config/OTEL_TRACES_SAMPLER_ARG", "want 0"]),
    ("edge.config.SIGNAL_STREAM_PATH=/", ["/edge/config/SIGNAL_STREAM_PATH"]),
    ("config.SIGNAL_BASE_PATH=/v1//signal", ["/config/SIGNAL_BASE_PATH", "/v1//signal"]),
    ("worker.config.SIGNAL_KAFKA_TOPIC=a topic", ["/worker/config/SIGNAL_KAFKA_TOPIC", "a topic"]),
    # A wrong type, or one of the words that there are not.
    ("edge.replicas=two", ["/edge/replicas", "want integer"]),
    ("edge.autoscaling.enabled=yes", ["/edge/autoscaling/enabled", "want boolean"]),
    ("edge.rollout.maxSurge=half", ["/edge/rollout/maxSurge", "half"]),
    ("worker.keda.minReplicas=0", ["/worker/keda/minReplicas"]),
    ("image.pullPolicy=Sometimes", ["/image/pullPolicy", "IfNotPresent"]),
    ("edge.image.digest=latest", ["/edge/image/digest", "latest"]),
    ("config=debug", ["/config", "want object"]),
    ("labels.app\\.kubernetes\\.io/name=x", ["'/labels/app.kubernetes.io~1name'", "selectors go by it"]),
    ("edge.podLabels.app\\.kubernetes\\.io/name=x", ["'/edge/podLabels/app.kubernetes.io~1name'", "selectors go by it"]),
    # A name that there can't be.
    ("nameOverride=My_Shop", ["/nameOverride", "My_Shop"]),
    ("nameOverride=shop-", ["/nameOverride", "shop-"]),
    ("fullnameOverride=shop.live", ["/fullnameOverride", "shop.live"]),
    ("fullnameOverride=1shop", ["/fullnameOverride", "1shop"]),
    (f"fullnameOverride={'a' * 41}", ["/fullnameOverride", "want 40"]),
    ("gateway.httpRoute.hostnames[0]=https://signal.example", ["/gateway/httpRoute/hostnames/0", "https://signal.example"]),
    ("gateway.ingress.hosts[0]=Signal.example", ["/gateway/ingress/hosts/0", "Signal.example"]),
    ("gateway.ingress.hosts[0]=signal.example:443", ["/gateway/ingress/hosts/0", "signal.example:443"]),
    ("gateway.ingress.hosts[0]=a.*.example", ["/gateway/ingress/hosts/0", "a.*.example"]),
    ("gateway.ingress.hosts[0]=10.0.0.1", ["/gateway/ingress/hosts/0", "10.0.0.1"]),
    ("gateway.ingress.tls[0].hosts[0]=signal_example", ["/gateway/ingress/tls/0/hosts/0", "signal_example"]),
    # A string that would be more than a string, and what no image can be called.
    ("edge.priorityClassName=x\nhostNetwork: true", ["/edge/priorityClassName"]),
    ("gateway.ingress.className=x\nrules: []", ["/gateway/ingress/className"]),
    ("replay.checkpointClaim=x\nreadOnly: true", ["/replay/checkpointClaim"]),
    ("worker.serviceAccount.name=x\nhostPID: true", ["/worker/serviceAccount/name"]),
    ("edge.serviceAccount.name=Edge", ["/edge/serviceAccount/name", "Edge"]),
    ("edge.image.repository=signal\ncommand: [sh]", ["/edge/image/repository"]),
    ("edge.image.repository=signal-edge:v1", ["/edge/image/repository", "signal-edge:v1"]),
    ("image.registry=https://registry.example", ["/image/registry", "https://registry.example"]),
    ("image.tag=v1/2", ["/image/tag", "v1/2"]),
    ("worker.image.tag=v1 ", ["/worker/image/tag"]),
    ("caBundle.secret=ca,caBundle.key=", ["/caBundle/key"]),
    ("caBundle.secret=My_CA", ["/caBundle/secret", "My_CA"]),
    ("secrets.SIGNAL_REDIS_URL.name=a b", ["/secrets/SIGNAL_REDIS_URL/name", "a b"]),
    ("imagePullSecrets[0].name=My_Secret", ["/imagePullSecrets/0/name", "My_Secret"]),
    ("worker.keda.metadata.sasl\nx=none", ["/worker/keda/metadata"]),
    ("worker.keda.authenticationRef.kind=TriggerAuthentication", ["/worker/keda/authenticationRef", "name"]),
    ("worker.keda.authenticationRef.name=", ["/worker/keda/authenticationRef/name"]),
    ("gateway.ingress.tls[0].secretName=TLS", ["/gateway/ingress/tls/0/secretName", "TLS"]),
    ("gateway.httpRoute.parentRefs[0].name=Public", ["/gateway/httpRoute/parentRefs/0/name", "Public"]),
    # What is Helm's or the chart's own.
    ("migrate.annotations.helm\\.sh/hook=post-delete", ["'/migrate/annotations/helm.sh~1hook'", "Helm goes by it"]),
    ("edge.podAnnotations.helm\\.sh/resource-policy=keep", ["'/edge/podAnnotations/helm.sh~1resource-policy'"]),
    ("labels.helm\\.sh/chart=x", ["'/labels/helm.sh~1chart'", "Helm goes by it"]),
    ("labels.signal/port=x", ["'/labels/signal~1port'", "monitors go by it"]),
    ("metrics.serviceMonitor.labels.app\\.kubernetes\\.io/name=x", ["/metrics/serviceMonitor/labels/", "selectors go by it"]),
    ("worker.keda.metadata.topic=other", ["/worker/keda/metadata/topic", "SIGNAL_KAFKA_TOPIC"]),
    ("worker.keda.metadata.lagThreshold=1", ["/worker/keda/metadata/lagThreshold", "worker.keda.lagThreshold"]),
    ("labels.team=real time", ["/labels/team", "real time"]),
    ("edge.podLabels.-team=x", ["/edge/podLabels", "-team"]),
    # A secret in plain, anywhere. Its value is not said again.
    ("config.SIGNAL_REDIS_URL=redis://:hunter2@cache", ["/config/SIGNAL_REDIS_URL", "a secret"]),
    ("edge.config.SIGNAL_IDENTITY_KEY=hunter2", ["/edge/config/SIGNAL_IDENTITY_KEY", "edge.secrets"]),
    ("worker.config.SIGNAL_DATABASE_URL=postgres://u:hunter2@db/x", ["/worker/config/SIGNAL_DATABASE_URL", "a secret"]),
    ("worker.config.SIGNAL_KAFKA_PROPERTIES=sasl.password=hunter2", ["/worker/config/SIGNAL_KAFKA_PROPERTIES", "worker.secrets"]),
    ("secrets.SIGNAL_APPLICATION_SECRET=hunter2", ["/secrets/SIGNAL_APPLICATION_SECRET", "want null or object"]),
    ("secrets.SIGNAL_APPLICATION_SECRET.value=hunter2", ["/secrets/SIGNAL_APPLICATION_SECRET", "value"]),
    ("edge.secrets.SIGNAL_KAFKA_PROPERTIES.name=kafka", ["/edge/secrets/SIGNAL_KAFKA_PROPERTIES", "worker.secrets"]),
    ("migrate.secrets.SIGNAL_REDIS_URL.name=redis", ["/migrate/secrets", "SIGNAL_REDIS_URL"]),
    # Values that contradict each other: both are named.
    ("edge.config.SIGNAL_DRAIN_WINDOW=24s", ["SIGNAL_DRAIN_WINDOW (24s)", "7s", "SIGNAL_SHUTDOWN_DEADLINE (30s)"]),
    ("edge.config.SIGNAL_DRAIN_WINDOW=1m", ["SIGNAL_DRAIN_WINDOW (1m)", "SIGNAL_SHUTDOWN_DEADLINE (30s)"]),
    ("config.SIGNAL_SHUTDOWN_DEADLINE=26999ms", ["SIGNAL_DRAIN_WINDOW (20s)", "SIGNAL_SHUTDOWN_DEADLINE (26999ms)"]),
    ("secrets.SIGNAL_NATS_URL.name=a,secrets.SIGNAL_NATS_URL.key=b", ["secrets.SIGNAL_REDIS_URL and secrets.SIGNAL_NATS_URL"]),
    ("worker.autoscaling.enabled=true,worker.keda.enabled=true", ["worker.autoscaling.enabled", "worker.keda.enabled"]),
    ("worker.keda.enabled=true,worker.keda.partitions=3", ["worker.keda.maxReplicas (6)", "worker.keda.partitions (3)"]),
    ("edge.autoscaling.enabled=true,edge.autoscaling.minReplicas=20", ["edge.autoscaling.minReplicas (20)", "maxReplicas (12)"]),
    ("edge.autoscaling.enabled=true,edge.autoscaling.cpu=null", ["edge.autoscaling.cpu", "edge.autoscaling.connections"]),
    ("edge.autoscaling.enabled=true,edge.autoscaling.connections=100000", ["edge.autoscaling.connections (100000)", "SIGNAL_MAX_CONNECTIONS (100000)"]),
    ("caBundle.configMap=a,caBundle.secret=b", ["caBundle.configMap", "caBundle.secret"]),
    ("migrate.checkOnly=true,migrate.withCoreSchema=true", ["migrate.checkOnly", "migrate.withCoreSchema"]),
    ("replay.enabled=true,replay.from=now,replay.list=true", ["replay.list", "replay.dryRun"]),
    ("replay.enabled=true,replay.from=now,replay.dryRun=true,replay.checkpointClaim=c", ["replay.checkpointClaim", "replay.dryRun"]),
    ("migrate.enabled=false,migrate.checkOnly=true", ["migrate.checkOnly", "migrate.enabled"]),
    ("migrate.enabled=false,migrate.withCoreSchema=true", ["migrate.withCoreSchema", "migrate.enabled"]),
    ("edge.resources.requests.memory=3Gi", ["edge.resources.requests.memory (3Gi)", "edge.resources.limits.memory (2Gi)"]),
    ("worker.resources.limits.memory=127.9Mi", ["worker.resources.requests.memory (128Mi)", "worker.resources.limits.memory (127.9Mi)"]),
    ("worker.resources.limits.memory=134217727", ["worker.resources.requests.memory (128Mi)", "worker.resources.limits.memory (134217727)"]),
    ("edge.resources.requests.memory=2Gi,edge.resources.limits.memory=2.147G", ["(2Gi)", "(2.147G)"]),
    ("edge.resources.requests.memory=1025Ki,edge.resources.limits.memory=1Mi", ["(1025Ki)", "(1Mi)"]),
    ("edge.resources.limits.cpu=499m", ["edge.resources.requests.cpu (500m)", "edge.resources.limits.cpu (499m)"]),
    ("worker.resources.requests.cpu=2,worker.resources.limits.cpu=1", ["worker.resources.requests.cpu (2)", "worker.resources.limits.cpu (1)"]),
    ("migrate.resources.requests.memory=1G", ["migrate.resources.requests.memory (1G)", "migrate.resources.limits.memory (256Mi)"]),
    ("replay.resources.limits.memory=1000000", ["replay.resources.requests.memory (128Mi)", "replay.resources.limits.memory (1000000)"]),
    (
        "secrets.SIGNAL_APPLICATION_SECRET_PREVIOUS.name=a,secrets.SIGNAL_APPLICATION_SECRET_PREVIOUS.key=b",
        ["secrets.SIGNAL_APPLICATION_SECRET_PREVIOUS", "secrets.SIGNAL_APPLICATION_SECRET is not"],
    ),
    (
        "worker.secrets.SIGNAL_APPLICATION_SECRET_PREVIOUS.name=a,worker.secrets.SIGNAL_APPLICATION_SECRET_PREVIOUS.key=b,"
        "edge.secrets.SIGNAL_APPLICATION_SECRET.name=a,edge.secrets.SIGNAL_APPLICATION_SECRET.key=b",
        ["secrets.SIGNAL_APPLICATION_SECRET_PREVIOUS is set for the worker"],
    ),
    # Where a replay can't begin or end, said whether it is on or not.
    ("replay.from=yesterday", ["replay.from", "yesterday", "2026-11-23T08:00:00Z"]),
    ("replay.enabled=true,replay.from=2026-11-23T08:00:00", ["replay.from", "needs its zone"]),
    ("replay.enabled=true,replay.from=2026-11-31", ["replay.from", "no such day"]),
    ("replay.enabled=true,replay.from=2h,replay.to=tomorrow", ["replay.to", "tomorrow"]),
    ("replay.enabled=true,replay.from=2h,replay.to=", ["replay.to"]),
    # What has to be named, and is not.
    ("config.SIGNAL_JWKS_URL=", ["config.SIGNAL_JWKS_URL"]),
    ("secrets.SIGNAL_REDIS_URL=null", ["secrets.SIGNAL_REDIS_URL or secrets.SIGNAL_NATS_URL"]),
    ("secrets.SIGNAL_DATABASE_URL=null", ["secrets.SIGNAL_DATABASE_URL"]),
    ("worker.config.SIGNAL_KAFKA_BROKERS=", ["worker.config.SIGNAL_KAFKA_BROKERS"]),
    ("edge.serviceAccount.create=false", ["edge.serviceAccount.name"]),
    ("gateway.httpRoute.enabled=true", ["gateway.httpRoute.parentRefs"]),
    ("replay.enabled=true", ["replay.from"]),
    ("networkPolicy.enabled=true", ["networkPolicy.gateway"]),
    # What a cluster would refuse, or cut off without a word.
    ("edge.rollout.maxSurge=0", ["edge.rollout.maxSurge is 0"]),
    ("worker.rollout.maxSurge=0%", ["worker.rollout.maxSurge is 0%"]),
    ("edge.autoscaling.enabled=true,edge.resources.requests.cpu=null", ["edge.autoscaling.cpu", "edge.resources.requests.cpu"]),
    ("edge.podDisruptionBudget.maxUnavailable=0", ["edge.podDisruptionBudget.maxUnavailable is 0", "drained"]),
    ("worker.podDisruptionBudget.maxUnavailable=0%", ["worker.podDisruptionBudget.maxUnavailable is 0%", "drained"]),
    (
        f"{POLICY},secrets.SIGNAL_REDIS_URL=null,"
        "secrets.SIGNAL_NATS_URL.name=a,secrets.SIGNAL_NATS_URL.key=b",
        ["networkPolicy.egress.backplane.ports", "6379", "secrets.SIGNAL_NATS_URL"],
    ),
    (
        f"{POLICY},worker.config.SIGNAL_KAFKA_BROKERS=a:9092\\,b:9093",
        ["SIGNAL_KAFKA_BROKERS of the worker", "port 9093", "networkPolicy.egress.kafka.ports has [9092]"],
    ),
    (
        f"{POLICY},worker.config.SIGNAL_KAFKA_BROKERS=SSL://a,networkPolicy.egress.kafka.ports[0]=9093",
        ["port 9092", "networkPolicy.egress.kafka.ports has [9093]"],
    ),
    (
        f"{POLICY},config.SIGNAL_JWKS_URL=http://issuer.example/jwks",
        ["SIGNAL_JWKS_URL of the edge", "port 80,", "networkPolicy.egress.issuer.ports has [443]"],
    ),
    (
        f"{POLICY},worker.config.SIGNAL_JWKS_URL=https://u:p@[::1]:8443?a=:1",
        ["SIGNAL_JWKS_URL of the worker", "port 8443", "networkPolicy.egress.issuer.ports"],
    ),
    (f"{POLICY},networkPolicy.egress.issuer.ports[0]=80", ["SIGNAL_JWKS_URL", "port 443", "[80]"]),
    (
        f"{POLICY},config.OTEL_EXPORTER_OTLP_ENDPOINT=https://collector",
        ["OTEL_EXPORTER_OTLP_ENDPOINT of the edge", "port 443", "networkPolicy.egress.traces.ports has [4318]"],
    ),
    (f"{POLICY},metrics.serviceMonitor.enabled=true", ["networkPolicy.prometheus", "metrics.serviceMonitor.enabled"]),
    (f"{POLICY},metrics.annotations=true", ["networkPolicy.prometheus", "metrics.annotations"]),
    ("networkPolicy.gateway[0].ipBlock.cidr=10.0.0.0", ["/networkPolicy/gateway/0/ipBlock/cidr", "10.0.0.0"]),
    ("networkPolicy.gateway[0].ipBlock.cidr=10.0.0.256/8", ["/networkPolicy/gateway/0/ipBlock/cidr"]),
    ("networkPolicy.gateway[0].ipBlock.cidr=10.0.0.0/33", ["/networkPolicy/gateway/0/ipBlock/cidr"]),
    ("networkPolicy.gateway[0].ipBlock.cidr=fd00::/129", ["/networkPolicy/gateway/0/ipBlock/cidr"]),
    (
        "networkPolicy.gateway[0].ipBlock.cidr=10.0.0.0/8,networkPolicy.gateway[0].podSelector.matchLabels.a=b",
        ["/networkPolicy/gateway/0/podSelector", "an ipBlock stands alone"],
    ),
    ("edge.podDisruptionBudget.maxUnavailable=00%", ["edge.podDisruptionBudget.maxUnavailable is 00%"]),
    ("edge.rollout.maxSurge=00%", ["edge.rollout.maxSurge is 00%"]),
    ("edge.resources.limits.memory=512m", ["/edge/resources/limits/memory", "512m"]),
    ("worker.volumeMounts[0].name=kafka,worker.volumeMounts[0].mountPath=/a", ["worker.volumeMounts names kafka", "worker.volumes"]),
    ("edge.volumes[0].name=ca", ["edge.volumes", "ca", "the chart's own"]),
    # What would end streams again and again.
    ("gateway.httpRoute.streamTimeout=30s", ["gateway.httpRoute.streamTimeout is 30s", "every stream would end"]),
    ("gateway.httpRoute.streamTimeout=1ms", ["gateway.httpRoute.streamTimeout is 1ms"]),
    ("gateway.httpRoute.streamTimeout=4m59s999ms", ["gateway.httpRoute.streamTimeout is 4m59s999ms"]),
    (
        "gateway.ingress.enabled=true,gateway.ingress.annotations.nginx\\.ingress\\.kubernetes\\.io/proxy-read-timeout=119s",
        ["proxy-read-timeout", "119s"],
    ),
    ("edge.config.SIGNAL_HEARTBEAT_TIMEOUT=59s999ms", ["SIGNAL_HEARTBEAT_TIMEOUT", "59s999ms", "4002"]),
]
# As close to what is refused as may be.
ACCEPTED = [
    "edge.config.SIGNAL_DRAIN_WINDOW=23s",
    "config.SIGNAL_SHUTDOWN_DEADLINE=27s",
    "config.SIGNAL_SHUTDOWN_DEADLINE=1h0m30s500ms",
    "edge.config.SIGNAL_MESSAGE_RATE=0",
    "edge.config.SIGNAL_OUTBOUND_LIMIT=65536",
    "edge.config.SIGNAL_OUTBOUND_LIMIT=64KiB",
    "worker.keda.enabled=true,worker.keda.partitions=6",
    "edge.autoscaling.enabled=true,edge.autoscaling.connections=99999,edge.autoscaling.cpu=null",
    "edge.secrets.SIGNAL_DATABASE_URL=null,edge.config.SIGNAL_LOG=null,edge.config.SIGNAL_LOG_FORMAT=null",
    "global.imageRegistry=registry.example",
    "edge.rollout.maxSurge=100%",
    "worker.config.SIGNAL_BATCH_SIZE=1,worker.config.SIGNAL_SNOWFLAKE_WORKER_ID=1023",
    "worker.config.SIGNAL_BATCH_SIZE=100000,worker.config.SIGNAL_SNOWFLAKE_WORKER_ID=0",
    "edge.config.SIGNAL_HEARTBEAT_INTERVAL=0m1ms,edge.config.SIGNAL_MAX_HANDSHAKES=1",
    "config.OTEL_TRACES_SAMPLER_ARG=0",
    "config.OTEL_TRACES_SAMPLER_ARG=1",
    "edge.resources.requests.memory=2048Mi,edge.resources.limits.cpu=0.5",
    "edge.resources.requests.memory=2Gi,edge.resources.limits.memory=2.148G",
    "worker.resources.limits.memory=134217728",
    "edge.resources.limits=null",
    "edge.resources.limits.memory=null",
    "edge.podDisruptionBudget.maxUnavailable=1%",
    "edge.podDisruptionBudget.enabled=false,edge.podDisruptionBudget.maxUnavailable=0",
    "nameOverride=1-shop",
    f"fullnameOverride={'a' * 40}",
    "gateway.ingress.enabled=true,gateway.ingress.hosts[0]=*.shop.example,gateway.ingress.hosts[1]=localhost",
    "migrate.enabled=false",
    "labels.app\\.kubernetes=x",
    "image.registry=localhost:5000/team/a_b",
    f"{POLICY},worker.config.SIGNAL_KAFKA_BROKERS=a\\, SSL://[::1]:9092\\,",
    f"{POLICY},config.SIGNAL_JWKS_URL=http://u:80@issuer:443/jwks:80,config.OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318/",
    f"{POLICY},config.OTEL_EXPORTER_OTLP_ENDPOINT=https://collector,networkPolicy.egress.traces.ports[0]=443,networkPolicy.egress.traces.ports[1]=4318",
    f"{POLICY},metrics.annotations=true,networkPolicy.prometheus[0].podSelector.matchLabels.a=b",
    "networkPolicy.gateway[0].ipBlock.cidr=0.0.0.0/0,networkPolicy.gateway[1].ipBlock.cidr=fd00::/8,networkPolicy.gateway[1].ipBlock.except[0]=fd00::1/128",
    "gateway.httpRoute.streamTimeout=5m",
    "gateway.httpRoute.streamTimeout=null",
    "gateway.ingress.enabled=true,gateway.ingress.annotations.nginx\\.ingress\\.kubernetes\\.io/proxy-read-timeout=120s",
    "edge.config.SIGNAL_HEARTBEAT_TIMEOUT=1m",
    "edge.volumes[0].name=a,edge.volumeMounts[0].name=a,edge.volumeMounts[0].mountPath=/a",
    "edge.resources.limits.memory=3000000000,edge.resources.limits.ephemeral-storage=1Gi,edge.resources.limits.cpu=900m",
    "image.registry=[::1]:5000,edge.image.tag=v1.2_3-rc",
    "edge.image.repository=registry.example:5000/a/signal-edge",
    "caBundle.configMap=ca.live,caBundle.key=_ca.PEM",
    "worker.keda.metadata.sasl=none,worker.keda.authenticationRef.name=kafka",
    "edge.podAnnotations.helm\\.sh\\.example/a=any thing",
]


class Refusals(unittest.TestCase):
    def test_what_cannot_be_meant_is_named(self):
        for values, said in REFUSED:
            with self.subTest(values):
                status, message = chart.template("minimal", f"--set={values}")
                self.assertNotEqual(0, status, "it was taken")
                for part in said:
                    self.assertIn(part, message)
                self.assertNotIn("hunter2", message)

    def test_a_number_that_is_written_as_text_has_the_same_bounds(self):
        for value, taken in {"SIGNAL_BATCH_SIZE=999999": False, "SIGNAL_BATCH_SIZE=100001": False, "SIGNAL_BATCH_SIZE=100000": True}.items():
            status, message = chart.template("minimal", f"--set-string=worker.config.{value}")
            self.assertEqual(taken, status == 0, message)

    def test_a_list_that_is_needed_is_not_empty_and_a_peer_is_somebody(self):
        refused = {
            "networkPolicy.egress.dns.ports=[]": "/networkPolicy/egress/dns/ports",
            "networkPolicy.egress.database.ports=[]": "/networkPolicy/egress/database/ports",
            "networkPolicy.gateway=[{}]": "/networkPolicy/gateway/0",
            "networkPolicy.prometheus=[{}]": "/networkPolicy/prometheus/0",
        }
        for values, where in refused.items():
            with self.subTest(values):
                status, message = chart.template("minimal", f"--set-json={values}")
                self.assertNotEqual(0, status, "it was taken")
                self.assertIn(where, message)
        for values in ("networkPolicy.egress.traces.ports=[]", 'networkPolicy.gateway=[{"podSelector":{}}]'):
            self.assertEqual(0, chart.template("minimal", f"--set-json={values}")[0], values)

    def test_what_is_close_to_it_is_taken(self):
        for values in ACCEPTED:
            with self.subTest(values):
                status, message = chart.template("minimal", f"--set={values}")
                self.assertEqual(0, status, message)

    def test_a_release_whose_name_no_service_can_have_is_told_to_take_another(self):
        for release in ("1shop", "shop.live"):
            arguments = ("template", release, chart.CHART, f"--kube-version={chart.NEWEST}", f"--values={chart.scenario('minimal')}")
            status, message = chart.helm(*arguments)
            self.assertNotEqual(0, status, "it was taken")
            self.assertIn(f"{release}-signal", message)
            self.assertIn("fullnameOverride", message)
            self.assertEqual(0, chart.helm(*arguments, "--set=fullnameOverride=live")[0])

    def test_two_backplanes_are_warned_of(self):
        # Notes are rendered for a cluster alone: here they are what a manifest of a copy says.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "signal"
            shutil.copytree(chart.CHART, copy)
            (copy / "templates/NOTES.txt").rename(copy / "notes.txt")
            (copy / "templates/shown.yaml").write_text('notes: |\n  {{- tpl (.Files.Get "notes.txt") . | nindent 2 }}\n')

            def notes(*values):
                status, said = chart.template("minimal", "--show-only=templates/shown.yaml", *(f"--set={value}" for value in values), of=copy)
                self.assertEqual(0, status, said)
                return chart.yaml.safe_load(said)["notes"]

            nats = "SIGNAL_NATS_URL.name=a,{0}.SIGNAL_NATS_URL.key=b,{0}.SIGNAL_REDIS_URL=null"
            self.assertIn("See it come up", notes())
            self.assertNotIn("WARNING", notes())
            self.assertNotIn("WARNING", notes("secrets." + nats.format("secrets")))
            said = notes("worker.secrets." + nats.format("worker.secrets"))
            self.assertIn("WARNING: the edge has SIGNAL_REDIS_URL and the worker SIGNAL_NATS_URL", said)
            said = notes("edge.secrets." + nats.format("edge.secrets"))
            self.assertIn("WARNING: the edge has SIGNAL_NATS_URL and the worker SIGNAL_REDIS_URL", said)

    def test_every_map_is_closed_unless_a_user_fills_it(self):
        schema = json.loads((chart.CHART / "values.schema.json").read_text())
        # Kubernetes checks these; `global` is another chart's.
        open_ones = {"global", "volume", "nodeAffinity", "podAffinity", "podAntiAffinity"}

        def walk(name, node):
            if not isinstance(node, dict):
                return
            if "object" in node.get("type", "") and name not in open_ones:
                self.assertIn("additionalProperties", node, name)
            for key in ("properties", "$defs", "patternProperties"):
                for inner, value in node.get(key, {}).items():
                    walk(inner, value)
            walk(f"{name} items", node.get("items"))

        walk("values", schema)
