{{/* Names and labels. Every template that takes a component is called with (dict "root" $ "component" "auth"). */}}

{{- define "pager.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "pager.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "pager.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "pager.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "pager.selector" -}}
app.kubernetes.io/name: {{ include "pager.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pager.labels" -}}
{{ include "pager.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: pager
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "pager.componentSelector" -}}
{{ include "pager.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "pager.componentLabels" -}}
{{ include "pager.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "pager.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Services that own a schema and a stream; the gateway owns neither. */}}
{{- define "pager.stateful" -}}auth oncall incidents escalation notifier{{- end -}}

{{- define "pager.services" -}}{{ include "pager.stateful" . }} gateway{{- end -}}

{{- define "pager.maxReplicas" -}}
{{- $service := index .root.Values.services .component -}}
{{- if .root.Values.autoscaling.enabled -}}
{{- $service.autoscaling.maxReplicas | default .root.Values.autoscaling.maxReplicas -}}
{{- else -}}
{{- $service.replicas | default .root.Values.replicas -}}
{{- end -}}
{{- end -}}

{{- define "pager.minReplicas" -}}
{{- $service := index .root.Values.services .component -}}
{{- if .root.Values.autoscaling.enabled -}}
{{- $service.autoscaling.minReplicas | default .root.Values.autoscaling.minReplicas -}}
{{- else -}}
{{- $service.replicas | default .root.Values.replicas -}}
{{- end -}}
{{- end -}}

{{/* Connections to PostgreSQL at the most: 16 of each replica, of one more for each service during a rolling update, and
     10 for migrations, backups and people. */}}
{{- define "pager.connections" -}}
{{- $sum := 10 -}}
{{- range splitList " " (include "pager.stateful" .) -}}
{{- $sum = add $sum (mul 16 (add 1 (include "pager.maxReplicas" (dict "root" $ "component" .) | int))) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}
