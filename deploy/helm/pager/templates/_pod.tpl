{{/* The parts that pods of services and of jobs share. */}}

{{- define "pager.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "pager.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "pager.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Where each kind of file is mounted. */}}
{{- define "pager.secretsPath" -}}/run/secrets/pager{{- end -}}

{{- define "pager.natsEnv" -}}
- name: PAGER_NATS_URL_FILE
  value: {{ include "pager.secretsPath" . }}/nats-url
{{- if .Values.nats.tls.enabled }}
# With an authority named, a URL that does not begin with tls:// is refused.
- name: PAGER_NATS_CA_FILE
  value: {{ ternary "/etc/pager/nats-ca/ca.crt" "/etc/ssl/certs/ca-certificates.crt" (ne .Values.nats.tls.ca.existingSecret "") }}
{{- end }}
{{- end -}}

{{- define "pager.databaseEnv" -}}
- name: PAGER_DATABASE_URL_FILE
  value: {{ include "pager.secretsPath" . }}/database-url
- name: PGSSLMODE
  value: {{ .Values.database.sslMode }}
{{- if ne .Values.database.sslMode "disable" }}
- name: PGSSLROOTCERT
  # The image's authorities by path: the libpq of psycopg's wheel looks for `system` where its builder had them.
  value: {{ ternary "/etc/pager/postgres-ca/ca.crt" "/etc/ssl/certs/ca-certificates.crt" (ne .Values.database.ca.existingSecret "") }}
{{- end }}
{{- end -}}

{{/* Mounts and volumes of (dict "root" $ "database" bool "nats" bool); the secret's items are the caller's. */}}
{{- define "pager.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: secrets
  mountPath: {{ include "pager.secretsPath" . }}
  readOnly: true
{{- if and .database .root.Values.database.ca.existingSecret }}
- name: postgres-ca
  mountPath: /etc/pager/postgres-ca
  readOnly: true
{{- end }}
{{- if and .nats .root.Values.nats.tls.enabled .root.Values.nats.tls.ca.existingSecret }}
- name: nats-ca
  mountPath: /etc/pager/nats-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "pager.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if and .database .root.Values.database.ca.existingSecret }}
- name: postgres-ca
  secret:
    secretName: {{ .root.Values.database.ca.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .root.Values.database.ca.key }}, path: ca.crt}
{{- end }}
{{- if and .nats .root.Values.nats.tls.enabled .root.Values.nats.tls.ca.existingSecret }}
- name: nats-ca
  secret:
    secretName: {{ .root.Values.nats.tls.ca.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .root.Values.nats.tls.ca.key }}, path: ca.crt}
{{- end }}
{{- end -}}
