{{- define "bootfarm.name" -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "bootfarm.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "bootfarm.name" .) }}
{{- end }}

{{- define "bootfarm.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- define "bootfarm.selector" -}}
app.kubernetes.io/name: bootfarm
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "bootfarm.labels" -}}
{{ include "bootfarm.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "bootfarm.priorityClass" -}}
{{- with .Values.farmPriorityClass -}}
{{ .name | default (ternary (printf "%s-farm" (include "bootfarm.name" $)) "" .create) }}
{{- end -}}
{{- end }}
