{{- define "compactor.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "compactor.ray" -}}
{{- printf "%s-ray" (include "compactor.name" .) -}}
{{- end -}}

{{- define "compactor.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "compactor.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ include "compactor.name" . }}
{{- end -}}

{{- define "compactor.labels" -}}
{{ include "compactor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "compactor.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "compactor.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end -}}

{{- define "compactor.config" -}}
{{- $config := .Values.config | default (.Files.Get "compactor.toml") -}}
{{- if .Values.ray.enabled -}}
{{- if regexMatch "(?m)^\\s*\\[run\\]" $config -}}
{{- fail "config has a section [run], which the chart writes where ray.enabled is true" -}}
{{- end -}}
{{ $config | trim }}

[run]
executor = "ray"
ray_address = "ray://{{ include "compactor.ray" . }}-head-svc:10001"
memory = {{ .Values.ray.taskMemory | quote }}
# All that the cluster may grow to: what waits is what the autoscaler sees.
parallelism = {{ mul .Values.ray.workers.max .Values.ray.workers.cpus }}
{{- else -}}
{{ $config | trim }}
{{- end -}}
{{- end -}}

{{- define "compactor.egress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
- ports:
    {{- range .Values.networkPolicy.egressPorts }}
    - port: {{ . }}
      protocol: TCP
    {{- end }}
- to:
    - ipBlock:
        cidr: 169.254.170.23/32 # EKS Pod Identity
  ports:
    - port: 80
      protocol: TCP
{{- end -}}
