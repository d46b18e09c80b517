{{- /* Who serves what of the one origin, as JSON. `exact` is that path alone, else all below it too. */ -}}
{{- define "signal.paths" -}}
{{- $edge := dict "root" . "component" "edge" -}}
{{- $worker := dict "root" . "component" "worker" -}}
{{- $ofEdge := include "signal.basePath" $edge -}}
{{- dict
  "stream" (include "signal.setting" (merge (dict "name" "SIGNAL_STREAM_PATH") $edge) | trimSuffix "/")
  "edge" (list
    (dict "path" (printf "%s/socket" $ofEdge))
    (dict "path" (printf "%s/identity" $ofEdge) "exact" true)
    (dict "path" (printf "%s/doc" $ofEdge)))
  "worker" (list (dict "path" (printf "%s/notifications" (include "signal.basePath" $worker))))
  | toJson -}}
{{- end -}}
