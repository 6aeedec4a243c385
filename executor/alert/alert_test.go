package alert_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/alert"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// receiver is an HTTP server that keeps what it is sent.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	paths  []string
	bodies [][]byte
	status atomic.Int32
	hang   atomic.Bool
	free   chan struct{}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{free: make(chan struct{})}
	r.status.Store(http.StatusOK)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.hang.Load() {
			select {
			case <-r.free:
			case <-req.Context().Done():
			}
			return
		}
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.paths, r.bodies = append(r.paths, req.URL.Path), append(r.bodies, body)
		r.mu.Unlock()
		w.WriteHeader(int(r.status.Load()))
	}))
	t.Cleanup(func() { close(r.free); r.Close(); http.DefaultClient.CloseIdleConnections() })
	return r
}

func (r *receiver) got() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.bodies...)
}

func sample(tier executor.Tier, event string) executor.Alert {
	return executor.Alert{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Tier: tier, Class: "fault", Command: "stop", Target: "m1",
		Scope: "spec 7", Event: event, Message: "gave up", Attempts: 3, Err: "timed out",
	}
}

func TestWebhook(t *testing.T) {
	r := newReceiver(t)
	w := alert.NewWebhook(r.URL, executor.TierNormal, r.Client())
	defer w.Close()
	w.Alert(sample(executor.TierLow, executor.EventGivenUp))
	w.Alert(sample(executor.TierNormal, executor.EventGivenUp))
	got := r.got()
	if len(got) != 1 {
		t.Fatalf("%d posts, want 1: low is below the minimum", len(got))
	}
	var back executor.Alert
	if err := json.Unmarshal(got[0], &back); err != nil || back != sample(executor.TierNormal, executor.EventGivenUp) {
		t.Errorf("posted %s, %v", got[0], err)
	}
	r.status.Store(http.StatusInternalServerError)
	w.Alert(sample(executor.TierHigh, executor.EventGivenUp))
	if n := w.Failed(); n != 1 {
		t.Errorf("%d failed, want 1", n)
	}
}

// Scenario 21 over a socket: a critical alert is delivered after the receiver recovers, and the executor does
// not notice any of it.
func TestCriticalIsDeliveredAfterRecovery(t *testing.T) {
	r := newReceiver(t)
	r.hang.Store(true)
	client := r.Client()
	client.Timeout = 300 * time.Millisecond // of each request: half a minute for all, if commands waited for alerts
	am := alert.NewAlertmanager(r.URL, nil, client)
	defer am.Close()
	ex, err := executor.New([]executor.Class{{Name: "heal", Weight: 1, MaxParallel: 1, Tier: executor.TierCritical}}, executor.WithSinks(am))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 100 {
		_, _ = executor.Do(t.Context(), ex, executor.Command[int]{
			Name: "heal", Class: "heal",
			Run: func(context.Context, executor.Attempt) (int, error) { return 0, errors.New("no") },
		})
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("100 commands took %v with a black hole for a sink", took)
	}
	r.hang.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := ex.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if got := len(r.got()); got != 100 {
		t.Errorf("%d critical alerts delivered, want all 100", got)
	}
}

// Close ends a sink that waits for a receiver that never answers.
func TestClose(t *testing.T) {
	r := newReceiver(t)
	r.hang.Store(true)
	am := alert.NewAlertmanager(r.URL, nil, r.Client())
	done := make(chan struct{})
	go func() { am.Alert(sample(executor.TierCritical, executor.EventGivenUp)); close(done) }()
	<-time.After(20 * time.Millisecond)
	am.Close()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("Close did not end the request")
	}
	if am.Failed() != 1 {
		t.Error("the alert was not counted as failed")
	}
}

func TestAlertmanager(t *testing.T) {
	r := newReceiver(t)
	am := alert.NewAlertmanager(r.URL+"/", map[string]string{"run": "42"}, r.Client())
	defer am.Close()
	for _, a := range []executor.Alert{
		sample(executor.TierLow, executor.EventGivenUp), sample(executor.TierNormal, executor.EventGivenUp), // not sent
		sample(executor.TierHigh, executor.EventGivenUp),
		sample(executor.TierCritical, executor.EventGivenUp),
		sample(executor.TierCritical, executor.EventQuarantineFull),
		sample(executor.TierLow, executor.EventQuarantineOpen), // resolves the one before
	} {
		am.Alert(a)
	}
	type posted []struct {
		StartsAt, EndsAt    time.Time
		Labels, Annotations map[string]string
	}
	var got []posted
	for i, body := range r.got() {
		var p posted
		if err := json.Unmarshal(body, &p); err != nil || len(p) != 1 {
			t.Fatalf("%s: %v", body, err)
		}
		if r.paths[i] != "/api/v2/alerts" {
			t.Errorf("path %s", r.paths[i])
		}
		got = append(got, p)
	}
	if len(got) != 4 {
		t.Fatalf("%d posts, want 4", len(got))
	}
	if l := got[0][0].Labels; l["alertname"] != "ExecutorGivenUp" || l["severity"] != "warning" || l["class"] != "fault" || l["run"] != "42" || l["target"] != "m1" {
		t.Errorf("labels %v", l)
	}
	if got[1][0].Labels["severity"] != "critical" {
		t.Errorf("critical: labels %v", got[1][0].Labels)
	}
	full, open := got[2][0], got[3][0]
	if !full.EndsAt.After(full.StartsAt.Add(time.Hour)) || !open.EndsAt.Equal(open.StartsAt) {
		t.Errorf("state ends at %v, its end at %v", full.EndsAt, open.EndsAt)
	}
	for key, value := range full.Labels {
		if open.Labels[key] != value {
			t.Errorf("label %s: %q and %q: the end would not match its state", key, value, open.Labels[key])
		}
	}
}

func TestReport(t *testing.T) {
	report := alert.NewReport()
	ex, err := executor.New([]executor.Class{
		{Name: "low", Weight: 1, MaxParallel: 1},
		{Name: "critical", Weight: 2, MaxParallel: 1, Tier: executor.TierCritical},
	}, executor.WithSinks(report))
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{"spec A", "spec B"} {
		for _, class := range []string{"low", "critical"} {
			if spec == "spec B" && class == "critical" {
				continue
			}
			_, _ = executor.Do(executor.WithScope(t.Context(), spec), ex, executor.Command[int]{
				Name: "inject", Class: class,
				Run: func(context.Context, executor.Attempt) (int, error) { return 0, errors.New(spec) },
			})
		}
	}
	if err := ex.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var a, b []alert.Entry
	errA := report.Flush("spec A", func(e alert.Entry) { a = append(a, e) })
	errB := report.Flush("spec B", func(e alert.Entry) { b = append(b, e) })
	if len(a) != 2 || len(b) != 1 || a[0].Always || !a[1].Always || a[0].Alert.Err != "spec A" {
		t.Errorf("entries of A %+v, of B %+v", a, b)
	}
	if !errors.Is(errA, alert.ErrCritical) || errB != nil {
		t.Errorf("errors %v and %v, want A's critical alert only", errA, errB)
	}
	if left := report.Scopes(); len(left) != 0 {
		t.Errorf("scopes left: %v", left)
	}
	if err := ex.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
