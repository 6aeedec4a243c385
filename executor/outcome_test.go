package executor_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

func TestRetryLeavesTheSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].MaxParallel = 1
		classes[0].Retry = executor.Retry{Max: 1, Ratio: 1, Backoff: time.Hour, MaxBackoff: time.Hour}
		classes[0].MaxQueueWait = 24 * time.Hour
		r := newRig(t, classes)
		n := 0
		failing := executor.Submit(t.Context(), r.Executor, executor.Command[int]{
			Class: "low", Idempotent: true,
			Run: func(context.Context, executor.Attempt) (int, error) {
				if n++; n == 1 {
					return 0, errors.New("first time")
				}
				return n, nil
			},
		})
		began := time.Now()
		for range 3 {
			if _, err := executor.Do(t.Context(), r.Executor, takes("low", time.Millisecond)); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 3*time.Millisecond {
			t.Errorf("three others took %v while a retry waited, want 3 ms", took)
		}
		if v, err := failing.Wait(t.Context()); err != nil || v != 2 {
			t.Errorf("retried: %v, %v, want 2", v, err)
		}
		if took := time.Since(began); took > time.Hour {
			t.Errorf("backoff was %v, the bound is 1 h", took)
		}
		r.end()
	})
}

func TestUnknownOutcomeIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].Retry = executor.Retry{Max: 3, Ratio: 1}
		r := newRig(t, classes)
		_, err := executor.Do(t.Context(), r.Executor, r.hung("low", ""))
		errIs(t, err, executor.ErrOutcomeUnknown, executor.ErrAbandoned)
		if !strings.Contains(err.Error(), "outcome unknown") {
			t.Errorf("error %q does not say that the outcome is unknown", err)
		}
		runs := 0
		_, err = executor.Do(t.Context(), r.Executor, executor.Command[int]{Class: "low", Run: func(context.Context, executor.Attempt) (int, error) {
			runs++
			return 0, errors.New("exit status 1")
		}})
		if err == nil || runs != 1 || errors.Is(err, executor.ErrOutcomeUnknown) {
			t.Errorf("failed command: %d runs, %v", runs, err)
		}
		// A dial that failed did not start anything, so it may be repeated.
		runs = 0
		_, err = executor.Do(t.Context(), r.Executor, executor.Command[int]{Class: "low", Run: func(context.Context, executor.Attempt) (int, error) {
			if runs++; runs < 3 {
				return 0, executor.NotStarted(errors.New("connection refused"))
			}
			return 0, nil
		}})
		if err != nil || runs != 3 {
			t.Errorf("dial failures: %d runs, %v, want 3 runs", runs, err)
		}
		r.end()
	})
}

func TestKillHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, two())
		for _, own := range []bool{false, true} {
			socket := make(chan struct{})
			closeSocket := func() error { close(socket); return errors.New("close: not connected") } // does not matter
			c := executor.Command[int]{Class: "low", Run: func(_ context.Context, a executor.Attempt) (int, error) {
				if own {
					a.OnKill(closeSocket)
				}
				<-socket
				return 0, errors.New("socket closed")
			}}
			if !own {
				c.Kill = closeSocket
			}
			began := time.Now()
			_, err := executor.Do(t.Context(), r.Executor, c)
			errIs(t, err, executor.ErrTimeout)
			if errors.Is(err, executor.ErrAbandoned) || time.Since(began) != 1100*time.Millisecond {
				t.Errorf("killed: %v after %v, want a plain timeout after 1.1 s", err, time.Since(began))
			}
		}
		if s, _ := r.Stats().Class("low"); s.QuarantinePeak != 0 {
			t.Errorf("quarantine peak %d, want 0", s.QuarantinePeak)
		}
		r.end()
	})
}

func TestKillHookHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, two())
		_, err := executor.Do(t.Context(), r.Executor, executor.Command[int]{
			Class: "low",
			Run:   func(ctx context.Context, _ executor.Attempt) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
			Kill:  func() error { <-r.release; return nil },
		})
		errIs(t, err, executor.ErrTimeout)
		if s := r.Stats(); s.InFlight != 0 || s.Classes[1].Quarantined != 1 {
			t.Errorf("in flight %d, quarantined %d, want 0 and 1", s.InFlight, s.Classes[1].Quarantined)
		}
		r.end()
	})
}

func TestPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, two())
		run := func(f func() (int, error)) executor.Command[int] {
			return executor.Command[int]{Class: "low", Run: func(context.Context, executor.Attempt) (int, error) { return f() }}
		}
		_, err := executor.Do(t.Context(), r.Executor, run(func() (int, error) { panic("boom") }))
		var p *executor.PanicError
		if !errors.As(err, &p) || p.Value != "boom" || !strings.Contains(string(p.Stack), "outcome_test.go") {
			t.Errorf("panic in Run: %v", err)
		}
		c := run(func() (int, error) { return 0, errors.New("x") })
		c.Classify = func(error) executor.Verdict { panic("classify") }
		_, err = executor.Do(t.Context(), r.Executor, c)
		if !errors.As(err, &p) || p.Value != "classify" {
			t.Errorf("panic in Classify: %v", err)
		}
		c = executor.Command[int]{
			Class: "low", Kill: func() error { panic("kill") },
			Run: func(ctx context.Context, _ executor.Attempt) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
		}
		_, err = executor.Do(t.Context(), r.Executor, c)
		errIs(t, err, executor.ErrTimeout)
		_, err = executor.Do(t.Context(), r.Executor, executor.Command[int]{Class: "low", Run: func(context.Context, executor.Attempt) (int, error) {
			t.SkipNow() // is runtime.Goexit
			return 0, nil
		}})
		errIs(t, err, executor.ErrGoexit)
		if s := r.Stats(); s.InFlight != 0 {
			t.Errorf("%d slots lost", s.InFlight)
		}
		r.end()
	})
}

func TestOneAlertPerGivenUpCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].Retry = executor.Retry{Max: 3, Ratio: 10}
		classes[1].Retry = executor.Retry{Max: 3, Ratio: 10}
		r := newRig(t, classes)
		var futures []*executor.Future[int]
		for _, class := range []string{"low", "high"} {
			for range 20 {
				futures = append(futures, executor.Submit(t.Context(), r.Executor, executor.Command[int]{
					Name: "fails", Class: class, Idempotent: true,
					Run: func(context.Context, executor.Attempt) (int, error) { return 0, errors.New("no") },
				}))
			}
		}
		for _, f := range futures {
			if _, err := f.Wait(t.Context()); err == nil {
				t.Error("a failing command succeeded")
			}
		}
		r.end()
		alerts, n := r.events(executor.EventGivenUp)
		tiers := map[executor.Tier]int{}
		for _, a := range alerts {
			tiers[a.Tier]++
			if a.Attempts != 4 || a.Err != "no" || a.Command != "fails" {
				t.Errorf("alert %+v: want 4 attempts of fails", a)
			}
		}
		if n != 40 || tiers[executor.TierLow] != 20 || tiers[executor.TierCritical] != 20 {
			t.Errorf("%d alerts, by tier %v, want 20 low and 20 critical", n, tiers)
		}
		if got := len(r.attempts()); got != 160 {
			t.Errorf("%d attempt records, want 160", got)
		}
	})
}

func TestParentCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, two())
		ctx, cancel := context.WithCancelCause(t.Context())
		var futures []*executor.Future[int]
		for range 1000 {
			futures = append(futures, executor.Submit(ctx, r.Executor, takes("low", time.Minute)))
		}
		pause(time.Millisecond)
		why := errors.New("operator says stop")
		cancel(why)
		began := time.Now()
		for _, f := range futures {
			_, err := f.Wait(t.Context())
			errIs(t, err, why)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("all done after %v, want at most 100 ms", took)
		}
		_, err := executor.Do(ctx, r.Executor, ok("low"))
		errIs(t, err, why)
		synctest.Wait()
		if _, n := r.events(executor.EventGivenUp); n != 0 {
			t.Errorf("%d alerts for commands that the caller cancelled", n)
		}
		r.end()
	})
}

