package executor_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

func TestClassesSerialise(t *testing.T) {
	classes := executor.DefaultClasses()
	classes[0].StarveAfter, classes[0].Retry.MaxElapsed, classes[0].Expect.PerSecond = 90*time.Second, time.Minute, 7
	text, err := json.Marshal(classes)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"starveAfter":"1m30s"`) || !strings.Contains(string(text), `"tier":"critical"`) {
		t.Errorf("not for people to read: %s", text)
	}
	var back []executor.Class
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(classes, back) {
		t.Errorf("went\n%+v\ncame back\n%+v", classes, back)
	}
	for _, bad := range []string{`{"timeout":{"base":"5 parsecs"}}`, `{"tier":"loud"}`, `{"retry":{"backoff":[]}}`} {
		if err := json.Unmarshal([]byte(bad), new(executor.Class)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
	var plain executor.Class
	if err := json.Unmarshal([]byte(`{"timeout":{"base":5000000000}}`), &plain); err != nil || plain.Timeout.Base != 5*time.Second {
		t.Errorf("nanoseconds: %v, %v", plain.Timeout.Base, err)
	}
}

// The rule was measured: 200/s with 10 % hangs of 300 ms need 6.4 slots before the margin; see the reference notes.
func TestSizingWarnings(t *testing.T) {
	warnings := func(lowCap, reserve int) []string {
		ex, err := executor.New([]executor.Class{
			{Name: "low", Weight: 1, MaxParallel: lowCap},
			{
				Name: "high", Weight: 100, MaxParallel: 12, Reserve: reserve,
				Timeout: executor.Timeout{Base: 125 * time.Millisecond, Grace: 50 * time.Millisecond},
				Expect:  executor.Expect{PerSecond: 200, Seconds: .002, Hang: .1},
			},
		}, executor.WithLimit(16))
		if err != nil {
			t.Fatal(err)
		}
		return ex.Warnings()
	}
	if got := warnings(12, 0); len(got) != 1 || !strings.Contains(got[0], `"high" needs 10 slots`) {
		t.Errorf("4 free slots: %q, want a warning", got)
	}
	if got := warnings(6, 0); len(got) != 0 {
		t.Errorf("10 free slots: %q, want none", got)
	}
	if got := warnings(12, 10); len(got) != 0 {
		t.Errorf("a reserve of 10: %q, want none", got)
	}
	if ex, err := executor.New(executor.DefaultClasses()); err != nil || len(ex.Warnings()) != 0 {
		t.Errorf("default classes: %v", err)
	}
}
