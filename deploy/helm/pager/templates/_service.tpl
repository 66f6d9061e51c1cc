{{/* What differs from service to service: its variables and its files. Called with (dict "root" $ "component" "auth"). */}}

{{- define "pager.serviceEnv" -}}
{{- $v := .root.Values -}}
{{- $secrets := include "pager.secretsPath" .root -}}
# Names sessions in PostgreSQL, whose names end at 63 characters: a pod's name could be cut, its uid cannot.
- name: PAGER_INSTANCE
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
# Probes come from the node, Prometheus from its own pod; the network policies keep everybody else out.
- name: PAGER_MONITOR_HOST
  value: 0.0.0.0
- name: PAGER_MONITOR_PORT
  value: "9464"
- name: PAGER_LOG_LEVEL
  value: {{ $v.logLevel }}
- name: PAGER_LOG_FORMAT
  value: json
{{ include "pager.natsEnv" .root }}
{{- if ne .component "gateway" }}
{{ include "pager.databaseEnv" .root }}
{{- end }}
{{- if eq .component "auth" }}
- name: PAGER_MASTER_KEY_FILE
  value: {{ $secrets }}/master-key
{{- if $v.auth.previousMasterKey }}
- name: PAGER_MASTER_KEY_PREVIOUS_FILE
  value: {{ $secrets }}/master-key-previous
{{- end }}
- name: PAGER_ADMIN_EMAIL_FILE
  value: {{ $secrets }}/admin-email
- name: PAGER_ADMIN_PASSWORD_FILE
  value: {{ $secrets }}/admin-password
- name: PAGER_ADMINS_NEED_TOTP
  value: {{ $v.auth.adminsNeedTotp | quote }}
{{- if $v.auth.erasureLedger.existingClaim }}
- name: PAGER_ERASURE_LEDGER_FILE
  value: /var/lib/pager/erasures
{{- end }}
- name: PAGER_CAPTCHA
  value: {{ $v.auth.captcha | quote }}
{{- if $v.smtp.enabled }}
- name: PAGER_SMTP_URL_FILE
  value: /run/secrets/pager-smtp/url
- name: PAGER_SMTP_FROM
  value: {{ $v.smtp.from | quote }}
{{- end }}
{{- if $v.auth.countries.existingClaim }}
- name: PAGER_GEOIP_FILE
  value: /countries/{{ $v.auth.countries.file }}
{{- end }}
{{- with $v.oidc }}
{{- if .enabled }}
- name: PAGER_OIDC_ISSUER
  value: {{ .issuer | quote }}
- name: PAGER_OIDC_CLIENT_ID
  value: {{ .clientId | quote }}
{{- if .existingSecret }}
- name: PAGER_OIDC_CLIENT_SECRET_FILE
  value: /run/secrets/pager-oidc/client-secret
{{- end }}
- name: PAGER_OIDC_REDIRECT_URIS
  value: {{ join "," .redirectUris | quote }}
- name: PAGER_OIDC_GROUP_ROLES
  value: {{ .groupRoles | toJson | quote }}
- name: PAGER_OIDC_GROUPS_CLAIM
  value: {{ .groupsClaim | quote }}
- name: PAGER_OIDC_SCOPES
  value: {{ .scopes | quote }}
{{- end }}
{{- end }}
- name: JWT_ACCESS_EXPIRES
  value: {{ $v.auth.accessTokenLife }}
- name: JWT_REFRESH_EXPIRES
  value: {{ $v.auth.refreshTokenLife }}
{{- end }}
{{- if not (has .component (list "auth" "gateway")) }}
- name: PAGER_SEALING_KEY_FILE
  value: {{ $secrets }}/sealing-key
{{- if $v.previousSealingKeys }}
- name: PAGER_SEALING_KEY_PREVIOUS_FILE
  value: {{ $secrets }}/sealing-key-previous
{{- end }}
{{- end }}
{{- if has .component (list "auth" "notifier") }}
- name: PAGER_WEB_PUSH_HOSTS
  value: {{ join "," $v.push.webpush.hosts | quote }}
{{- end }}
{{- if has .component (list "auth" "notifier" "gateway") }}
- name: PAGER_PUBLIC_URL
  value: {{ $v.publicUrl | quote }}
{{- end }}
{{- if eq .component "gateway" }}
- name: PAGER_HOST
  value: 0.0.0.0
- name: PAGER_PORT
  value: "3000"
- name: PAGER_CORS_ORIGINS
  value: {{ join "," $v.corsOrigins | quote }}
- name: ENABLE_AUDIT_LOGGING
  value: {{ $v.accessLog | quote }}
- name: ENABLE_RATE_LIMITING
  value: {{ $v.switches.rateLimiting | quote }}
- name: ENABLE_MAINTENANCE_MODE
  value: {{ $v.switches.maintenanceMode | quote }}
{{- range $name, $said := $v.switches.features }}
{{- if kindIs "bool" $said }}
- name: FEATURE_{{ upper $name }}
  value: {{ $said | quote }}
{{- else if not (kindIs "invalid" $said) }}
- name: FEATURE_{{ upper $name }}_PERCENTAGE
  value: {{ int $said | quote }}
{{- end }}
{{- end }}
- name: PAGER_DRAIN_SECONDS
  value: {{ int $v.drainSeconds | quote }}
