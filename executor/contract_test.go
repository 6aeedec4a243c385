package executor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

// A hung command costs its slot for timeout + grace only; the caller learns at that time.
func TestHungCommandLosesItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, two())
		began := time.Now()
		hung := []*executor.Future[int]{
			executor.Submit(t.Context(), r.Executor, r.hung("low", "")),
			executor.Submit(t.Context(), r.Executor, r.hung("low", "")),
		}
		next := executor.Submit(t.Context(), r.Executor, ok("low"))
		if _, err := next.Wait(t.Context()); err != nil {
			t.Errorf("the command behind the hung ones: %v", err)
		}
		// Base 1 s × (1 + 1/10) for the weight, plus 100 ms of grace.
		if took := time.Since(began); took != 1200*time.Millisecond {
			t.Errorf("slot was usable after %v, want 1.2 s", took)
		}
		for _, f := range hung {
			_, err := f.Wait(t.Context())
			errIs(t, err, executor.ErrAbandoned, executor.ErrTimeout, executor.ErrOutcomeUnknown, context.DeadlineExceeded)
		}
		if s, _ := r.Stats().Class("low"); s.Quarantined != 2 || s.Abandoned != 2 {
			t.Errorf("quarantined %d, abandoned %d, want 2 and 2", s.Quarantined, s.Abandoned)
		}
		r.end()
		if s, _ := r.Stats().Class("low"); s.Late != 2 || s.Quarantined != 0 {
			t.Errorf("after they returned: late %d, quarantined %d, want 2 and 0", s.Late, s.Quarantined)
		}
	})
}

// While every slot of a class hangs, other classes and submission go on.
func TestHangsDoNotReachOtherClasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, two())
		for range 50 {
			executor.Submit(t.Context(), r.Executor, r.hung("low", ""))
		}
		for range 100 {
			began := time.Now()
			if _, err := executor.Do(t.Context(), r.Executor, takes("high", time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != time.Millisecond {
				t.Fatalf("a heavy command took %v, want 1 ms", took)
			}
		}
		r.end()
	})
}

// The quarantine of a class is bounded; at the bound it fails fast, and opens when one returns.
func TestQuarantineOfAClassIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].MaxQuarantine = 5
		r := newRig(t, classes)
		var futures []*executor.Future[int]
		for range 20 {
			futures = append(futures, executor.Submit(t.Context(), r.Executor, r.hung("low", "")))
		}
		refused := 0
		for _, f := range futures {
			_, err := f.Wait(t.Context())
			if errors.Is(err, executor.ErrQuarantine) {
				refused++
			} else {
				errIs(t, err, executor.ErrAbandoned)
			}
		}
		s, _ := r.Stats().Class("low")
		if refused != 15 || s.QuarantinePeak != 5 {
			t.Errorf("refused %d, peak %d, want 15 and 5", refused, s.QuarantinePeak)
		}
		_, err := executor.Do(t.Context(), r.Executor, ok("low"))
		errIs(t, err, executor.ErrQuarantine)
		synctest.Wait()
		if _, n := r.events(executor.EventQuarantineFull); n != 1 {
			t.Errorf("%d alerts about the full quarantine, want 1", n)
		}
		close(r.release)
		synctest.Wait()
		if _, err := executor.Do(t.Context(), r.Executor, ok("low")); err != nil {
			t.Errorf("after they returned: %v", err)
		}
		r.release = make(chan struct{})
		r.end()
	})
}

// One dead target takes MaxPerTarget commands, not the class; the others to it fail fast. Scenario 6.
func TestDeadTargetIsIsolated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].MaxParallel, classes[0].MaxPerTarget = 8, 2
		r := newRig(t, classes)
		var dead []*executor.Future[int]
		for range 50 {
			dead = append(dead, executor.Submit(t.Context(), r.Executor, r.hung("low", "dead")))
		}
		for i := range 20 {
			c := takes("low", 10*time.Millisecond)
			c.Target = fmt.Sprint("alive", i)
			began := time.Now()
			if _, err := executor.Do(t.Context(), r.Executor, c); err != nil || time.Since(began) > 20*time.Millisecond {
				t.Errorf("other target: %v after %v", err, time.Since(began))
			}
		}
		abandoned, stuck := 0, 0
		for _, f := range dead {
			_, err := f.Wait(t.Context())
			switch {
			case errors.Is(err, executor.ErrAbandoned):
				abandoned++
			case errors.Is(err, executor.ErrTargetStuck):
				stuck++
			default:
				t.Errorf("unexpected: %v", err)
			}
		}
		if abandoned != 2 || stuck != 48 {
			t.Errorf("abandoned %d, stuck %d, want 2 and 48", abandoned, stuck)
		}
		began := time.Now()
		c := ok("low")
		c.Target = "dead"
		_, err := executor.Do(t.Context(), r.Executor, c)
		errIs(t, err, executor.ErrTargetStuck)
		if time.Since(began) != 0 {
			t.Errorf("failing fast took %v", time.Since(began))
		}
		// Half open: after a while one probe goes through, and its answer opens the target.
		pause(6 * time.Second)
		if _, err := executor.Do(t.Context(), r.Executor, c); err != nil {
			t.Errorf("probe: %v", err)
		}
		both := takes("low", time.Millisecond)
		both.Target = "dead"
		for _, f := range []*executor.Future[int]{executor.Submit(t.Context(), r.Executor, both), executor.Submit(t.Context(), r.Executor, both)} {
			if _, err := f.Wait(t.Context()); err != nil {
				t.Errorf("after the probe, two at a time: %v", err)
			}
		}
		r.end()
	})
}

