{{- /* What all pods have in common. */ -}}

{{- define "signal.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "signal.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* Between the end of SIGNAL_SHUTDOWN_DEADLINE and SIGKILL: for the process to end, and for a slow node. */ -}}
{{- define "signal.stopMargin" -}}5{{- end -}}

{{- /* Takes (root, component). */ -}}
{{- define "signal.gracePeriod" -}}
{{- $deadline := include "signal.seconds" (dict "root" .root "component" .component "name" "SIGNAL_SHUTDOWN_DEADLINE") -}}
{{- add (get .root.Values .component).preStopSeconds $deadline (include "signal.stopMargin" .root) -}}
{{- end -}}

{{- /* Takes (root, component). */ -}}
{{- define "signal.minReadySeconds" -}}
{{- $own := get .root.Values .component -}}
{{- if kindIs "invalid" $own.rollout.minReadySeconds -}}
{{- $window := include "signal.seconds" (dict "root" .root "component" .component "name" "SIGNAL_DRAIN_WINDOW") -}}
{{- add $own.preStopSeconds $window -}}
{{- else -}}
{{- $own.rollout.minReadySeconds | int64 -}}
{{- end -}}
{{- end -}}

{{- /* Whether the number of pods is somebody else's. Takes (root, component). */ -}}
{{- define "signal.isScaled" -}}
{{- $own := get .root.Values .component -}}
{{- if or $own.autoscaling.enabled (dig "keda" "enabled" false $own) }}true{{ end -}}
{{- end -}}

{{- /* Where something scales it: as many as there are. A number that is left out would be one, until the scaler has
looked, and so the fleet's end. Takes (root, component). */ -}}
{{- define "signal.replicas" -}}
{{- $own := get .root.Values .component -}}
{{- if include "signal.isScaled" . -}}
{{- $scaler := ternary $own.autoscaling $own.keda $own.autoscaling.enabled -}}
{{- $name := printf "%s-%s" (include "signal.fullname" .root) .component -}}
{{- $live := lookup "apps/v1" "Deployment" .root.Release.Namespace $name -}}
{{- max $scaler.minReplicas (dig "spec" "replicas" 0 $live | int) -}}
{{- else -}}
{{- $own.replicas | int64 -}}
{{- end -}}
{{- end -}}

{{- define "signal.volumeMounts" -}}
{{- if include "signal.caBundle" .root }}
- name: ca
  mountPath: /etc/signal/ca
  readOnly: true
{{- end }}
{{- with (get .root.Values .component).volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "signal.volumes" -}}
{{- with include "signal.caBundle" .root }}
- name: ca
  {{- . | fromJson | toYaml | nindent 2 }}
{{- end }}
{{- with (get .root.Values .component).volumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Where a workload's pods go. */ -}}
{{- define "signal.placement" -}}
{{- $own := get .root.Values .component -}}
{{- with $own.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "signal.topologySpread" -}}
{{- $labels := include "signal.selectorLabels" . | fromYaml -}}
{{- range (get .root.Values .component).topologySpread }}
- {{ toYaml . | nindent 2 | trim }}
  labelSelector:
    matchLabels:
      {{- toYaml $labels | nindent 6 }}
  {{- /* Each generation by itself: else the old pods of a rollout would decide where the new ones go. */}}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}
