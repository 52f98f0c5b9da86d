{{- define "bootfarm.name" -}}
{{ .Release.Name }}
{{- end }}

{{- define "bootfarm.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "bootfarm.name" .) }}
{{- end }}

{{- /* A Service has at most 63 characters, no dot, and begins with a letter; a release may be called 1.2. */}}
{{- define "bootfarm.apiService" -}}
{{ regexReplaceAll "^([0-9])" (printf "%s-api" (.Release.Name | replace "." "-" | trunc 50 | trimSuffix "-")) "r${1}" }}
{{- end }}

{{- /* A tag knows no `+`; what publishes images writes `_` in its place. */}}
{{- define "bootfarm.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default ($.Chart.AppVersion | replace "+" "_") }}{{ end }}
{{- end -}}
{{- end }}

{{- /* Any text as the value of a label: 63 characters at most, a letter or digit at both ends. */}}
{{- define "bootfarm.labelValue" -}}
{{ regexReplaceAll "^[^A-Za-z0-9]+|[^A-Za-z0-9]+$" (regexReplaceAll "[^-A-Za-z0-9_.]" . "_" | trunc 63) "" }}
{{- end }}

{{- /* Names are quoted everywhere: a release or namespace may be called 123 or true. */}}
{{- define "bootfarm.selector" -}}
app.kubernetes.io/name: bootfarm
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "bootfarm.labels" -}}
{{ include "bootfarm.selector" . }}
app.kubernetes.io/version: {{ include "bootfarm.labelValue" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ include "bootfarm.labelValue" (printf "%s-%s" .Chart.Name .Chart.Version) | quote }}
{{- end }}

{{- define "bootfarm.priorityClass" -}}
{{- with .Values.farmPriorityClass -}}
{{ .name | default (ternary (printf "%s-farm" (include "bootfarm.name" $)) "" .create) }}
{{- end -}}
{{- end }}
