package executor_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cutset-dev/cutset/executor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal is a sink and an observer that remembers.
type journal struct {
	mu      sync.Mutex
	alerts  []executor.Alert
	records []executor.AttemptRecord
}

func (j *journal) Alert(a executor.Alert) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.alerts = append(j.alerts, a)
}

func (j *journal) observe(r executor.AttemptRecord) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, r)
}

// events returns the alerts of one event, counting folded ones.
func (j *journal) events(event string) (out []executor.Alert, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, a := range j.alerts {
		if a.Event == event {
			out = append(out, a)
			n += max(a.Count, 1)
		}
	}
	return out, n
}

func (j *journal) attempts() []executor.AttemptRecord {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]executor.AttemptRecord(nil), j.records...)
}

// fixedLoad is a monitor that says what it is told.
type fixedLoad struct {
	mu   sync.Mutex
	load executor.Load
}

func (f *fixedLoad) Load() executor.Load {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.load
}

func (f *fixedLoad) set(s float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.load = executor.Load{Scarcity: s, Resource: "cpu"}
}

// rig is an executor with a journal; hung commands of the test wait on release.
type rig struct {
	*executor.Executor
	*journal
	t       *testing.T
	release chan struct{}
}

func newRig(t *testing.T, classes []executor.Class, opts ...executor.Option) *rig {
	t.Helper()
	j := &journal{}
	opts = append([]executor.Option{
		executor.WithSinks(j), executor.WithObserver(j.observe), executor.WithSeed(1),
		executor.WithTuning(executor.Tuning{Jitter: -1}),
	}, opts...)
	ex, err := executor.New(classes, opts...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return &rig{Executor: ex, journal: j, t: t, release: make(chan struct{})}
}

// end lets hung commands go and checks that nothing is left and that the books balance.
func (r *rig) end() {
	r.t.Helper()
	close(r.release)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		r.t.Errorf("drain: %v", err)
	}
	stats := r.Stats()
	if stats.InFlight != 0 {
		r.t.Errorf("%d slots are taken after drain", stats.InFlight)
	}
	givenUp := int64(0)
	for _, c := range stats.Classes {
		givenUp += c.GivenUp
		refused := c.QueueFull + c.Shed + c.Quarantine + c.TargetStuck + c.Closed
		if sum := c.Succeeded + c.Answered + c.GivenUp + c.Cancelled + refused; sum < c.Submitted {
			r.t.Errorf("class %s: %d submitted, but only %d accounted for: %+v", c.Class, c.Submitted, sum, c)
		}
		if c.Queued != 0 || c.InFlight != 0 || c.Quarantined != 0 {
			r.t.Errorf("class %s is not empty after drain: %+v", c.Class, c)
		}
	}
	if _, n := r.events(executor.EventGivenUp); int64(n) != givenUp && stats.AlertsDropped == 0 {
		r.t.Errorf("%d commands given up, %d alerts", givenUp, n)
	}
}

// hang ignores its context and waits for the end of the test.
func (r *rig) hang(context.Context, executor.Attempt) (int, error) {
	<-r.release
	return -1, nil
}

func (r *rig) hung(class, target string) executor.Command[int] {
	return executor.Command[int]{Name: "hang", Class: class, Target: target, Run: r.hang}
}

func ok(class string) executor.Command[int] {
	return executor.Command[int]{
		Name: "ok", Class: class,
		Run: func(context.Context, executor.Attempt) (int, error) { return 1, nil },
	}
}

// takes returns a command that takes d, unless cancelled.
func takes(class string, d time.Duration) executor.Command[int] {
	return executor.Command[int]{
		Name: "takes " + d.String(), Class: class,
		Run: func(ctx context.Context, _ executor.Attempt) (int, error) { return 1, wait(ctx, d) },
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause lets fake time pass.
func pause(d time.Duration) { <-time.After(d) }

func errIs(t *testing.T, err error, wants ...error) {
	t.Helper()
	for _, want := range wants {
		if !errors.Is(err, want) {
			t.Errorf("error %v: want it to match %v", err, want)
		}
	}
}

// two is a light and a heavy class with short, exact timeouts.
func two() []executor.Class {
	timeout := executor.Timeout{Base: time.Second, Max: 10 * time.Second, Grace: 100 * time.Millisecond}
	return []executor.Class{
		{Name: "low", Weight: 1, MaxParallel: 2, Timeout: timeout},
		{Name: "high", Weight: 10, MaxParallel: 2, Tier: executor.TierCritical, Timeout: timeout},
	}
}
