package alert

import (
	"net/http"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

// How long an alert stays active in Alertmanager: one of something that happened, and one of a state
// that lasts until it is resolved.
const (
	activeEvent = 5 * time.Minute
	activeState = 4 * time.Hour
)

// ends says which event resolves which state.
var ends = map[string]string{
	executor.EventShedEnd:        executor.EventShed,
	executor.EventQuarantineOpen: executor.EventQuarantineFull,
	executor.EventTargetOpen:     executor.EventTargetStuck,
}

// Alertmanager posts alerts of tier high (severity=warning) and critical (severity=critical) to a Prometheus
// Alertmanager, API v2. States, e.g. a full quarantine, are resolved when they end. Grouping and repetition are
// Alertmanager's own; an end time is sent with each alert, so that nothing has to be repeated to stay active.
// It is an executor.Sink.
type Alertmanager struct {
	post   poster
	labels map[string]string
}

// NewAlertmanager posts to the Alertmanager at base, e.g. "http://alertmanager:9093"; labels are added to
// each alert. client may be nil; it must not be one whose requests go through the executor.
func NewAlertmanager(base string, labels map[string]string, client *http.Client) *Alertmanager {
	return &Alertmanager{post: newPoster(strings.TrimSuffix(base, "/")+"/api/v2/alerts", client), labels: labels}
}

// amAlert is "postableAlert" of Alertmanager's OpenAPI description.
type amAlert struct {
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Alert posts a. A critical alert is sent again until it is taken, or Close is called; any other is
// dropped, and counted, if the first request fails.
func (m *Alertmanager) Alert(a executor.Alert) {
	event, resolved := a.Event, false
	if state, ok := ends[a.Event]; ok {
		event, resolved = state, true
	}
	if a.Tier < executor.TierHigh && !resolved {
		return
	}
	out := amAlert{
		StartsAt: a.Time, EndsAt: a.Time.Add(activeEvent),
		Labels: map[string]string{
			"alertname": "Executor" + camel(event), "class": a.Class, "event": event,
		},
		Annotations: map[string]string{"summary": a.Message},
	}
	for key, value := range m.labels {
		out.Labels[key] = value
	}
	for key, value := range map[string]string{"command": a.Command, "target": a.Target, "scope": a.Scope} {
		if value != "" {
			out.Labels[key] = value
		}
	}
	if a.Err != "" {
		out.Annotations["error"] = a.Err
	}
	state := false
	for _, s := range ends {
		state = state || s == event
	}
	// The labels are the identity of an alert: a state has its severity from its event, so that its end matches.
	switch {
	case !state && a.Tier < executor.TierCritical, state && event != executor.EventQuarantineFull:
		out.Labels["severity"] = "warning"
	default:
		out.Labels["severity"] = "critical"
	}
	tier := a.Tier
	if state {
		out.EndsAt = a.Time.Add(activeState)
		tier = executor.TierCritical // an end that got lost would leave the state active for hours
	}
	if resolved {
		out.EndsAt = a.Time
	}
	m.post.send([]amAlert{out}, tier)
}

// Failed counts alerts that were dropped.
func (m *Alertmanager) Failed() int64 { return m.post.failed.Load() }

// Close ends a request in progress and all further ones.
func (m *Alertmanager) Close() { m.post.cancel() }

// camel turns given_up into GivenUp.
func camel(s string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(s, "_") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}
