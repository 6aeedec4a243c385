package executor_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

func TestScenario20RetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := []executor.Class{{
			Name: "api", Weight: 1, MaxParallel: 64, MaxQueue: 10000,
			Retry: executor.Retry{Max: 5, Ratio: 10},
		}}
		r := newRig(t, classes)
		var mu sync.Mutex
		perSecond := map[int]int{}
		began := time.Now()
		run := func(_ context.Context, a executor.Attempt) (int, error) {
			at := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			perSecond[int(at/time.Second)]++
			if a.N == 2 && at < 4*time.Second {
				t.Errorf("retried at %v, although asked to wait 4 s", at)
			}
			if at < 5*time.Second {
				return 0, executor.RetryAfter(errors.New("429 Too Many Requests"), 4*time.Second)
			}
			return 1, nil
		}
		const rate = 20
		for range 20 {
			for range rate {
				executor.Submit(t.Context(), r.Executor, executor.Command[int]{Class: "api", Idempotent: true, Run: run})
				pause(time.Second / rate)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for second, n := range perSecond {
			if n > 2*rate {
				t.Errorf("second %d: %d attempts, want at most twice the rate of %d", second, n, rate)
			}
		}
		s := r.Stats().Classes[0]
		if s.RetriesDenied == 0 || s.Retries == 0 {
			t.Errorf("retries %d, denied %d: want both, first the bucket lets some through", s.Retries, s.RetriesDenied)
		}
		mu.Unlock()
		r.end()
		mu.Lock()
	})
}

func TestScenario21SinkHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blackHole := make(chan struct{})
		late, good := &journal{}, &journal{}
		r := newRig(t, two(), executor.WithSinks(good, executor.SinkFunc(func(a executor.Alert) {
			<-blackHole
			late.Alert(a)
		}), executor.SinkFunc(func(executor.Alert) { panic("sink") })))
		r.journal = good
		fail := func(class, name, target string) {
			_, _ = executor.Do(t.Context(), r.Executor, executor.Command[int]{
				Name: name, Class: class, Target: target,
				Run: func(context.Context, executor.Attempt) (int, error) { return 0, errors.New(name) },
			})
		}
		began := time.Now()
		for i := range 1000 {
			fail("low", "low", "")
			if i%100 == 0 {
				fail("high", "critical", string(rune('a'+i/100)))
			}
		}
		synctest.Wait()
		if took := time.Since(began); took != 0 {
			t.Errorf("1000 failing commands took %v of fake time with a hanging sink", took)
		}
		if _, n := good.events(executor.EventGivenUp); n != 1010 {
			t.Errorf("the good sink got %d alerts, want 1010", n)
		}
		close(blackHole)
		synctest.Wait()
		alerts, n := late.events(executor.EventGivenUp)
		critical := 0
		for _, a := range alerts {
			if a.Tier == executor.TierCritical {
				critical++
			}
		}
		s := r.Stats()
		if s.AlertsDropped != 0 {
			t.Errorf("%d alerts dropped, although all can be folded", s.AlertsDropped)
		}
		if critical != 10 || n+int(s.AlertsDropped) != 1010 || len(alerts) > 300 {
			t.Errorf("after recovery: %d critical, %d in all and %d dropped, in %d alerts; want 10, 1010, folded into few", critical, n, s.AlertsDropped, len(alerts))
		}
		if s.SinkPanics == 0 {
			t.Error("the panicking sink was not counted")
		}
		r.end()
	})
}

func TestScenario22OneAlertPerEpisode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].MaxQueue = 1
		r := newRig(t, classes)
		for range 3 {
			executor.Submit(t.Context(), r.Executor, takes("low", 3*time.Second))
		}
		for range 10000 {
			executor.Submit(t.Context(), r.Executor, ok("low"))
			pause(time.Millisecond / 10)
		}
		if _, n := r.events(executor.EventRefused); n != 1 {
			t.Errorf("%d alerts, want 1", n)
		}
		if s, _ := r.Stats().Class("low"); s.QueueFull != 10000 {
			t.Errorf("%d refused, want 10000 counted", s.QueueFull)
		}
		r.end()
	})
}

func TestObserverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hole := make(chan struct{})
		r := newRig(t, two(), executor.WithObserver(func(executor.AttemptRecord) { <-hole }))
		for range 5000 {
			if _, err := executor.Do(t.Context(), r.Executor, ok("low")); err != nil {
				t.Fatal(err)
			}
		}
		if s := r.Stats(); s.RecordsDropped < 800 {
			t.Errorf("%d records dropped, want about 900 of 5000 beyond the queue", s.RecordsDropped)
		}
		close(hole)
		r.end()
	})
}

func TestScenario13CompletionRace(t *testing.T) {
	runs := 10000
	if testing.Short() {
		runs = 1000
	}
	timeout := executor.Timeout{Base: 500 * time.Microsecond, Max: 500 * time.Microsecond, Grace: 200 * time.Microsecond}
	r := newRig(t, []executor.Class{
		{Name: "low", Weight: 1, MaxParallel: 16, MaxQueue: 1 << 20, MaxQuarantine: 1 << 20, MaxPerTarget: 1 << 20, Timeout: timeout, Retry: executor.Retry{Max: 1, Ratio: 10, Backoff: time.Microsecond}},
		{Name: "high", Weight: 10, MaxParallel: 16, MaxQueue: 1 << 20, MaxQuarantine: 1 << 20, MaxPerTarget: 1 << 20, Timeout: timeout},
	})
	var wg sync.WaitGroup
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range runs {
		// Around the deadline and the end of the grace period.
		d := time.Duration(rng.IntN(1000)) * time.Microsecond
		ctx, cancel := context.WithCancel(t.Context())
		c := executor.Command[int]{
			Class: []string{"low", "high"}[i%2], Target: []string{"", "a", "b"}[i%3], Idempotent: i%5 == 0,
			Run: func(ctx context.Context, a executor.Attempt) (int, error) {
				a.OnKill(func() error { return nil })
				if i%4 == 0 {
					return i, wait(ctx, d)
				}
				<-time.After(d)
				return i, nil
			},
		}
		f := executor.Submit(ctx, r.Executor, c)
		wg.Go(func() {
			defer cancel()
			if i%7 == 0 {
				<-time.After(time.Duration(i%1000) * time.Microsecond)
				cancel()
			}
			v, err := f.Wait(context.WithoutCancel(ctx))
			if err == nil && v != i {
				t.Errorf("command %d got the result of %d", i, v)
			}
		})
		if i%64 == 0 {
			<-time.After(time.Millisecond)
		}
	}
	wg.Wait()
	r.end()
	total := int64(0)
	for _, c := range r.Stats().Classes {
		total += c.Submitted
		if c.Abandoned != c.Late {
			t.Errorf("%s: %d abandoned, %d came back", c.Class, c.Abandoned, c.Late)
		}
	}
	if total != int64(runs) {
		t.Errorf("%d submitted, want %d", total, runs)
	}
}
