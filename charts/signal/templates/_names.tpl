{{- define "signal.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $own := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- /* Room for what goes behind it, within the 63 characters of a label. */ -}}
{{- default $own .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* Takes (root, component), as the next ones do. What a selector goes by never changes. */ -}}
{{- define "signal.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- /* Labels of `own` win over those of everything: a key is there once. */ -}}
{{- define "signal.labels" -}}
{{ include "signal.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with merge (dict) (.own | default dict) .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "signal.podLabels" -}}
{{ include "signal.selectorLabels" . }}
{{- with merge (dict) (.own | default dict) .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "signal.serviceAccountName" -}}
{{- $own := get .root.Values .component -}}
{{- if $own.serviceAccount.create -}}
{{ default (printf "%s-%s" (include "signal.fullname" .root) .component) $own.serviceAccount.name }}
{{- else -}}
{{ required (printf "%s.serviceAccount.name is not set, and %s.serviceAccount.create is false" .component .component) $own.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "signal.image" -}}
{{- $all := .root.Values.image -}}
{{- $own := (get .root.Values .component).image -}}
{{- $name := trimPrefix "/" (printf "%s/%s" (trimSuffix "/" $all.registry) $own.repository) -}}
{{- if $own.digest -}}
{{ printf "%s@%s" $name $own.digest }}
{{- else -}}
{{ printf "%s:%s" $name (coalesce $own.tag $all.tag .root.Chart.AppVersion) }}
{{- end -}}
{{- end -}}
