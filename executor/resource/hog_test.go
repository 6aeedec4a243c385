package resource

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

// patience bounds the wait for what has to happen, however busy the machine is.
const patience = time.Minute

// Processes that take all CPU there is, measured on this machine: scarcity rises, the executor reacts, and it is over
// when the machine is idle again, which a second look at its counters tells. How fast depends on what else runs here; it
// is logged. Scenario 17.
func TestRealHogs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes all processors for some seconds; left out by -short")
	}
	m := Start(Options{Memory: newFake(), IO: newFake()})
	defer m.Stop()
	ex, err := executor.New([]executor.Class{
		{Name: "low", Weight: 1, MaxParallel: 8},
		{Name: "high", Weight: 10, MaxParallel: 8, Reserve: 2},
	}, executor.WithMonitor(m), executor.WithLimit(16), executor.WithSinks())
	if err != nil {
		t.Fatal(err)
	}
	submit := func(class string) error {
		_, err := executor.Do(t.Context(), ex, executor.Command[int]{
			Class: class, Run: func(context.Context, executor.Attempt) (int, error) { return 0, nil },
		})
		return err
	}
	eventually := func(what string, holds func() bool) {
		t.Helper()
		for began := time.Now(); !holds(); <-time.After(20 * time.Millisecond) {
			if time.Since(began) > patience {
				t.Fatalf("not within %v: %s; %+v", patience, what, m.Snapshot())
			}
		}
	}
	witness := &hostCPU{}
	idle := func() float64 { // of the second that it takes
		_, _, _ = witness.read(t.Context())
		<-time.After(time.Second)
		share, _, err := witness.read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return share
	}
	if before := idle(); before < KneeCPU {
		t.Skipf("the machine is short of CPU already: idle %.2f", before)
	}
	began, end := time.Now(), hogs(t)
	eventually("S >= .9", func() bool { return m.Load().Scarcity >= .9 })
	t.Logf("S >= .9 after %v: %+v", time.Since(began).Round(time.Millisecond), m.Snapshot().CPU)
	eventually("timeouts are stretched by 3.5 and more", func() bool { return ex.LoadFactor() >= 3.5 }) // 3.7 at .9
	eventually("low is shed", func() bool { return errors.Is(submit("low"), executor.ErrShed) })
	eventually("the limit is less than half, and at least the reserve", func() bool {
		limit := ex.Stats().Limit
		return limit >= 2 && limit <= 8
	})
	if err := submit("high"); err != nil {
		t.Errorf("the top class: %v", err)
	}
	end()
	ended := time.Now()
	for calm := 0; m.Load().Scarcity >= .55 || submit("low") != nil; {
		if calm++; idle() < .8 {
			calm = 0
		}
		switch {
		case calm >= 10:
			t.Fatalf("the machine has been idle for %d s, and low is not accepted: %+v", calm, m.Snapshot())
		case time.Since(ended) > patience:
			t.Skipf("others keep the machine busy: %+v", m.Snapshot())
		}
	}
	t.Logf("over %v after the hogs ended", time.Since(ended).Round(time.Millisecond))
	if err := ex.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// hogs starts a process per processor that burns it, until end is called.
func hogs(t *testing.T) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var started []*exec.Cmd
	for range runtime.NumCPU() {
		// Nice, so that the tests of other packages, which run at the same time, keep their times.
		hog := exec.CommandContext(ctx, "nice", "-n", "19", "sh", "-c", "while :; do :; done")
		if err := hog.Start(); err != nil {
			t.Fatal(err)
		}
		started = append(started, hog)
	}
	end = sync.OnceFunc(func() {
		cancel()
		for _, hog := range started {
			_ = hog.Wait() // killed
		}
	})
	t.Cleanup(end)
	return end
}
