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
{{- if has (toString $own.rollout.maxSurge) (list "0" "0%") -}}
{{- fail (printf "%s.rollout.maxSurge is %v, and no pod may be missing during a rollout: it could never begin" $component $own.rollout.maxSurge) -}}
{{- end -}}
{{- if and $own.autoscaling.enabled $own.autoscaling.cpu (not (dig "requests" "cpu" "" $own.resources)) -}}
{{- fail (printf "%s.autoscaling.cpu is a share of %s.resources.requests.cpu, which is not set" $component $component) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (hasKey (include "signal.secrets" $edge | fromJson) "SIGNAL_NATS_URL") -}}
{{- if eq (toJson .Values.networkPolicy.egress.backplane.ports) "[6379]" -}}
{{- fail "networkPolicy.egress.backplane.ports is Redis's 6379, and secrets.SIGNAL_NATS_URL names a NATS: say its port, such as 4222, or the policy cuts it off" -}}
{{- end -}}
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

{{- with .Values.gateway.httpRoute -}}
{{- if and .enabled (empty .parentRefs) -}}
{{- fail "gateway.httpRoute.parentRefs is empty: name the gateway that the route belongs to" -}}
{{- end -}}
{{- end -}}
{{- with .Values.migrate -}}
{{- if and .checkOnly .withCoreSchema -}}
{{- fail "migrate.checkOnly and migrate.withCoreSchema are both true: the one changes nothing, the other makes tables" -}}
{{- end -}}
{{- end -}}
{{- with .Values.replay -}}
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
{{- with .Values.networkPolicy -}}
{{- if and .enabled (empty .gateway) -}}
{{- fail "networkPolicy.gateway is empty: name the peers that may reach HTTP, or nobody could" -}}
{{- end -}}
{{- end -}}
{{- end -}}
