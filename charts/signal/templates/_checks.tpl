{{- /* What the schema can't say, because it is about more than one value. Each message names all of them. */ -}}
{{- define "signal.checks" -}}
{{- $root := . -}}
{{- $stop := .Files.Get "files/defaults.json" | fromJson -}}

{{- range $component := list "edge" "worker" -}}
{{- $at := dict "root" $root "component" $component -}}
{{- $config := include "signal.config" $at | fromJson -}}
{{- $secrets := include "signal.secrets" $at | fromJson -}}
{{- $known := get $stop $component -}}
{{- if not (get $config "SIGNAL_JWKS_URL") -}}
{{- fail (printf "config.SIGNAL_JWKS_URL is not set, and the %s can't do without: it is where the issuer publishes its keys" $component) -}}
{{- end -}}
{{- $named := list -}}
{{- $backplanes := list -}}
{{- range list "SIGNAL_REDIS_URL" "SIGNAL_NATS_URL" -}}
{{- if hasKey $known . -}}{{- $backplanes = append $backplanes (printf "secrets.%s" .) -}}{{- end -}}
{{- if hasKey $secrets . -}}{{- $named = append $named (printf "secrets.%s" .) -}}{{- end -}}
{{- end -}}
{{- if empty $named -}}
{{- fail (printf "%s is not set, and the %s can't do without: it is the backplane" (join " or " $backplanes) $component) -}}
{{- else if gt (len $named) 1 -}}
{{- fail (printf "%s are both set for the %s: there is one backplane" (join " and " $named) $component) -}}
{{- end -}}
{{- if and (hasKey $secrets "SIGNAL_APPLICATION_SECRET_PREVIOUS") (not (hasKey $secrets "SIGNAL_APPLICATION_SECRET")) -}}
{{- fail (printf "secrets.SIGNAL_APPLICATION_SECRET_PREVIOUS is set for the %s, and secrets.SIGNAL_APPLICATION_SECRET is not: the one before is read beside the one that holds" $component) -}}
{{- end -}}
{{- end -}}

{{- $worker := dict "root" . "component" "worker" -}}
{{- if not (get (include "signal.config" $worker | fromJson) "SIGNAL_KAFKA_BROKERS") -}}
{{- fail "worker.config.SIGNAL_KAFKA_BROKERS is not set, and the worker can't do without" -}}
{{- end -}}
{{- if not (hasKey (include "signal.secrets" $worker | fromJson) "SIGNAL_DATABASE_URL") -}}
{{- fail "secrets.SIGNAL_DATABASE_URL is not set, and the worker can't do without" -}}
{{- end -}}

{{- $edge := dict "root" . "component" "edge" -}}
{{- $window := include "signal.setting" (merge (dict "name" "SIGNAL_DRAIN_WINDOW") $edge) -}}
{{- $deadline := include "signal.setting" (merge (dict "name" "SIGNAL_SHUTDOWN_DEADLINE") $edge) -}}
{{- $needed := add (include "signal.milliseconds" $window) (include "signal.milliseconds" $stop.drainReserve) -}}
{{- if gt $needed (include "signal.milliseconds" $deadline | int64) -}}
{{- fail (printf "SIGNAL_DRAIN_WINDOW (%s) and the %s that a stop needs beside it do not fit into SIGNAL_SHUTDOWN_DEADLINE (%s) of the edge: the edge would cut the window. The grace period follows the deadline" $window $stop.drainReserve $deadline) -}}
{{- end -}}