- name: PAGER_TRUSTED_PROXIES
  value: {{ join "," $v.trustedProxies | quote }}
{{- with $v.app.appleIds }}
- name: PAGER_APP_APPLE_IDS
  value: {{ join "," . | quote }}
{{- end }}
{{- with $v.app.android }}
- name: PAGER_APP_ANDROID
  value: {{ toJson . | quote }}
{{- end }}
{{- end }}
{{- if eq .component "notifier" }}
- name: ENABLE_CIRCUIT_BREAKER
  value: {{ $v.switches.circuitBreaker | quote }}
{{- include "pager.pushEnv" .root }}
{{- end }}
{{- with $v.telemetry.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- range $v.extraEnv }}
- name: {{ .name }}
  value: {{ .value | quote }}
{{- end }}
{{- end -}}

{{- define "pager.pushEnv" -}}
{{- with .Values.push.fcm }}
{{- if .enabled }}
- name: PAGER_FCM_CREDENTIALS_FILE
  value: /run/secrets/pager-fcm/service-account.json
{{- end }}
{{- end }}
{{- with .Values.push.apns }}
{{- if .enabled }}
- name: PAGER_APNS_KEY_FILE
  value: /run/secrets/pager-apns/key.p8
- name: PAGER_APNS_KEY_ID
  value: {{ .keyId | quote }}
- name: PAGER_APNS_TEAM_ID
  value: {{ .teamId | quote }}
- name: PAGER_APNS_TOPIC
  value: {{ .topic | quote }}
- name: PAGER_APNS_URL
  value: {{ .url | quote }}
{{- end }}
{{- end }}
{{- with .Values.push.webpush }}
{{- if .enabled }}
- name: PAGER_VAPID_KEY_FILE
  value: /run/secrets/pager-vapid/vapid.pem
- name: PAGER_VAPID_SUBJECT
  value: {{ .subject | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The keys of the credentials that a service is given. */}}
{{- define "pager.serviceSecret" -}}
- name: secrets
  secret:
    secretName: {{ .root.Values.credentials.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .component }}-nats-url, path: nats-url}
      {{- if ne .component "gateway" }}
      - {key: {{ .component }}-database-url, path: database-url}
      {{- end }}
      {{- if not (has .component (list "auth" "gateway")) }}
      - {key: {{ .component }}-sealing-key, path: sealing-key}
      {{- if .root.Values.previousSealingKeys }}
      - {key: {{ .component }}-sealing-key-previous, path: sealing-key-previous}
      {{- end }}
      {{- end }}
      {{- if eq .component "auth" }}
      - {key: master-key, path: master-key}
      {{- if .root.Values.auth.previousMasterKey }}
      - {key: master-key-previous, path: master-key-previous}
      {{- end }}
      - {key: admin-email, path: admin-email}
      - {key: admin-password, path: admin-password}
      {{- end }}
{{- if and (eq .component "auth") .root.Values.auth.erasureLedger.existingClaim }}
- name: erasures
  persistentVolumeClaim:
    claimName: {{ .root.Values.auth.erasureLedger.existingClaim }}
{{- end }}
{{- if and (eq .component "auth") .root.Values.smtp.enabled }}
- name: smtp
  secret:
    secretName: {{ .root.Values.smtp.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .root.Values.smtp.key }}, path: url}
{{- end }}
{{- if and (eq .component "auth") .root.Values.auth.countries.existingClaim }}
- name: countries
  persistentVolumeClaim:
    claimName: {{ .root.Values.auth.countries.existingClaim }}
    readOnly: true
{{- end }}
{{- with .root.Values.oidc }}
{{- if and (eq $.component "auth") .enabled .existingSecret }}
- name: oidc
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .key }}, path: client-secret}
{{- end }}
{{- end }}
{{- if eq .component "notifier" }}
{{- with .root.Values.push.fcm }}
{{- if .enabled }}
- name: fcm
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .key }}, path: service-account.json}
{{- end }}
{{- end }}
{{- with .root.Values.push.apns }}
{{- if .enabled }}
- name: apns
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .key }}, path: key.p8}
{{- end }}
{{- end }}
{{- with .root.Values.push.webpush }}
{{- if .enabled }}
- name: vapid
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .key }}, path: vapid.pem}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pager.serviceMounts" -}}
{{- if and (eq .component "auth") .root.Values.auth.erasureLedger.existingClaim }}
- name: erasures
  mountPath: /var/lib/pager
{{- end }}
{{- if and (eq .component "auth") .root.Values.smtp.enabled }}
- name: smtp
  mountPath: /run/secrets/pager-smtp
  readOnly: true
{{- end }}
{{- if and (eq .component "auth") .root.Values.auth.countries.existingClaim }}
- name: countries
  mountPath: /countries
  readOnly: true
{{- end }}
{{- if and (eq .component "auth") .root.Values.oidc.enabled .root.Values.oidc.existingSecret }}
- name: oidc
  mountPath: /run/secrets/pager-oidc
  readOnly: true
{{- end }}
{{- if eq .component "notifier" }}
{{- if .root.Values.push.fcm.enabled }}
- name: fcm
  mountPath: /run/secrets/pager-fcm
  readOnly: true
{{- end }}
{{- if .root.Values.push.apns.enabled }}
- name: apns
  mountPath: /run/secrets/pager-apns
  readOnly: true
{{- end }}
{{- if .root.Values.push.webpush.enabled }}
- name: vapid
  mountPath: /run/secrets/pager-vapid
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}
