{{- /* Settings of a workload, by the real names of variables. All take (root, component). */ -}}

{{- /* What is set in plain, the workload's own before what both have; as JSON. */ -}}
{{- define "signal.config" -}}
{{- include "signal.layered" (list .root.Values.config (get .root.Values .component).config) -}}
{{- end -}}

{{- /* References of secrets, likewise. */ -}}
{{- define "signal.secrets" -}}
{{- include "signal.layered" (list .root.Values.secrets (get .root.Values .component).secrets) -}}
{{- end -}}

{{- /* Each layer wins over those before it, and null takes a variable out. */ -}}
{{- define "signal.layered" -}}
{{- $all := dict -}}
{{- range . -}}
{{- range $name, $value := . -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $all $name -}}
{{- else -}}
{{- $_ := set $all $name $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{- /* Takes `name` as well: the value that holds, which is the binary's own default if none is set. */ -}}
{{- define "signal.setting" -}}
{{- $defaults := get (.root.Files.Get "files/defaults.json" | fromJson) .component -}}
{{- /* Set to nothing is not set, as in signal.env. */ -}}
{{- include "signal.text" (get (include "signal.config" . | fromJson) .name) | default (get $defaults .name) -}}
{{- end -}}

{{- /* A value as a variable holds it: numbers in full, where Go would print 1e+06. */ -}}
{{- define "signal.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else if not (kindIs "invalid" .) }}{{ toJson . }}{{ end -}}
{{- end -}}

{{- /* Sorted by name. A variable that is set to nothing is not set. */ -}}
{{- define "signal.env" -}}
{{- $config := include "signal.config" . | fromJson -}}
{{- range $name := keys $config | sortAlpha }}
{{- with include "signal.text" (get $config $name) }}
- name: {{ $name }}
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if include "signal.caBundle" .root }}
- name: SSL_CERT_FILE
  value: /etc/signal/ca/ca.crt
{{- end }}
{{- include "signal.secretEnv" (include "signal.secrets" . | fromJson) }}
{{- end -}}

{{- /* Takes the references. */ -}}
{{- define "signal.secretEnv" -}}
{{- $secrets := . -}}
{{- range $name := keys $secrets | sortAlpha }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {{ get $secrets $name | toJson }}
{{- end }}
{{- end -}}

{{- /* The volume's source, if there is one. */ -}}
{{- define "signal.caBundle" -}}
{{- with .Values.caBundle -}}
{{- $items := list (dict "key" .key "path" "ca.crt") -}}
{{- if and .configMap .secret -}}
{{- fail "caBundle.configMap and caBundle.secret are both set: it is one of them" -}}
{{- else if .configMap -}}
{{ dict "configMap" (dict "name" .configMap "items" $items) | toJson }}
{{- else if .secret -}}
{{ dict "secret" (dict "secretName" .secret "items" $items) | toJson }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* A quantity of Kubernetes such as 500m or 1.5Gi, as a number. */ -}}
{{- define "signal.quantity" -}}
{{- $text := include "signal.text" . -}}
{{- $units := dict "m" 0.001 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[a-zA-Z]*$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (get $units $unit | default 1) -}}
{{- end -}}

{{- /* A duration such as 1m30s, in milliseconds. */ -}}
{{- define "signal.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $sum = add $sum (mul (trimSuffix $unit . | int64) (get $units $unit)) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{- /* Whole seconds, rounded up. Takes (root, component, name). */ -}}
{{- define "signal.seconds" -}}
{{- div (add (include "signal.setting" . | include "signal.milliseconds" | int64) 999) 1000 -}}
{{- end -}}

{{- /* What both paths of the gateway begin with; nothing for the root. */ -}}
{{- define "signal.basePath" -}}
{{- include "signal.setting" (dict "root" .root "component" .component "name" "SIGNAL_BASE_PATH") | trimSuffix "/" -}}
{{- end -}}