{{- range $component := list "edge" "worker" -}}
{{- $own := get $root.Values $component -}}
{{- if regexMatch "^0+%?$" (include "signal.text" $own.rollout.maxSurge) -}}
{{- fail (printf "%s.rollout.maxSurge is %v, and no pod may be missing during a rollout: it could never begin" $component $own.rollout.maxSurge) -}}
{{- end -}}
{{- if and $own.autoscaling.enabled $own.autoscaling.cpu (not (dig "requests" "cpu" "" $own.resources)) -}}
{{- fail (printf "%s.autoscaling.cpu is a share of %s.resources.requests.cpu, which is not set" $component $component) -}}
{{- end -}}
{{- $budget := $own.podDisruptionBudget -}}
{{- if and $budget.enabled (regexMatch "^0+%?$" (include "signal.text" $budget.maxUnavailable)) -}}
{{- fail (printf "%s.podDisruptionBudget.maxUnavailable is %v: no node that has such a pod could ever be drained. %s.podDisruptionBudget.enabled: false is for no budget" $component $budget.maxUnavailable $component) -}}
{{- end -}}
{{- end -}}

{{- range $component := list "edge" "worker" -}}
{{- $own := get $root.Values $component -}}
{{- $there := list -}}
{{- range $own.volumes -}}
{{- if has .name (list "ca" "replay") -}}
{{- fail (printf "%s.volumes has one called %s, which is the chart's own" $component .name) -}}
{{- end -}}
{{- $there = append $there .name -}}
{{- end -}}
{{- range $own.volumeMounts -}}
{{- if not (has .name $there) -}}
{{- fail (printf "%s.volumeMounts names %s, and %s.volumes has none of that name" $component .name $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- $patience := include "signal.setting" (merge (dict "name" "SIGNAL_HEARTBEAT_TIMEOUT") $edge) -}}
{{- if lt (include "signal.milliseconds" $patience | int64) 60000 -}}
{{- fail (printf "SIGNAL_HEARTBEAT_TIMEOUT of the edge is %s: clients say something every 30 s, and one whose word is late would be closed with 4002 again and again. 60s is the least" $patience) -}}
{{- end -}}

{{- with .Values.worker -}}
{{- if and .autoscaling.enabled .keda.enabled -}}
{{- fail "worker.autoscaling.enabled and worker.keda.enabled are both true: one of them scales the worker" -}}
{{- end -}}
{{- if and .keda.enabled .keda.partitions -}}
{{- if gt (int .keda.maxReplicas) (int .keda.partitions) -}}
{{- fail (printf "worker.keda.maxReplicas (%d) is above worker.keda.partitions (%d): the workers beyond would be idle" (int .keda.maxReplicas) (int .keda.partitions)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $scaling := dict "edge.autoscaling" .Values.edge.autoscaling "worker.autoscaling" .Values.worker.autoscaling "worker.keda" .Values.worker.keda -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- fail (printf "%s.minReplicas (%d) is above %s.maxReplicas (%d)" $name (int $scaling.minReplicas) $name (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- with .Values.edge.autoscaling -}}
{{- if and .enabled (not .cpu) (not .connections) -}}
{{- fail "edge.autoscaling.enabled is true, and neither edge.autoscaling.cpu nor edge.autoscaling.connections says by what" -}}
{{- end -}}
{{- $room := include "signal.setting" (merge (dict "name" "SIGNAL_MAX_CONNECTIONS") $edge) | int64 -}}
{{- if and .enabled .connections (ge (int64 .connections) $room) -}}
{{- fail (printf "edge.autoscaling.connections (%d) is not below SIGNAL_MAX_CONNECTIONS (%d): edges would be full before there is another" (int64 .connections) $room) -}}
{{- end -}}
{{- end -}}

{{- range $of := list "edge" "worker" "migrate" "replay" -}}
{{- $resources := (get $root.Values $of).resources -}}
{{- range $name, $request := $resources.requests | default dict -}}
{{- $limit := get ($resources.limits | default dict) $name -}}
{{- if not (or (kindIs "invalid" $request) (kindIs "invalid" $limit) (eq "" (toString $limit))) -}}
{{- if gt (include "signal.quantity" $request | float64) (include "signal.quantity" $limit | float64) -}}
{{- fail (printf "%s.resources.requests.%s (%s) is above %s.resources.limits.%s (%s)" $of $name (include "signal.text" $request) $of $name (include "signal.text" $limit)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- $name := include "signal.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "everything would be called %s-…, and the name of a Service begins with a letter and has no dot: set fullnameOverride" $name) -}}
{{- end -}}

{{- with .Values.gateway.httpRoute -}}
{{- if and .enabled (empty .parentRefs) -}}
{{- fail "gateway.httpRoute.parentRefs is empty: name the gateway that the route belongs to" -}}
{{- end -}}
{{- $timeout := include "signal.milliseconds" (default "" .streamTimeout) | int64 -}}
{{- if and (gt $timeout 0) (lt $timeout 300000) -}}
{{- fail (printf "gateway.httpRoute.streamTimeout is %s: every stream would end after it, whatever goes over it. 0s is none; 5m is the least that is taken" .streamTimeout) -}}
{{- end -}}
{{- end -}}
{{- with .Values.gateway.ingress -}}
{{- $name := "nginx.ingress.kubernetes.io/proxy-read-timeout" -}}
{{- $timeout := get .annotations $name | default "" -}}
{{- if and .enabled (regexMatch "^[0-9]+s?$" $timeout) (lt (trimSuffix "s" $timeout | float64) 120.0) -}}
{{- fail (printf "gateway.ingress.annotations has %s: %q, and an edge may have nothing to say to a client for longer: streams would end again and again. 120 is the least that is taken" $name $timeout) -}}
{{- end -}}
{{- end -}}
{{- with .Values.migrate -}}
{{- range $flag := list "checkOnly" "withCoreSchema" -}}
{{- if and (get $.Values.migrate $flag) (not $.Values.migrate.enabled) -}}
{{- fail (printf "migrate.%s is true, and migrate.enabled is not: nothing would run" $flag) -}}
{{- end -}}
{{- end -}}
{{- if and .checkOnly .withCoreSchema -}}
{{- fail "migrate.checkOnly and migrate.withCoreSchema are both true: the one changes nothing, the other makes tables" -}}
{{- end -}}
{{- end -}}
{{- with .Values.replay -}}
{{- range $bound := list "from" "to" -}}
{{- $point := get $.Values.replay $bound -}}
{{- $wrong := include "signal.wrongPoint" $point -}}
{{- if and $wrong (or $point (eq $bound "to")) -}}
{{- fail (printf "replay.%s is %q: %s" $bound $point $wrong) -}}
{{- end -}}
{{- end -}}
{{- if and .enabled (empty .from) -}}
{{- fail "replay.from is empty: name the point where the replay begins" -}}
{{- end -}}
{{- if and .list (not .dryRun) -}}
{{- fail "replay.list is true, and replay.dryRun is not: only a dry run lists rows" -}}
{{- end -}}
{{- if and .checkpointClaim .dryRun -}}
{{- fail "replay.checkpointClaim is set, and replay.dryRun is true: a dry run keeps no checkpoint" -}}
{{- end -}}
{{- end -}}
{{- if .Values.networkPolicy.enabled -}}
{{- include "signal.policyChecks" . -}}
{{- end -}}
{{- end -}}

{{- /* What is wrong with a point of the topic; nothing if the worker reads it (worker/src/replay/point.rs). */ -}}
{{- define "signal.wrongPoint" -}}
{{- $day := "[0-9]{4}-[0-9]{2}-[0-9]{2}" -}}
{{- $time := "[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)([.][0-9]+)?" -}}
{{- $zone := "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])" -}}
{{- $text := trim . -}}
{{- if regexMatch (printf "^%s(%s%s?)?$" $day $time $zone) $text -}}
{{- if (toDate "2006-01-02" (substr 0 10 $text)).IsZero -}}
there is no such day
{{- else if regexMatch (printf "^%s%s$" $day $time) $text -}}
a time needs its zone: 2026-11-23T08:00:00Z or 2026-11-23T15:00:00+07:00
{{- end -}}
{{- else if not (regexMatch "^(beginning|end|now|0|[0-9]+d0?|([0-9]+d)?([0-9]+(ms|s|m|h))+|[0-9]+:[0-9]+( *, *[0-9]+:[0-9]+)*)$" $text) -}}
it may be `beginning`, `end`, a time such as 2026-11-23T08:00:00Z, a day such as 2026-11-23, how long ago such as 90m, 2h or 7d, or offsets such as 0:1200,1:980
{{- end -}}
{{- end -}}

{{- /* What a policy would cut off, of what the chart can know: addresses that are a secret it can't. */ -}}
{{- define "signal.policyChecks" -}}
{{- $root := . -}}
{{- $policy := .Values.networkPolicy -}}
{{- if empty $policy.gateway -}}
{{- fail "networkPolicy.gateway is empty: name the peers that may reach HTTP, or nobody could" -}}
{{- end -}}
{{- range $name, $on := dict "metrics.serviceMonitor.enabled" .Values.metrics.serviceMonitor.enabled "metrics.annotations" .Values.metrics.annotations -}}
{{- if and $on (empty $policy.prometheus) -}}
{{- fail (printf "networkPolicy.prometheus is empty, and %s is true: name the peers that may reach the admin port, or nothing could be scraped" $name) -}}
{{- end -}}
{{- end -}}
{{- range $component, $targets := dict
  "edge" (dict "SIGNAL_JWKS_URL" "issuer" "OTEL_EXPORTER_OTLP_ENDPOINT" "traces")
  "worker" (dict "SIGNAL_JWKS_URL" "issuer" "OTEL_EXPORTER_OTLP_ENDPOINT" "traces" "SIGNAL_KAFKA_BROKERS" "kafka") -}}
{{- $at := dict "root" $root "component" $component -}}
{{- range $variable, $target := $targets -}}
{{- $open := list -}}
{{- range (get $policy.egress $target).ports -}}{{- $open = append $open (int64 .) -}}{{- end -}}
{{- range $address := include "signal.setting" (merge (dict "name" $variable) $at) | splitList "," -}}
{{- if trim $address -}}
{{- $port := include "signal.port" $address | int64 -}}
{{- if not (has $port $open) -}}
{{- fail (printf "%s of the %s leads to port %d, and networkPolicy.egress.%s.ports has %s: the policy would cut it off" $variable $component $port $target (toJson $open)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if hasKey (include "signal.secrets" $at | fromJson) "SIGNAL_NATS_URL" -}}
{{- if eq (toJson $policy.egress.backplane.ports) "[6379]" -}}
{{- fail (printf "networkPolicy.egress.backplane.ports is Redis's 6379, and secrets.SIGNAL_NATS_URL of the %s names a NATS: say its port, such as 4222, or the policy cuts it off" $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Of a URL or a broker, with what it is where none is said. */ -}}
{{- define "signal.port" -}}
{{- $text := trim . -}}
{{- $authority := regexReplaceAll "^[A-Za-z0-9_]+://" $text "" | regexFind "^[^/?#]*" -}}
{{- $said := regexFind ":[0-9]+$" $authority | trimPrefix ":" -}}
{{- if $said -}}{{ $said }}
{{- else if hasPrefix "https://" $text -}}443
{{- else if hasPrefix "http://" $text -}}80
{{- else -}}9092
{{- end -}}
{{- end -}}

{{- /* What may be meant, and hardly is. */ -}}
{{- define "signal.warnings" -}}
{{- $backplanes := dict -}}
{{- range $component := list "edge" "worker" -}}
{{- $secrets := include "signal.secrets" (dict "root" $ "component" $component) | fromJson -}}
{{- $_ := set $backplanes $component (ternary "SIGNAL_NATS_URL" "SIGNAL_REDIS_URL" (hasKey $secrets "SIGNAL_NATS_URL")) -}}
{{- end -}}
{{- if ne $backplanes.edge $backplanes.worker }}

WARNING: the edge has {{ $backplanes.edge }} and the worker {{ $backplanes.worker }}. They are two backplanes: nobody is told of what the
worker writes until they read their list.
{{- end -}}
{{- end -}}