// Heavier goes first.
func TestWeightOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := []executor.Class{
			{Name: "a", Weight: 1, MaxParallel: 1}, {Name: "b", Weight: 2, MaxParallel: 1}, {Name: "c", Weight: 3, MaxParallel: 1},
		}
		r := newRig(t, classes, executor.WithLimit(1))
		var mu sync.Mutex
		var order []string
		block := executor.Submit(t.Context(), r.Executor, takes("a", 10*time.Millisecond))
		for range 2 {
			for _, name := range []string{"a", "b", "c"} {
				executor.Submit(t.Context(), r.Executor, executor.Command[int]{Class: name, Run: func(context.Context, executor.Attempt) (int, error) {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, name)
					return 0, nil
				}})
			}
		}
		_, _ = block.Wait(t.Context())
		r.end()
		if got := strings.Join(order, ""); got != "ccbbaa" {
			t.Errorf("order %s, want ccbbaa", got)
		}
	})
}

// Under permanent overload by a heavy class, a light one starts once per StarveAfter. Scenario 11.
func TestStarvationBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := []executor.Class{
			{Name: "low", Weight: 1, MaxParallel: 2, StarveAfter: 500 * time.Millisecond},
			{Name: "mid", Weight: 2, MaxParallel: 2, StarveAfter: 500 * time.Millisecond},
			{Name: "high", Weight: 10, MaxParallel: 4, MaxQueue: 100000},
		}
		r := newRig(t, classes, executor.WithLimit(2))
		for range 2000 {
			executor.Submit(t.Context(), r.Executor, takes("high", 10*time.Millisecond))
		}
		var mu sync.Mutex
		starts := map[string][]time.Duration{}
		began := time.Now()
		for _, class := range []string{"low", "mid"} {
			for range 10 {
				executor.Submit(t.Context(), r.Executor, executor.Command[int]{Class: class, Run: func(ctx context.Context, a executor.Attempt) (int, error) {
					mu.Lock()
					starts[a.Class] = append(starts[a.Class], time.Since(began))
					mu.Unlock()
					return 0, wait(ctx, 10*time.Millisecond)
				}})
			}
		}
		pause(6 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for class, times := range starts {
			if len(times) != 10 {
				t.Errorf("%s: %d starts in 6 s, want 10", class, len(times))
			}
			last := time.Duration(0)
			for _, at := range times {
				// One release of a slot (10 ms) per rescue, two classes to rescue.
				if at-last > 530*time.Millisecond {
					t.Errorf("%s: waited %v for a start, bound is 530 ms", class, at-last)
				}
				last = at
			}
		}
		r.end()
	})
}

// A reserve can't be taken by anybody else, and the limit holds.
func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].MaxParallel, classes[1].Reserve = 4, 1
		r := newRig(t, classes, executor.WithLimit(3))
		for range 10 {
			executor.Submit(t.Context(), r.Executor, takes("low", time.Second/2))
		}
		if s := r.Stats(); s.InFlight != 2 {
			t.Errorf("%d in flight, want 2: one slot of three is reserved", s.InFlight)
		}
		began := time.Now()
		if _, err := executor.Do(t.Context(), r.Executor, ok("high")); err != nil || time.Since(began) != 0 {
			t.Errorf("reserved slot: %v after %v", err, time.Since(began))
		}
		r.end()
	})
}