// Do watches its context by itself, without registering with it: while the command waits, and while it runs.
func TestDoObeysItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, two())
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("operator says stop")
		var ended sync.WaitGroup
		for range 3 { // two run, one waits
			ended.Go(func() {
				_, err := executor.Do(ctx, r.Executor, takes("low", time.Minute))
				errIs(t, err, why)
			})
		}
		synctest.Wait()
		if s, _ := r.Stats().Class("low"); s.InFlight != 2 || s.Queued != 1 {
			t.Errorf("%d run and %d wait, want 2 and 1", s.InFlight, s.Queued)
		}
		began := time.Now()
		cancel(why)
		ended.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("ended %v after the cancellation, want at once", took)
		}
		r.end()
	})
}

func TestDrainNamesWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, two())
		c := r.hung("low", "pg-0")
		c.Name = "pg_ctl stop"
		executor.Submit(t.Context(), r.Executor, c)
		executor.Submit(t.Context(), r.Executor, r.hung("high", "pg-1"))
		polite := executor.Submit(t.Context(), r.Executor, takes("high", time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := r.Drain(ctx)
		if took := time.Since(began); took > 600*time.Millisecond {
			t.Errorf("drain took %v, its deadline was 500 ms", took)
		}
		var d *executor.DrainError
		if !errors.As(err, &d) || len(d.Stuck) != 2 || !strings.Contains(err.Error(), `low "pg_ctl stop" on pg-0 (attempt 1`) || !strings.Contains(err.Error(), `high "hang" on pg-1`) {
			t.Errorf("drain: %v: want it to name pg_ctl stop and hang only", err)
		}
		errIs(t, err, context.DeadlineExceeded)
		_, err = polite.Wait(t.Context())
		errIs(t, err, executor.ErrClosed)
		_, err = executor.Do(t.Context(), r.Executor, ok("low"))
		errIs(t, err, executor.ErrClosed)
		r.end()
	})
}

func TestLateResultIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].Retry = executor.Retry{Max: 1, Ratio: 1}
		r := newRig(t, classes)
		v, err := executor.Do(t.Context(), r.Executor, executor.Command[string]{
			Class: "low", Idempotent: true,
			Run: func(_ context.Context, a executor.Attempt) (string, error) {
				if a.N == 1 {
					<-r.release
					return "late", nil
				}
				return "second", nil
			},
		})
		if err != nil || v != "second" {
			t.Errorf("got %q, %v, want the second attempt's result", v, err)
		}
		r.end()
		if s, _ := r.Stats().Class("low"); s.Late != 1 || s.Succeeded != 1 {
			t.Errorf("late %d, succeeded %d, want 1 and 1", s.Late, s.Succeeded)
		}
	})
}

func TestQueueBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].MaxQueue, classes[0].MaxQueueWait = 3, 300*time.Millisecond
		r := newRig(t, classes)
		var futures []*executor.Future[int]
		for range 20 {
			futures = append(futures, executor.Submit(t.Context(), r.Executor, takes("low", time.Second)))
		}
		began := time.Now()
		full, waited := 0, 0
		for _, f := range futures[2:] {
			_, err := f.Wait(t.Context())
			switch {
			case errors.Is(err, executor.ErrQueueFull):
				full++
			case errors.Is(err, executor.ErrQueueWait):
				waited++
			}
		}
		if full != 15 || waited != 3 || time.Since(began) != 300*time.Millisecond {
			t.Errorf("full %d, waited %d after %v, want 15 and 3 after 300 ms", full, waited, time.Since(began))
		}
		synctest.Wait()
		if _, n := r.events(executor.EventRefused); n != 1 {
			t.Errorf("%d alerts about a full queue, want one per episode", n)
		}
		r.end()
	})
}

func TestProgressTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].Timeout.Base, classes[0].Timeout.Progress = 8*time.Second, 300*time.Millisecond
		r := newRig(t, classes)
		began := time.Now()
		_, err := executor.Do(t.Context(), r.Executor, executor.Command[int]{Class: "low", Run: func(ctx context.Context, a executor.Attempt) (int, error) {
			for range 10 {
				if err := wait(ctx, 200*time.Millisecond); err != nil {
					return 0, err
				}
				a.Progress()
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}})
		errIs(t, err, executor.ErrStalled, executor.ErrTimeout)
		if took := time.Since(began); took != 2300*time.Millisecond {
			t.Errorf("stalled after %v, want 2.3 s: the last progress was at 2 s", took)
		}
		r.end()
	})
}
