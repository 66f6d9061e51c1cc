{{/* What the chart refuses to render. Types and unknown names are values.schema.json's; this is what contradicts itself, or
     would page nobody. Included once, by serviceaccount.yaml. */}}
{{- define "pager.refuse" -}}
{{- $v := .Values -}}
{{- if not $v.image.repository }}
{{- fail "image.repository: name the registry and repository to which you pushed Pager's image" }}
{{- end }}
{{- if not $v.credentials.existingSecret }}
{{- fail "credentials.existingSecret: name the Secret that `pager deploy-config kubernetes` wrote" }}
{{- end }}
{{- include "pager.refusePush" . }}
{{- include "pager.refuseReplicas" . }}
{{- if not $v.publicUrl }}
{{- fail "publicUrl: say where people reach Pager; links in pages begin with it" }}
{{- end }}
{{- if $v.ingress.enabled }}
{{- if not $v.ingress.host }}
{{- fail "ingress.host: name the host, or set ingress.enabled=false" }}
{{- end }}
{{- if not $v.ingress.tls.existingSecret }}
{{- fail "ingress.tls.existingSecret: name the Secret of the certificate; passwords are never served without TLS" }}
{{- end }}
{{- if ne $v.ingress.host (urlParse $v.publicUrl).host }}
{{- fail (printf "publicUrl: %s is not on ingress.host %s" $v.publicUrl $v.ingress.host) }}
{{- end }}
{{- end }}
{{- if and $v.nats.tls.ca.existingSecret (not $v.nats.tls.enabled) }}
{{- fail "nats.tls.ca.existingSecret: is for TLS; set nats.tls.enabled=true or leave it empty" }}
{{- end }}
{{- if and $v.smtp.enabled (or (not $v.smtp.existingSecret) (not $v.smtp.from)) }}
{{- fail "smtp: name the Secret with the mail server's URL in smtp.existingSecret and the sender in smtp.from, or set smtp.enabled=false: admins then hand links over" }}
{{- end }}
{{- if and $v.oidc.enabled (or (not $v.oidc.issuer) (not $v.oidc.clientId) (not $v.oidc.redirectUris)) }}
{{- fail "oidc: name the provider in oidc.issuer, what Pager is there in oidc.clientId, and where apps come back to in oidc.redirectUris, or set oidc.enabled=false" }}
{{- end }}
{{- end -}}

{{- define "pager.refusePush" -}}
{{- $push := .Values.push -}}
{{- if not (or $push.fcm.enabled $push.apns.enabled $push.webpush.enabled) }}
{{- fail "push: switch on push.fcm, push.apns or push.webpush; with none nobody can be paged" }}
{{- end }}
{{- if and $push.webpush.enabled (or (not $push.webpush.existingSecret) (not $push.webpush.subject)) }}
{{- fail "push.webpush: name the Secret with a VAPID key in push.webpush.existingSecret, and in push.webpush.subject whom push services may write to, or set push.webpush.enabled=false if nobody is paged in a browser" }}
{{- end }}
{{- if and $push.fcm.enabled (not $push.fcm.existingSecret) }}
{{- fail "push.fcm.existingSecret: credentials are missing, and simulated pushes are refused in a cluster: name the Secret with Google's service account, or set push.fcm.enabled=false if nobody carries an Android phone" }}
{{- end }}
{{- if $push.apns.enabled }}
{{- range $name := list "existingSecret" "keyId" "teamId" "topic" }}
{{- if not (index $push.apns $name) }}
{{- fail (printf "push.apns.%s: credentials are missing, and simulated pushes are refused in a cluster: give Apple's key with keyId, teamId and topic, or set push.apns.enabled=false if nobody carries an iPhone" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pager.refuseReplicas" -}}
{{- $v := .Values -}}
{{- if and $v.autoscaling.enabled (not (kindIs "invalid" $v.replicas)) }}
{{- fail "replicas: contradicts autoscaling.enabled=true, which would undo it; use autoscaling.minReplicas" }}
{{- end }}
{{- if and (not $v.autoscaling.enabled) (kindIs "invalid" $v.replicas) }}
{{- fail "replicas: say how many, since autoscaling.enabled=false" }}
{{- end }}
{{- range $name := splitList " " (include "pager.services" .) }}
{{- $service := index $v.services $name }}
{{- if and $v.autoscaling.enabled (not (kindIs "invalid" $service.replicas)) }}
{{- fail (printf "services.%s.replicas: contradicts autoscaling.enabled=true, which would undo it; use services.%s.autoscaling" $name $name) }}
{{- end }}
{{- if and (not $v.autoscaling.enabled) (or $service.autoscaling.minReplicas $service.autoscaling.maxReplicas) }}
{{- fail (printf "services.%s.autoscaling: means nothing while autoscaling.enabled=false" $name) }}
{{- end }}
{{- $least := include "pager.minReplicas" (dict "root" $ "component" $name) | int }}
{{- $most := include "pager.maxReplicas" (dict "root" $ "component" $name) | int }}
{{- if gt $least $most }}
{{- fail (printf "services.%s: minReplicas %d is more than maxReplicas %d" $name $least $most) }}
{{- end }}
{{- end }}
{{- $needed := include "pager.connections" . | int }}
{{- if and $v.database.maxConnections (gt $needed ($v.database.maxConnections | int)) }}
{{- fail (printf "database.maxConnections: %d connections may be needed (16 a replica), the server has %d; allow fewer replicas or raise max_connections" $needed ($v.database.maxConnections | int)) }}
{{- end }}
{{- end -}}
