package kubeevent_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/alert/kubeevent"
)

func TestEvents(t *testing.T) {
	recorder := record.NewFakeRecorder(10)
	sink := kubeevent.New(recorder, func(a executor.Alert) runtime.Object {
		if a.Target == "" {
			return nil
		}
		return &corev1.Pod{}
	})
	for _, a := range []executor.Alert{
		{Tier: executor.TierLow, Target: "pg-0", Event: executor.EventGivenUp},
		{Tier: executor.TierHigh, Event: executor.EventGivenUp},
		{Tier: executor.TierHigh, Target: "pg-0", Event: executor.EventGivenUp, Message: "gave up", Err: "timed out"},
	} {
		sink.Alert(a)
	}
	close(recorder.Events)
	var got []string
	for e := range recorder.Events {
		got = append(got, e)
	}
	if len(got) != 1 || !strings.HasPrefix(got[0], "Warning CommandGivenUp gave up: timed out") {
		t.Errorf("events %q, want one Warning CommandGivenUp", got)
	}
}