// Timeouts grow with weight, scarcity and attempt, up to the ceiling and the caller's deadline, and say why.
func TestTimeoutFormula(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := &fixedLoad{}
		classes := []executor.Class{
			{
				Name: "w1", Weight: 1, MaxParallel: 1, Timeout: executor.Timeout{Base: 5 * time.Second, Max: 120 * time.Second},
				Retry: executor.Retry{Max: 3, Ratio: 10, ScarcityCut: 1},
			},
			{
				Name: "w100", Weight: 100, MaxParallel: 1, Timeout: executor.Timeout{Base: 5 * time.Second, Max: 120 * time.Second},
				Retry: executor.Retry{Max: 3, Ratio: 10, ScarcityCut: 1},
			},
		}
		r := newRig(t, classes, executor.WithMonitor(load))
		tries := func(class string) (out []float64) {
			_, err := executor.Do(t.Context(), r.Executor, executor.Command[int]{
				Class: class, Idempotent: true,
				Run: func(ctx context.Context, a executor.Attempt) (int, error) {
					out = append(out, float64(int(a.Timeout.Seconds()*10+.5))/10)
					<-ctx.Done()
					return 0, ctx.Err()
				},
			})
			errIs(t, err, executor.ErrTimeout)
			return out
		}
		// The table of the method, S = 0 and .9 (ShedAt keeps w1 from running at .9 for long, so w100 only).
		if got, want := tries("w1"), []float64{5.1, 8.1, 12.9, 20.7}; !slices.Equal(got, want) {
			t.Errorf("w1 idle: %v, want %v", got, want)
		}
		if got, want := tries("w100"), []float64{10, 16, 25.6, 41}; !slices.Equal(got, want) {
			t.Errorf("w100 idle: %v, want %v", got, want)
		}
		load.set(.9)
		if got, want := tries("w100"), []float64{37, 59.2, 94.7, 120}; !slices.Equal(got, want) {
			t.Errorf("w100 at .9: %v, want %v", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := executor.Do(ctx, r.Executor, executor.Command[int]{Class: "w100", Run: func(ctx context.Context, a executor.Attempt) (int, error) {
			if !strings.Contains(a.Why(), "cut by the caller's deadline to 1.95s") || !strings.Contains(a.Why(), "cpu scarcity 0.90") {
				t.Errorf("why: %s", a.Why())
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}})
		errIs(t, err, executor.ErrTimeout)
		load.set(0)
		r.end()
	})
}

// A retry waits outside of its slot.
// A command that is not idempotent is never retried after it may have run. Scenario 27.
// Kill makes a command that ignores its context return; nothing is quarantined then.
// A kill hook that hangs keeps the attempt in quarantine, not in its slot.
// Panics of all foreign code are contained. Scenario 14.
// Everything that was given up is reported exactly once, at its tier, however often it was tried.
// Cancelling the caller's context ends what is queued at once. Scenario 23.
// Drain refuses new commands, returns at its deadline and names what is stuck. Scenario 24.
// A late result is dropped.
// The queue is bounded in length and time; a full one alerts once.
func TestConfigIsChecked(t *testing.T) {
	for want, classes := range map[string][]executor.Class{
		"at least one class":      nil,
		"it needs a name":         {{Weight: 1, MaxParallel: 1}},
		"weight 0":                {{Name: "a", MaxParallel: 1}},
		"maxParallel 0":           {{Name: "a", Weight: 1}},
		"used twice":              {{Name: "a", Weight: 1, MaxParallel: 1}, {Name: "a", Weight: 2, MaxParallel: 1}},
		"same weight 1":           {{Name: "a", Weight: 1, MaxParallel: 1}, {Name: "b", Weight: 1, MaxParallel: 1}},
		"must be in 0..":          {{Name: "a", Weight: 1, MaxParallel: 1, Reserve: 2}},
		"must be at least maxPar": {{Name: "a", Weight: 1, MaxParallel: 4, MaxQuarantine: 2}},
		"need 0 < base <= max":    {{Name: "a", Weight: 1, MaxParallel: 1, Timeout: executor.Timeout{Base: 2, Max: 1}}},
		"could never start":       {{Name: "a", Weight: 1, MaxParallel: 1}, {Name: "b", Weight: 2, MaxParallel: 4, Reserve: 4}},
	} {
		opts := []executor.Option{}
		if want == "could never start" {
			opts = append(opts, executor.WithLimit(4))
		}
		_, err := executor.New(classes, opts...)
		if !errors.Is(err, executor.ErrConfig) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("want an ErrConfig with %q, got %v", want, err)
		}
	}
	if _, err := executor.New(executor.DefaultClasses()); err != nil {
		t.Errorf("default classes: %v", err)
	}
}

// atTarget is a monitor of a machine that is idle, with one target that is not.
type atTarget struct{ fixedLoad }

func (*atTarget) TargetLoad(target string) executor.Load {
	if target == "busy" {
		return executor.Load{Scarcity: .5, Resource: "cpu"}
	}
	return executor.Load{}
}

// A target's load stretches the timeouts of its own commands, and nothing else.
func TestTargetLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, two(), executor.WithMonitor(&atTarget{}))
		for target, want := range map[string]time.Duration{"": 1100 * time.Millisecond, "idle": 1100 * time.Millisecond, "busy": 2750 * time.Millisecond} {
			_, err := executor.Do(t.Context(), r.Executor, executor.Command[int]{Class: "low", Target: target, Run: func(_ context.Context, a executor.Attempt) (int, error) {
				if a.Timeout != want || (target == "busy") != strings.Contains(a.Why(), "target cpu scarcity 0.50") {
					t.Errorf("target %q: timeout %v, want %v: %s", target, a.Timeout, want, a.Why())
				}
				return 0, nil
			}})
			if err != nil {
				t.Error(err)
			}
		}
		r.end()
	})
}
