// Package kubeevent is a sink that makes Kubernetes Events of an executor's alerts.
package kubeevent

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"

	"github.com/cutset-dev/cutset/executor"
)

// Sink makes one Warning Event per alert of tier normal and above. client-go's recorder never blocks,
// and limits itself: a burst of 25 per object, then one in 5 minutes, and similar ones are aggregated. So
// Events must not be the only channel of critical alerts. It is an executor.Sink.
type Sink struct {
	recorder record.EventRecorder
	object   func(executor.Alert) runtime.Object
}

// New records Events on what object returns for an alert, e.g. the custom resource that the operator
// reconciles, found by Alert.Scope or Alert.Target; nil means that the alert has no object, and makes no Event.
func New(recorder record.EventRecorder, object func(executor.Alert) runtime.Object) *Sink {
	return &Sink{recorder: recorder, object: object}
}

// Alert records an Event. Its reason is the alert's event in Kubernetes' style, e.g. CommandGivenUp.
func (s *Sink) Alert(a executor.Alert) {
	if a.Tier < executor.TierNormal {
		return
	}
	object := s.object(a)
	if object == nil {
		return
	}
	text := a.Message
	if a.Err != "" {
		text += ": " + a.Err
	}
	s.recorder.Event(object, corev1.EventTypeWarning, reason(a.Event), text)
}

func reason(event string) string {
	out := "Command"
	for part := range strings.SplitSeq(event, "_") {
		if part != "" {
			out += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return out
}
